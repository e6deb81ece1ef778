"""An enrolment keeps its persona: one that a mail changed would not divide fairly."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "enrolments", sa.Column("persona", sa.String(length=500), nullable=True)
    )
    op.execute(
        "UPDATE enrolments SET persona ="
        " (SELECT persona FROM accounts WHERE accounts.id = enrolments.account)"
    )
    op.create_index(
        "ix_enrolments_groups",
        "enrolments",
        ["cohort", "arm", "segment", "stratum", "persona"],
    )
    op.drop_index("ix_enrolments_cohort_arm", table_name="enrolments")


def downgrade() -> None:
    op.create_index("ix_enrolments_cohort_arm", "enrolments", ["cohort", "arm"])
    op.drop_index("ix_enrolments_groups", table_name="enrolments")
    op.drop_column("enrolments", "persona")
