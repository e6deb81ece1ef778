"""Why and when a campaign was paused, and since when its guard-rails count."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = {
    "paused_at": sa.DateTime(timezone=True),
    "paused_because": sa.String(length=500),
    "guarded_since": sa.DateTime(timezone=True),
}


def upgrade() -> None:
    with op.batch_alter_table("campaigns") as table:
        for name, kind in _COLUMNS.items():
            table.add_column(sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("campaigns") as table:
        for name in _COLUMNS:
            table.drop_column(name)
