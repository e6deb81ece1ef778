"""The tables, as SQLAlchemy sees them; nothing outside the store does.

`records` (what sources brought in), `programme` (who is enrolled where), `delivery`
(messages and what became of them), `operations` (runs, models, this instance).
"""

from campaigns.store.tables import delivery, operations, programme, records
from campaigns.store.tables.base import Base

__all__ = ["Base", "delivery", "operations", "programme", "records"]
