"""CI pipelines: a simulated GitHub Actions job, JUnit XML in every case, and the examples of docs/ci.md."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
import yaml

from tests.output import jenkins

from .command import Commands, is_running
from .conftest import SOLUTIONS, Run, Served, needs
from .scripted import (
    Answer,
    Rest,
    Script,
    Wire,
    closing,
    finish,
    refusing,
    scripted,
    short_log,
    some,
    staying,
)

DOCS = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of docs/ci.md in one language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.S)


def results(path: Path) -> ElementTree.Element:
    """The file, once Jenkins' schema and junitparser have accepted it."""
    root = ElementTree.fromstring(path.read_bytes())
    jenkins.check(root)
    assert junitparser.JUnitXml.fromfile(str(path)).tests == len(list(root.iter("testcase")))
    return root


# -- GitHub -----------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_github_job(server: Served, run: Run, tmp_path: Path) -> None:
    """A wrong solution in a job: a group, annotations at the file's own lines, a summary, the file, exit 1."""
    repository = tmp_path / "repository"
    (repository / "solutions").mkdir(parents=True)
    (repository / "solutions" / "bad.py").write_text((SOLUTIONS / "failing.py").read_text())
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    done = run(
        *("submit", "bad.py", "--problem", "leader-election", "--junit-xml", "r.xml", "--server", server.url),
        cwd=repository / "solutions",
        env={
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(repository),
        },
    )
    assert done.returncode == 1, done
    commands = [line for line in done.stdout.splitlines() if line.lstrip().startswith("::")]
    assert [line.split("::")[1].split(" ")[0] for line in commands] == ["group", "endgroup", "error", "error"]
    source = (SOLUTIONS / "failing.py").read_text().splitlines()
    for line in commands[2:]:
        found = re.match(
            r"::error file=solutions/bad\.py,line=(\d+),title=(One Leader per Term|Split Vote)%3A WA::", line
        )
        assert found is not None, line
        assert "vote" in source[int(found[1]) - 1]
    text = summary.read_text()
    assert text.startswith("# before\n### ✗ leader-election · python #1: failed\n")
    assert "| ✗ failed | Split Vote |" in text
    root = results(repository / "solutions" / "r.xml")
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("10", "2", "0")


