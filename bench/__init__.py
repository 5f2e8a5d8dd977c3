"""Measures what we promise, against the shipped simulators, and prints it as one table. `python -m bench`.

Counts and ratios are the product; seconds of the wall clock depend on the machine and stand beside them.
Reading order: `__main__` (which worlds are made), `promises` (what is asked), then one file a measurement.
"""
