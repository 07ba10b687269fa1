"""TAP 14: the parser on its own, then a command that prints it."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest

from subcli.judge import Job, judge
from subcli.judge.supervise.tap_parser import BailOut, Parser, Plan, Point
from subcli.judge.supervise.tap_yaml import parse_yaml
from tests.judge.judging import Event, Judged, MakeProblem, Run

SHELL = '[languages.sh]\nsource = "a.sh"\nrun = ["sh", "{source}"]\n'
RUNNER = 'runner = "tap"\ncommand = ["{python}", "run.py"]'


def parse(text: str) -> list[Plan | BailOut | Point]:
    parser = Parser()
    items = [item for line in text.splitlines() for item in parser.feed(line)]
    return items + parser.finish()


def points(text: str) -> list[Point]:
    return [item for item in parse(text) if isinstance(item, Point)]


def test_example_of_the_specification() -> None:
    """Plan, numbers, descriptions, a failure with its YAML, a TODO."""
    items = parse("""TAP version 14
1..4
ok 1 - Input file opened
not ok 2 - First line of the input valid
  ---
  message: 'First line invalid'
  severity: fail
  data:
    got: 'Flirble'
    expect: 'Fnible'
  ...
ok 3 - Read the rest of the file
not ok 4 - Summarized correctly # TODO Not written yet
  ---
  message: "Can't make summary yet"
  severity: todo
  ...
""")
    assert items[0] == Plan(4)
    found = [item for item in items if isinstance(item, Point)]
    assert len(found) == len(items) - 1
    assert [(point.number, point.status, point.description) for point in found] == [
        (1, "passed", "Input file opened"),
        (2, "failed", "First line of the input valid"),
        (3, "passed", "Read the rest of the file"),
        (4, "skipped", "Summarized correctly"),
    ]
    assert found[1].data["message"] == "First line invalid"
    assert found[1].data["data"] == {"got": "Flirble", "expect": "Fnible"}
    assert (found[3].directive, found[3].reason) == ("todo", "Not written yet")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ok", (1, True, "", "", "")),
        ("ok 7", (7, True, "", "", "")),
        ("not ok", (1, False, "", "", "")),
        ("ok - no number", (1, True, "no number", "", "")),
        ("ok 1 no dash", (1, True, "no dash", "", "")),
        ("ok 1 - a - b", (1, True, "a - b", "", "")),
        ("ok 1 - x # SKIP no disk", (1, True, "x", "skip", "no disk")),
        ("ok 1 - x # skipped: no disk", (1, True, "x", "skip", "no disk")),
        ("ok # SKIP", (1, True, "", "skip", "")),
        ("not ok 1 - x # todo", (1, False, "x", "todo", "")),
        ("ok 1 - x \\# SKIP it is not", (1, True, "x # SKIP it is not", "", "")),
        ("ok 1 - back\\\\slash # TODO one \\# two", (1, True, "back\\slash", "todo", "one # two")),
        ("ok 1 - number#5 # of six", (1, True, "number#5 # of six", "", "")),
        ("ok 99999999999999", (1, True, "", "", "")),
    ],
)
def test_parts_of_a_test_point(line: str, expected: tuple[int, bool, str, str, str]) -> None:
    """Everything but `ok` is optional; a hash may be escaped."""
    (point,) = points(line)
    assert (point.number, point.ok, point.description, point.directive, point.reason) == expected


@pytest.mark.parametrize("line", ["okay 1", "notok 1", "oklahoma", "  ok 1", "not  ok", "OK 1"])
def test_lines_that_only_look_like_a_test_point(line: str) -> None:
    """They are output, not results."""
    assert points(line) == []


def test_plan_may_come_last() -> None:
    """Then the missing tests are known."""
    parser = Parser()
    for line in ("ok 1", "ok 2", "1..3"):
        parser.feed(line)
    assert parser.plan == Plan(3)
    assert parser.missing == 1


def test_plan_without_tests_skips_all() -> None:
    """With the reason, in every notation."""
    assert parse("1..0 # SKIP no compiler") == [Plan(0, "no compiler")]
    assert parse("1..0 # skipped: no compiler") == [Plan(0, "no compiler")]


def test_bail_out_ends_everything() -> None:
    """Nothing after it counts, even if a subtest bails out."""
    assert parse("ok 1\nBail out! no disk\nok 2\n")[1:] == [BailOut("no disk")]
    assert BailOut("deep") in parse("    ok 1\n    Bail out! deep\nok 1\n")


def test_point_is_held_until_the_next_line_or_a_flush() -> None:
    """Its diagnostics may follow. A reader that has waited long enough takes it without them."""
    parser = Parser()
    assert parser.feed("not ok 1 - x") == []
    assert parser.holds_failure
    (first,) = parser.flush()
    assert isinstance(first, Point)
    assert first.number == 1
    assert parser.flush() == []
    assert parser.feed("ok 2") == []
    assert parser.feed("  ---") == []
    assert parser.flush() == [], "a block that has begun is waited for"
    assert parser.feed("  a: 1") == []
    (second,) = parser.feed("  ...")
    assert isinstance(second, Point)
    assert second.data == {"a": 1}


def test_yaml_block_that_is_never_closed() -> None:
    """The next unindented line closes it, and so does the end of the stream."""
    found = points("not ok 1\n  ---\n  a: 1\nok 2\nnot ok 3\n  ---\n  b: 2\n")
    assert [dict(point.data) for point in found] == [{"a": 1}, {}, {"b": 2}]


def test_subtests_belong_to_the_point_after_them() -> None:
    """Nested twice, with or without a comment as the name; their failures are known."""
    (outer, after) = points("""# Subtest: outer
    # Subtest: inner
        ok 1 - deep
        not ok 2 - deeper
          ---
          at: here
          ...
        1..2
    not ok 1 - inner
    1..1
