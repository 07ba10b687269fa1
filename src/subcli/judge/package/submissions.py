"""`submissions/`: programs of the author's, and what their directories and `submissions.yaml` expect of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.cases.expected import Expected, Rule, is_within
from subcli.judge.languages.language import Language
from subcli.judge.package.languages import PYTHON_2, allowed, is_python_2, language_of
from subcli.judge.package.metadata import Metadata
from subcli.judge.package.programs import entries, files_of, texts_of
from subcli.judge.package.yaml_table import YamlTable
from subcli.judge.problem import Solution

_ALL: Final = ("AC", "WA", "TLE", "RTE")
_LEGACY: Final[Mapping[str, tuple[str, ...]]] = {
    "accepted": ("AC",),
    "partially_accepted": ("AC",),
    "wrong_answer": ("WA",),
    "time_limit_exceeded": ("TLE",),
    "run_time_error": ("RTE",),
    "rejected": ("WA", "TLE", "RTE"),
    "memory_limit_exceeded": ("RTE", "MLE"),
    "output_limit_exceeded": ("OLE", "WA", "RTE"),
    "brute_force": ("TLE", "RTE"),
    "slow_accepted": ("AC", "TLE"),
}
"""By directory; the last four are in no version of the format, but in use."""
_MODERN: Final[Mapping[str, Rule]] = {
    "accepted": Rule(permitted=("AC",)),
    "partially_accepted": Rule(),
    "rejected": Rule(required=("RTE", "TLE", "WA")),
    "wrong_answer": Rule(permitted=("AC", "WA"), required=("WA",)),
    "time_limit_exceeded": Rule(permitted=("AC", "TLE"), required=("TLE",)),
    "run_time_error": Rule(permitted=("AC", "RTE"), required=("RTE",)),
    "brute_force": Rule(permitted=("AC", "RTE", "TLE"), required=("RTE", "TLE")),
}
_BUILD_FAILED: Final = ("compile_error", "compiler_error")
_TAG: Final = re.compile(r"@EXPECTED_RESULTS@:([^\n]*)")
_TAGGED: Final[Mapping[str, str]] = {
    "CORRECT": "AC",
    "ACCEPTED": "AC",
    "WRONG-ANSWER": "WA",
    "WRONG_ANSWER": "WA",
    "NO-OUTPUT": "WA",
    "TIMELIMIT": "TLE",
    "TIME_LIMIT_EXCEEDED": "TLE",
    "RUN-ERROR": "RTE",
    "RUN_TIME_ERROR": "RTE",
    "OUTPUT-LIMIT": "OLE",
    "CHECK-MANUALLY": "",
    "COMPILER-ERROR": "CE",
}
_NO_SOURCES: Final = frozenset(
    (".md", ".txt", ".yaml", ".yml", ".json", ".in", ".ans", ".out", ".pdf", ".zip", ".html")
)
_RULE_KEYS: Final = ("permitted", "required", "score", "message", "use_for_time_limit")
_KEYS: Final = (*_RULE_KEYS, "language", "entrypoint", "authors", "model_solution")


@dataclass(frozen=True)
class _Pattern:
    """A top-level key of `submissions.yaml`."""

    pattern: str
    table: YamlTable


def read_submissions(
    root: Path, metadata: Metadata, known: Mapping[str, Language], best: float | None
) -> tuple[Solution, ...]:
    """
    Args:
        root: the package.
        metadata: what `problem.yaml` says.
        known: the languages.
        best: the best score, if the package declares one.

    Raises:
        ProblemError: `submissions.yaml` is not valid, or a submission cannot be read.
    """
    patterns = _patterns(root / "submissions" / "submissions.yaml")
    programs = (program for directory in entries(root / "submissions") for program in entries(directory))
    return tuple(
        _solution(program, metadata, known, best, patterns) for program in programs if program.suffix not in _NO_SOURCES
    )


def _patterns(path: Path) -> tuple[_Pattern, ...]:
    if not path.is_file():
        return ()
    table = YamlTable.read(path)
    patterns = tuple(_Pattern(key, table.table(key)) for key in table.keys)
    for each in patterns:
        # What is wrong is said whether a submission matches or not.
        tuple(_rules(each.table, Rule()))
    return patterns


def _solution(
    program: Path, metadata: Metadata, known: Mapping[str, Language], best: float | None, patterns: tuple[_Pattern, ...]
) -> Solution:
    name = f"{program.parent.name}/{program.name}"
    mine = [each for each in patterns if is_within(each.pattern, name)]
    texts = texts_of(files_of(program))
    language = language_of(texts, known)
    entrypoint = ""
    for each in mine:
        entrypoint = each.table.text("entrypoint", entrypoint)
        if "language" in each.table:
            language = next(iter(allowed([each.table.text("language")], known).values()), None)
    tags = _tags(texts)
    if metadata.grading == "2025":
        expected = _modern(program.parent.name, mine, best)
    else:
        expected = _legacy(program.parent.name, best)
    if tags and not expected.rules and not expected.verdicts:
        expected = Expected(verdicts=tuple(tags - {"CE"}))
    fails = program.parent.name in _BUILD_FAILED or tags == {"CE"}
    name = PYTHON_2 if language is None and is_python_2(texts) else language.name if language else ""
    return Solution(program, name, "build_failed" if fails else "", expected=expected, entrypoint=entrypoint)


def _tags(texts: Mapping[str, str]) -> set[str]:
    """What DOMjudge's tag in a source file expects; empty if it does not say, or leaves it to people."""
    for text in texts.values():
        found = _TAG.search(text)
        if found:
            codes = {_TAGGED.get(word.strip().upper(), "") for word in found[1].split(",")}
            return set() if "" in codes else codes
    return set()


