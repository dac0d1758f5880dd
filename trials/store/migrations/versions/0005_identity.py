"""Add the identity of a database, which is part of the path of every file that its studies write."""

import uuid

import sqlalchemy as sa
from alembic import op

from trials.store.identity import place_of

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    identity = op.create_table(
        "database",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=32), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("named_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_database")),
    )
    row = {"id": 1, "identity": uuid.uuid4().hex, "place": place_of(op.get_bind())}
    op.execute(identity.insert().values(**row, named_before=sa.func.current_timestamp()))


def downgrade() -> None:
    op.drop_table("database")
