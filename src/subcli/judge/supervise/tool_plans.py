"""Where the programs of a problem's author are built and started: the server's half of `tools`.

What was built is kept for the next submission, for as long as this process lives: in a private directory, under a name
made of everything that the build depends on.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec

from subcli.judge.cases.model import Tool
from subcli.judge.constants import filled_bytes
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process.starter import Starter
from subcli.judge.process.workplace import workplace

_MEMORY_MB = 2048
_LIMITS = ResourceLimits(
    memory_mb=_MEMORY_MB, build_memory_mb=_MEMORY_MB, total_memory_mb=2 * _MEMORY_MB, file_size_mb=256, disk_mb=512
)


@contextmanager
def tool_plans(problem: Problem, base: Path, starter: Starter) -> Iterator[list[dict[str, object]]]:
    """Prepare the tools of a problem.

    Args:
        problem: The problem.
        base: The submission's directory. Each tool gets one of its own in it.
        starter: What the tools run under.
    """
    tools = problem.cases.tools() if problem.cases is not None else ()
    with ExitStack() as stack:
        plans: list[dict[str, object]] = []
        for number, tool in enumerate(tools):
            place = base / f"tool-{number}"
            workspace, scratch = place / "work", place / "scratch"
            scratch.mkdir(parents=True)
            kept = _cache() / _version(tool, problem.constants)
            is_built = kept.is_dir()
            if is_built:
                shutil.copytree(kept, workspace, symlinks=True)
            else:
                _copy_sources(tool, workspace, problem.constants)
            one = replace(problem, limits=_LIMITS, network=False)
            opened = stack.enter_context(starter.open(workspace, one, tool.language))
            plans.append({"plans": opened.as_json(), "scratch": str(scratch), "is_built": is_built, "cache": str(kept)})
        yield plans


def _copy_sources(tool: Tool, workspace: Path, constants: Mapping[str, str]) -> None:
    workspace.mkdir()
    for name in tool.files:
        target = workspace / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(filled_bytes((tool.directory / name).read_bytes(), constants))


def _version(tool: Tool, constants: Mapping[str, str]) -> str:
    """Everything that what is built depends on, as the name of a directory."""
    digest = hashlib.sha256(msgspec.json.encode((tool.language, tool.entry, tool.files, dict(constants)), enc_hook=str))
    for name in tool.files:
        digest.update((tool.directory / name).read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


@cache
def _cache() -> Path:
    """A directory of this process's own. If it is killed, the next start removes it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(workplace()).path
