"""Who may import whom, as docs say it: model ← sync ← engine → ports; connectors know the model only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tillbridge

ROOT = Path(tillbridge.__file__).parent
VENDORS = ("salesforce", "lightspeed")

# Each layer: what of ours it may import, and the sentence that is broken otherwise.
LAYERS = {
    "model": (("model",), "model imports nothing of ours: it is what everybody else speaks"),
    "sync": (("model", "sync"), "sync is pure: it imports only the model"),
    "store": (("model", "store", "secrets", "sync"), "the store knows records, secrets and pure helpers"),
    "engine": (
        ("model", "sync", "store", "engine"),
        "the engine reaches remotes through its ports: it knows no connector, configuration or command line",
    ),
    "connectors.http": (("model", "connectors.http"), "the HTTP door knows the model only"),
    "connectors.lightspeed_r": (
        ("model", "connectors.http", "connectors.lightspeed_r"),
        "a connector knows the model and the HTTP door, and never another connector",
    ),
    "connectors.salesforce": (
        ("model", "connectors.http", "connectors.salesforce"),
        "a connector knows the model and the HTTP door, and never another connector",
    ),
    "simulators": (
        ("simulators",),
        "the simulators import nothing of ours: they must not share our mistakes",
    ),
    "config": (("model", "secrets", "config"), "the configuration knows errors, and what is sealed for it"),
    "secrets": (("model", "secrets"), "secrets know the errors only"),
    "logs": (("model", "logs"), "logs know nothing but records"),
    "alerts": (
        ("model", "sync", "store", "config", "logs", "connectors.http", "alerts"),
        "alerts read what the store holds and send it off; they drive nothing",
    ),
    "spending": (
        ("model", "sync", "store", "spending"),
        "what counts calls knows budgets and the shared tables, and no remote",
    ),
    "wiring": (
        (
            *("model", "sync", "store", "engine", "connectors", "config", "secrets", "logs", "alerts"),
            *("installation", "spending", "wiring"),
        ),
        "the wiring puts parts together and stands below the command line",
    ),
    "installation": (("model", "config", "installation"), "an installation is folders and settings"),
    "turns": (
        ("model", "store", "connectors.http", "wiring", "turns"),
        "whose turn it is knows leases and locks, and no work",
    ),
    "metrics": (
        ("model", "sync", "store", "engine", "spending", "metrics"),
        "those who watch read what the shared tables hold; they drive nothing",
    ),
    "noted": (
        ("model", "store", "wiring", "noted"),
        "a slice's run is a row of the journal, whatever the slice does",
    ),
    "kinds": (
        ("model", "store", "engine", "wiring", "kinds"),
        "what a kind of work does is what the engine can; whose turn it is, others say",
    ),
    "work": (
        (
            *("model", "sync", "store", "engine", "connectors.http", "config", "logs", "alerts"),
            *("wiring", "installation", "spending", "turns", "noted", "kinds", "work"),
        ),
        "a worker does what the engine can, and stands below the command line",
    ),
    "planning": (
        ("model", "store", "config", "installation", "work", "planning"),
        "what is due follows the folders and their configurations; nothing is done here",
    ),
    "rewriting": (
        ("model", "config", "secrets", "rewriting"),
        "what rewrites the configuration knows what it may say, and how a file lasts",
    ),
    "settings": (
        ("model", "config", "secrets", "rewriting", "alerts", "settings"),
        "what may be set knows the configuration and its file, and no page",
    ),
    "sign_in": (
        ("model", "config", "secrets", "rewriting", "settings", "sign_in"),
        "how people sign in is a table of the installation's file; who asks for it is the console's",
    ),
    "views": (
        (
            *("model", "sync", "store", "engine", "config", "secrets", "alerts", "rewriting", "settings"),
            *("installation", "spending", "wiring", "views"),
        ),
        "views read what the tables hold, and know no page",
    ),
    "erasures": (("engine", "wiring", "erasures"), "an erasure is the engine's; its report is a file"),
    "hurry": (
        ("model", "connectors.http", "hurry"),
        "how long people wait for a remote knows a clock and the HTTP door",
    ),
    "draft": (
        ("model", "secrets", "draft"),
        "what is remembered of a set-up is a file; whether it went live, others ask",
    ),
    "doings": (("doings",), "what things are called knows nothing but words"),
    "actions": (
        (
            *("model", "sync", "store", "engine", "installation", "spending", "turns"),
            *("wiring", "erasures", "alerts", "connectors.http", "hurry", "doings", "draft", "actions"),
        ),
        "actions do what the engine can, in a turn of their own",
    ),
    "setup": (
        (
            *("model", "sync", "store", "engine", "connectors", "config", "secrets", "installation"),
            *("turns", "wiring", "actions", "rewriting", "logs", "draft", "setup"),
        ),
        "what sets up knows both sides and the wiring, and stands below the command line and the console",
    ),
    "rehearsal": (("rehearsal",), "a rehearsal starts processes, and imports no part of the house"),
}
ON_TOP = ("cli", "web")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports_of(name: str, path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in the file, in full; what only types need apart."""
    package = ["tillbridge", *name.split(".")]
    if path.name != "__init__.py":
        package = package[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typed = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    unseen = {inner for node in typed for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            before = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*before, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def of_ours(name: str, path: Path) -> set[str]:
    """Return what a file imports of ours, without the package's name; its version is everybody's."""
    found = {
        full.removeprefix("tillbridge.") for full in imports_of(name, path) if full.startswith("tillbridge.")
    }
    return found - {"__version__"}


def within(module: str, layer: str) -> bool:
    return module == layer or module.startswith(layer + ".")


def layer_of(module: str) -> str | None:
    return next((layer for layer in (*LAYERS, *ON_TOP) if within(module, layer)), None)


def is_allowed(imported: str, allowed: tuple[str, ...]) -> bool:
    return any(within(imported, layer) for layer in allowed)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_it_may_know(layer):
    allowed, sentence = LAYERS[layer]
    broken = [
        f"{name} imports {imported}"
        for name, path in modules()
        if layer_of(name) == layer
        for imported in sorted(of_ours(name, path))
        if not is_allowed(imported, allowed)
    ]

    assert [] == broken, sentence


def test_every_module_belongs_to_a_layer():
    homeless = [name for name, _ in modules() if name not in {"", "connectors"} and layer_of(name) is None]

    assert [] == homeless, "a new part of the house needs a line in this table"


def test_nothing_below_imports_the_console():
    broken = [
        f"{name} imports {imported}"
        for name, path in modules()
        if layer_of(name) not in ON_TOP
        for imported in of_ours(name, path)
        if within(imported, "web")
    ]

    assert [] == broken, "the console sits on top, beside the command line that starts it"


def test_nothing_imports_the_command_line_but_itself():
    broken = [
        f"{name} imports {imported}"
        for name, path in modules()
        if not within(name, "cli")
        for imported in of_ours(name, path)
        if within(imported, "cli")
    ]

    assert [] == broken, "the command line sits on top"


@pytest.mark.parametrize("layer", ["model", "sync", "engine", "store"])
def test_the_vendors_are_known_only_inside_their_connectors(layer):
    broken = [
        f"{name} imports {imported}"
        for name, path in modules()
        if layer_of(name) == layer
        for imported in imports_of(name, path)
        if any(vendor in imported.lower() for vendor in VENDORS)
    ]

    assert [] == broken, "a vendor's name belongs into its connector"


@pytest.mark.parametrize("layer", ["model", "sync"])
def test_the_heart_does_no_io_and_reads_no_clock(layer):
    doors = ("httpx2", "sqlalchemy", "sqlite3", "socket", "subprocess", "urllib", "threading", "requests")
    broken = [
        f"{name} imports {imported}"
        for name, path in modules()
        if layer_of(name) == layer and name != "model.clock"
        for imported in imports_of(name, path)
        if imported.split(".")[0] in {*doors, "time"}
    ]

    assert [] == broken, "equal inputs give equal answers"
