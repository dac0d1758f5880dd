"""Candidates count their changes, so that readers fetch only what is new."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("candidates", sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE candidates SET revision = number")  # distinct, or a reader would read all again each time
    op.create_index("ix_candidates_study_revision", "candidates", ["study_id", "revision"])


def downgrade() -> None:
    op.drop_index("ix_candidates_study_revision", "candidates")
    op.drop_column("candidates", "revision")
