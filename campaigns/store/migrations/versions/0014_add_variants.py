"""Which of several texts a message was given by lot."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("variant", sa.String(200), nullable=True))


def downgrade() -> None:
    op.drop_column("messages", "variant")
