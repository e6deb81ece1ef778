"""Data in: each source yields the validated records of `domain.records`.

`mapping` (how a file's columns become fields), `files` (CSV, JSON Lines, Parquet),
`campaign_files` and `segment_files` (what people write down).
"""
