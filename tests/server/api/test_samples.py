"""What the REST API gives of a problem made of cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from subcli.judge.cases.model import Case, CaseSet, Group
from tests.server.conftest import make_problem


async def test_samples_of_a_problem(start: Callable[..., Any], tmp_path: Path) -> None:
    """A problem of cases gives its samples to everybody, and nothing of its other cases."""
    for name, text in {"1": "2 3", "2": "secret"}.items():
        (tmp_path / name).with_suffix(".in").write_text(f"{text}\n")
        (tmp_path / name).with_suffix(".ans").write_text("5\n")
    names = {"sample/1": "1", "secret/2": "2"}
    parts = tuple(
        Case(name=name, input=tmp_path / f"{file}.in", answer=tmp_path / f"{file}.ans") for name, file in names.items()
    )
    problem = replace(make_problem(), runner="cases", cases=CaseSet(Group(name="", parts=parts)))
    async with start(problems={"echo": problem}) as live:
        shown = await live.http.get("/api/problems/echo")
        template = await live.http.get("/api/problems/echo/template/python")
    assert shown.json()["samples"] == [{"name": "sample/1", "input": "2 3\n", "answer": "5\n"}]
    assert template.json()["files"] == {"solution.py": "", "samples/1.in": "2 3\n", "samples/1.ans": "5\n"}
    assert template.json()["test"]["runner"] == "cases"
    assert "secret" not in shown.text + template.text
