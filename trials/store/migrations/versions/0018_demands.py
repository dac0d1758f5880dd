"""Studies say what they could use of a cluster that several studies share."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("demand", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "demand")