@pytest.mark.thorough(measured=True)
async def test_github_job_with_hostile_server(command: Commands, tmp_path: Path) -> None:
    """Workflow commands in errors, log and warnings of the server are not executed."""
    evil = "::error::pwned ##[error]pwned"
    github = {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    refusal = Rest(first=lambda request: Answer(404, {"detail": evil}) if "submissions" in request.path else None)
    async with scripted(closing(4500, evil), rest=Rest()) as server:
        watched = await command("watch", "1", "--server", server.url, env=github)
    async with scripted(finish, rest=refusal) as server:
        refused = await command("status", "1", "--server", server.url, env=github)
        told = await command("status", "1", "--json", "--server", server.url, env=github)
    for done in (watched, refused):
        assert done.code in (5, 6), done
        lines = [line for line in (done.out + done.err).splitlines() if re.match(r"\s*::|.*##\[", line)]
        assert all(re.match(r"::(group|endgroup|error title=no verdict)", line) for line in lines), lines
        assert not [line for line in lines if "##[" in line.replace("::error title=no verdict", "")] or done is watched
    assert "pwned" in refused.err
    assert "##[" not in told.out
    assert "##[error]pwned" in json.loads(told.out)["error"]["message"]


# -- JUnit XML, whatever happens --------------------------------------------------------------------


@pytest.mark.thorough
async def test_junit_without_verdict(command: Commands) -> None:
    """Timeout, refusal, no server, usage error, Ctrl-C: the file says so; the exit code is unchanged."""
    (command.cwd / "node.py").write_text("pass")
    submit = ("submit", "node.py", "--problem", "7", "--junit-xml", "deep/r.xml", "-q")

    async def error_of(*words: str, code: int) -> str:
        (command.cwd / "deep" / "r.xml").unlink(missing_ok=True)
        done = await command(*words)
        assert done.code == code, done
        root = results(command.cwd / "deep" / "r.xml")
        assert int(root.get("errors", "0")) == 1
        (error,) = root.iter("error")
        return f"{error.get('type')}: {error.get('message')}"

    async with scripted(some(3, staying), rest=Rest()) as server:
        at = ("--server", server.url)
        assert (await error_of(*submit, "--timeout", "1", *at, code=7)).startswith("timeout: No verdict within 1 s.")
    async with scripted(refusing(401), rest=Rest()) as server:
        told = await error_of("watch", "1", "--junit-xml", "deep/r.xml", "--server", server.url, code=4)
        assert told.startswith("auth: ")
    assert (await error_of(*submit, "--server", "http://127.0.0.1:9", code=6)).startswith("network: ")
    assert (await error_of("submit", "nope.py", *submit[2:], code=2)).startswith("usage: There is no file nope.py")
    assert (await error_of("submit", "node.py", *submit[4:], code=2)).startswith("usage: No problem given")


@pytest.mark.thorough
async def test_junit_when_interrupted(command: Commands) -> None:
    """Ctrl-C and SIGTERM during judging: the results so far, and the error."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        async with scripted(some(3, staying), rest=Rest()) as server:
            process = await command.start("watch", "1", "--junit-xml", "r.xml", "--server", server.url)
            assert process.stdout is not None
            while b"One" not in await process.stdout.readline():
                pass
            process.send_signal(number)
            out, err = await process.communicate()
            command.printed += [out.decode(), err.decode()]
        assert process.returncode == code
        assert not is_running(process.pid)
        root = results(command.cwd / "r.xml")
        assert [case.get("name") for case in root.iter("testcase")] == ["One", "verdict"]
        assert root.get("errors") == "1"


async def test_unwritable_junit_file(command: Commands) -> None:
    """Detected before anything is submitted, and not checked if there will be no results."""
    (command.cwd / "node.py").write_text("pass")
    words = ("submit", "node.py", "--problem", "7")
    async with scripted(finish, rest=Rest()) as server:
        done = await command(*words, "--junit-xml", str(command.cwd), "--server", server.url)
        assert (done.code, "directory" in done.err) == (2, True)
        done = await command(*words, "--junit-xml", "r.xml", "--no-watch", "--server", server.url)
        assert (done.code, "--no-watch" in done.err) == (2, True)
        assert server.requests == []


async def test_json_and_junit_together(command: Commands) -> None:
    """The NDJSON on stdout is the same as without the file."""
    async with scripted(finish, rest=Rest()) as server:
        done = await command("watch", "1", "--json", "--junit-xml", "r.xml", "--server", server.url)
    assert (done.code, done.seqs) == (0, [1, 2, 3, 4, 5, 6])
    assert results(command.cwd / "r.xml").get("tests") == "2"


# -- docs/ci.md -------------------------------------------------------------------------------------


def test_yaml_examples() -> None:
    """All are valid YAML with the keys of their system; secrets appear in no command; inputs are those that exist."""
    with_action, github, with_component, gitlab = (yaml.safe_load(block) for block in blocks("yaml"))
    root = Path(__file__).parents[2]
    step = with_action["jobs"]["judge"]["steps"][1]
    assert step["with"].keys() <= yaml.safe_load((root / "action.yml").read_text())["inputs"].keys()
    inputs = next(yaml.safe_load_all((root / "templates" / "subcli.yml").read_text()))["spec"]["inputs"]
    assert with_component["include"][0]["inputs"].keys() <= inputs.keys()
    # YAML 1.1 reads `on` as true.
    assert {"name", True, "jobs"} == set(github)
    assert all("uses" in step or "run" in step for step in github["jobs"]["judge"]["steps"])
    assert gitlab["judge"]["artifacts"] == {"when": "always", "reports": {"junit": "results.xml"}}
    assert gitlab["judge"]["retry"]["exit_codes"] == [6, 7, 8]


def scripts() -> list[str]:
    """Every shell part of docs/ci.md: the blocks, and the lines of the two examples that call the program."""
    _, github, _, gitlab = (yaml.safe_load(block) for block in blocks("yaml"))
    steps = [step["run"] for step in github["jobs"]["judge"]["steps"] if "run" in step]
    return [*blocks("sh"), *steps, *gitlab["judge"]["before_script"], *gitlab["judge"]["script"]]


def judging(final_status: str) -> Script:
    """A server that judges at once."""

    async def judge(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*short_log(final_status))
        await wire.close(1000)

    return judge


def place_of(path: Path) -> Path:
    """A directory with code to submit."""
    path.mkdir()
    (path / "node.py").write_text("pass")
    return path


@pytest.mark.thorough
async def test_every_shell_part_runs(command: Commands, tmp_path: Path) -> None:
    """Each shell part of docs/ci.md does what is said, where the verdict is passed and where it is not.

    Only `pip install` is another one: a test does not install anything.
    """
    needs("sh", shutil.which("sh"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "subcli": f'#!/bin/sh\nexec {sys.executable} -m subcli "$@"\n',
        "python3": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        "pip": '#!/bin/sh\n[ "$*" = "install subcli-watch" ]\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)

    async def run(script: str, url: str, place: Path) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-e", "-c", script),
            cwd=place,
            env={
                **command.env,
                "HOME": str(place),
                "PATH": f"{programs}:{command.env['PATH']}",
                "SUBCLI_SERVER": url,
                "CI": "true",
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        command.printed.append(out.decode())
        return process.returncode, out.decode()

    for final_status, code in (("passed", 0), ("failed", 1)):
        async with scripted(judging(final_status), rest=Rest()) as server:
            places = [place_of(tmp_path / f"{final_status}-{index}") for index in range(len(scripts()))]
            runs = [run(script, server.url, place) for script, place in zip(scripts(), places, strict=True)]
            done = await asyncio.gather(*runs)
        for script, place, (returned, out) in zip(scripts(), places, done, strict=True):
            # In a pipe the last command decides.
            judged = "subcli submit" in script and "|\n" not in script
            assert returned == (code if judged else 0), (script, out)
            if "--junit-xml" in script:
                assert (results(place / "results.xml").get("failures") == "0") == (code == 0)
            if "-q)" in script and "case" in script:
                assert out == ("all tests passed\n" if code == 0 else "not passed: failed\n")
            if "--json" in script:
                assert out.splitlines() == ["passed One", f"{final_status} Two"]


def test_exit_codes_in_documentation() -> None:
    """The table has the exit codes of the program."""
    from subcli.cli import exits

    told = {int(code) for cell in re.findall(r"^\| ([0-9, ]+) \|", DOCS, re.M) for code in cell.split(",")}
    assert told == {*exits.WATCHING, 143}


def test_options_in_documentation_exist(run: Run) -> None:
    """Each option in docs/ci.md is one of the program's."""
    helped = "".join(run(*words, "--help").stdout for words in (["submit"], ["watch"], ["doctor"]))
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "".join(scripts())))
    assert options <= set(re.findall(r"--[a-z-]+", helped))


def test_certificates_that_every_python_accepts(tmp_path: Path) -> None:
    """The commands for somebody's own CA make certificates that follow RFC 5280, from the keys that are there."""
    needs("openssl", shutil.which("openssl"))
    key = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out"
    request = "openssl req -new -key server.key -subj /CN=judge.example -out server.csr"
    check = "openssl verify -x509_strict -CAfile ca.pem server.pem"
    (made,) = blocks("bash")
    script = "\n".join([f"{key} ca.key", f"{key} server.key", request, made, check])
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("server.pem: OK\n")