not ok 1 - outer
ok 2 - after
""")
    (inner,) = outer.children
    assert [(child.description, child.ok) for child in inner.children] == [("deep", True), ("deeper", False)]
    assert inner.children[1].data == {"at": "here"}
    assert after.children == ()


def test_comments_and_other_lines_are_output_of_the_next_point() -> None:
    """They are bounded, and lines that only name a subtest are left out."""
    (point,) = points("# a comment\nsomething else\npragma +strict\n# Subtest: x\nok 1\n")
    assert point.output == "a comment\nsomething else"
    (point,) = points("x" * 5_000 + "\n" + "y" * 5_000 + "\nok 1\n")
    assert len(point.output) == 5_000


def test_parser_never_raises() -> None:
    """Deep nesting, incomplete lines, control characters."""
    for text in ("    " * 50 + "ok 1", "  ---\n  ...", "1..", "1..x", "ok 1 # SKIP" * 40, "\0\x1b[2J", "  ...\n" * 3):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "a: 1\nb: -2.5\nc: true\nd: null\ne: ~\nf: text # no",
            {"a": 1, "b": -2.5, "c": True, "d": None, "e": None, "f": "text"},
        ),
        ("a: \"x\\ny\"\nb: 'it''s'", {"a": "x\ny", "b": "it's"}),
        ("a:\n  b:\n    c: 1\n  d: 2", {"a": {"b": {"c": 1}, "d": 2}}),
        ("a:\n  - 1\n  - two\nb:\n- 3", {"a": [1, "two"], "b": [3]}),
        ("a:\n  - x: 1\n    y: 2\n  - x: 3", {"a": [{"x": 1, "y": 2}, {"x": 3}]}),
        ("a: |-\n  one\n    two\n\n  three\nb: >-\n  one\n  two", {"a": "one\n  two\n\nthree", "b": "one two"}),
        ("a: [1, two, [3.5]]\nb: {c: d}", {"a": [1, "two", [3.5]], "b": {"c": "d"}}),
        ("a: http://x:80/y", {"a": "http://x:80/y"}),
        ("with blank: 1\n'quoted': 2\n3: 4", {"with blank": 1, "quoted": 2, "3": 4}),
        ("# only a comment\na: 1\n\n", {"a": 1}),
        ("a:\nb: 1", {"a": None, "b": 1}),
        ("", {}),
        ("just words", {"message": "just words"}),
        ("a: 1\n  stray\nb", {"message": "a: 1\n  stray\nb"}),
        ("a: one: two", {"message": "a: one: two"}),
        ("- 1\n- 2", {"message": "- 1\n- 2"}),
    ],
)
def test_yaml_diagnostics(text: str, value: dict[str, object]) -> None:
    """Mappings, sequences, flow collections and blocks; anything that is not a mapping is kept as text."""
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    "scalar", ["no", "On", "007", "0x1f", "1_000", "12:30", "2024-01-31", "1e5", ".inf", "<<", "="]
)
def test_yaml_scalars_are_those_of_yaml_1_2(scalar: str) -> None:
    """What a test printed is shown as it was printed: PyYAML's own loader would make a date of 2024-01-31."""
    assert parse_yaml(f"a: {scalar}") == {"a": scalar}


