"""Which kind of bounce an event tells of, and two more reasons to suppress."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BEFORE = "'hard_bounce', 'complaint', 'unsubscribed', 'manual', 'erased'"
_AFTER = (
    "'hard_bounce', 'soft_bounces', 'on_ses_list', 'complaint', 'unsubscribed', "
    "'manual', 'erased'"
)


def upgrade() -> None:
    with op.batch_alter_table("events") as table:
        table.add_column(sa.Column("bounce", sa.String(length=40), nullable=True))
    _allow(_AFTER)


def downgrade() -> None:
    op.execute(
        "UPDATE suppressions SET reason = 'hard_bounce'"
        " WHERE reason IN ('soft_bounces', 'on_ses_list')"
    )
    _allow(_BEFORE)
    with op.batch_alter_table("events") as table:
        table.drop_column("bounce")


def _allow(reasons: str) -> None:
    name = op.f("ck_suppressions_reason")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "suppressions", type_="check")
    # SQLite's table is made anew, and a check is not taken along.
    with op.batch_alter_table("suppressions") as table:
        table.create_check_constraint(name, f"reason IN ({reasons})")
