"""The API's description of itself: each operation is named, told for whom, and its examples hold."""

import json

import jsonschema_rs
import msgspec
import pytest

from tillbridge.web.api.openapi import document
from tillbridge.web.app import create_app
from tillbridge.web.table import ROUTES

APP = create_app(None)
DOCUMENT = document(APP)
OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method.upper()} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
KINDS = {
    (route.path, method.lower()): route.endpoint.answers
    for route in APP.routes
    for method in route.methods
    if hasattr(route.endpoint, "answers")
}


def valid(schema, value):
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole).is_valid(value)


def test_what_is_sent_and_what_is_answered_are_not_taken_for_each_other():
    (reference,) = (
        each["schema"]["$ref"].rpartition("/")[2]
        for each in DOCUMENT["paths"]["/api/v1/c/{connection}/reviews/new"]["post"]["requestBody"][
            "content"
        ].values()
    )
    assert ["ids"] == list(DOCUMENT["components"]["schemas"][reference]["properties"])


def test_every_operation_has_a_name_of_its_own():
    names = [param.values[2]["operationId"] for param in OPERATIONS]

    assert sorted(set(names)) == sorted(names)
    assert sum(route.is_api for route in ROUTES) == len(names)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_says_what_it_does_and_for_whom(path, method, operation):
    assert operation["summary"]
    assert len(operation["summary"]) <= 110
    assert "a token with the scope" in operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert "200" in operation["responses"]
    assert ("409" in operation["responses"]) == (method != "get")


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_the_examples_of_an_operation_hold(path, method, operation):
    answer = operation["responses"]["200"]["content"]["application/json"]
    if kind := KINDS.get((path, method)):
        msgspec.json.decode(json.dumps(answer["example"]), type=kind)
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            assert valid(parameter["schema"], parameter["example"])
    for body in operation.get("requestBody", {}).get("content", {}).values():
        assert valid(body["schema"], body["example"])
