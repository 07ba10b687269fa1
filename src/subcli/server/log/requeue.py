"""The order in which submissions wait, and how one comes back into it.

A submission waits if it has neither a verdict nor a lease. Those that wait are judged by `turn`, then by id. A new
submission gets the turn after its owner's last one that waits, but none that has passed: so users are served in turn,
and who hands in many does not delay the others (P. Goyal et al., "Start-time Fair Queuing", 1996). A
submission that was interrupted gets the turn `NEXT`, so it is judged before everything that was never begun. The event
that tells its watchers so is committed in the same transaction as the return itself. What is judged again because a
teacher asked (`subcli.server.log.runs`) has the turn `LATER`: it waits until nothing else does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, false, not_, or_, select

from subcli.server.log.tables import attempts, submissions

Able: TypeAlias = Mapping[str, Collection[str]]
"""What a worker can judge: languages, by slug for submissions without a version of their problem, and by
`versioned(slug, version)` for those with one."""
NEXT: Final = -1
"""The turn of what was interrupted."""
LATER: Final = 1 << 40
"""The turn of what is judged again at a teacher's request."""
WAITING: Final = (submissions.c.final_status.is_(None), submissions.c.lease_until.is_(None))
IN_LINE: Final = (*WAITING, submissions.c.told.is_(False))
"""What has a place in the queue."""
IN_ORDER: Final = (submissions.c.turn, submissions.c.id)
_LEFT_TO_OTHERS_S: Final = 60.0
"""How long a worker leaves what it failed on to others that are there."""
# What watchers are told about why a submission is judged again.
AGAIN: Final = "Judged again from the start"
LOST: Final = f"{AGAIN}: the worker that had this submission went away."
STOPPED: Final = f"{AGAIN}: the worker that had this submission was stopped."
NO_LONGER_ABLE: Final = f"{AGAIN}: the worker that had this submission can no longer judge it."
TOO_LITTLE: Final = f"{AGAIN}: the worker that had this submission ran out of memory or descriptors."


def waits_for(worker: str, able: Able, now: float) -> tuple[ColumnElement[bool], ...]:
    """What this worker may claim: what it can judge, but what it failed on itself only if nobody else takes it.

    Another worker that holds a lease is there, and takes it next, unless it failed as well. One that is idle would
    have taken it already. One that cannot judge it at all may be busy for ever, so the wait for others is bounded.
    """
    retry_at = submissions.c.retry_at
    nobody_else = or_(retry_at <= now - _LEFT_TO_OTHERS_S, not_(_others_are_left(worker, now)))
    return *WAITING, can_judge(able), or_(retry_at.is_(None), not_(_failed(worker)), and_(retry_at <= now, nobody_else))


def _failed(worker: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Whether this worker failed on the submission of the query around this one."""
    this = (attempts.c.submission_id == submissions.c.id, attempts.c.worker == worker, attempts.c.failed)
    return select(attempts.c.fence).where(*this).correlate_except(attempts).exists()


def _others_are_left(worker: str, now: float) -> ColumnElement[bool]:
    """Whether a worker is judging something that has not failed on the submission of the query around this one."""
    held = submissions.alias("held")
    is_judging = (held.c.final_status.is_(None), held.c.lease_until > now, held.c.lease_owner != worker)
    query = select(held.c.id).where(*is_judging, not_(_failed(held.c.lease_owner)))
    return query.correlate_except(held).exists()


def can_judge(able: Able) -> ColumnElement[bool]:
    """Whether a submission's problem, the version of it, and the language are among these."""
    versions: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, languages in sorted(able.items()):
        problem, _, version = name.partition("@")
        versions.setdefault((problem, tuple(sorted(languages))), []).append(version)
    known = (
        and_(submissions.c.problem == problem, submissions.c.language.in_(languages), _is_among(found))
        for (problem, languages), found in versions.items()
    )
    return or_(false(), *known)


def _is_among(versions: Collection[str]) -> ColumnElement[bool]:
    """Whether a submission's version is one of these; the empty one means none."""
    version = submissions.c.problem_version
    named = [each for each in versions if each]
    without = [version.is_(None)] if "" in versions else []
    return or_(*without, *([version.in_(named)] if named else []))


def is_judged_elsewhere() -> ColumnElement[bool]:
    """Whether a worker is judging another submission to the same problem in the same language, and so can judge it."""
    held = submissions.alias("held")
    same_version = held.c.problem_version.is_not_distinct_from(submissions.c.problem_version)
    alike = (held.c.problem == submissions.c.problem, same_version, held.c.language == submissions.c.language)
    query = select(held.c.id).where(held.c.final_status.is_(None), held.c.lease_until.is_not(None), *alike)
    return query.correlate_except(held).exists()


def unable(problem: str, language: str) -> str:
    """Why a submission waits although there may be idle workers."""
    return f"Waits for a worker that can judge {problem} in {language}."


def pending(attempt: int, **fields: Any) -> dict[str, Any]:
    """The event that says that a submission waits for this attempt."""
    return {"type": "status_update", "status": "pending", "attempt": attempt, **fields}
