"""The languages that a server can run, as it tells them: those of its problems, with the versions of this machine."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from subcli.judge import Language, Problem
from subcli.judge.languages.versions import version_of
from subcli.server.jobs.service import Service


@dataclass(frozen=True)
class OfferedLanguage:
    """One language.

    Attributes:
        title: what people call it.
        endings: of its source files.
        problems: how many problems take it.
        available: whether it can be judged here; None where other processes judge.
        version: what its compiler or interpreter says; empty if it is not known.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    problems: int
    available: bool | None
    version: str = ""


class OfferedLanguages:
    """The languages of a server.

    Args:
        problems: by slug.
        service: the judging in this process; None if other processes judge.
    """

    def __init__(self, problems: Mapping[str, Problem], service: Service | None) -> None:
        self._problems = problems
        self._service = service
        self._versions: dict[str, str] = {}
        self._lock = asyncio.Lock()

    async def rows(self) -> Sequence[OfferedLanguage]:
        """All of them, in the order in which the problems name them. The first call asks for the versions."""
        found: dict[str, list[Language]] = {}
        for problem in self._problems.values():
            for name, language in problem.languages.items():
                found.setdefault(name, []).append(language)
        lasting = self._service.lasting if self._service is not None else None
        able = {name for names in (lasting or {}).values() for name in names}
        async with self._lock:
            unknown = [name for name in found if name in able and name not in self._versions]
            for name in unknown:
                # One after the other: a request that anybody may make must not take all processors.
                self._versions[name] = await self._version(found[name])
        return [
            OfferedLanguage(
                name=name,
                title=next((each.title for each in alike if each.title), name),
                endings=tuple(dict.fromkeys(ending for each in alike for ending in each.source_endings)),
                problems=len(alike),
                available=None if lasting is None else name in able,
                version=self._versions.get(name, "") if name in able else "",
            )
            for name, alike in found.items()
        ]

    async def _version(self, alike: Sequence[Language]) -> str:
        """The version of a language that several problems may describe in different words."""
        telling = next((each for each in alike if each.version), alike[0])
        with tempfile.TemporaryDirectory(prefix="subcli-version-") as directory:
            return await version_of(telling, Path(directory))
