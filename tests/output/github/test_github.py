"""The GitHub view: group, annotations and summary, and no way for a server to inject commands."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.core.errors import NetworkError
from subcli.output.github.annotations import ANNOTATIONS_MAX, Locate, command, locator
from subcli.output.github.summary import SUMMARY_MAX_BYTES, escaped
from subcli.output.github.view import GithubView
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from subcli.output.workflow_commands import CommandSafeStream, on_github, protect_streams
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage

RUNNER = re.compile(r"\s*::([^ :]+)( [^:]*)?::|.*##\[")
"""What the runner takes for a command, at the start of a line or within it."""

HOSTILE = [
    "::error::pwned",
    "  ::set-output name=x::y",
    "##[error]pwned",
    "text ##[add-mask]x",
    "\n::stop-commands::x",
    "%0A::warning::x",
    "a\r::debug::x",
    "::add-path::/tmp",
    "###[group]",
    "\u2028::error::x",
    "| cell | `code` <script>alert(1)</script> [x](http://evil) *bold* </pre>\n\n# heading",
]


class Job:
    """A job with its log and its summary."""

    def __init__(self, tmp_path: Path, locate: Locate = lambda name: f"src/{name}") -> None:
        self.raw = io.BytesIO()
        self.summary = tmp_path / "summary.md"
        self.outputs = tmp_path / "outputs"
        self.stdout = CommandSafeStream(self.raw, json=False, encoding="utf-8")
        self.err = io.StringIO()
        console = make_console(self.stdout, {"COLUMNS": "120"})
        clock = Clock()
        plain = PlainView(console, make_console(self.err, {}), clock)
        self.view = GithubView(plain, self.stdout, self.summary, locate, self.err, self.outputs)
        self.stage = Stage(self.view, clock)

    @property
    def lines(self) -> list[str]:
        """The lines of the log, as the runner splits them."""
        self.stdout.flush()
        return re.split(r"\r\n|\r|\n", self.raw.getvalue().decode())

    @property
    def commands(self) -> list[str]:
        """The workflow commands in the log."""
        return [line for line in self.lines if RUNNER.match(line)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A new job."""
    return Job(tmp_path)


def test_group_annotations_and_summary(job: Job) -> None:
    """One group with the verdict below it, an error for each failed test at its place, a table in the summary."""
    SCENES["failed-end"](job.stage)
    job.view.close()
    names = [line.split("::")[1].split(" ")[0] for line in job.commands]
    assert names == ["group", "endgroup", "error", "error"]
    lines = job.lines
    group = lines[lines.index("::group::subcli #12") : lines.index("::endgroup::")]
    assert any("Leader Election" in line for line in group)
    assert lines[lines.index("::endgroup::") + 1].startswith("verdict: failed, 8 passed, 2 failed")
    assert job.commands[2].startswith("::error file=src/node.py,line=48,title=No two leaders in one term::two leaders")
    text = job.summary.read_text()
    assert "### ✗ leader-election · python #12: failed" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + 10
    assert "<details><summary>No two leaders in one term, node.py:48</summary>" in text


def test_summary_says_what_has_changed(job: Job) -> None:
    """Below the counts, if the server has compared."""
    SCENES["same-cause-end"](job.stage)
    job.view.close()
    changed = "Since \\#11: 2 newly passing, 1 newly failing, Split vote 3 × slower"
    assert changed in job.summary.read_text().splitlines()


@pytest.mark.parametrize(
    "scene", ["failed-end", "points-end", "contest-end", "six-end", "lost-end", "build-failed-end"]
)
def test_approved_job(approved: Callable[[str, str], None], job: Job, scene: str) -> None:
    """The annotations below the log, then the job's summary."""
    SCENES[scene](job.stage)
    job.view.close()
    lines = job.lines
    below = "\n".join(lines[lines.index("::endgroup::") :])
    approved(f"github-{scene}", f"{below}--- summary\n{job.summary.read_text()}")