def test_yaml_with_control_characters_keeps_its_structure() -> None:
    """A colour in a quoted message stays one; YAML alone would refuse the whole block."""
    assert parse_yaml('a: "\x1b[31mred"\nb: 1') == {"a": "\x1b[31mred", "b": 1}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &x [1]\nb: *x", id="alias"),
        pytest.param("a: &x [1]\nb: {<<: *x}", id="merged alias"),
        pytest.param("a: !!python/object/apply:os.system ['true']", id="Python object"),
        pytest.param("a: !!binary aGk=", id="bytes"),
        pytest.param("a: !!timestamp 2024-01-31", id="date"),
        pytest.param("a: !!str 1", id="harmless tag"),
        pytest.param("a: " + "[" * 40 + "]" * 40, id="deep flow"),
        pytest.param("a: " + "[" * 40_000, id="very deep flow"),
        pytest.param("\n".join(" " * depth + "a:" for depth in range(100)), id="deep block"),
        pytest.param("a: 1\nb: " + "x" * 131_072, id="too long"),
        pytest.param("? [a]\n: 1", id="key that is a list"),
        pytest.param('a: "\\UFFFFFFFF"', id="impossible character"),
        pytest.param("a: 1\n--- \nb: 2", id="two documents"),
    ],
)
def test_yaml_that_is_refused_is_kept_as_text(text: str) -> None:
    """Aliases, tags, absurd depth or length: nothing is built from them."""
    assert parse_yaml(text) == {"message": text}


def test_yaml_block_is_bounded_while_it_is_collected() -> None:
    """A block that never ends costs bounded memory, and the points after it are read."""
    (point, after) = points("not ok 1\n  ---\n" + ("  a: " + "x" * 1_000 + "\n") * 1_000 + "  ...\nok 2\n")
    assert len(str(point.data["message"])) < 140_000
    assert after.number == 2


async def test_results_are_streamed_as_they_are_printed(tiny: MakeProblem, tmp_path: Path) -> None:
    """Each result is reported before the next one is printed; passed, skipped and TODO tests."""
    tests = f"""
import os, time
print("TAP version 14\\n1..4", flush=True)
lines = ("ok 1 - one", "ok 2 - two # SKIP later", "not ok 3 - three # TODO soon", "ok 4 - four")
for number, line in enumerate(lines):
    print(line, flush=True)
    while not os.path.exists({str(tmp_path / "seen-")!r} + str(number)):
        time.sleep(0.01)
"""
    problem = tiny(tests, language=SHELL, runner=RUNNER)
    seen: list[Event] = []
    async with aclosing(judge(Job(problem, "sh", {"a.sh": "true"}))) as judging:
        async for event in judging:
            seen.append(event)
            if event["type"] == "test_result":
                number = sum(each["type"] == "test_result" for each in seen) - 1
                await asyncio.to_thread((tmp_path / f"seen-{number}").touch)
    judged = Judged(seen, [])
    assert judged.verdict == "passed"
    assert [event["status"] for event in judged.of("test_result")] == ["passed", "skipped", "skipped", "passed"]
    assert judged.of("test_result")[1]["message"] == "later"
    assert judged.events[1]["total_tests"] == 4
    assert judged.events[-1]["summary"]["skipped"] == 2


