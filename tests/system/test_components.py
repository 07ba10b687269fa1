"""The GitHub action, the GitLab component and the Jenkins example: their shell steps, executed as their runners do."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.once import once

from .conftest import needs
from .runners import run_action, run_component, run_script
from .scripted import Rest, Script, Wire, scripted, short_log

ROOT = Path(__file__).parents[2]
ACTION, COMPONENT = ROOT / "action.yml", ROOT / "templates" / "subcli.yml"

# Each installs what it runs.
pytestmark = pytest.mark.thorough


def judging(final_status: str) -> Script:
    """A server that judges at once."""

    async def judge(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*short_log(final_status))
        await wire.close(1000)

    return judge


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the action's first step does: it installs the action's own version."""
    needs("bash", "/bin/bash")
    return {"install": {"outputs": once(tmp_path_factory, "install", _install)[1]}}


def _install(directory: Path) -> dict[str, str]:
    place = directory / "work"
    place.mkdir()
    table = yaml.safe_load(ACTION.read_text())
    table["runs"]["steps"] = table["runs"]["steps"][:1]
    table["outputs"] = {"bin": {"value": "${{ steps.install.outputs.bin }}"}}
    alone = place.parent / "action.yml"
    alone.write_text(yaml.safe_dump(table))
    done = run_action(alone, {"path": "x", "package": str(ROOT)}, place, environment(Path(sys.executable).parent))
    assert done.code == 0, done.log
    return done.outputs


def environment(*programs: Path) -> dict[str, str]:
    """What runs jobs brings: a search path, and how pip reaches its index."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "HOME"}
    return {**kept, "PATH": ":".join([*map(str, programs), "/usr/bin:/bin"])}


def report(place: Path) -> dict[str, str]:
    """The counts in a job's report."""
    return dict(ElementTree.parse(place).getroot().attrib)


@pytest.mark.parametrize(("verdict", "code"), [("passed", 0), ("failed", 1)])
async def test_action(installed: dict[str, Any], tmp_path: Path, verdict: str, code: int) -> None:
    """The job ends by the verdict; outputs, annotations, summary and report are there either way."""
    place = tmp_path / "work"
    (place / "a b").mkdir(parents=True)
    (place / "a b" / "node.py").write_text("pass")
    (place / "a b" / "-x.py").write_text("pass")
    async with scripted(judging(verdict), rest=Rest()) as server:
        inputs = {
            "path": "node.py\n-x.py\n",
            "problem": "7",
            "server": server.url,
            "token": "hush-hush",
            "working-directory": "a b",
        }
        done = await asyncio.to_thread(run_action, ACTION, inputs, place, environment(), installed)
        posted = next(each for each in server.requests if each.method == "POST")
    assert done.code == code, done.log
    assert posted.headers["authorization"] == "Bearer hush-hush"
    assert done.outputs == {"submission-id": "1", "verdict": verdict, "url": done.outputs["url"]}
    assert done.outputs["url"].endswith("/submissions/1")
    assert done.uploaded == {
        "name": "subcli-results",
        "path": "a b/subcli-results.xml",
        "if-no-files-found": "ignore",
    }
    assert (report(place / done.uploaded["path"])["failures"] == "0") == (code == 0)
    assert ("::error" in done.log) == bool(code)
    assert "hush" not in done.log
    assert f"#1: {verdict}" in (tmp_path / "work-summary").read_text()


async def test_action_without_a_verdict(installed: dict[str, Any], tmp_path: Path) -> None:
    """No judge there: the code that says so, and a report with the error; inputs are no part of a script."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "$(touch pwned)").write_text("pass")
    inputs = {
        "path": "$(touch pwned)",
        "problem": "`touch pwned`",
        "language": "python",
        "server": "http://127.0.0.1:9",
        "artifact": "",
    }
    done = run_action(ACTION, inputs, place, environment(), installed)
    assert done.code == 6, done.log
    assert done.outputs == {"submission-id": "", "verdict": "", "url": ""}
    assert done.uploaded == {}
    assert report(place / "subcli-results.xml")["errors"] == "1"
    assert sorted(each.name for each in place.iterdir()) == ["$(touch pwned)", "subcli-results.xml"]


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(("verdict", "code"), [("passed", 0), ("failed", 1)])
async def test_component(installed: dict[str, Any], tmp_path: Path, shell: str, verdict: str, code: int) -> None:
    """The job's exit code is the program's, of which GitLab repeats 6, 7 and 8; the report is where it looks."""
    (tmp_path / "a b.py").write_text("pass")
    async with scripted(judging(verdict), rest=Rest()) as server:
        inputs = {"path": "a b.py", "problem": "7", "server": server.url}
        env = {**environment(bin_of(installed)), "SUBCLI_TOKEN": "hush-hush"}
        done = await asyncio.to_thread(run_component, COMPONENT, inputs, tmp_path, env, shell)
    assert done.code == code, done.log
    assert (report(tmp_path / done.uploaded["path"])["failures"] == "0") == (code == 0)
    assert "hush" not in done.log


async def test_jenkins(installed: dict[str, Any], tmp_path: Path) -> None:
    """The `sh` steps of the example, one after the other, and the report that its `junit` step reads."""
    (example,) = re.findall(r"```groovy\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.S)
    steps = re.findall(r"\bsh '([^']*)'", example)
    assert len(steps) == example.count("sh '") == 2
    (tmp_path / "node.py").write_text("pass")
    # It is installed there already, so nothing is fetched.
    shutil.copytree(bin_of(installed).parent, tmp_path / ".subcli", symlinks=True)
    async with scripted(judging("failed"), rest=Rest()) as server:
        env = {**environment(), "SUBCLI_SERVER": server.url, "SUBCLI_TOKEN": "hush-hush"}
        ends = [await asyncio.to_thread(run_script, step, tmp_path, env) for step in steps]
    assert [end.code for end in ends] == [0, 1], ends
    (kept,) = re.findall(r"junit testResults: '([^']*)'", example)
    assert report(tmp_path / kept)["failures"] == "1"


def bin_of(installed: dict[str, Any]) -> Path:
    """Where the program was installed."""
    return Path(installed["install"]["outputs"]["bin"])
