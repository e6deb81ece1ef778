"""Decisions without I/O: values in, a value out.

`churn` and `reactivation` (who left, who came back), `eligibility` (who may be written
to), `holdout` (who is not), `timetable` (when), `message_state` and `delivery` (what a
message may become), `confidence` (when a segment is unsure), `pacing` (how fast), and
`measure` (what may be claimed).
"""
