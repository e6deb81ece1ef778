"""Who is still here after a return, reports as they were made, and mergers."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BEFORE = "'paid', 'used', 'resubscribed'"
_AFTER = f"{_BEFORE}, 'merged'"


def upgrade() -> None:
    op.create_table(
        "stays",
        sa.Column("enrolment", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("is_here", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrolment"], ["outcomes.enrolment"], name=op.f("fk_stays_enrolment")
        ),
        sa.PrimaryKeyConstraint("enrolment", "days", name=op.f("pk_stays")),
    )
    op.create_table(
        "reports",
        sa.Column("week", sa.String(length=40), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("week", name=op.f("pk_reports")),
    )
    _allow(_AFTER)


def downgrade() -> None:
    op.execute(
        "UPDATE episodes SET return_kind = 'resubscribed' WHERE return_kind = 'merged'"
    )
    _allow(_BEFORE)
    op.drop_table("reports")
    op.drop_table("stays")


def _allow(kinds: str) -> None:
    name = op.f("ck_episodes_return_kind")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "episodes", type_="check")
    with op.batch_alter_table("episodes") as table:
        table.create_check_constraint(
            name, f"return_kind IS NULL OR return_kind IN ({kinds})"
        )
        if op.get_bind().dialect.name == "sqlite":
            # SQLite's table is made anew, and checks are not taken along.
            table.create_check_constraint(
                op.f("ck_episodes_return"),
                "(returned_at IS NULL) = (return_kind IS NULL)",
            )
