"""Each headline number, with its peers in the same run: `make bench`.

`run` (the table), `cases` (what is timed, each in a process of its own), `data` (input
from a seed), `feature_peers` (the same features by hand).
"""
