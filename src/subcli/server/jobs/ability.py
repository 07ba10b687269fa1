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
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from subcli.judge import Job, Language, Problem
from subcli.judge.process.space import Space
from subcli.judge.trial import hello, reference
from subcli.server.jobs.judging import Judge
from subcli.server.log.requeue import Able

TryOut: TypeAlias = Callable[[Job], Awaitable[str]]
"""Judges a job that a healthy judge gives `passed`. Returns why it did not; empty if it did."""

_log: Final = logging.getLogger(__name__)
_OWN_MB: Final = 16
"""What the judge needs in its temporary directory besides what the problem's `disk_mb` promises to a solution."""
_RETRY_S: Final = 60.0
"""When a language whose hello-world failed is tried again."""
_LOOK_S: Final = 1.0


@dataclass(frozen=True)
class _Tried:
    """How the last trial of a language went. `complaint` is empty if the hello-world worked."""

    complaint: str
    at: float


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
        everything: what it could judge if nothing were lacking: the languages of each problem, by slug.
        lasting: what it can judge when there is space.
        now: what it can judge now.

    Args:
        problems: by slug.
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
        self._problems = problems
        self._try_out = try_out
        self._space_now = space
        self._clock = clock
        self._jobs = {
            (slug, name): hello(language, problem.limits) if try_out else None
            for slug, problem in problems.items()
            for name, language in problem.languages.items()
        }
        self._tried: list[tuple[Job, _Tried]] = []
        self._lacking: Mapping[tuple[str, str], str] = {}
        self._space = ""
        self.everything: Able = {slug: tuple(problem.languages) for slug, problem in problems.items()}
        self.lasting: Able = {}
        self.now: Able = {}
        self.look()

    @property
    def shortage(self) -> str:
        """Why this worker can judge nothing at all for the moment; empty if it can."""
        return self._space if self.lasting and not self.now else ""

    @property
    def is_settled(self) -> bool:
        """Whether every language that can be tried has been."""
        return all(
            job is None or self._outcome(job) is not None or key in self._lacking for key, job in self._jobs.items()
        )

    def look(self) -> Able:
        """Find out what can be judged now. Takes about a millisecond for a hundred problems."""
        lacking = {key: complaint for key in self._jobs if (complaint := self._complaint(*key))}
        self._tell_changes(lacking)
        self._lacking = lacking
        self.lasting = {slug: found for slug in self._problems if (found := tuple(self._languages(slug)))}
        short = {slug: complaint for slug in self.lasting if (complaint := self._short_of_space(self._problems[slug]))}
        self._tell_space(next(iter(short.values()), ""))
        self.now = {slug: languages for slug, languages in self.lasting.items() if slug not in short}
        return self.now

    def can_judge(self, problem: str, language: str) -> bool:
        """Whether this worker can judge a submission at this moment."""
        return language in self.look().get(problem, ())

    async def keep_trying(self) -> None:
        """Until cancelled, try the languages that were never tried, or that failed a while ago."""
        while True:
            self.look()
            due = next(self._due(), None)
            if due is None:
                await asyncio.sleep(_LOOK_S)
            else:
                await self._try(due)

    async def _try(self, job: Job) -> None:
        assert self._try_out is not None
        complaint = await self._try_out(job)
        if complaint and self._short_of_space(job.problem):
            # That says nothing about the language.
            return
        is_first = self._outcome(job) is None
        self._tried = [(each, tried) for each, tried in self._tried if each != job]
        self._tried.append((job, _Tried(complaint, self._clock())))
        if not complaint:
            _log.info("%s works here", job.language)
        elif is_first:
            await self._try_references(job)

    async def _try_references(self, failed: Job) -> None:
        """A hello-world need not fit an author's commands: where one fails, the author's own solution decides."""
        assert self._try_out is not None
        for (slug, name), job in self._jobs.items():
            own = _reference(self._problems[slug], name) if job == failed else None
            if own is not None and not await self._try_out(own):
                _log.info("%s works here for %s", name, slug)
                self._jobs[slug, name] = None

    def _due(self) -> Iterator[Job]:
        for (slug, name), job in self._jobs.items():
            if job is None or self._missing(slug, name) or self._short_of_space(job.problem):
                continue
            tried = self._outcome(job)
            if tried is None or (tried.complaint and self._clock() - tried.at >= _RETRY_S):
                yield job

    def _outcome(self, job: Job) -> _Tried | None:
        return next((tried for each, tried in self._tried if each == job), None)

    def _languages(self, slug: str) -> Iterator[str]:
        for name in self._problems[slug].languages:
            job = self._jobs[slug, name]
            if (slug, name) not in self._lacking and (job is None or self._outcome(job) is not None):
                yield name

    def _complaint(self, slug: str, name: str) -> str:
        """What this worker lacks for a language of a problem; empty if nothing, or if it is still to be tried."""
        missing = self._missing(slug, name)
        job = self._jobs[slug, name]
        tried = self._outcome(job) if job is not None else None
        return missing or (tried.complaint if tried else "")

    def _missing(self, slug: str, name: str) -> str:
        problem = self._problems[slug]
        if not os.path.isdir(problem.root / problem.tests):
            return "its tests are no longer there"
        programs = (*problem.languages[name].requires, *_programs(problem, problem.languages[name]))
        absent = [program for program in dict.fromkeys(programs) if shutil.which(program) is None]
        return f"{', '.join(absent)}: not installed" if absent else ""

    def _short_of_space(self, problem: Problem) -> str:
        try:
            shortage = self._space_now().lacks(problem.limits, more_mb=_OWN_MB)
        except OSError as error:
            shortage = str(error.strerror)
        return f"its temporary directory: {shortage}" if shortage else ""

    def _tell_changes(self, lacking: Mapping[tuple[str, str], str]) -> None:
        for (slug, name), complaint in lacking.items():
            if self._lacking.get((slug, name)) != complaint:
                _log.warning("this worker does not judge %s in %s: %s", slug, name, complaint)
        for slug, name in self._lacking.keys() - lacking.keys():
            _log.warning("this worker judges %s in %s again", slug, name)

    def _tell_space(self, complaint: str) -> None:
        if bool(complaint) != bool(self._space):
            _log.warning("this worker %s", f"waits: {complaint}" if complaint else "has space again")
        self._space = complaint


def _reference(problem: Problem, language: str) -> Job | None:
    try:
        return reference(problem, language)
    except OSError:
        return None


def _programs(problem: Problem, language: Language) -> Iterator[str]:
    """The programs that the commands of a language and of the tests start, as far as they are known by name."""
    for command in (language.build, language.run, problem.command):
        # A word with a placeholder is made later; a relative path leads into the submission or the tests.
        if command and "{" not in command[0] and (command[0].startswith("/") or "/" not in command[0]):
            yield command[0]


async def try_out(judge: Judge, job: Job) -> str:
    """Judge a job that a healthy judge gives `passed`.

    Returns:
        why it did not: the judge's exception, or the compiler's or the test's words. Empty if it did.
    """
    events = judge(job)
    said = ""
    verdict = "no verdict"
    try:
        async for event in events:
            said = str(event.get("detail") or event.get("message") or said)
            if event["type"] == "error_analysis":
                said = said or str(event["error"])
            if event["type"] == "complete":
                verdict = str(event["final_status"])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    return "" if verdict == "passed" else f"{job.problem.slug} in {job.language}: {said.strip() or verdict}"