def test_outcomes_and_points_are_annotated_and_summarized(job: Job) -> None:
    """The label in the title, time, memory and points below the reason; a table of groups before that of tests."""
    SCENES["points-end"](job.stage)
    job.view.close()
    assert job.commands[4] == (
        "::error title=secret/large/01%3A TLE::used more than 2 s of processor time%0A2.84 s, cpu 2.00 s, 128 MB, 0/20"
    )
    assert "%0A- 8 17%0A+ 8 18%0A    ^^%0A  21 4%0Ainput%0A" in job.commands[2]
    lines = job.summary.read_text().splitlines()
    assert lines[2] == "40/100 points (60 needed), 4 passed, 3 failed, 1 skipped in 9.4 s"
    assert lines[4:11] == [
        "| | group | passed | points |",
        "|---|---|--:|--:|",
        "| ✓ passed | sample | 2/2 | |",
        "| ✗ failed | secret | 2/6 | 40/100 |",
        "| ✓ passed | secret/small | 2/2 | 40/40 |",
        "| ✗ failed | secret/medium | 0/2 | 0/20 |",
        "| ✗ failed | secret/large | 0/2 | 0/40 |",
    ]
    assert lines[12] == "| | test | time | memory | points | why |"
    assert lines[16] == "| ✓ passed | secret/small/01 | 31 ms | 12 MB | 20/20 | |"
    assert lines[20].endswith("| 2.84 s | 128 MB | 0/20 | TLE: used more than 2 s of processor time |")


def test_at_most_ten_annotations(job: Job) -> None:
    """GitHub shows ten per step, so no more are printed; the summary lists all failures, and its size is bounded."""
    SCENES["thousands-end"](job.stage)
    job.view.close()
    assert len([line for line in job.commands if line.startswith("::error")]) == ANNOTATIONS_MAX
    text = job.summary.read_text()
    assert len(text.encode()) <= SUMMARY_MAX_BYTES + 200
    assert "case 0400" in text
    assert "more tests" in text


def test_annotation_does_not_repeat_itself(job: Job) -> None:
    """An analysis that begins with the test's message does not repeat it."""
    job.stage.begin()
    job.stage.result("Two", "failed", 1, message="two leaders")
    job.stage.send("error_analysis", test_name="Two", error="two leaders", analysis="Both lead.", suggestions=["Look."])
    job.stage.complete("failed")
    job.view.close()
    assert job.commands[2] == "::error title=Two::two leaders%0ABoth lead.%0A- Look."


def test_several_submissions_in_one_group(job: Job) -> None:
    """One group for all, a section for each, and an annotation for a missing verdict."""
    SCENES["six-end"](job.stage)
    job.view.close()
    assert job.lines[0] == "::group::subcli #12 #13 #14 #15 #16 #17"
    assert job.summary.read_text().count("### ") == 6
    assert [line for line in job.commands if "title=no verdict of gossip #16" in line]


def test_group_is_opened_once(job: Job) -> None:
    """Events after the last verdict, as of a late analysis, do not open another group."""
    SCENES["passed-end"](job.stage)
    job.stage.send("error_analysis", error="late", analysis="", suggestions=[])
    job.view.close()
    assert [line.split("::")[1].split(" ")[0] for line in job.commands] == ["group", "endgroup"]


def test_passed_submission_has_no_annotation(job: Job) -> None:
    """An annotation would look like a failure."""
    SCENES["passed-end"](job.stage)
    job.view.close()
    assert not [line for line in job.commands if line.startswith("::error")]


def test_failed_build_is_annotated_at_its_place(job: Job) -> None:
    """A verdict without failed tests becomes one annotation, with what the analyses say."""
    SCENES["build-failed-end"](job.stage)
    job.view.close()
    (error,) = [line for line in job.commands if line.startswith("::error")]
    assert error.startswith(
        "::error file=src/node.c,line=7,title=build failed::leader-election #12: build_failed%0Anode.c"
    )
    assert "- Put a semicolon at the end of line 6." in error


