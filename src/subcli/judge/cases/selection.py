"""Parts of a set of cases, for users who have all of it: an author, or a learner with the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from subcli.judge.cases.model import CaseSet, Group


def only(cases: CaseSet, names: Sequence[str]) -> CaseSet:
    """The cases with one of these names, one after the other: no groups, no points, and none stops the others.

    Args:
        cases: all of them.
        names: names, or patterns such as `sample/*`.
    """
    chosen = tuple(case for case in cases.root.cases() if any(fnmatchcase(case.name, name) for name in names))
    return replace(cases, root=Group(name="", parts=chosen, stop_on_failure=False), is_scored=False, pass_score=None)
