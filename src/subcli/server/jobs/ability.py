"""What this worker can judge: the one place that knows, and that looks again before each claim.

A problem needs its directory, the space that it promises to a solution, and a language. A language needs its programs
and, where other people's code is judged, a hello-world that was built and run by the same judge in the same sandbox.
What is lacking is logged once, and again when it is back; submissions that need it stay in the queue for others.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from subcli.judge import Job, Language, Problem
from subcli.judge.languages.language import is_installed_program
from subcli.judge.problem import versioned
from subcli.judge.process.space import Space
from subcli.judge.trial import hello, reference
from subcli.server.jobs.judging import Event, Judge
from subcli.server.log.requeue import Able
from subcli.server.observe.tasks import log_and_continue

TryOut: TypeAlias = Callable[[Job], Awaitable[str]]
"""Judges a job that a healthy judge gives `passed`. Returns why it did not; empty if it did."""

_log: Final = logging.getLogger(__name__)
_OWN_MB: Final = 16
"""What the judge needs in its temporary directory besides what the problem's `disk_mb` promises to a solution."""
_RETRY_S: Final = 60.0
"""When a language whose hello-world failed is tried again."""
_LOOK_S: Final = 1.0
_MOST_NAMED: Final = 3
"""How many problems one line of the log names."""
_Key: TypeAlias = tuple[str, str]
"""The slug of a problem and the name of one of its languages."""
_Lacks: TypeAlias = tuple[tuple[str, str], ...]
"""Languages, by their names, and what is lacking for each."""


@dataclass(frozen=True)
class _Needs:
    """What a language of a problem needs: the directory of the tests, and programs."""

    tests: str
    programs: tuple[str, ...]


@dataclass(eq=False)
class _Trial:
    """A language as some problems use it, and how its last trial went.

    Attributes:
        complaint: None before the first trial; empty if the hello-world worked.
        at: when it was tried.
    """

    job: Job
    complaint: str | None = None
    at: float = 0.0


def space_in_temporary_directory() -> Space:
    """What fits into the directory in which the judge works.

    Raises:
        OSError: it is not there, or cannot be written to.
    """
    directory = tempfile.gettempdir()
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return Space.in_directory(Path(directory))


