"""How often this database was found restored."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    zero = sa.Column("epoch", sa.Integer(), nullable=False, server_default="0")
    with op.batch_alter_table("instance") as table:
        table.add_column(zero)
    with op.batch_alter_table("instance") as table:
        table.alter_column("epoch", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("instance") as table:
        table.drop_column("epoch")
