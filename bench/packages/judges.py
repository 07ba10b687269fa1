"""The two judges: what each says of a package, in the same words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from subcli.judge.cases.expected import codes
from subcli.judge.check_package import Judged, check_submissions
from subcli.judge.problem import ProblemError, Solution
from subcli.judge.process.starter import Starter
from subcli.judge.snapshot import snapshot_of_one

ORACLE: Final = Path(".venv/oracle")
_THEIRS: Final = Path(__file__).with_name("theirs.py")
LANGUAGES: Final = """\
python3: {compile: 'python3 -m py_compile {files}', run: 'python3 "{mainfile}"'}
java: {compile: 'javac -encoding UTF-8 -sourcepath {path} -d {path} {files}'}
javascript: {compile: 'node -c {files}', run: 'node "{mainfile}"'}
go: {compile: 'go build -o {binary} {files}'}
"""
"""What problemtools reads beside packages: its own table wants PyPy and GCC's Go."""


@dataclass(frozen=True)
class Node:
    """How a case or a group ended. `codes`: what the format calls it; several where formats differ."""

    codes: tuple[str, ...]
    score: float | None = None


Nodes: TypeAlias = Mapping[str, Node] | None
"""By the name of a case, or of a group with a slash at its end; the whole is `/`. None if it cannot be built."""


@dataclass
class Said:
    """What a judge says of a package.

    Attributes:
        refusal: why it cannot be used; empty if it can.
        submissions: by directory and name.
    """

    refusal: str = ""
    submissions: dict[str, Nodes] = field(default_factory=dict)


def theirs(directories: Sequence[Path], oracle: Path) -> Iterator[Said]:
    """What problemtools says of each package."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(oracle.resolve()),
        # The same Python for its solutions as for ours.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-S", "-P", str(_THEIRS), *map(str, directories)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                found = json.loads(line)
                nodes = {name: _theirs(node) for name, node in found["submissions"].items()}
                yield Said("; ".join(found["errors"]), nodes)
        except GeneratorExit:
            process.kill()
            raise
    assert process.returncode == 0


def _theirs(nodes: Mapping[str, tuple[str, float | None]] | None) -> Nodes:
    if nodes is None:
        return None
    return {name.replace("./", "/"): Node((code,), score) for name, (code, score) in nodes.items()}


def ours(directory: Path, starter: Starter | None) -> Said:
    """What this judge says of a package."""
    said = Said()

    def on_judged(solution: Solution, judged: Judged) -> None:
        name = f"{solution.file.parent.name}/{solution.file.name}"
        said.submissions[name] = None if judged.verdict == "build_failed" else dict(_ours(judged))

    async def judge() -> None:
        with snapshot_of_one(directory) as problem:
            async with aclosing(check_submissions(problem, starter, on_judged)) as checks:
                said.refusal = "; ".join([f"{check.what}: {check.detail}" async for check in checks if not check.ok])

    try:
        asyncio.run(judge())
    except ProblemError as error:
        said.refusal = str(error).replace(str(directory), directory.name)
    return said


def _ours(judged: Judged) -> Iterator[tuple[str, Node]]:
    for case in judged.cases:
        yield case.name, Node(codes(case.outcome), case.score)
    for name, grade in judged.groups.items():
        yield f"{name}/", Node(codes(grade.outcome), grade.score)
