"""Taking over a database with the old three tables and their rows, or making the tables where there are none."""

import sqlalchemy as sa

from marketd.stores.archive.tables import metadata


def create_or_take_over(connection: sa.Connection) -> None:
    metadata.create_all(connection)
