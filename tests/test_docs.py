"""The docs do not lie: generated pages are fresh, links lead somewhere, what is named exists."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from tillbridge import config

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "tillbridge"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "salesforce" / "README.md"])
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
# A picture may be what another link shows.
LINK = re.compile(r"(?:\[(?P<text>[^\[\]]+)|\))\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.DOTALL)
SETTING = re.compile(r"`(lightspeed|salesforce|customers|sales|products)\.(?!(?:py|key|crt|lock)`)([a-z_]+)`")
COMMAND = re.compile(
    r"(?:^|`|\\$ )tillbridge "
    r"((?:schema|simulate|alerts|problems|matches|dedupe|export|erase|connection|secrets|key) [\w-]+"
    r"|[a-z][a-z-]*)",
    re.MULTILINE,
)
IMAGES = sorted((ROOT / "docs" / "img").glob("*"))
IMAGE_BYTES_MAX, IMAGES_BYTES_MAX = 200_000, 12_000_000
PYTHON_FILE = re.compile(r"`([\w./-]+\.py)`")


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def links() -> list[pytest.param]:
    return [
        pytest.param(
            page, found["text"] or "", found["target"], id=f"{page.relative_to(ROOT)}: {found['target']}"
        )
        for page in PAGES
        for found in LINK.finditer(prose(page))
        if not found["target"].startswith(("http://", "https://", "mailto:"))
    ]


KINDS = {"sale"}  # compared with, beside a state


@cache
def headings(page: Path) -> set[str]:
    """Anchors as code hosts make them: small letters, blanks to dashes, punctuation gone."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@cache
def defined(path: Path) -> set[str]:
    """Every name that a module defines, methods as Class.method."""
    found: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            found.update(prefix + t.id for t in targets if isinstance(t, ast.Name))

    walk(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def states_given(path: Path) -> set[str]:
    """Every state that a module gives to a record: the constants of Settled(state=…)."""
    return {
        constant.value
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"Settled", "Row"}
        for keyword in call.keywords
        if keyword.arg == "state"
        for constant in ast.walk(keyword.value)
        if isinstance(constant, ast.Constant) and constant.value not in KINDS
    }


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path,text", [pytest.param(p, t, id=p.name) for p, t in generator().pages().items()])
def test_a_generated_page_says_what_the_code_says(path, text):
    assert text == path.read_text(encoding="utf-8"), "run `make docs`"


def test_no_generated_page_is_left_over():
    made = set(generator().pages())

    assert made == set((ROOT / "docs" / "reference").iterdir())


@pytest.mark.parametrize("page,text,target", links())
def test_a_link_leads_somewhere(page, text, target):
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page

    assert there.exists()
    if anchor and there.suffix == ".md":
        assert anchor in headings(there)


@pytest.mark.parametrize("page,text,target", [p for p in links() if p.values[2].endswith(".py")])
def test_a_function_that_a_link_names_is_in_that_file(page, text, target):
    name = text.strip("`").removesuffix("()")
    if not text.startswith("`") or name.endswith((".py", "/")):
        return

    assert name in defined((page.parent / target).resolve())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_python_file_that_a_page_names_exists(page):
    named = PYTHON_FILE.findall(LINK.sub("", prose(page)))

    assert [] == [n for n in named if not any((base / n).exists() for base in (ROOT, SRC, page.parent))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_setting_that_a_page_names_exists(page):
    known = {
        (table, name)
        for table, field in config.Config.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }

    assert set() == set(SETTING.findall(prose(page))) - known


@pytest.mark.parametrize(
    "model",
    [config.Lightspeed, config.Salesforce, config.Customers, config.Sales, config.Products],
    ids=lambda model: model.__name__,
)
def test_every_setting_has_its_meaning_beside_it(model):
    said = generator().comments_of(model)

    assert [] == [name for name in model.model_fields if not said[name]]


def test_every_state_that_the_engine_gives_is_explained_in_the_operating_guide():
    given = set().union(*(states_given(path) for path in (SRC / "engine").glob("*.py")))
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")

    assert {"settled", "waiting", "problem"} <= given
    assert [] == sorted(state for state in given if f"| `{state}` |" not in guide)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_that_a_page_names_exists(page):
    known = {name for name, _ in generator().all_commands()}
    named = set(COMMAND.findall(page.read_text(encoding="utf-8")))

    assert set() == {name for name in named if name not in known and name.split()[0] not in known}


def test_decisions_are_numbered_without_gaps():
    assert [f"{n:04}" for n in range(1, len(ADRS) + 1)] == [path.name[:4] for path in ADRS]


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_a_decision_tells_its_context_options_choice_and_consequences(path):
    titles = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert ["Context", "Options", "Decision", "Consequences"] == titles


def test_every_page_is_reached_from_the_index():
    found, ways = set(), [ROOT / "docs" / "README.md"]
    while ways:
        page = ways.pop()
        found.add(page)
        targets = (m["target"].partition("#")[0] for m in LINK.finditer(prose(page)))
        there = {(page.parent / target).resolve() for target in targets if target.endswith((".md", "/adr"))}
        ways += [path for path in there - found - set(ways) if path.suffix == ".md"]
        if ROOT / "docs" / "adr" in there:
            found.update(ADRS)

    assert set() == {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - found


def test_pictures_are_small():
    assert [] == [path.name for path in IMAGES if path.stat().st_size > IMAGE_BYTES_MAX]
    assert IMAGES_BYTES_MAX > sum(path.stat().st_size for path in IMAGES)
