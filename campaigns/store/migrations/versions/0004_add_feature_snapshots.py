"""The features that scores were made from are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feature_snapshots",
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("definition", sa.String(length=40), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("drift", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("as_of", name=op.f("pk_feature_snapshots")),
    )


def downgrade() -> None:
    op.drop_table("feature_snapshots")
