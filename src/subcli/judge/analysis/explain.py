"""From evidence to an `error_analysis`: the first rule that recognises a failure explains it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from subcli.judge import events
from subcli.judge.analysis import RULES, Context, Finding, general
from subcli.judge.analysis.places import excerpt, find_place
from subcli.judge.evidence import Evidence, Site

ENTRY_POINTS = "subcli.analyzers"
"""Operators' own rules: callables like those in `subcli.judge.analysis`, asked before them."""

Rule = Callable[[Evidence, Context], Finding | None]
_PATIENCE_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysis:
    """An explained failure."""

    error: str
    analysis: str
    suggestions: tuple[str, ...]
    category: str
    location: Site | None

    def as_event(self, *, test_id: str = "", test_name: str = "") -> events.Event:
        return events.error_analysis(
            error=self.error,
            analysis=self.analysis,
            suggestions=self.suggestions,
            category=self.category,
            location=self.location,
            test_id=test_id,
            test_name=test_name,
        )


class Analyst:
    """Explains the failures of one submission.

    Arguments:
        files: the submission, to tell its own lines from a library's.
        language: its name.
        directory: where it lies; the path is taken out of every text.
        rules: those asked before the built-in ones; default the ones that operators have installed.
    """

    def __init__(
        self, files: Mapping[str, str], language: str, directory: str, rules: Iterable[Rule] | None = None
    ) -> None:
        self._context = Context(files=files, language=language)
        self._directory = directory.rstrip("/") + "/"
        self._given = rules
        self._loaded: list[Rule] | None = None

    def tidy_text(self, text: str) -> str:
        """The text without the path of the judge's temporary directory."""
        return text.replace(self._directory, "").replace(self._directory.rstrip("/"), ".")

    def strip_workdir(self, evidence: Evidence) -> Evidence:
        """The evidence without the path of the judge's temporary directory."""
        return replace(
            evidence,
            message=self.tidy_text(evidence.message),
            stderr=self.tidy_text(evidence.stderr),
            actual=self.tidy_text(evidence.actual),
            command=self.tidy_text(evidence.command),
        )

    def analyse(self, evidence: Evidence) -> Analysis:
        """Explain a failure. There is always an answer: the general one, if no rule knows it."""
        evidence = self.strip_workdir(evidence)
        for rule in list(self._foreign()):
            finding = self._ask(rule, evidence)
            if finding is not None:
                return self._complete(finding, evidence)
        for rule in RULES:
            finding = rule(evidence, self._context)
            if finding is not None:
                return self._complete(finding, evidence)
        return self._complete(general(evidence, self._context), evidence)

    def _foreign(self) -> list[Rule]:
        # Looked for at the first failure: a submission that passes does not pay for it.
        if self._loaded is None:
            self._loaded = list(installed_rules() if self._given is None else self._given)
        return self._loaded

    def _ask(self, rule: Rule, evidence: Evidence) -> Finding | None:
        """Ask someone else's code, whose faults must not become the submission's: it may fail, and it may hang."""
        answers: list[Finding] = []

        def ask() -> None:
            try:
                finding = rule(evidence, self._context)
                if isinstance(finding, Finding):
                    answers.append(finding)
            except BaseException:
                _log.warning("the analyzer %r failed", rule, exc_info=True)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(_PATIENCE_SECONDS)
        if thread.is_alive():
            _log.warning("the analyzer %r takes longer than %g s; it is not asked again", rule, _PATIENCE_SECONDS)
            self._foreign().remove(rule)
        return answers[0] if answers else None

    def _complete(self, finding: Finding, evidence: Evidence) -> Analysis:
        place = finding.location or find_place(evidence, self._context)
        return Analysis(
            error=finding.error or evidence.message,
            analysis=finding.analysis + excerpt(place, self._context) + _left_behind(evidence),
            suggestions=tuple(finding.suggestions),
            category=finding.category,
            location=place,
        )


def _left_behind(evidence: Evidence) -> str:
    if not evidence.left_behind or evidence.limit == "left_behind":
        return ""
    return f"\n\nIt also left {evidence.left_behind} processes running, which were killed."


def installed_rules() -> tuple[Rule, ...]:
    """The rules that operators have installed, in the order of their names. One that cannot be loaded is left out."""
    from importlib.metadata import entry_points

    rules: list[Rule] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            rules.append(entry.load())
        except Exception:
            _log.warning("the analyzer %r cannot be loaded", entry.name, exc_info=True)
    return tuple(rules)