def _legacy(directory: str, best: float | None) -> Expected:
    is_best = {"accepted": True, "partially_accepted": False}.get(directory)
    return Expected(_LEGACY.get(directory, ()), is_best, best, bounds_time=directory == "accepted")


def _modern(directory: str, patterns: list[_Pattern], best: float | None) -> Expected:
    rules: list[Rule] = []
    default = _MODERN.get(directory, Rule())
    bounds = False
    own = next((each.table for each in patterns if each.pattern.strip("/") == directory), None)
    if own is None:
        rules.append(default)
        bounds = bool(default.permitted) and "TLE" not in default.permitted
    for each in patterns:
        base = default if each.table is own else Rule()
        for rule, use in _rules(each.table, base):
            rules.append(rule)
            bounds = bounds or use is True
            if use is False and not rule.scope:
                bounds = False
    return Expected((), False if directory == "partially_accepted" else None, best, tuple(rules), bounds)


def _rules(table: YamlTable, base: Rule) -> Iterator[tuple[Rule, bool | None]]:
    """The rules of a pattern, and whether each is about the time limit."""
    yield _rule(table, base), _use(table, _rule(table, base))
    for key in table.keys:
        if key not in _KEYS:
            inner = table.table(key)
            yield _rule(inner, Rule(scope=key)), _use(inner, _rule(inner, Rule(scope=key)))


def _rule(table: YamlTable, base: Rule) -> Rule:
    return Rule(
        scope=base.scope,
        permitted=_codes(table, "permitted") if "permitted" in table else base.permitted,
        required=_codes(table, "required") if "required" in table else base.required,
        score=_score(table),
        message=table.text("message"),
    )


def _codes(table: YamlTable, key: str) -> tuple[str, ...]:
    codes = table.texts(key)
    for code in codes:
        if code not in _ALL:
            raise table.error(key, f"must be a list of {', '.join(_ALL)}, not {code[:80]!r}")
    # All of them say nothing.
    return () if set(codes) == set(_ALL) else codes


def _use(table: YamlTable, rule: Rule) -> bool | None:
    if "use_for_time_limit" not in table:
        return True if rule.permitted and "TLE" not in rule.permitted else None
    return table.word("use_for_time_limit") in ("lower", "true")


def _score(table: YamlTable) -> tuple[float, float] | None:
    if "score" not in table:
        return None
    try:
        bounds = [float(text) for text in table.texts("score")]
    except ValueError:
        bounds = []
    if len(bounds) not in (1, 2) or not bounds[0] <= bounds[-1]:
        raise table.error("score", "must be a number, or a list of the lowest and the highest one")
    return bounds[0], bounds[-1]
