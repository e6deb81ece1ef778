"""When a sender was last alive: after a long silence nothing is sent unasked."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("instance") as table:
        table.add_column(
            sa.Column("alive_at", sa.DateTime(timezone=True), nullable=True)
        )


def downgrade() -> None:
    with op.batch_alter_table("instance") as table:
        table.drop_column("alive_at")
