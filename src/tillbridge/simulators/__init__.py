"""Two small worlds that speak the vendors' HTTP, so that everything can be rehearsed offline.

They follow the vendors' facts, never our client, and import nothing of ours: a
simulator that shared code with the connectors would agree with their mistakes.
Each one runs in a process of its own, on a real port, with its state in memory
and a clock of its own that the control API sets and advances.
"""
