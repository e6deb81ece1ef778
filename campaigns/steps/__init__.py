"""One verb each: what the engine does, in the order the data travels.

`ingest` → `train` → `score` → `apply` and `launch` → `enrol` → `deliver` → `receive` →
`settle` → `report`. A step reads, asks rules, writes, and returns what it did.
"""
