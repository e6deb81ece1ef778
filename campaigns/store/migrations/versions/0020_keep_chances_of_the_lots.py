"""With which chances the lots were drawn: what models weigh accounts by."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("holdout", sa.Column("holdout_chance", sa.Double(), nullable=True))
    op.add_column(
        "enrolments",
        sa.Column(
            "enrolment_chance", sa.Double(), nullable=False, server_default=sa.text("1")
        ),
    )


def downgrade() -> None:
    with op.batch_alter_table("enrolments") as table:
        table.drop_column("enrolment_chance")
    with op.batch_alter_table("holdout") as table:
        table.drop_column("holdout_chance")
