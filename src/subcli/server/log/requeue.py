"""The order in which submissions wait, and how one comes back into it.

A submission waits if it has neither a verdict nor a lease. Those that wait are judged by `turn`, then by id. A new
submission gets the turn after its owner's last one that waits, but none that has passed: so users are served in turn,
and who hands in many does not delay the others (P. Goyal et al., "Start-time Fair Queuing", 1996). A
submission that was interrupted gets the turn `NEXT`, so it is judged before everything that was never begun. The event
that tells its watchers so is committed in the same transaction as the return itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, false, or_

from subcli.server.log.tables import submissions

Able: TypeAlias = Mapping[str, Collection[str]]
"""What a worker can judge: the languages of each problem, by slug."""
NEXT: Final = -1
"""The turn of what was interrupted."""
WAITING: Final = (submissions.c.final_status.is_(None), submissions.c.lease_until.is_(None))
IN_LINE: Final = (*WAITING, submissions.c.told.is_(False))
"""What has a place in the queue."""
IN_ORDER: Final = (submissions.c.turn, submissions.c.id)
LOST: Final = "Judged again from the start: the worker that had this submission went away."


def waits_for(worker: str, able: Able, now: float) -> tuple[ColumnElement[bool], ...]:
    """What this worker may claim: all that it can judge, except for a while those on which it failed itself."""
    retry_at = submissions.c.retry_at
    return *WAITING, can_judge(able), or_(retry_at.is_(None), retry_at <= now, submissions.c.lease_owner != worker)


def can_judge(able: Able) -> ColumnElement[bool]:
    """Whether a submission's problem and language are among these."""
    known = (
        and_(submissions.c.problem == problem, submissions.c.language.in_(sorted(languages)))
        for problem, languages in sorted(able.items())
    )
    return or_(false(), *known)


def unable(problem: str, language: str) -> str:
    """Why a submission waits although there may be idle workers."""
    return f"Waits for a worker that can judge {problem} in {language}."


def pending(attempt: int, **fields: Any) -> dict[str, Any]:
    """The event that says that a submission waits for this attempt."""
    return {"type": "status_update", "status": "pending", "attempt": attempt, **fields}