def test_annotation_outside_the_repository_has_no_line(tmp_path: Path) -> None:
    """A line number without its file would point anywhere; long texts are cut."""
    job = Job(tmp_path, locate=lambda name: None)
    job.stage.begin()
    job.stage.result("x", "failed", message="m" * 5000)
    job.stage.send("error_analysis", test_name="x", error="e", analysis="", location={"file": "x.py", "line": 3})
    job.stage.complete("failed")
    job.view.close()
    (error,) = [line for line in job.commands if line.startswith("::error")]
    assert error.startswith("::error title=x::mmm")
    assert error.endswith("m…")
    assert len(error) < 1600


def test_summary_lists_each_test_once(job: Job) -> None:
    """Failures come first, and are not repeated among the latest results."""
    SCENES["thousands-end"](job.stage)
    job.view.close()
    names = re.findall(r"^\| . \w+ \| (case \d+) ", job.summary.read_text(), re.MULTILINE)
    assert len(names) == len(set(names)) > 50
    assert "case 0400" in names


def test_error_in_the_summary_is_escaped(job: Job) -> None:
    """The message may contain text from a server."""
    job.stage.begin()
    job.stage.fail(NetworkError("<b>no</b> | *answer*", hint="[x](http://evil)"), 6)
    job.view.close()
    assert r"\<b\>no\</b\> \| \*answer\* \[x\]\(http\://evil\)" in job.summary.read_text()


def test_outputs_of_a_step(job: Job) -> None:
    """The runner reads `name=value` lines; what was there stays; without a verdict, the word is none."""
    job.outputs.write_text("before=1\n")
    job.view.submitted(12, {"url": "https://judge.example/submissions/12"})
    job.stage.begin()
    job.stage.fail(NetworkError("gone"), 6)
    job.view.close()
    url = "https://judge.example/submissions/12"
    assert job.outputs.read_text() == f"before=1\nsubmission-id=12\nverdict=none\nurl={url}\n"


def test_no_outputs_without_a_submission(job: Job) -> None:
    """A refused submission has no id."""
    job.view.close()
    assert not job.outputs.exists()


def test_outputs_that_cannot_be_written(job: Job) -> None:
    """A warning, and the verdict all the same."""
    job.outputs.mkdir()
    job.stage.begin()
    job.stage.complete("passed")
    job.view.close()
    assert job.err.getvalue() == "warning: the step's outputs cannot be written: Is a directory\n"


@pytest.mark.parametrize("evil", HOSTILE)
def test_server_cannot_set_other_outputs(job: Job, evil: str) -> None:
    """Three lines with our names, whatever a server sends."""
    job.view.submitted(12, {"url": f"x\nname={evil}"})
    job.stage.begin()
    job.stage.complete(evil)
    job.view.close()
    lines = job.outputs.read_text().splitlines()
    assert [line.partition("=")[0] for line in lines] == ["submission-id", "verdict", "url"]


