"""Solutions whose modules a test uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from subcli.judge.harness.module import Modules, install, module
from subcli.judge.harness.node import NodePlan
from subcli.judge.process.starter import StartPlan, clean_environment
from tests.hang import HANG_S


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Modules]]:
    """Makes the modules of a solution with this text, in use by a test."""
    made: list[Modules] = []

    def make(source: str, *, answer_seconds: float = HANG_S) -> Modules:
        (tmp_path / "main.py").write_text(source, encoding="utf-8")
        start = StartPlan((), clean_environment(tmp_path), str(tmp_path))
        plan = NodePlan(start, ("/usr/bin/python3", "main.py"), output_kb=64, answer_seconds=answer_seconds)
        monkeypatch.setitem(module.__globals__, "_current", Modules())
        made.append(install(plan))
        made[-1].begin()
        return made[-1]

    yield make
    for each in made:
        each.end()
