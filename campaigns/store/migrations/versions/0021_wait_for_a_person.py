"""A database that may be a copy waits until a person accepts it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("waits_because", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("instance") as table:
        table.drop_column("waits_because")
