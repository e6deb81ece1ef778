"""Chances to return and what mails add to them; decisions about models."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


_REASONS = (
    "already_enrolled",
    "in_another_campaign",
    "not_scored",
    "segment_not_wanted",
    "churned_too_recently",
    "churned_too_long_ago",
    "no_contact",
    "all_contacts_suppressed",
    "address_taken",
    "shares_addresses_with_both_arms",
    "cohort_full",
)


def upgrade() -> None:
    _allow((*_REASONS, "not_helped"))
    op.add_column("scores", sa.Column("chance", sa.Double(), nullable=True))
    op.add_column("scores", sa.Column("uplift", sa.Double(), nullable=True))
    op.create_table(
        "model_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('segments', 'propensity', 'uplift')",
            name=op.f("ck_model_decisions_kind"),
        ),
        sa.CheckConstraint(
            "action IN ('trained', 'promoted', 'rolled_back', 'retired')",
            name=op.f("ck_model_decisions_action"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_decisions")),
    )


def _allow(reasons: tuple[str, ...]) -> None:
    name = op.f("ck_enrolment_refusals_reason")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "enrolment_refusals", type_="check")
    with op.batch_alter_table("enrolment_refusals") as table:
        # SQLite's table is made anew, and checks are not taken along.
        listed = ", ".join(f"'{reason}'" for reason in reasons)
        table.create_check_constraint(name, f"reason IN ({listed})")


def downgrade() -> None:
    op.execute("DELETE FROM enrolment_refusals WHERE reason = 'not_helped'")
    _allow(_REASONS)
    op.drop_table("model_decisions")
    with op.batch_alter_table("scores") as table:
        table.drop_column("uplift")
        table.drop_column("chance")
