"""Users, submissions and their events."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    users = op.create_table(
        "users",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sqlite_autoincrement=True,
    )
    op.bulk_insert(users, [{"name": "demo", "created_at": time.time()}])
    op.create_table(
        "submissions",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("owner_id", _BIG, nullable=False),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("language", sa.String(64), nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("final_status", sa.String(32)),
        sa.Column("summary", sa.JSON),
        sa.Column("build_log", sa.Text),
        sa.Column("total_tests", sa.Integer),
        sa.Column("last_seq", _BIG, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", _BIG, nullable=False),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_until", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_submissions_owner_id"),
        sa.UniqueConstraint("owner_id", "idempotency_key", name="uq_submissions_owner_id_idempotency_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_submissions_owner_id_id", "submissions", ["owner_id", "id"])
    op.create_index("ix_submissions_final_status_id", "submissions", ["final_status", "id"])
    op.create_table(
        "events",
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "seq", name="pk_events"),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_events_submission_id"),
    )


def downgrade() -> None:
    op.drop_table("events")
    op.drop_table("submissions")
    op.drop_table("users")
