"""Lightspeed Retail R-Series, API V3: one till account, read over HTTP.

`protocol` builds requests and reads what answers mean, `wire` turns JSON into
records, `limits` decides how long to wait, `tokens` keeps the rotating tokens,
`client` is the loop that joins them.
"""

from tillbridge.connectors.lightspeed_r.client import LightspeedR
from tillbridge.connectors.lightspeed_r.tokens import FileLock, MemoryTokenStore, StoredTokens, TokenStore

__all__ = ["FileLock", "LightspeedR", "MemoryTokenStore", "StoredTokens", "TokenStore"]
