"""Tillbridge joins a shop's tills to its CRM: Lightspeed Retail and Salesforce."""

__version__ = "0.1.0"
