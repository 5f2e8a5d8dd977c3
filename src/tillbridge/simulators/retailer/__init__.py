"""A believable jewellers' chain from a seed: the ground both simulators stand on.

`build(plan)` gives the till's tables, what the CRM held before, and the truth about both; `Shopkeeper` goes
on ringing up sales; `ring_up` is the arithmetic of a sale. People and products do not depend on whether sales
are made, so that two processes with one plan agree about who is who.
"""

from tillbridge.simulators.retailer.plan import CrmRow, Plan, Retailer, Truth
from tillbridge.simulators.retailer.ringup import ring_up, void
from tillbridge.simulators.retailer.shopkeeper import KINDS, Shopkeeper
from tillbridge.simulators.retailer.world import build

__all__ = ["KINDS", "CrmRow", "Plan", "Retailer", "Shopkeeper", "Truth", "build", "ring_up", "void"]
