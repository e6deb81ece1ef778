"""How many features an account used in its first days back."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stays", sa.Column("features", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("stays") as table:
        table.drop_column("features")
