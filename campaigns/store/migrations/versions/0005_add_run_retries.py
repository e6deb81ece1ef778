"""A run that failed is tried again: how often it was, and when it will be."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.add_column(
            sa.Column("attempts", sa.Integer(), nullable=False, server_default="1")
        )
        table.add_column(
            sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True)
        )
    with op.batch_alter_table("runs") as table:
        table.alter_column("attempts", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.drop_column("retry_at")
        table.drop_column("attempts")
