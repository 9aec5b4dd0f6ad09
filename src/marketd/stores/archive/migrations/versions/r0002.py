"""The second schema: the books of the paper trader stand beside the candles."""

import sqlalchemy as sa
from alembic import op

from marketd.errors import StartError
from marketd.stores.archive.paper_tables import PAPER_TABLES

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    told = op.get_context().config
    assert told is not None
    connection = op.get_bind()
    there = set(sa.inspect(connection).get_table_names())
    if strange := [table.name for table in PAPER_TABLES if table.name in there]:
        raise StartError(
            f"table {strange[0]} is there already and no schema of marketd is: it is not ours; nothing was changed, "
            "name another database"
        )
    for table in PAPER_TABLES:
        table.create(connection)
    told.attributes["done"].append("made the tables of paper trading")


def downgrade() -> None:
    raise NotImplementedError("books are not thrown away")
