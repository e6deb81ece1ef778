"""A job's name holds a campaign's, which may be longer than a word."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.alter_column(
            "job", existing_type=sa.String(length=40), type_=sa.String(length=200)
        )


def downgrade() -> None:
    """Leave it wide: names that are longer must not be lost, and older code reads it."""