async def test_diagnostics_become_fields_of_the_result(run: Run, tiny: MakeProblem) -> None:
    """Expected, actual, message, output, duration and place, by the names that TAP producers use."""
    tests = """
print('''TAP version 14
# about to fail
not ok 1 - sum
  ---
  message: "the sum is wrong"
  wanted: 4
  found: 5
  at:
    file: a.sh
    line: 2
  duration_ms: 17.4
  stderr: "hm"
  ...
not ok 2 - crash
  ---
  exit: -11
  ...
not ok 3 - rule
  ---
  analysis: "Because."
  suggestions:
    - do this
    - do that
  ...
    not ok 1 - part
      ---
      expected: a
      actual: b
      ...
not ok 4 - parts
not ok 5 - nothing known
1..5''')
"""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "true\nfalse\n", "sh")
    first = judged.of("test_result")[0]
    assert (first["expected"], first["actual"], first["message"]) == ("4", "5", "the sum is wrong")
    assert first["duration_ms"] == 17
    assert first["output"] == "about to fail\nhm"
    analyses = judged.of("error_analysis")
    assert analyses[0]["location"] == {"file": "a.sh", "line": 2}
    assert [each["category"] for each in analyses] == [
        "wrong_answer",
        "crash",
        "protocol_violation",
        "wrong_answer",
        "unknown",
    ]
    assert analyses[2]["suggestions"] == ["do this", "do that"]
    assert judged.of("test_result")[3]["message"] == "1 of 1 parts failed: part"
    assert judged.verdict == "failed"


@pytest.mark.parametrize("duration", ["1.0e999", "-3", "true", "soon", "[]"])
async def test_impossible_duration_is_replaced_by_the_measured_one(run: Run, tiny: MakeProblem, duration: str) -> None:
    """A duration that is infinite, negative or not a number does not end the judge."""
    tests = f"print('not ok 1\\n  ---\\n  duration_ms: {duration}\\n  ...\\n1..1')"
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "true", "sh")
    assert judged.verdict == "failed"
    assert 0 <= judged.of("test_result")[0]["duration_ms"] < 60_000


@pytest.mark.parametrize(
    ("tests", "verdict", "said"),
    [
        ("print('1..1')\nprint('ok 1')\nprint('Bail out! no disk')", "failed", "no disk"),
        ("print('1..3')\nprint('ok 1')\nraise SystemExit(3)", "error", "2 of its tests did not run"),
        ("print('hello')", "error", "it reported no test"),
        ("raise RuntimeError('own fault')", "error", "own fault"),
        ("print('1..0 # SKIP nothing here')", "error", "no test"),
    ],
)
async def test_incomplete_run(run: Run, tiny: MakeProblem, tests: str, verdict: str, said: str) -> None:
    """Tests that bail out fail the submission; tests that break are the judge's fault."""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "true", "sh")
    assert judged.verdict == verdict
    assert said in judged.analysis["error"] + judged.analysis["analysis"]


async def test_tap_solution_runs_under_the_starter(run: Run, tiny: MakeProblem) -> None:
    """In its own directory, session and environment, with its arguments; its exit code comes through."""
    tests = """
import os, subprocess, json
done = subprocess.run([os.environ["SUBCLI_SOLUTION"], "one", "two"], capture_output=True, text=True)
print("1..1\\nnot ok 1\\n  ---\\n  message: " + json.dumps(done.stdout) + f"\\n  exit: {done.returncode}\\n  ...")
"""
    source = 'echo "$1 $2 $(ls) $HOME ${SUBCLI_SOLUTION-none} $(ps -o sid= -p $$ | tr -d " ") $$"; exit 7'
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), source, "sh")
    words = judged.of("test_result")[0]["message"].split()
    assert words[:5] == ["one", "two", "a.sh", ".", "none"]
    assert words[5] == words[6], "it leads its session"
    assert "exit code 7" in judged.analysis["analysis"]


