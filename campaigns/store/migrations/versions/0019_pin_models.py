"""A campaign goes by one model; accounts are scored by each that one goes by."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_UNIQUE = "uq_scores_as_of"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("model", sa.String(64), nullable=True))
    with op.batch_alter_table("scores") as table:
        table.drop_constraint(op.f(_UNIQUE), type_="unique")
        table.create_unique_constraint(op.f(_UNIQUE), ["as_of", "account", "model"])


def downgrade() -> None:
    op.execute(
        "DELETE FROM scores WHERE id NOT IN"
        " (SELECT max(id) FROM scores GROUP BY as_of, account)"
        " AND id NOT IN (SELECT score FROM enrolments WHERE score IS NOT NULL)"
    )
    with op.batch_alter_table("scores") as table:
        table.drop_constraint(op.f(_UNIQUE), type_="unique")
        table.create_unique_constraint(op.f(_UNIQUE), ["as_of", "account"])
    with op.batch_alter_table("campaigns") as table:
        table.drop_column("model")
