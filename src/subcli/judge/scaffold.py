"""What `subcli init` puts into a new directory for a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from subcli.judge.problem import Problem


@dataclass(frozen=True)
class Scaffold:
    """The files to begin with, by path inside the new directory."""

    problem: str
    language: str
    source: str
    """The file to edit and to submit."""
    files: Mapping[str, str]
    local_tests: tuple[str, ...] = ()
    """Those of `files` that are tests; they are not part of a submission."""


class UnknownLanguage(ValueError):
    """The problem does not offer this language. Carries `language` and `offered`."""

    def __init__(self, language: str, offered: tuple[str, ...]) -> None:
        super().__init__(language, offered)
        self.language = language
        self.offered = offered

    def __str__(self) -> str:
        return f"no {self.language!r} here; this problem offers {', '.join(self.offered)}"


def scaffold(problem: Problem, language: str) -> Scaffold:
    """The template of `language`, and the tests that may be run locally.

    Raises:
        UnknownLanguage: the problem does not offer it.
    """
    chosen = problem.languages.get(language)
    if chosen is None:
        raise UnknownLanguage(language, tuple(sorted(problem.languages)))
    tests = {path.relative_to(problem.root).as_posix(): path.read_text("utf-8") for path in problem.local_files}
    return Scaffold(
        problem=problem.slug,
        language=language,
        source=chosen.source,
        files={chosen.source: chosen.template_text(), **tests},
        local_tests=tuple(tests),
    )