@pytest.mark.parametrize("json", [False, True])
def test_own_streams_are_protected(json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both streams are replaced, in JSON mode only stdout holds JSON; what a test has put there stays."""
    raw = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, buffer in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8"))
    protect_streams(json=json)
    for name in raw:
        stream = getattr(sys, name)
        stream.write("##[x]\n")
        stream.flush()
    assert raw["stdout"].getvalue() == (b"#\\u0023[x]\n" if json else b"#\\#[x]\n")
    assert raw["stderr"].getvalue() == b"#\\#[x]\n"
    other = io.StringIO()
    monkeypatch.setattr(sys, "stdout", other)
    protect_streams(json=json)
    assert sys.stdout is other


def test_job_is_recognized() -> None:
    """Only the documented value counts."""
    assert on_github({"GITHUB_ACTIONS": "true"})
    assert not on_github({"GITHUB_ACTIONS": "false"})
    assert not on_github({})


@pytest.mark.parametrize("evil", HOSTILE)
def test_server_cannot_inject_commands(job: Job, evil: str) -> None:
    """Whatever a server sends in whichever field, the runner sees our commands only, each on its own line."""
    stage = job.stage
    job.view.submitted(12, {"url": evil})
    stage.begin(problem=evil, language=evil)
    stage.status(evil, detail=evil, total_tests=2)
    stage.result(evil, "failed", 1, message=evil, expected=evil, actual=evil, output=f"{evil}\n{evil}")
    stage.send(
        "error_analysis",
        test_name=evil,
        error=evil,
        analysis=f"{evil}\n{evil}",
        suggestions=[evil],
        location={"file": evil, "line": 1},
        category=evil,
    )
    stage.complete(evil or "failed")
    job.view.close()
    assert [line.split("::")[1].split(" ")[0] for line in job.commands] == ["group", "endgroup", "error"]
    properties = job.commands[2].removeprefix("::error ").split("::")[0]
    assert set(re.findall(r"(?:^|,)(\w+)=", properties)) == {"file", "line", "title"}
    text = job.summary.read_text()
    assert "<script" not in text.replace("\\<script", "")
    rows = [line for line in text.split("<details>")[0].splitlines() if line.startswith("| ")]
    assert len(rows) == 2
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60), st.lists(st.integers(1, 7), max_size=8))
def test_no_split_of_a_text_makes_a_command(text: str, cuts: list[int]) -> None:
    """However writes and flushes split a text, no line becomes a command; harmless text is unchanged."""
    for start in ("", "::", "##[", " :", "\n::x::"):
        raw = io.BytesIO()
        stream = CommandSafeStream(raw, json=False, encoding="utf-8", errors="backslashreplace", newline="")
        whole = start + text
        rest = whole
        for cut in cuts:
            stream.write(rest[:cut])
            rest = rest[cut:]
            if cut % 2:
                stream.flush()
        stream.write(rest)
        stream.flush()
        written = raw.getvalue().decode()
        assert not [line for line in re.split(r"\r\n|\r|\n", written) if RUNNER.match(line)]
        if not re.search(r"#|:", whole):
            assert written == whole.encode(errors="backslashreplace").decode()


def test_json_stays_valid() -> None:
    """In JSON, only `##[` is escaped, and every JSON parser restores it."""
    raw = io.BytesIO()
    stream = CommandSafeStream(raw, json=True, encoding="utf-8")
    stream.write('{"message":"##[error]x ::error::"}\n')
    stream.flush()
    assert raw.getvalue() == b'{"message":"#\\u0023[error]x ::error::"}\n'


def test_escaping_of_commands() -> None:
    """Percent signs, line ends, and in properties colons and commas are escaped (Workflow commands, "Escaping")."""
    assert command("error", "50 %\nx:y,z", title="a,b:c\nd") == "::error title=a%2Cb%3Ac%0Ad::50 %25%0Ax:y,z"
    assert command("endgroup", "") == "::endgroup::"
    assert escaped("a|b *c* _d_ `e` <f> [g](h) #i @j") == (r"a\|b \*c\* \_d\_ \`e\` \<f\> \[g\]\(h\) \#i \@j")
    assert escaped("http://evil www.evil WWW.evil a.b") == r"http\://evil www\.evil WWW\.evil a.b"


def test_files_are_found_in_the_repository(tmp_path: Path) -> None:
    """Paths are relative to the repository's root, whatever directory the command runs in."""
    here = tmp_path / "repo" / "solutions"
    here.mkdir(parents=True)
    env = {"GITHUB_WORKSPACE": str(tmp_path / "repo")}
    assert locator(lambda name: name, here, env)("node.py") == "solutions/node.py"
    assert locator(lambda name: f"../{name}", here, env)("node.py") == "node.py"
    assert locator(lambda name: "/etc/passwd", here, env)("node.py") == "/etc/passwd"
    assert locator(lambda name: None, here, env)("node.py") is None
    assert locator(lambda name: name, here, {})("node.py") == "node.py"


def test_full_or_unwritable_summary(job: Job, tmp_path: Path) -> None:
    """Nothing is appended beyond GitHub's limit; a summary that cannot be written causes a warning only."""
    job.summary.write_bytes(b"x" * (1024 * 1024 - 10))
    SCENES["passed-end"](job.stage)
    job.view.close()
    assert job.summary.stat().st_size == 1024 * 1024 - 10
    other = Job(tmp_path)
    other.summary.unlink()
    other.summary.mkdir()
    SCENES["passed-end"](other.stage)
    other.view.close()
    assert "summary cannot be written" in other.err.getvalue()
