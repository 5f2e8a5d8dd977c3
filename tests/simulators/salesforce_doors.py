"""Requests to the Salesforce simulator's doors without sockets, and zips to deploy."""

import io
import json
import zipfile
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request
from tillbridge.simulators.salesforce.org import Org

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
ORIGIN = "http://127.0.0.1:7001"
DATA = "/services/data/v67.0"
META = "http://soap.sforce.com/2006/04/metadata"


def new_org(**switches):
    return Org(SimClock(NOON, running=False), switches=switches)


def ask(method, target, body=b"", **headers):
    """Build a request; a dict body travels as JSON, headers are written with underscores."""
    parts = urlsplit(target)
    query = [tuple(pair.partition("=")[::2]) for pair in parts.query.split("&") if pair]
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        named.setdefault("content-type", "application/json")
    return Request(method, target, parts.path, query, named, body, ORIGIN)


def form(target, **fields):
    body = urlencode(fields).encode()
    return ask("POST", target, body, content_type="application/x-www-form-urlencoded")


def multipart(boundary, newline=b"\r\n", **parts):
    """Write a multipart body; each part is (content type, file name, bytes)."""
    lines = []
    for name, (content_type, filename, body) in parts.items():
        disposition = f'Content-Disposition: form-data; name="{name}"'
        disposition += f'; filename="{filename}"' if filename else ""
        lines += [
            f"--{boundary}".encode(),
            disposition.encode(),
            f"Content-Type: {content_type}".encode(),
            b"",
            body,
        ]
    return newline.join([*lines, f"--{boundary}--".encode(), b""])


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def meta(root, inside):
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{META}">\n{inside}\n</{root}>\n'


def package(version="67.0", **members):
    types = "".join(
        f"<types>{''.join(f'<members>{m}</members>' for m in names)}<name>{kind}</name></types>"
        for kind, names in members.items()
    )
    return meta("Package", types + (f"<version>{version}</version>" if version else ""))
