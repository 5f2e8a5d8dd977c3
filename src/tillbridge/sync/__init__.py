"""The heart: what should happen, decided from values alone. No I/O, no clock, no vendor.

The one idea of Tillbridge: observe both sides, decide once, write each, remember
only what was confirmed. This package is the deciding.

A *link* joins a thing of the till to its record in the CRM. A *shadow* is what
a side showed when both last agreed; a side has moved when it differs from its
own shadow. So nobody compares two clocks, and our own write coming back is no
news. Links, shadows and cursors move on the target's own word (an *ack*), never
on sending: whoever is stopped half-way starts again and does nothing twice.

    match       who is this customer: link, ask a person, create
    reconcile   what does one field of a linked pair need; begin reading there
    alike       are two spellings one value
    fieldmap    what do a thing's facts become in the CRM; presets/, functions
    pullback    which fields of the CRM go back to the till, and as what
    fit         how is a payload made to suit what the org says of its fields
    plan        how do rows travel in the fewest calls, parents first
    problems    what does a refusal mean, and what can a person change
    safety      does a plan look like news, or like something that broke
    budget      who may spend scarce API calls now, and until when do others wait
    schedule    when is each stream read next
    forecast    what will a day cost, how long does loading take, what runs out
    certify     do both systems agree for a store and a business day
    dedupe      who is there twice, on either side; decisions: what a person says of it
    whatif      which pairs other rules would gain and lose
    remedies    what a person has decided about a cause
"""
