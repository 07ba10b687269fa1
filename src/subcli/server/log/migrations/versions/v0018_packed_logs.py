"""The logs of submissions that ended some time ago, compressed; what was deleted of a submission.

Nothing is compressed here: a job does that later, a few logs at a time, when no older server runs any more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from subcli.server.log.packing import unpack

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UNPACKED = sa.text("NOT packed AND finished_at IS NOT NULL")
_PER_READ = 100


def upgrade() -> None:
    op.add_column("submissions", sa.Column("packed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("submissions", sa.Column("pruned_at", sa.Double))
    op.create_index(
        "ix_submissions_unpacked",
        "submissions",
        ["finished_at"],
        sqlite_where=_UNPACKED,
        postgresql_where=_UNPACKED,
    )
    op.create_table(
        "log_dictionaries",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_dictionaries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_dictionaries_problem_id", "log_dictionaries", ["problem", "id"])
    op.create_table(
        "packed_events",
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("last_seq", _BIG, autoincrement=False, nullable=False),
        sa.Column("first_seq", _BIG, nullable=False),
        sa.Column("dictionary_id", _BIG, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "last_seq", name="pk_packed_events"),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name="fk_packed_events_submission_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["dictionary_id"], ["log_dictionaries.id"], name="fk_packed_events_dictionary_id"),
    )


def downgrade() -> None:
    _unpack_all()
    op.drop_table("packed_events")
    op.drop_table("log_dictionaries")
    op.drop_index("ix_submissions_unpacked", "submissions")
    op.drop_column("submissions", "pruned_at")
    op.drop_column("submissions", "packed")


def _unpack_all() -> None:
    """Put every log back as it was."""
    columns = ("submission_id", "last_seq", "first_seq", "dictionary_id", "packed")
    packed = sa.table("packed_events", *(sa.column(name) for name in columns))
    words = sa.table("log_dictionaries", sa.column("id"), sa.column("words"))
    events = sa.table("events", *(sa.column(name) for name in ("submission_id", "seq", "type", "payload")))
    connection = op.get_bind()
    in_order = (packed.c.submission_id, packed.c.last_seq)
    query = sa.select(packed, words.c.words).join(words, words.c.id == packed.c.dictionary_id).order_by(*in_order)
    after = (0, 0)
    while rows := connection.execute(query.where(sa.tuple_(*in_order) > sa.tuple_(*after)).limit(_PER_READ)).all():
        for row in rows:
            stored = enumerate(unpack(row.packed, row.words), row.first_seq)
            values = [
                {"submission_id": row.submission_id, "seq": seq, "type": kind, "payload": payload}
                for seq, (kind, payload) in stored
            ]
            connection.execute(sa.insert(events), values)
        after = (rows[-1].submission_id, rows[-1].last_seq)
