"""Everything that is kept: tables in a database, usage in a Parquet lake.

`tables` (protected), `session` (how it is opened), then one module per noun. Store
functions take the caller's session and neither open nor commit.
"""