async def test_limits_apply_to_tap(run: Run, tiny: MakeProblem) -> None:
    """A solution that hangs is killed when the test's time is up, and the command goes on."""
    tests = """
import os, subprocess
print("1..2", flush=True)
code = subprocess.run([os.environ["SUBCLI_SOLUTION"]]).returncode
print("not ok 1 - hangs", flush=True)
subprocess.Popen(["true"]).wait()
print("ok 2 - goes on", flush=True)
"""
    source = "sleep 3600"
    judged = await run(tiny(tests, limits="test_seconds = 1.5", language=SHELL, runner=RUNNER), source, "sh")
    assert [event["status"] for event in judged.of("test_result")] == ["failed", "passed"]
    assert judged.analysis["category"] == "timeout"


@pytest.mark.parametrize("where", ["", ", stderr=subprocess.STDOUT", ", stdout=subprocess.PIPE, stderr=1"])
async def test_solution_that_prints_tap_forges_nothing(run: Run, tiny: MakeProblem, where: str) -> None:
    """Its output is never read as results, even if the author let it inherit the pipe for results."""
    tests = f"""
import os, subprocess
print("1..1", flush=True)
subprocess.run([os.environ["SUBCLI_SOLUTION"]]{where})
print("not ok 1 - real", flush=True)
"""
    judged = await run(
        tiny(tests, language=SHELL, runner=RUNNER), "echo 'ok 1 - forged'; echo 'ok 2 - forged' >&2", "sh"
    )
    assert [event["test_name"] for event in judged.of("test_result")] == ["real"]
    assert judged.verdict == "failed"


async def test_helper_that_holds_the_pipe_open(run: Run, tiny: MakeProblem) -> None:
    """The run ends with the command, even if another process could still write."""
    tests = """
import subprocess
print("1..1\\nok 1", flush=True)
subprocess.Popen(["sleep", "3600"])
"""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "true", "sh")
    assert judged.verdict == "passed"


async def test_daemon_of_a_tap_solution(run: Run, tiny: MakeProblem) -> None:
    """Every test passed, but something was left running: the submission fails."""
    tests = """
import os, subprocess
subprocess.run([os.environ["SUBCLI_SOLUTION"]])
print("1..1\\nok 1 - well", flush=True)
"""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "setsid sleep 60 >&- 2>&- <&- &\nexit 0\n", "sh")
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "processes"


LEAKY = """
import os, subprocess
print("1..6", flush=True)
kept = []
for number in range(6):
    run = subprocess.Popen([os.environ["SUBCLI_SOLUTION"]], HOW)
    kept.append(run) if KEEP else None
    run.stdout.readline()
    print(f"not ok {number + 1} - no answer\\n  ---\\n  kind: silence\\n  ...", flush=True)
"""


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["stdout=subprocess.PIPE", "stdout=subprocess.PIPE, start_new_session=True"])
@pytest.mark.parametrize("keep", [True, False])
async def test_what_a_test_leaves_running_is_gone_when_the_next_one_starts(
    run: Run, tiny: MakeProblem, how: str, keep: bool
) -> None:
    """Whatever the author's code does: the learner is not told that it started too many processes, or detached any."""
    tests = LEAKY.replace("HOW", how).replace("KEEP", str(keep))
    problem = tiny(tests, limits="test_seconds = 15\nprocesses = 2", language=SHELL, runner=RUNNER)
    judged = await run(problem, "echo started\nsleep 3600 &\nwait\n", "sh")
    assert len(judged.failed) == 6
    assert {event["category"] for event in judged.of("error_analysis")} == {"timeout"}, judged.events


