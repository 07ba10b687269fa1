"""Whose eyes a case is for. What is secret never leaves the judge, so it is in no log and in no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from subcli.judge.cases.model import Case, CaseSet, Feedback, Group


def settled(cases: CaseSet, now: float) -> CaseSet:
    """The same cases, where `after_close` has become what it means now.

    Args:
        cases: the tests of a problem.
        now: Unix time in seconds, when the submission is judged.
    """
    is_closed = cases.closes is not None and now >= cases.closes
    then: Feedback = "full" if is_closed else "outcome"
    return _with(cases, lambda feedback: then if feedback == "after_close" else feedback)


def revealed(cases: CaseSet) -> CaseSet:
    """The same cases, none of them secret: for their author, and for who has the files anyway."""
    return _with(cases, lambda feedback: "full")


def _with(cases: CaseSet, change: Callable[[Feedback], Feedback]) -> CaseSet:
    return replace(cases, root=_group_with(cases.root, change))


def _group_with(group: Group, change: Callable[[Feedback], Feedback]) -> Group:
    parts = tuple(
        msgspec.structs.replace(part, feedback=change(part.feedback))
        if isinstance(part, Case)
        else _group_with(part, change)
        for part in group.parts
    )
    return msgspec.structs.replace(group, parts=parts)
