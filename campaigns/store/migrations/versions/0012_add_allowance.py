"""What all workers share: the allowance, and the meters of campaigns."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COUNTS = ("posted", "posted_today")
_OTHERS = {"posted_on": sa.Date(), "may_post": sa.Integer()}


def upgrade() -> None:
    op.create_table(
        "allowance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_allowance_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allowance")),
    )
    with op.batch_alter_table("campaigns") as table:
        for name in _COUNTS:
            zero = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
            table.add_column(zero)
        for name, kind in _OTHERS.items():
            table.add_column(sa.Column(name, kind, nullable=True))
    with op.batch_alter_table("campaigns") as table:
        for name in _COUNTS:
            table.alter_column(name, server_default=None)
    op.execute(
        "UPDATE campaigns SET posted = (SELECT count(*) FROM messages "
        "JOIN attempts ON attempts.message = messages.id "
        "WHERE messages.campaign = campaigns.name)"
    )
    _index(["state", "campaign", "due_at", "id"])
    # Nothing is looked up by it.
    op.drop_index("ix_messages_ses_message_id", table_name="messages")


def _index(columns: list[str]) -> None:
    op.drop_index("ix_messages_due", table_name="messages")
    op.create_index("ix_messages_due", "messages", columns)


def downgrade() -> None:
    op.create_index("ix_messages_ses_message_id", "messages", ["ses_message_id"])
    _index(["state", "due_at", "id"])
    with op.batch_alter_table("campaigns") as table:
        for name in (*_COUNTS, *_OTHERS):
            table.drop_column(name)
    op.drop_table("allowance")
