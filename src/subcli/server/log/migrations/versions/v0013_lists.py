"""Indexes for lists of everybody's submissions: by problem, by problem and verdict, and by time."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_submissions_problem_id", "submissions", ["problem", "id"])
    op.create_index("ix_submissions_problem_final_status_id", "submissions", ["problem", "final_status", "id"])
    op.create_index("ix_submissions_created_at", "submissions", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_submissions_created_at", "submissions")
    op.drop_index("ix_submissions_problem_final_status_id", "submissions")
    op.drop_index("ix_submissions_problem_id", "submissions")
