"""What a sandbox shows of the machine is as it was before, after a submission that tried and after the clean-up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from subcli.judge import Job, judge
from subcli.judge.sandbox.probe import probe
from tests.judge.judging import MakeNode, MakeProblem

DESTROYS = """
import os, shutil, sys
for place in PLACES:
    shutil.rmtree(place, ignore_errors=True)
    for path, _, names in os.walk(place):
        for name in names:
            try:
                os.chmod(os.path.join(path, name), 0)
            except OSError:
                pass
            try:
                open(os.path.join(path, name), "w").write("spoilt")
            except OSError:
                pass
sys.stderr.write("tried\\n")
"""


def picture(directory: Path) -> list[tuple[object, ...]]:
    """Everything below: names, modes, owners, contents."""
    return [
        (str(path), path.stat().st_mode, path.stat().st_uid, path.read_bytes() if path.is_file() else b"")
        for path in sorted(directory.rglob("*"))
    ]


PYTHON = Path("/usr/bin/python3").resolve()


@pytest.fixture
def prefix() -> Iterator[Path]:
    """A directory that everybody may enter, made for one test: whatever goes wrong, it hits nobody's installation."""
    with tempfile.TemporaryDirectory(prefix="subcli-decoy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.thorough
async def test_visible_installation_is_not_changed(
    prefix: Path, tiny: MakeProblem, node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program's whole prefix is visible in the sandbox. Neither the solution nor the cleanup changes it."""
    found = probe(cpus=1.0)
    if found.starter is None:
        pytest.skip(f"needs a bubblewrap that works: {found.reason}")
    (prefix / "bin").mkdir()
    (prefix / "lib" / "deep" / "er").mkdir(parents=True)
    (prefix / "lib" / "deep" / "er" / "precious").write_text("kept")
    program = prefix / "bin" / "run-it"
    program.write_text(f'#!/bin/sh\nexec {PYTHON} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{prefix / 'bin'}:{os.environ['PATH']}")
    before = picture(prefix)
    language = '[languages.python]\nsource = "node.py"\nbuild = ["run-it", "{source}"]\nrun = ["run-it", "{source}"]\n'
    source = DESTROYS.replace("PLACES", repr([str(prefix)])) + "import pathlib\n"
    source += f"assert pathlib.Path({str(prefix / 'lib/deep/er/precious')!r}).read_text() == 'kept'\n"
    job = Job(tiny(language=language), "python", {"node.py": source + node()})
    async with aclosing(judge(job, starter=found.starter)) as judging:
        seen = [event async for event in judging]
    assert seen[-1]["final_status"] == "passed", seen
    assert picture(prefix) == before
