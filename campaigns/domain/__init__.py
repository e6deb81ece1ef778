"""The trade's words as frozen values and enums.

`words` (the enums that are stored), `records` (what sources bring in), `campaign`
(what a marketer writes down), `values` (what passes between steps).
"""
