"""What the console shows, as plain values: one file a page, read from our own tables, no remote asked.

A view knows no HTML and no HTTP. `stores` on every view are the till's ids of
the stores that somebody may see; None: all of them. Whoever sees some stores
only sees their receipts, and the people who have bought there.
"""
