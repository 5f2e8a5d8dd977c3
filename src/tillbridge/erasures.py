"""What an erasure needs, at the command line or in the console: the office, and its report kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tillbridge.engine.privacy import Office, Rules
from tillbridge.wiring import Parts


def office_of(parts: Parts) -> Office:
    """Return what an erasure needs, with the rules that the configuration names."""
    rules = Rules(parts.config.privacy.till, parts.config.privacy.crm)
    return Office(parts.connect(), parts.holdings, parts.tombstones, rules)


def report_path(home: Path, report: Mapping[str, Any]) -> Path:
    """Return where a report is kept unless somebody names a file."""
    return home / f"erasure-{report['id']}.json"


def keep_report(path: Path, report: Mapping[str, Any]) -> Path:
    """Write a report for its owner's eyes; that of a later try replaces an earlier one's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(report, file, ensure_ascii=False, indent=2)
        file.write("\n")
    return path
