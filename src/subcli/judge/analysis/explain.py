"""From evidence to a complete `Finding`: the first rule that recognises a failure explains it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from subcli.judge.analysis import RULES, Context, Finding, general
from subcli.judge.analysis.places import excerpt, find_place
from subcli.judge.evidence import Evidence, bounded_suggestions

ENTRY_POINTS = "subcli.analyzers"
"""Operators' own rules: callables like those in `subcli.judge.analysis`. They are tried before the built-in ones."""

Rule = Callable[[Evidence, Context], Finding | None]
_RULE_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class Analyst:
    """Explains the failures of one submission.

    Args:
        files: The submission, to tell its own lines from a library's.
        language: Its name.
        rules: Rules to try before the built-in ones. Default: those that the operator has installed.
        runtime: Whose tracebacks to look for first.
    """

    def __init__(
        self, files: Mapping[str, str], language: str, rules: Iterable[Rule] | None = None, runtime: str = ""
    ) -> None:
        self._context = Context(files=files, language=language, runtime=runtime)
        self._operator_rules = None if rules is None else list(rules)

    def analyse(self, evidence: Evidence) -> Finding:
        """Explain a failure. If no rule recognises it, the finding says so."""
        return self._complete(self._first_finding(evidence), evidence)

    def _first_finding(self, evidence: Evidence) -> Finding:
        if self._operator_rules is None:
            # Loaded at the first failure, so that a submission that passes does not pay for it.
            self._operator_rules = list(installed_rules())
        for rule in list(self._operator_rules):
            finding = self._call_operator_rule(rule, evidence, self._operator_rules)
            if finding is not None:
                return finding
        for rule in RULES:
            finding = rule(evidence, self._context)
            if finding is not None:
                return finding
        return general(evidence, self._context)

    def _call_operator_rule(self, rule: Rule, evidence: Evidence, rules: list[Rule]) -> Finding | None:
        """Call third-party code, which may raise or hang without affecting the verdict.

        A rule that hangs is removed from `rules`.
        """
        findings: list[Finding] = []

        def call() -> None:
            try:
                finding = rule(evidence, self._context)
                if isinstance(finding, Finding):
                    findings.append(finding)
            except BaseException:
                _log.warning("the analyzer %r failed", rule, exc_info=True)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(_RULE_TIMEOUT_S)
        if thread.is_alive():
            _log.warning("the analyzer %r did not return within %g s; disabling it", rule, _RULE_TIMEOUT_S)
            rules.remove(rule)
        return findings[0] if findings else None

    def _complete(self, finding: Finding, evidence: Evidence) -> Finding:
        place = finding.location or find_place(evidence, self._context)
        return replace(
            finding,
            error=finding.error or evidence.message,
            analysis=_capitalized(finding.analysis) + excerpt(place, self._context) + _left_behind(evidence),
            suggestions=bounded_suggestions(tuple(finding.suggestions)),
            location=place,
        )


def _capitalized(text: str) -> str:
    """A sentence may begin with a message, but not with the name of a node in capitals."""
    return f"The {text[4:]}" if text.startswith("the ") else text


def _left_behind(evidence: Evidence) -> str:
    if not evidence.left_behind or evidence.limit == "left_behind":
        return ""
    return f"\n\nIt also left {evidence.left_behind} processes running, which were killed."


def installed_rules() -> tuple[Rule, ...]:
    """The rules that the operator has installed, sorted by name. One that cannot be loaded is skipped and logged."""
    from importlib.metadata import entry_points

    rules: list[Rule] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            rules.append(entry.load())
        except Exception:
            _log.warning("the analyzer %r cannot be loaded", entry.name, exc_info=True)
    return tuple(rules)