class Ability:
    """What this worker can judge, and why not the rest.

    Attributes:
        lasting: what it can judge when there is space: the languages of each problem. What is still to be tried counts.

    Args:
        problems: by slug, and other versions of them by `versioned`. They may change.
        try_out: tries a language before it is used; None if the programs alone decide.
        space: what fits into the judge's temporary directory now; raises OSError if it cannot be used.
        clock: seconds.
    """

    def __init__(
        self,
        problems: Mapping[str, Problem],
        try_out: TryOut | None = None,
        *,
        space: Callable[[], Space] = space_in_temporary_directory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = problems
        self._problems: Mapping[str, Problem] = {}
        self._try_out = try_out
        self._space_now = space
        self._clock = clock
        self._needs: Mapping[_Key, _Needs] = {}
        self._trials: list[_Trial] = []
        self._trial_of: dict[_Key, _Trial | None] = {}
        self._lacking: Mapping[_Key, str] = {}
        self._short: Mapping[_Key, str] = {}
        """What there is no space for at the moment, and why."""
        self._found: dict[str, bool] = {}
        """Which programs were found in this look."""
        self._lasting: Able = {}
        self._now: Able = {}
        self.look()

    @property
    def lasting(self) -> Able:
        """What it can judge when there is space; see above."""
        return self._with_versions(self._lasting)

    def _take_problems(self) -> None:
        """Learn which problems there are now; what is known of those that are the same stays."""
        before, now = self._problems, dict(self._source.items())
        if before.keys() == now.keys() and all(before[slug] is problem for slug, problem in now.items()):
            return
        self._problems = now
        pairs = [(slug, problem, language) for slug, problem in now.items() for language in problem.languages.values()]
        self._needs = {
            (slug, language.name): _Needs(os.path.join(problem.root, problem.tests), _programs(problem, language))
            for slug, problem, language in pairs
        }
        trials: dict[_Key, _Trial | None] = {}
        for slug, problem, language in pairs:
            key = (slug, language.name)
            if before.get(slug) is problem:
                trials[key] = self._trial_of[key]
            # The commands of a grader build and start the grader, and nothing but that.
            elif self._try_out is not None and problem.grader is None:
                trials[key] = self._trial_for(hello(language, problem.limits))
            else:
                trials[key] = None
        self._trial_of = trials
        self._trials = [trial for trial in self._trials if any(each is trial for each in trials.values())]
        self._lacking = {key: complaint for key, complaint in self._lacking.items() if key in trials}
        self._short = {key: complaint for key, complaint in self._short.items() if key in trials}

    def _with_versions(self, able: Able) -> Able:
        """The same, with the versions of the problems in service."""
        found = dict(able)
        for slug, languages in able.items():
            if (version := self._problems[slug].version) and "@" not in slug:
                found[versioned(slug, version)] = languages
        return found

    @property
    def obstacle(self) -> str:
        """Why this worker can judge nothing at all for the moment; empty if it can."""
        if self._now:
            return ""
        if not self._lasting:
            return "it lacks what its problems need"
        if self._short.keys() == self._trial_of.keys() - self._lacking.keys():
            return next(iter(self._short.values()))
        return "its languages have not been tried yet"

    def _trial_for(self, job: Job | None) -> _Trial | None:
        """The trial of this job, shared by all languages that are tried alike."""
        if job is None:
            return None
        # One that failed decides nothing for a problem that it was not tried for: its author's solution may work.
        known = next((trial for trial in self._trials if trial.job == job and not trial.complaint), None)
        if known is None:
            known = _Trial(job)
            self._trials.append(known)
        return known

    @property
    def is_settled(self) -> bool:
        """Whether every language that can be tried has been."""
        return not any(_is_untried(trial) and key not in self._lacking for key, trial in self._trial_of.items())

    def look(self) -> Able:
        """Find out what can be judged now. Takes a few milliseconds for a hundred problems."""
        self._found.clear()
        self._take_problems()
        lacking = {key: complaint for key in self._trial_of if (complaint := self._complaint(*key))}
        self._tell_changes(lacking)
        self._lacking = lacking
        self._lasting = self._without(lacking)
        space = self._measure()
        keys = self._trial_of.keys() - lacking.keys()
        short = {key: complaint for key in sorted(keys) if (complaint := self._shortage(space, *key))}
        self._tell_space(short)
        self._short = short
        untried = {key for key, trial in self._trial_of.items() if _is_untried(trial)}
        self._now = self._without({*lacking, *short, *untried})
        return self._with_versions(self._now)

    def _without(self, keys: Collection[_Key]) -> Able:
        """All languages of all problems but these."""
        left = {
            slug: [name for name in each.languages if (slug, name) not in keys] for slug, each in self._problems.items()
        }
        return {slug: tuple(names) for slug, names in left.items() if names}

    def can_judge(self, problem: str, language: str, version: str | None = None) -> bool:
        """Whether this worker can judge a submission at this moment."""
        return language in self.look().get(versioned(problem, version), ())

    async def keep_trying(self) -> None:
        """Until cancelled, try the languages that were never tried, or that failed a while ago."""
        while True:
            with log_and_continue("trying a language"):
                self.look()
                due = next(self._due(), None)
                if due is not None:
                    await self._try(due)
                    continue
            await asyncio.sleep(_LOOK_S)

    def _due(self) -> Iterator[_Trial]:
        space = self._measure()
        for (slug, name), trial in self._trial_of.items():
            if trial is None or self._missing(slug, name) or _lack_of_space(space, trial.job.problem):
                continue
            if _is_untried(trial) or (trial.complaint and self._clock() - trial.at >= _RETRY_S):
                yield trial

    async def _try(self, trial: _Trial) -> None:
        assert self._try_out is not None
        complaint = await self._try_out(trial.job)
        if complaint and _lack_of_space(self._measure(), trial.job.problem):
            # That says nothing about the language.
            return
        if complaint and _is_untried(trial):
            await self._try_references(trial)
        trial.complaint, trial.at = complaint, self._clock()
        if not complaint:
            _log.info("%s works here", trial.job.language)

    async def _try_references(self, failed: _Trial) -> None:
        """A hello-world need not fit an author's commands: where one fails, the author's own solution decides."""
        assert self._try_out is not None
        for (slug, name), trial in list(self._trial_of.items()):
            problem = self._problems.get(slug)
            own = _reference(problem, name) if trial is failed and problem is not None else None
            if own is not None and not await self._try_out(own) and self._trial_of.get((slug, name)) is failed:
                _log.info("%s works here for %s", name, slug)
                self._trial_of[slug, name] = None

    def _complaint(self, slug: str, name: str) -> str:
        """What this worker lacks for a language of a problem; empty if nothing, or if it is still to be tried."""
        trial = self._trial_of[slug, name]
        return self._missing(slug, name) or (trial.complaint if trial else None) or ""

    def _shortage(self, space: Space | str, slug: str, name: str) -> str:
        """Why there is too little space for a language of a problem, or for its trial; empty if there is enough."""
        trial = self._trial_of[slug, name]
        untried = trial.job.problem if trial is not None and _is_untried(trial) else None
        return _lack_of_space(space, self._problems[slug]) or (_lack_of_space(space, untried) if untried else "")

    def _missing(self, slug: str, name: str) -> str:
        needs = self._needs[slug, name]
        if not os.path.isdir(needs.tests):
            return "its tests are no longer there"
        absent = [program for program in needs.programs if not self._is_installed(program)]
        return f"{', '.join(absent)}: not installed" if absent else ""

    def _is_installed(self, program: str) -> bool:
        if program not in self._found:
            self._found[program] = shutil.which(program) is not None
        return self._found[program]

    def _measure(self) -> Space | str:
        """The space there is, or why there is none."""
        try:
            return self._space_now()
        except OSError as error:
            return error.strerror or type(error).__name__

    def _tell_changes(self, lacking: Mapping[_Key, str]) -> None:
        new = {key: complaint for key, complaint in lacking.items() if self._lacking.get(key) != complaint}
        for lacks, slugs in _alike(new).items():
            _log.warning("this worker does not judge %s in %s", _listed(slugs), _explained(lacks))
        back = dict.fromkeys(self._lacking.keys() - lacking.keys(), "")
        for found, slugs in _alike(back).items():
            _log.warning("this worker judges %s in %s again", _listed(slugs), ", ".join(name for name, _ in found))

    def _tell_space(self, short: Mapping[_Key, str]) -> None:
        """Log for which problems there is no space any more, or again."""
        now, before = ({slug: why for (slug, _), why in each.items()} for each in (short, self._short))
        if len(now) > 1 and now.keys() == self._lasting.keys():
            if now.keys() != before.keys():
                _log.warning("this worker judges nothing for the moment: %s", next(iter(now.values())))
            return
        for slug in sorted(now.keys() - before.keys()):
            _log.warning("this worker does not judge %s for the moment: %s", slug, now[slug])
        for slug in sorted((before.keys() - now.keys()) & self._lasting.keys()):
            _log.warning("this worker has space for %s again", slug)


def _programs(problem: Problem, language: Language) -> tuple[str, ...]:
    """The programs that a language needs, and the one that runs the tests."""
    return tuple(dict.fromkeys((*language.programs, *filter(is_installed_program, problem.command[:1]))))


def _alike(complaints: Mapping[_Key, str]) -> dict[_Lacks, list[str]]:
    """The problems that lack the same: a hundred that take any language lack the same compilers."""
    lacking: dict[str, list[tuple[str, str]]] = {}
    for (slug, name), complaint in sorted(complaints.items()):
        lacking.setdefault(slug, []).append((name, complaint))
    found: dict[_Lacks, list[str]] = {}
    for slug, lacks in lacking.items():
        found.setdefault(tuple(lacks), []).append(slug)
    return found


def _explained(lacks: _Lacks) -> str:
    """Several languages go into one line, whatever their compilers have said."""
    if len(lacks) == 1:
        ((name, complaint),) = lacks
        return f"{name}: {complaint}"
    return ", ".join(f"{name} ({' '.join(complaint.split())})" for name, complaint in lacks)


def _listed(slugs: list[str]) -> str:
    named = ", ".join(slugs[:_MOST_NAMED])
    more = len(slugs) - _MOST_NAMED
    return f"{named} and {more} more problems" if more > 0 else named


def _is_untried(trial: _Trial | None) -> bool:
    return trial is not None and trial.complaint is None


def _lack_of_space(space: Space | str, problem: Problem) -> str:
    """Why there is too little space for a problem; empty if there is enough."""
    lack = space if isinstance(space, str) else space.lacks(problem.limits, more_mb=_OWN_MB)
    return f"its temporary directory: {lack}" if lack else ""


def _reference(problem: Problem, language: str) -> Job | None:
    try:
        return reference(problem, language)
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("the solution of %s in %s cannot be read: %s", problem.slug, language, error)
        return None


async def try_out(judge: Judge, job: Job) -> str:
    """Judge a job that a healthy judge gives `passed`; once more alone if it ran out of time on a busy machine.

    Returns:
        why it did not pass: the judge's exception, or the compiler's or the test's words. Empty if it did.
    """
    try:
        ending, said = await _judged(judge, job)
        if ending.get("time_out") == "contended" and ending["final_status"] != "passed":
            ending, said = await _judged(judge, replace(job, alone=True))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    verdict = ending.get("final_status", "no verdict")
    return "" if verdict == "passed" else f"{job.problem.slug} in {job.language}: {said.strip() or verdict}"


async def _judged(judge: Judge, job: Job) -> tuple[Event, str]:
    """The last event of a judging, empty if that ended without a verdict; and what was said about a failure."""
    events = judge(job)
    ending: Event = {}
    said = ""
    try:
        async for event in events:
            said = str(event.get("detail") or event.get("message") or said)
            if event["type"] == "error_analysis":
                said = said or str(event["error"])
            if event["type"] == "complete":
                ending = event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    return ending, said
