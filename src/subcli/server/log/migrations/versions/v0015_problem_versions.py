"""Versions of problems: which one a submission is judged by, and their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("submissions", sa.Column("problem_version", sa.String(32)))
    op.add_column("runs", sa.Column("problem_version", sa.String(32)))
    op.create_index("ix_submissions_problem_version_final_status", "submissions", ["problem_version", "final_status"])
    op.create_table(
        "problem_versions",
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("ready", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_problem_versions"),
    )
    op.create_table(
        "problem_chunks",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_problem_chunks"),
    )


def downgrade() -> None:
    op.drop_table("problem_chunks")
    op.drop_table("problem_versions")
    op.drop_index("ix_submissions_problem_version_final_status", "submissions")
    op.drop_column("runs", "problem_version")
    op.drop_column("submissions", "problem_version")
