"""Deleting rows together with everything that refers to them, so that nothing is orphaned."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, delete

from subcli.server.log.tables import metadata


def delete_referring(connection: Connection, target: ColumnElement[Any], values: Any) -> None:
    """Delete the rows of every table that refer to these values of a column, and what refers to those by a cascade."""
    for table in reversed(metadata.sorted_tables):
        for key in table.foreign_keys:
            if key.column is target:
                chosen = key.parent == values if isinstance(values, int) else key.parent.in_(values)
                connection.execute(delete(table).where(chosen))
