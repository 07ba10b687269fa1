"""The files that `subcli init` creates for a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subcli.judge.local import local_files, local_table
from subcli.judge.problem import Problem


@dataclass(frozen=True)
class Scaffold:
    """The initial files, by path inside the new directory."""

    problem: str
    language: str
    source: str
    """The file to edit and to submit."""
    files: Mapping[str, str]
    test: dict[str, Any] | None = None
    """What `subcli test` judges with at home; None: there is nothing to judge with."""


class UnknownLanguage(ValueError):
    """The problem does not offer this language. Has `language` and `offered`."""

    def __init__(self, language: str, offered: tuple[str, ...]) -> None:
        super().__init__(language, offered)
        self.language = language
        self.offered = offered

    def __str__(self) -> str:
        return f"this problem does not offer {self.language!r}; it offers {', '.join(self.offered)}"


def scaffold(problem: Problem, language: str) -> Scaffold:
    """Return the template of `language`, and what there is to test with at home.

    Raises:
        UnknownLanguage: The problem does not offer it.
    """
    chosen = problem.languages.get(language)
    if chosen is None:
        raise UnknownLanguage(language, tuple(sorted(problem.languages)))
    beside = {name: text for name, text in local_files(problem).items() if name != chosen.source}
    return Scaffold(
        problem=problem.slug,
        language=language,
        source=chosen.source,
        files={chosen.source: chosen.template_text(), **beside},
        test=local_table(problem, language),
    )
