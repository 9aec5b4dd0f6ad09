"""SQLite cannot change the type of a column: a table of the old form is written anew, its numbers and times as text."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from marketd.errors import StartError
from marketd.stores.archive.columns import EPOCH, FRACTIONS, OpenTime, fraction_of, write_fraction
from marketd.stores.archive.tables import NUMBERS, candles

MILLISECONDS_FROM = 10**11  # an epoch from here on counts milliseconds


def rebuild(connection: sa.Connection, table: sa.Table) -> None:
    """Every row stays, with its id. Indexes and triggers that others made on the table stay too."""
    inspector = sa.inspect(connection)
    found = {column["name"]: column for column in inspector.get_columns(table.name)}
    others = connection.execute(
        sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND type IN ('index', 'trigger') AND sql IS NOT NULL"),
        {"name": table.name},
    ).scalars().all()  # fmt: skip
    new = table.to_metadata(sa.MetaData(), name=f"{table.name}_upgraded")
    for name, column in found.items():
        if name not in new.c:  # a column that someone added
            new.append_column(sa.Column(name, column["type"]))
    fraction = _fraction(connection) if table is candles else fraction_of(connection.dialect)
    write_fraction(connection.dialect, fraction)
    strange: list[object] = []
    _register(connection, fraction, strange)
    written = [_written(table, name) for name in found]
    names = ", ".join(f'"{name}"' for name in found)
    new.create(connection)
    connection.exec_driver_sql(
        f'INSERT INTO "{new.name}" ({names}) SELECT {", ".join(written)} FROM "{table.name}" ORDER BY rowid'
    )
    if strange:
        raise StartError(f"table {table.name} holds {strange[0]!r}, which is no time; nothing was changed")
    table.drop(connection)
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")  # views that name the table are left as they are
    connection.exec_driver_sql(f'ALTER TABLE "{new.name}" RENAME TO "{table.name}"')
    connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
    for sql in others:
        connection.exec_driver_sql(sql)


def _written(table: sa.Table, name: str) -> str:
    if table is candles and name in NUMBERS:
        return f'marketd_digits("{name}")'
    if name in table.c and isinstance(table.c[name].type, OpenTime):
        return f'marketd_time("{name}")'
    return f'"{name}"'


def _register(connection: sa.Connection, fraction: str, strange: list[object]) -> None:
    def in_one_form(value: Any) -> Any:
        try:
            return time_text(value, fraction)
        except ValueError:
            strange.append(value)
            return value

    dbapi: Any = connection.connection.dbapi_connection
    dbapi.create_function("marketd_digits", 1, digits)
    dbapi.create_function("marketd_time", 1, in_one_form)


def _fraction(connection: sa.Connection) -> str:
    """What stands behind the seconds in most rows: old statements that compare times go on comparing right."""
    query = "SELECT substr(open_time, 20) AS rest FROM candles GROUP BY rest ORDER BY count(*) DESC"
    return next((rest for rest in connection.exec_driver_sql(query).scalars().all() if rest in FRACTIONS), "")


def digits(value: object) -> object:
    """A number as plain text: what SQLite kept of DECIMAL as a float gets the shortest text that is that float."""
    if isinstance(value, float):
        text = f"{Decimal(repr(value)):f}"
        return text.removesuffix(".0")
    return str(value) if isinstance(value, int) else value


def time_text(value: object, fraction: str) -> object:
    """A time in the one form of the file. Raises ValueError where it is none."""
    if value is None:
        return None
    moment = _moment(value)
    return moment.isoformat(" ") + ("" if moment.microsecond else fraction)


def _moment(value: object) -> datetime:
    if isinstance(value, int | float):
        return EPOCH + timedelta(seconds=value / 1000 if value >= MILLISECONDS_FROM else value)
    moment = datetime.fromisoformat(str(value))
    offset = moment.utcoffset()
    return moment.replace(tzinfo=None) - (offset or timedelta(0))
