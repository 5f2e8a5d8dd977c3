"""The shipped field maps, one TOML file each: what things become in Salesforce unless configured otherwise.

A file names the object, its key, its fields and its lookups; `sync.fieldmap`
says what the words mean.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all shipped maps."""
    return tuple(sorted(item.name[:-5] for item in files(__name__).iterdir() if item.name.endswith(".toml")))


@cache
def preset_table(name: str) -> dict[str, Any]:
    """Return a shipped map as written. Do not change it."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text("utf-8"))
