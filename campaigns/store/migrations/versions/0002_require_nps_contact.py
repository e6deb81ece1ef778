"""An NPS answer always has a contact, empty if unknown: nulls equal no other."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE nps_answers SET contact = '' WHERE contact IS NULL")
    with op.batch_alter_table("nps_answers") as table:
        table.alter_column(
            "contact", existing_type=sa.String(length=200), nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("nps_answers") as table:
        table.alter_column(
            "contact", existing_type=sa.String(length=200), nullable=True
        )
