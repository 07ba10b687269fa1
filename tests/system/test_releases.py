"""What makes a release: its notes, the workflows, and that everything in them exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from generate.release_notes import notes
from subcli import __version__

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 2.1.0 – 2026-02-03\n\n### Added\n\n- That.\n\n## 2.0.0\n\n- This.\n"


def test_notes_are_a_section() -> None:
    """From its heading to the next one."""
    assert notes("v2.1.0", CHANGELOG, '__version__ = "2.1.0"\n') == "### Added\n\n- That.\n"


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [
        ("v2.1.0", "2.0.0", "The tag is v2.1.0, and the version 2.0.0."),
        ("2.1.0", "2.1.0", "The tag is 2.1.0, and the version 2.1.0."),
        ("v2.0.0", "2.0.0", "The heading of 2.0.0 in the changelog has no date."),
        ("v3.0.0", "3.0.0", "The changelog has no heading for 3.0.0."),
    ],
)
def test_release_that_does_not_agree_is_refused(tag: str, version: str, said: str) -> None:
    """Before anything is published."""
    with pytest.raises(ValueError, match=re.escape(said)):
        notes(tag, CHANGELOG, f'__version__ = "{version}"\n')


def test_this_version_has_notes() -> None:
    """The version of the program has a dated section, so that its tag can be set."""
    text = notes(f"v{__version__}", (ROOT / "CHANGELOG.md").read_text(), (ROOT / "src/subcli/__init__.py").read_text())
    assert text.startswith("### Added")


def steps(node: Any) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for job in node["jobs"].values() for step in job["steps"]]


def test_workflows_call_what_there_is() -> None:
    """Each `make` target and each module that a workflow runs."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    seen = 0
    for workflow in WORKFLOWS:
        for step in steps(yaml.safe_load(workflow.read_text())):
            for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                assert target in targets, workflow.name
                seen += 1
            for module in re.findall(r"-m ((?:tests|generate)[\w.]*)", step.get("run", "")):
                path = ROOT / module.replace(".", "/")
                assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), workflow.name
                seen += 1
    assert seen >= 3


@pytest.mark.thorough
def test_workflows_are_safe() -> None:
    """zizmor finds nothing: actions are pinned by hash, tokens may do little, nothing foreign becomes a script."""
    files = [*WORKFLOWS, ROOT / "action.yml", ROOT / ".github/dependabot.yml"]
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([program, "--offline", "--no-progress", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.thorough
def test_commit_hooks_exist() -> None:
    """Each runs a program of the development tools."""
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]:
        program = hook["entry"].split()[0]
        assert Path(sys.executable).with_name(Path(program).name).is_file(), program
