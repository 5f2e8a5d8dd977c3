"""Decide what the `Sforce-Limit-Info` header and the limits resource say about the org's API use.

The header comes with every REST answer and costs nothing, so it is read from
each; the resource costs a call and lags by minutes. Keys we do not know are
left alone: later versions add some (api-bursts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tillbridge.model.writing import CrmUsage

LIMIT_HEADER = "sforce-limit-info"

# The name in the limits resource of what the header calls api-usage.
DAY_LIMIT = "DailyApiRequests"

# api-usage=25/5000;per-app-api-usage=17/250(appName=x), either order, "; " or ";" between.
_ENTRY = re.compile(r"^\s*([\w-]+)\s*=\s*(\d+)\s*/\s*(\d+)")


def parse_usage(header: str | None) -> CrmUsage | None:
    """Read the org's use of its rolling day; None when the header is missing or names no api-usage."""
    for entry in (header or "").split(";"):
        match = _ENTRY.match(entry)
        if match and match[1].lower() == "api-usage":
            return CrmUsage(used=int(match[2]), allowed=int(match[3]))
    return None


def parse_limits(answer: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Read the limits resource as name -> (remaining, allowed); entries without both are left out."""
    return {
        name: (entry["Remaining"], entry["Max"])
        for name, entry in answer.items()
        if isinstance(entry, dict)
        and isinstance(entry.get("Max"), int)
        and isinstance(entry.get("Remaining"), int)
    }
