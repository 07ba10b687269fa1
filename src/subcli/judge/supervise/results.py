"""Counts results and turns each into its events."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from subcli.judge import events
from subcli.judge.analysis.explain import Analyst
from subcli.judge.cases.model import Feedback
from subcli.judge.events import NOT_MEASURED, GroupResult, Measured
from subcli.judge.evidence import Evidence
from subcli.judge.outcome import Outcome, outcome_of
from subcli.judge.process.text import ServerPaths
from subcli.judge.supervise.live_output import LiveOutput
from subcli.judge.supervise.run_traces import RunTraces

RUNNING_TOLD_AFTER_S = 1.0
"""A test that takes longer than this is named while it runs."""
_STATUSES = ("passed", "failed", "error", "skipped")


class Results:
    """Takes finished tests, emits their events, and keeps only the counts.

    Paths of this machine are removed here from everything that is emitted.

    Args:
        emit: Sends an event.
        drain: Waits until most of what was sent has been read. Whoever sends many events awaits it.
        analyst: Explains failures.
        paths: What is removed.
        is_contended: Whether what runs, or ran last, had to wait for the machine.
        printed: Takes what tests print while they run; None if nobody wants it.
        traces: Packs the traces of failures.
    """

    def __init__(
        self,
        emit: Callable[[events.Event], None],
        drain: Callable[[], Awaitable[None]],
        analyst: Analyst,
        paths: ServerPaths,
        is_contended: Callable[[], bool],
        traces: RunTraces,
        *,
        printed: LiveOutput | None = None,
    ) -> None:
        self.printed = printed
        self._emit = emit
        self._traces = traces
        self.drain = drain
        self._analyst = analyst
        self._paths = paths
        self._is_contended = is_contended
        self.time_out: events.TimeOut = ""
        self._counts = dict.fromkeys(_STATUSES, 0)
        self._hidden = dict.fromkeys(_STATUSES, 0)
        """Tests of which nobody may know that they ran."""
        self._total: int | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._points: dict[str, float | None] = {}
        self._groups: list[GroupResult] = []

    @property
    def reported(self) -> int:
        """How many tests have ended, apart from hidden ones."""
        return sum(self._counts.values())

    @property
    def missing(self) -> int:
        """How many of the announced tests have not ended."""
        return max(0, (self._total or 0) - self.reported)

    @property
    def failed(self) -> int:
        return sum(counts[status] for counts in (self._counts, self._hidden) for status in ("failed", "error"))

    @property
    def errors(self) -> int:
        """Tests that the judge itself could not carry out."""
        return self._counts["error"] + self._hidden["error"]

    @property
    def is_nothing_but_skipped(self) -> bool:
        """Whether tests were reported, and none of them was carried out."""
        ended = [(status, counts[status]) for counts in (self._counts, self._hidden) for status in _STATUSES]
        return {status for status, count in ended if count} == {"skipped"}

    def score(self, score: float, max_score: float | None, pass_score: float | None = None) -> None:
        """What the submission is worth; for problems with points.

        Args:
            score: Its points.
            max_score: The most that there are.
            pass_score: From where on the verdict is `passed`, if that is not the most.
        """
        needed = pass_score if pass_score != max_score else None
        self._points = {"score": score, "max_score": max_score, "pass_score": needed}

    def group(self, result: GroupResult) -> None:
        """What a group of tests is worth, of which everybody may know."""
        self._groups.append(result)

    def testing(self, total: int | None, detail: str = "") -> None:
        """The tests begin; `total`, without hidden ones, is None if their number is not known."""
        self._total = total
        self._emit(events.status_update("testing", total_tests=total, detail=self._paths.strip(detail)))

    def starting(self, name: str, *, feedback: Feedback = "full") -> None:
        """A test begins. If it takes long, its name is told: those who watch see no result meanwhile.

        Args:
            name: Its name.
            feedback: What may be told of it.
        """
        self._stop_telling()
        if feedback != "none":
            self._telling = asyncio.get_running_loop().call_later(RUNNING_TOLD_AFTER_S, self._tell_running, name)

    def _tell_running(self, name: str) -> None:
        told = {"running_test": self._paths.strip(name), "running_ms": round(RUNNING_TOLD_AFTER_S * 1000)}
        self._emit(events.status_update("testing", **told))

    def _stop_telling(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def finished(
        self,
        *,
        test_id: str,
        name: str,
        kind: str,
        status: str,
        duration_ms: int,
        evidence: Evidence | None = None,
        message: str = "",
        given: str = "",
        output: str = "",
        rerun: str = "",
        outcome: Outcome | None = None,
        measured: Measured = NOT_MEASURED,
        feedback: Feedback = "full",
        trace: str = "",
    ) -> None:
        """One test has ended. A failure is followed by its analysis.

        Args:
            given: What the solution was given to read.
            rerun: The command that runs it at home.
            outcome: How it ended, if `evidence` does not say so.
            feedback: What may be told of it; nothing else leaves the judge. Whoever has not settled `after_close`
                has it treated as `outcome`.
            trace: The `RunTrace` of a failure on several nodes, in JSON.
        """
        self._stop_telling()
        outcome = outcome or outcome_of(status, evidence)
        if evidence is not None:
            self._note(evidence)
        if feedback == "none":
            self._hidden[status] += 1
            return
        self._counts[status] += 1
        if feedback != "full":
            evidence, message, given, output, rerun, trace = None, "", "", "", "", ""
        if evidence is not None:
            evidence = evidence.without(self._paths)
        name = self._paths.strip(name)
        traced = self._traces.packed(trace) if trace else None
        if traced is not None:
            self._emit(events.run_trace(test_id, traced.seed, traced.packed))
        self._emit(
            events.result(
                test_id=test_id,
                test_name=name,
                test_type=kind,
                status=status,
                duration_ms=duration_ms,
                message=evidence.message if evidence else self._paths.strip(message),
                expected=evidence.expected if evidence else "",
                actual=evidence.actual if evidence else "",
                expected_at=evidence.expected_at if evidence else None,
                actual_at=evidence.actual_at if evidence else None,
                given=given,
                rerun=rerun,
                seed=None if traced is None else traced.seed,
                output=self._paths.strip(output),
                outcome=outcome,
                measured=measured,
            )
        )
        if evidence is not None:
            finding = self._analyst.analyse(evidence)
            self._emit(events.error_analysis(finding, test_id=test_id, test_name=name))

    def remark(self, evidence: Evidence, secret: str = "") -> None:
        """Emit an analysis that belongs to no single test.

        Where the judge or the author is at fault, the whole of the evidence goes to stderr, which `judge` hands on.

        Args:
            evidence: What is known.
            secret: What only the operator may know besides.
        """
        self._note(evidence)
        if evidence.kind == "judge":
            print("\n".join(filter(None, (evidence.message, evidence.stderr, secret))), file=sys.stderr)
        finding = self._analyst.analyse(evidence.without(self._paths))
        self._emit(events.error_analysis(finding))

    def _note(self, evidence: Evidence) -> None:
        if evidence.is_time_out and self.time_out != "contended":
            self.time_out = "contended" if self._is_contended() else "undisturbed"

    def summary(self, duration_ms: int) -> Mapping[str, object]:
        """Counts, points and groups, as `complete` carries them. Tests that never ran count as skipped."""
        self._stop_telling()
        summary: dict[str, object] = {
            "total_tests": max(self._total or 0, self.reported),
            "passed": self._counts["passed"],
            "failed": self._counts["failed"] + self._counts["error"],
            "duration_ms": duration_ms,
        }
        skipped = self._counts["skipped"] + self.missing
        if skipped:
            summary["skipped"] = skipped
        # The points would tell what nobody may know.
        if not any(self._hidden.values()):
            summary.update((name, points) for name, points in self._points.items() if points is not None)
        if self._groups:
            summary["groups"] = events.group_results(self._groups)
        return summary
