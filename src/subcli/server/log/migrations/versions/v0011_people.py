"""Roles, disabled users, and one name for all its spellings."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import op

from subcli.server.accounts.names import name_key

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

_log = logging.getLogger(__name__)
_USERS = sa.table("users", sa.column("id"), sa.column("name"), sa.column("name_key"))


def upgrade() -> None:
    op.add_column("users", sa.Column("name_key", sa.String(64)))
    op.add_column("users", sa.Column("role", sa.String(16), nullable=False, server_default="student"))
    op.add_column("users", sa.Column("disabled_at", sa.Double))
    connection = op.get_bind()
    first: dict[str, str] = {}
    for user_id, name in connection.execute(sa.select(_USERS.c.id, _USERS.c.name).order_by(_USERS.c.id)).all():
        key = name_key(name)
        if (other := first.setdefault(key, name)) != name:
            _log.warning(
                "the users %s and %s have one name in two spellings: each has to log in with its own until one of them "
                "is removed with `subcli user remove`",
                *(other, name),
            )
            continue
        connection.execute(sa.update(_USERS).where(_USERS.c.id == user_id).values(name_key=key))
    op.create_index("ix_users_name_key", "users", ["name_key"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_users_name_key", "users")
    op.drop_column("users", "disabled_at")
    op.drop_column("users", "role")
    op.drop_column("users", "name_key")
