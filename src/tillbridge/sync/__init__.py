"""The heart: everything that is decided, and nothing that is done. No I/O and no clock.

Read in this order: `reconcile` (what one field of a linked pair needs) and its
test, `match` (who is who), `fieldmap` with `functions` and `presets` (what a
record becomes), `fit` (what the org can take), `plan` (how rows travel). When
something fails: `retry` for requests, `problems` for rows, `safety` for plans.
`certify` says whether both systems agree in the end.
"""
