"""Canonical records and values: what a shop's things are, whatever system they come from.

Pure: no I/O, no clock, no vendor words. Connectors translate their wire form
into these records; everything else of Tillbridge speaks only of them.
"""
