"""What an org allows and what is left: /limits and the header on every answer (fact sheet §2.1, §2.2, §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillbridge.simulators.salesforce.org import Org

# About 2 KB a row, whatever its width (fact sheet §9).
ROW_KILOBYTES = 2
DATA_STORAGE_MEGABYTES = 10_240


def header(org: Org) -> str:
    """Return the value of Sforce-Limit-Info."""
    info = f"api-usage={org.usage.used()}/{org.usage.daily_max}"
    extra = org.switches["limit_info_extra"]
    return f"{info}; {extra}" if extra else info


def report(org: Org) -> dict[str, Any]:
    """Return /limits. Keys a client does not know, and none it may rely on."""
    from tillbridge.simulators.salesforce import bulk

    batches, query_jobs = bulk.batches_left(org), bulk.query_jobs_left(org)
    used = org.usage.used()
    storage = org.row_count * ROW_KILOBYTES // 1024
    return {
        "DailyApiRequests": _limit(org.usage.daily_max, org.usage.daily_max - used),
        "DailyBulkApiBatches": _limit(*batches),
        "DailyBulkV2QueryJobs": _limit(*query_jobs),
        "DailyBulkV2QueryFileStorageMB": _limit(976_562, 976_562),
        "DailyAsyncApexExecutions": _limit(250_000, 250_000),
        "DailyDeliveredPlatformEvents": _limit(25_000, 25_000),
        "DataStorageMB": _limit(DATA_STORAGE_MEGABYTES, DATA_STORAGE_MEGABYTES - storage),
        "FileStorageMB": _limit(DATA_STORAGE_MEGABYTES, DATA_STORAGE_MEGABYTES),
        "HourlyTimeBasedWorkflow": _limit(1_000, 1_000),
        "PermissionSets": {**_limit(1_500, 1_499), "CreateCustom": _limit(1_000, 999)},
        "SingleEmail": _limit(5_000, 5_000),
    }


def _limit(most: int, left: int) -> dict[str, int]:
    return {"Max": most, "Remaining": max(0, left)}