async def test_one_process_may_serve_all_tests(run: Run, tiny: MakeProblem) -> None:
    """It is the command's only run of the solution, so nothing ends it between two tests."""
    tests = """
import os, subprocess
run = subprocess.Popen([os.environ["SUBCLI_SOLUTION"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
print("1..3", flush=True)
for number in (1, 2, 3):
    run.stdin.write(b"hello\\n")
    said = run.stdout.readline()
    print(f"{'ok' if said == b'hello' + bytes([10]) else 'not ok'} {number} - answers", flush=True)
run.kill()
"""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "exec cat\n", "sh")
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
async def test_stderr_is_shown_where_the_author_drops_it(run: Run, tiny: MakeProblem) -> None:
    """With the test whose run wrote it, even if the command kills the solution at once; not with one that passed."""
    tests = """
import os, subprocess
print("1..3", flush=True)
for number in (1, 2, 3):
    command = [os.environ["SUBCLI_SOLUTION"], str(number)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    run.stdout.readline()
    run.kill()
    run.wait()
    print(f"{'ok' if number == 2 else 'not ok'} {number} - sum", flush=True)
"""
    source = "echo trace of $1 in $PWD/a.sh >&2\necho $1\nexec sleep 3600\n"
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), source, "sh")
    shown = [event.get("output") for event in judged.of("test_result")]
    assert shown == ["trace of 1 in a.sh", None, "trace of 3 in a.sh"]


@pytest.mark.parametrize(
    "printed",
    ["sys.exit(PATHS)", 'print(f"1..1\\nnot ok 1 - {PATHS}\\n  ---\\n  suggestions: [{json.dumps(PATHS)}]\\n  ...")'],
)
async def test_no_path_of_the_server_is_shown(run: Run, tiny: MakeProblem, printed: str) -> None:
    """Wherever the author's command prints it: not of the problem, not of the judge, not the home directory."""
    paths = "' '.join([__file__, os.getcwd(), os.environ['TMPDIR'], os.environ['SUBCLI_SOLUTION'], HOME])"
    tests = f"import json, os, pwd, sys\nHOME = pwd.getpwuid(os.getuid()).pw_dir\nPATHS = {paths}\n{printed}\n"
    problem = tiny(tests, language=SHELL, runner=RUNNER)
    shown = json.dumps((await run(problem, "true", "sh")).events)
    assert "run.py" in shown
    for hidden in (str(problem.root), "subcli-judge-", f"{Path.home()}"):
        assert hidden not in shown


@pytest.mark.thorough(measured=True)
async def test_five_thousand_results_at_full_speed(run: Run, tiny: MakeProblem) -> None:
    """They arrive in order, and an endless line does no harm."""
    tests = """
print("1..5000")
for n in range(1, 5001):
    print(f"ok {n} - test {n}")
print("x" * 5_000_000)
"""
    judged = await run(tiny(tests, language=SHELL, runner=RUNNER), "true", "sh")
    assert judged.verdict == "passed"
    assert [event["test_id"] for event in judged.of("test_result")] == [str(n) for n in range(1, 5001)]
    assert max(len(json.dumps(event)) for event in judged.events) < 1_000


@pytest.mark.thorough
async def test_slow_reader_loses_no_results(tiny: MakeProblem) -> None:
    """While nobody reads, the judge goes on; afterwards all results are there."""
    tests = "for n in range(1, 3001):\n    print(f'ok {n} - {\"x\" * 200}')\nprint('1..3000')\n"
    problem = tiny(tests, language=SHELL, runner=RUNNER)
    count = 0
    async with aclosing(judge(Job(problem, "sh", {"a.sh": "true"}))) as events:
        async for event in events:
            if count == 0:
                await asyncio.sleep(1.0)
            count += event["type"] == "test_result"
    assert count == 3000
    assert event["final_status"] == "passed"


C = """
[languages.c]
source = "main.c"
build = ["cc", "-o", "main", "{sources}"]
run = ["./main"]
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
async def test_names_of_files_never_reach_the_compiler_as_options(run: Run, tiny: MakeProblem) -> None:
    """They are compiled like all others: `-o.c` would be an output file, `@opts.c` a file of options."""
    tests = """
import os, subprocess
said = subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True, text=True).stdout
print("1..1", "ok 1" if said == "yes" else "not ok 1 - " + repr(said), sep="\\n")
"""
    files = {
        "main.c": "#include <stdio.h>\nint one(void); int two(void);\n"
        'int main() { if (one() + two() == 3) printf("yes"); }\n',
        "-o.c": "int one(void) { return 1; }\n",
        "@opts.c": "int two(void) { return 2; }\n",
    }
    judged = await run(tiny(tests, language=C, runner=RUNNER), files, "c")
    assert judged.verdict == "passed", judged.events
