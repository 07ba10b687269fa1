"""Problems by name that change while others read them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView

from subcli.judge.problem import Problem


class LiveProblems(Mapping[str, Problem]):
    """Problems that another thread may exchange for others, all at once."""

    def __init__(self) -> None:
        self._now: Mapping[str, Problem] = {}

    def exchange(self, problems: Mapping[str, Problem]) -> None:
        """Replace all problems. The mapping must not be changed afterwards."""
        self._now = problems

    def __getitem__(self, name: str) -> Problem:
        return self._now[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def values(self) -> ValuesView[Problem]:
        """The problems at this moment: who iterates sees no exchange."""
        return self._now.values()

    def items(self) -> ItemsView[str, Problem]:
        """The same with their names."""
        return self._now.items()
