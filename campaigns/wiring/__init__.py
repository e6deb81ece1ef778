"""Everything is built here, from settings, and handed down.

`workspace` (settings, database, folders, clock) and `sending` (endpoint, clients, what
a wake-up works with). Nothing below opens a database, a client or a process by itself;
importing this package opens nothing.
"""
