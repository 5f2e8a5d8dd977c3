"""The Salesforce side: what is asked of an org, what its answers mean, and the loop that does both."""

from tillbridge.connectors.salesforce.auth import Credentials, TokenStore
from tillbridge.connectors.salesforce.client import SalesforceClient

__all__ = ["Credentials", "SalesforceClient", "TokenStore"]
