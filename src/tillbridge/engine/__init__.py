"""The shell: reads, asks `sync` what to do, writes, and settles what was confirmed.

`backfill`, `sync.sync` and `sync.force` differ only in which records enter; what
follows is the same for all of them. Begin with `sync` (a slice from reading to
cursor) and `writer` (a row from payload to ack). `ports` names all that the
engine needs of the two sides; no connector is imported here.

    connection  everything a run needs, in one value     preflight   can the run work at all
    streams     where an incremental read stands         directory   stores, registers, employees
    sales, customers, catalog                            what records become: rows
    rows, mapping, resolve                               a row, its payload, its lookups and digest
    writer      rows by composite calls                  waves       rows by bulk jobs
    patches     lookups between sales, afterwards        certificate the proof that both sides agree
"""
