"""The first schema: a database with the old three tables is taken over, any other gets them new."""

from alembic import op

from marketd.stores.archive.takeover import create_or_take_over

revision = "1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    told = op.get_context().config
    assert told is not None
    create_or_take_over(op.get_bind(), told.attributes["now"], told.attributes["done"])


def downgrade() -> None:
    raise NotImplementedError("an archive is not taken back to a schema that would lose digits")
