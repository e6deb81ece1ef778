"""Contracts that are paid again under their id: as which, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_INDEX = "ix_subscriptions_resumed_as"
_IS_PAST = sa.text("resumed_as IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "subscriptions", sa.Column("resumed_as", sa.String(length=200), nullable=True)
    )
    op.add_column(
        "subscriptions",
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index(
        _INDEX,
        "subscriptions",
        ["resumed_as"],
        sqlite_where=_IS_PAST,
        postgresql_where=_IS_PAST,
    )


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="subscriptions")
    op.drop_column("subscriptions", "resumed_at")
    op.drop_column("subscriptions", "resumed_as")
