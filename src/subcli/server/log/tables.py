"""The tables. In a new database they are made from this, in an older one by `migrations/`; a test compares the two.

Times are Unix seconds. Everything here works alike in SQLite and PostgreSQL.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

# SQLite assigns ids only in a column declared INTEGER.
BIG: Final = BigInteger().with_variant(Integer, "sqlite")
REVISION: Final = "0020"
"""The latest migration."""
DEMO_USER: Final = 1
"""The owner of all submissions when authentication is off."""

# Text, because SQLite uses a partial index only for queries with the very condition, not with a parameter.
UNPACKED: Final = text("NOT packed AND finished_at IS NOT NULL")
"""The condition of submissions that have ended and whose log is still in `events`."""

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users: Final = Table(
    "users",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    # None: nobody can log in, as with the demo user and users that an older version removed.
    Column("password_hash", Text),
    # What all spellings of the name have in common (accounts.names.name_key). None: another user has this name in
    # another spelling, from a time when these were two names; or an older server added it, while this one was being
    # rolled out.
    Column("name_key", String(64)),
    Column("role", String(16), nullable=False, server_default="student"),
    # Since when the user may not log in; None if they may.
    Column("disabled_at", Double),
    Index("ix_users_name_key", "name_key", unique=True),
    sqlite_autoincrement=True,
)

# Groups of users, such as a class: a row for each member. A group without members does not exist.
group_members: Final = Table(
    "group_members",
    metadata,
    # What all spellings of the group's name have in common (accounts.names.name_key).
    Column("group_key", String(64), primary_key=True),
    # An older server that removes a user does not know of this table.
    Column("user_id", BIG, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    # As whoever added its first member spelled it.
    Column("group_name", String(64), nullable=False),
    Index("ix_group_members_user_id", "user_id"),
)

# A login: a family of refresh tokens, each of which replaces the one before.
sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", BIG, ForeignKey("users.id"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

refresh_tokens: Final = Table(
    "refresh_tokens",
    metadata,
    # SHA-256, hexadecimal. The tokens are random, so no slower hash is needed.
    Column("hash", String(64), primary_key=True),
    Column("session_id", String(32), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Index("ix_refresh_tokens_session_id", "session_id"),
    Index("ix_refresh_tokens_expires_at", "expires_at"),
    Index("ix_refresh_tokens_used_at", "used_at"),
)

# Access tokens for machines.
machine_tokens: Final = Table(
    "machine_tokens",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("user_id", BIG, ForeignKey("users.id"), nullable=False),
    Column("name", String(64), nullable=False),
    # SHA-256, hexadecimal, as of refresh tokens.
    Column("hash", String(64), nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_at", Double),
    UniqueConstraint("user_id", "name"),
    Index("ix_machine_tokens_expires_at", "expires_at"),
    sqlite_autoincrement=True,
)

used_tokens: Final = Table(
    "used_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False),
    Index("ix_used_tokens_expires_at", "expires_at"),
)

submissions: Final = Table(
    "submissions",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("owner_id", BIG, ForeignKey("users.id"), nullable=False),
    Column("problem", String(64), nullable=False),
    Column("language", String(64), nullable=False),
    Column("files", JSON, nullable=False),
    Column("idempotency_key", String(255)),
    # A random name of its log, made with it: after a restored backup the same id may be another submission. None: an
    # older server made it, while this one was being rolled out.
    Column("epoch", String(32)),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    # What follows from the events, so that a snapshot is one row; see changes.number_events.
    Column("status", String(32), nullable=False),
    Column("final_status", String(32)),
    Column("summary", JSON(none_as_null=True)),
    Column("build_log", Text),
    Column("total_tests", Integer),
    Column("last_seq", BIG, nullable=False),
    # How many pieces of output were stored, and how many bytes; also when they have been deleted.
    Column("output_seq", BIG, nullable=False, server_default="0"),
    Column("output_bytes", BIG, nullable=False, server_default="0"),
    # Its place among those that wait: first by turn, then by id. See subcli.server.log.requeue.
    Column("turn", BIG, nullable=False, server_default="0"),
    # The attempt that is under way or comes next; 0 before the first one.
    Column("attempt", Integer, nullable=False),
    # How often a worker vanished while it judged this submission.
    Column("losses", Integer, nullable=False, server_default="0"),
    # How often the judge itself failed, and from when a worker that failed may try again; others may at once.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("retry_at", Double),
    # Whether its watchers were told that it waits for a worker that can judge it. It has no place in the queue then.
    Column("told", Boolean, nullable=False, server_default=false()),
    # Since when it has been waiting; NULL: since it was created, as an older version wrote it.
    Column("waiting_since", Double),
    # The position in the queue that its watchers were told last, and when.
    Column("position_told", Integer),
    Column("position_told_at", Double),
    # Who is judging it. Each claim and each return to the queue raises the fence; a worker with an older one can no
    # longer append.
    Column("fence", BIG, nullable=False),
    Column("lease_owner", String(128)),
    Column("lease_until", Double),
    # Which version of the problem it is judged by. None: whichever the worker has; an older server made it, or the
    # version cannot be stored.
    Column("problem_version", String(32)),
    # Whether its log is in `packed_events`, and no longer in `events`.
    Column("packed", Boolean, nullable=False, server_default=false()),
    # When an operator deleted its code, results and output and kept the verdict; see subcli.server.log.pruning.
    Column("pruned_at", Double),
    # Which of its judgings this row, its events and its output are about: the latest. See subcli.server.log.runs.
    Column("run", Integer, nullable=False, server_default="1"),
    # When that one was asked for, and the key of the request; NULL for the first.
    Column("run_asked_at", Double),
    Column("run_key", String(64)),
    UniqueConstraint("owner_id", "idempotency_key"),
    Index("ix_submissions_owner_id_id", "owner_id", "id"),
    # Without it, listing a problem that this owner has seldom submitted reads all of the owner's submissions.
    Index("ix_submissions_owner_id_problem_id", "owner_id", "problem", "id"),
    Index("ix_submissions_final_status_id", "final_status", "id"),
    Index("ix_submissions_problem_version_final_status", "problem_version", "final_status"),
    # For lists of everybody's; see subcli.server.log.listing.
    Index("ix_submissions_problem_id", "problem", "id"),
    Index("ix_submissions_problem_final_status_id", "problem", "final_status", "id"),
    Index("ix_submissions_created_at", "created_at"),
    # What is to be packed, oldest first: few, however many there are.
    Index("ix_submissions_unpacked", "finished_at", sqlite_where=UNPACKED),
    sqlite_autoincrement=True,
)

# Versions of problems that were submitted to; see subcli.server.log.packages.
problem_versions: Final = Table(
    "problem_versions",
    metadata,
    Column("version", String(32), primary_key=True),
    # The slug and the id of the problem.
    Column("problem", String(64), nullable=False),
    Column("number", BIG, nullable=False),
    # Compressed.
    Column("manifest", LargeBinary, nullable=False),
    # Whether all its chunks are stored.
    Column("ready", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

# Pieces of their files, compressed, by their SHA-256.
problem_chunks: Final = Table(
    "problem_chunks",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# Judgings that a later one has followed, each as its submission's row said at its end, with its log.
runs: Final = Table(
    "runs",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("epoch", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("final_status", String(32), nullable=False),
    Column("summary", JSON(none_as_null=True)),
    Column("build_log", Text),
    Column("total_tests", Integer),
    Column("attempt", Integer, nullable=False),
    Column("asked_at", Double),
    Column("finished_at", Double),
    Column("last_seq", BIG, nullable=False),
    # The payloads of its events, a line each, compressed.
    Column("log", LargeBinary, nullable=False),
    # As in submissions.
    Column("problem_version", String(32)),
)

# Submissions that were judged again, numbered by when that began: a row for the latest run of each. Feeds announce them
# in this order, and a number is never given twice.
run_numbers: Final = Table(
    "run_numbers",
    metadata,
    Column("number", BIG, primary_key=True),
    # An older server that removes a user's submissions does not know of this table.
    Column("submission_id", BIG, ForeignKey("submissions.id", ondelete="CASCADE"), nullable=False),
    Index("ix_run_numbers_submission_id", "submission_id"),
    sqlite_autoincrement=True,
)

# Links that show one submission to whoever follows them.
links: Final = Table(
    "links",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("submission_id", BIG, ForeignKey("submissions.id"), nullable=False),
    # SHA-256, hexadecimal, as of refresh tokens.
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_links_submission_id", "submission_id"),
    Index("ix_links_expires_at", "expires_at"),
    sqlite_autoincrement=True,
)

# Who judged what: a row for each claim. Only operators see it.
attempts: Final = Table(
    "attempts",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id"), primary_key=True),
    # Identifies the claim: no two have the same.
    Column("fence", BIG, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("started_at", Double, nullable=False),
    # Whether the judge itself failed. That worker leaves the submission to others then.
    Column("failed", Boolean, nullable=False, server_default=false()),
)

# The courses of failed tests on several nodes; see subcli.shared.run_trace.
run_traces: Final = Table(
    "run_traces",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id"), primary_key=True),
    # A digest of the test's id.
    Column("test", String(32), primary_key=True),
    Column("packed", LargeBinary, nullable=False),
)

# One row, which is written to find out whether the database can be written.
write_probes: Final = Table(
    "write_probes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("written_at", Double),
)

events: Final = Table(
    "events",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id"), primary_key=True),
    Column("seq", BIG, primary_key=True, autoincrement=False),
    Column("type", String(32), nullable=False),
    Column("payload", Text, nullable=False),
)

# What the events of ended submissions have in common: `zlib` finds repetitions in it as well. One for each problem, and
# another when its tests have changed much; see subcli.server.log.packing. Never changed and never deleted.
log_dictionaries: Final = Table(
    "log_dictionaries",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("problem", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("words", LargeBinary, nullable=False),
    Index("ix_log_dictionaries_problem_id", "problem", "id"),
    sqlite_autoincrement=True,
)

# The logs of submissions that ended some time ago, in place of their events. A long log has several rows.
packed_events: Final = Table(
    "packed_events",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True),
    # The position of the last event in it: the row after a position is the first with a higher one.
    Column("last_seq", BIG, primary_key=True, autoincrement=False),
    Column("first_seq", BIG, nullable=False),
    Column("dictionary_id", BIG, ForeignKey("log_dictionaries.id"), nullable=False),
    Column("packed", LargeBinary, nullable=False),
)

# The processes that judge for others, each with the time of its last sign of life. Deleted some time after that.
workers: Final = Table(
    "workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("seen_at", Double, nullable=False),
    # How many submissions it judges at the same time; 0 while it is out of service.
    Column("slots", Integer, nullable=False),
)

# When this database's schema was last changed: an older server may still run beside the first of the new ones.
schema_changes: Final = Table(
    "schema_changes",
    metadata,
    Column("revision", String(32), primary_key=True),
    Column("changed_at", Double, nullable=False),
)

# What builds and tests print, piece by piece: bounded, and deleted some time after the verdict. No part of the log.
outputs: Final = Table(
    "outputs",
    metadata,
    Column("submission_id", BIG, ForeignKey("submissions.id"), primary_key=True),
    Column("output_seq", BIG, primary_key=True, autoincrement=False),
    Column("payload", Text, nullable=False),
)

versions: Final = Table(
    "alembic_version",
    # Alembic's own, with the name that it gives the constraint.
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def prepare_for_postgresql() -> None:
    """Say what SQLAlchemy has to know about the tables for PostgreSQL alone.

    To check the name of such an option, it imports the dialect with all drivers: 2.4 MB, in every server with SQLite.
    """
    for index in submissions.indexes:
        if index.name == "ix_submissions_unpacked":
            index.dialect_options["postgresql"]["where"] = UNPACKED
