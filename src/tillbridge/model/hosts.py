"""Which hosts are this very machine: the only ones that secrets may go to in the clear."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether this name or address can only be this very machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# Where consent is given and tokens come from. A name that merely begins so belongs to somebody else.
# https://developers.lightspeedhq.com/retail/authentication/authentication-overview/
_LIGHTSPEED = "lightspeedapp.com"
# https://help.salesforce.com/s/articleView?id=xcloud.domain_name_url_format_changes.htm
_SALESFORCE_LOGINS = frozenset({"login.salesforce.com", "test.salesforce.com"})
_SALESFORCE_DOMAIN = ".my.salesforce.com"


def is_lightspeed(host: str) -> bool:
    """Tell whether a name is Lightspeed's own."""
    name = host.lower().rstrip(".")
    return name == _LIGHTSPEED or name.endswith(f".{_LIGHTSPEED}")


def is_salesforce_login(host: str) -> bool:
    """Tell whether Salesforce lets people in at this name: a shared login host or an org's My Domain."""
    name = host.lower().rstrip(".")
    return name in _SALESFORCE_LOGINS or name.endswith(_SALESFORCE_DOMAIN)
