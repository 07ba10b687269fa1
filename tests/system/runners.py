"""What runs the shell steps of pipelines: GitHub's runner for a composite action, GitLab's for a component."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hang import HANG_S


@dataclass
class Done:
    """How a job ended.

    Attributes:
        code: the exit code of the first step that failed, or 0.
        outputs: of the action.
        uploaded: what was given to `actions/upload-artifact`.
    """

    code: int
    log: str
    outputs: dict[str, str] = field(default_factory=dict)
    uploaded: dict[str, str] = field(default_factory=dict)


def run_action(
    action: Path, inputs: Mapping[str, str], place: Path, env: Mapping[str, str], done: Mapping[str, Any] | None = None
) -> Done:
    """Run a composite action as GitHub's runner does ("Metadata syntax", "Contexts").

    Args:
        action: its `action.yml`.
        inputs: those of the step that uses it.
        place: the workspace.
        env: the job's environment.
        done: steps that another job has run, by their ids, with their outputs; they are not run again.
    """
    table = yaml.safe_load(action.read_text())
    assert inputs.keys() <= table["inputs"].keys()
    assert all(name in inputs for name, each in table["inputs"].items() if each.get("required"))
    files = {name: place.parent / f"{place.name}-{name}" for name in ("output", "summary", "temp")}
    files["temp"].mkdir(exist_ok=True)
    steps: dict[str, Any] = dict(done or {})
    context = {
        "inputs": {name: inputs.get(name, each.get("default", "")) for name, each in table["inputs"].items()},
        "github": {"action_path": str(action.parent)},
        "steps": steps,
    }
    ended = Done(0, "")
    for step in table["runs"]["steps"]:
        if step.get("id") in steps or not _is_wanted(step.get("if", "success()"), context, ended.code):
            continue
        if "uses" in step:
            ended.uploaded = {name: _filled(value, context) for name, value in step["with"].items()}
            continue
        files["output"].write_text("")
        run = subprocess.run(
            # What `shell: bash` means.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=place / _filled(step.get("working-directory", "."), context),
            env={
                **env,
                **{name: _filled(value, context) for name, value in step.get("env", {}).items()},
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(place),
                "GITHUB_OUTPUT": str(files["output"]),
                "GITHUB_STEP_SUMMARY": str(files["summary"]),
                "RUNNER_TEMP": str(files["temp"]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_S,
        )
        ended.log += run.stdout
        ended.code = ended.code or run.returncode
        pairs = (line.partition("=") for line in files["output"].read_text().splitlines())
        steps[step.get("id", "")] = {"outputs": {name: value for name, _, value in pairs}}
    ended.outputs = {name: _filled(each["value"], context) for name, each in table["outputs"].items()}
    return ended


def _filled(text: str, context: Mapping[str, Any]) -> str:
    """The text with its expressions, which are paths into the contexts; what is absent is empty."""

    def value(match: re.Match[str]) -> str:
        found: Any = context
        for name in match[1].split("."):
            found = found.get(name, {})
        return found if isinstance(found, str) else ""

    filled = re.sub(r"\$\{\{ ([a-z_.-]+) \}\}", value, str(text))
    assert "${{" not in filled, text
    return filled


def _is_wanted(condition: str, context: Mapping[str, Any], code: int) -> bool:
    """The conditions that ours consist of."""
    for part in condition.split(" && "):
        if part == "success()" and code:
            return False
        if (match := re.fullmatch(r"([a-z_.-]+) != ''", part)) and not _filled(f"${{{{ {match[1]} }}}}", context):
            return False
        assert part in ("success()", "always()") or match, part
    return True


def run_component(component: Path, inputs: Mapping[str, str], place: Path, env: Mapping[str, str], shell: str) -> Done:
    """Run the job of a GitLab component as its runner does ("CI/CD components", "Script").

    Args:
        component: its template.
        inputs: those of the pipeline that includes it.
        place: the project.
        env: what GitLab's variables and the image bring.
        shell: of the image.
    """
    header, template = yaml.safe_load_all(component.read_text())
    declared = header["spec"]["inputs"]
    assert inputs.keys() <= declared.keys()
    values: dict[str, str] = {name: each["default"] for name, each in declared.items() if "default" in each}
    values |= inputs
    assert values.keys() == declared.keys()

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {filled(name): filled(value) for name, value in node.items()}
        if isinstance(node, list):
            return [filled(each) for each in node]
        return re.sub(r"\$\[\[ inputs\.([a-z-]+) \]\]", lambda m: values[m[1]], node) if isinstance(node, str) else node

    ((_, job),) = filled(template).items()
    assert "$[[" not in yaml.safe_dump(job)
    done = run_script("\n".join([*job["before_script"], *job["script"]]), place, {**env, **job["variables"]}, shell)
    done.uploaded = {"path": job["artifacts"]["reports"]["junit"]}
    return done


def run_script(script: str, place: Path, env: Mapping[str, str], shell: str = "sh") -> Done:
    """Run a script that ends at its first failure, as GitLab's runner and Jenkins' `sh` step do."""
    program = shutil.which(shell)
    assert program is not None
    run = subprocess.run(
        [program, "-e", "-c", script],
        cwd=place,
        env={**env, "CI": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_S,
    )
    return Done(run.returncode, run.stdout)
