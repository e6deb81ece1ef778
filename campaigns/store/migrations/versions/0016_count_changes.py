"""Changes are counted one by one, no longer found by adding up what there is."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_changes_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    # As many as the mark outside the database was told of until now.
    op.execute(
        "INSERT INTO changes (id, count) SELECT 1,"
        " coalesce((SELECT max(id) FROM events), 0)"
        " + coalesce((SELECT max(id) FROM import_runs), 0)"
        " + (SELECT count(*) FROM suppressions)"
        " + (SELECT count(*) FROM snoozes)"
        " + (SELECT count(*) FROM episodes WHERE returned_at IS NOT NULL)"
    )


def downgrade() -> None:
    op.drop_table("changes")
