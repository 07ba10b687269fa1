"""Each cause that the judge knows, as a real submission: what it is called, and where it happened."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.analysis import Context, Finding
from subcli.judge.analysis.explain import Analyst
from subcli.judge.evidence import Evidence
from tests.judge.judging import MakeNode, MakeProblem, Run

C = """
[languages.c]
source = "node.c"
requires = ["cc"]
build = ["{python}", "-I", "-S", "{shims}/cc.py", "-g", "-o", "node", "{sources}"]
run = ["./node"]
bounded_address_space = false
"""
DEEP = """
int f(int n) { volatile char x[999]; x[0] = n; return f(n + 1) + x[0]; }
int main(void) { return f(0); }
"""


@dataclass(frozen=True)
class Cause:
    """What a function of the node does, how it is called, part of what is said, and the marked line."""

    code: str
    category: str
    said: str

    @property
    def line(self) -> int:
        """The line with the mark, counted from one; 0 where no line can be known."""
        return next((n for n, text in enumerate(self.code.splitlines(), 1) if text.endswith("#")), 0)


CAUSES = {
    "exception": Cause("return {}['term'] #", "exception", "KeyError: 'term'"),
    "own_exception": Cause("class Odd(Exception): pass\nraise Odd('strange') #", "exception", "Odd: strange"),
    "chained": Cause("try:\n    {}['a']\nexcept KeyError:\n    None.x #", "exception", "AttributeError"),
    "missing_module": Cause("import no_such_module #", "import_error", "no_such_module"),
    "missing_name": Cause("from json import lods #", "import_error", "cannot import name 'lods'"),
    "recursion": Cause("return recursion() #", "recursion", "recursed without end"),
    "crash": Cause("os.kill(os.getpid(), 11)", "crash", "killed by SIGSEGV"),
    "refused": Cause("socket.create_connection(('127.0.0.1', 9)) #", "connection_refused", "Connection refused"),
    "early_exit": Cause("sys.exit()", "early_exit", "n1 exited with code 0"),
    "exit_with_code": Cause("sys.exit(3)", "early_exit", "n1 exited with code 3"),
    "not_json": Cause("print('hello') #", "not_json", "is not JSON"),
    "not_an_object": Cause("print([1]) #", "not_json", "an array instead of an object"),
    "no_body": Cause('print(\'{"dest": "n1"}\') #', "not_json", 'no "body"'),
    "no_type": Cause('print(\'{"dest": "n1", "body": {}}\') #', "not_json", 'without a "type"'),
    "wrong_sender": Cause("say('n1', src='n9') #", "not_json", "came from n1"),
    "wrong_dest": Cause("say('n9') #", "wrong_field", "not a member"),
    "wrong_save": Cause("say('disk', data=3) #", "wrong_field", 'must save an object as "data"'),
    "unfinished": Cause("print('{', end='', flush=True)\nreturn True", "not_json", "does not end with a newline"),
    "no_answer": Cause("return True", "timeout", "did not answer with tick_ok"),
    "closed_stdout": Cause("os.close(1)\nreturn True", "not_json", "closed its stdout"),
}
CAUSES_NODE = """
import json, os, socket, sys

def say(dest, src="n1", type="x", data=None):
    body = {"type": type, "data": data}
    print(json.dumps({"src": src, "dest": dest, "body": body}), flush=True)

FUNCTIONS
for line in sys.stdin:
    body = json.loads(line)["body"]
    if body["type"] == "init":
        function = globals()[body["cause"]]
    elif function():
        continue
    say("judge", type=body["type"] + "_ok")
"""
CAUSES_TEST = """
import pytest
@pytest.mark.parametrize("cause", NAMES)
def test_cause(make_cluster, cause):
    make_cluster(1, init={"cause": cause}).run(20)
"""


@pytest.mark.thorough
async def test_every_cause_is_recognised(run: Run, tiny: MakeProblem) -> None:
    """The right category and symptom, and the line of the user's own file, marked in an excerpt."""
    functions = "".join(
        f"def {name}():\n" + "".join(f"    {text}\n" for text in cause.code.splitlines())
        for name, cause in CAUSES.items()
    )
    source = CAUSES_NODE.replace("FUNCTIONS", functions)
    judged = await run(tiny(CAUSES_TEST.replace("NAMES", repr(list(CAUSES)))), source)
    lines = source.splitlines()

    assert judged.events[-1]["summary"]["failed"] == len(CAUSES)
    assert "subcli-judge-" not in repr(judged.events)
    for (name, cause), analysis in zip(CAUSES.items(), judged.of("error_analysis"), strict=True):
        assert (name, analysis["category"]) == (name, cause.category)
        assert cause.said in analysis["error"] + analysis["analysis"], name
        if cause.line:
            line = lines.index(f"def {name}():") + 1 + cause.line
            found = analysis["location"]
            if "say(" in cause.code:
                # Several causes share the helper: the place is in it, or where it was called.
                assert found["line"] in (line, lines.index('    body = {"type": type, "data": data}') + 2)
                continue
            assert (name, found) == (name, {"file": "node.py", "line": line})
            assert f"> {line}  " in analysis["analysis"]


async def test_assertion_that_compares_two_values(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """What the test compared becomes expected and actual."""
    judged = await run(tiny("def test_sum(make_cluster):\n    make_cluster(1)\n    assert 2 + 2 == 5\n"), node())
    result = judged.of("test_result")[0]
    assert (result["expected"], result["actual"]) == ("5", "4")
    assert judged.analysis["category"] == "wrong_answer"
    assert "expected 5 and got 4" in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_message_is_located_behind_its_helper(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """`send` prints every message; the line that is shown is the one that called it for this message."""
    tests = """
from subcli.judge.harness import Violation
def test_no(make_cluster):
    cluster = make_cluster(1)
    seen = []
    cluster.watch(seen.append)
    cluster.run(30)
    raise Violation("n1 said x", expected="y", actual="x", sites=cluster.where(seen[0]), explanation="Not x.")
"""
    source = """
import json, sys
def send(dest, type):
    print(json.dumps({"dest": dest, "body": {"type": type}}), flush=True)
def speak():
    send("n1", "x")
for line in sys.stdin:
    type = json.loads(line)["body"]["type"]
    if type == "x":
        continue
    if type == "tick":
        speak()
    send("judge", type + "_ok")
"""
    judged = await run(tiny(tests), source)
    assert judged.analysis["location"] == {"file": "node.py", "line": 6}
    assert "sent from node.py:6 in speak()" in judged.analysis["analysis"]
    assert "Not x." in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_field_of_the_wrong_type(run: Run, tiny: MakeProblem) -> None:
    """A test reads a field through the cluster; if it is invalid, the line that printed it is shown."""
    tests = """
def test_no(make_cluster):
    cluster = make_cluster(1)
    cluster.integer(cluster.request("n1", {"type": "read"}, "read_ok"), "term")
"""
    source = """
import json, sys
for line in sys.stdin:
    type = json.loads(line)["body"]["type"]
    print(json.dumps({"dest": "judge", "body": {"type": type + "_ok", "term": "three"}}), flush=True)
"""
    judged = await run(tiny(tests), source)
    assert judged.analysis["category"] == "wrong_field"
    assert "'term'" in judged.analysis["error"]
    assert judged.analysis["location"] == {"file": "node.py", "line": 5}


@pytest.mark.parametrize(
    "needed",
    [
        'requires = ["no-such-compiler"]\nrun = ["./a"]',
        'build = ["no-such-compiler", "{source}"]\nrun = ["./a"]',
        'run = ["no-such-compiler", "{source}"]',
        'build = ["{python}", "-c", "1"]\nrun = ["/opt/no-such-compiler", "{source}"]',
    ],
)
async def test_missing_tool_is_not_the_users_fault(needed: str, run: Run, tiny: MakeProblem) -> None:
    """Whether the problem lists it or only names it in a command. The verdict is error: nothing was judged."""
    language = f'[languages.zig]\nsource = "a.zig"\n{needed}\n'
    judged = await run(tiny(language=language), "x", "zig")
    assert judged.verdict == "error"
    assert judged.analysis["category"] == "missing_build_tool"
    assert "no-such-compiler" in judged.analysis["analysis"]


@pytest.mark.thorough(measured=True)
async def test_program_that_cannot_be_started(run: Run, tiny: MakeProblem) -> None:
    """The run command names a program that the build did not create."""
    language = '[languages.sh]\nsource = "a.sh"\nrun = ["./not-there"]\n'
    judged = await run(tiny(language=language), "x", "sh")
    assert judged.analysis["category"] == "not_startable"
    assert "./not-there" in judged.analysis["error"]


def test_program_that_a_sandbox_cannot_start() -> None:
    """All of stderr is bubblewrap's; from a program that has run, the same words mean nothing."""
    said = "bwrap: execvp ./not-there: No such file or directory\n"
    analyst = Analyst({}, "c")
    for stderr, code, is_it in ((said, 1, True), (said, 2, False), (f"{said}more\n", 1, False)):
        finding = analyst.analyse(Evidence(kind="exit", exit_code=code, stderr=stderr))
        assert (finding.category == "not_startable") == is_it
        assert not is_it or "./not-there" in finding.error


async def test_build_that_fails_without_a_compiler_error(run: Run, tiny: MakeProblem) -> None:
    """The last line that the build printed is shown."""
    language = '[languages.sh]\nsource = "a.sh"\nbuild = ["sh", "{source}"]\nrun = ["true"]\n'
    judged = await run(tiny(language=language), "echo no luck today; exit 4", "sh")
    assert judged.verdict == "build_failed"
    assert judged.analysis["category"] == "build_error"
    assert "no luck today" in judged.analysis["analysis"]


@pytest.mark.thorough
async def test_submission_without_a_main_file(run: Run, tiny: MakeProblem) -> None:
    """The message names the expected file."""
    judged = await run(tiny(), {"a.py": "", "b.py": ""})
    assert judged.verdict == "build_failed"
    assert "'node.py'" in judged.analysis["error"]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("source", "category", "said", "line"),
    [
        ("int main(void) {\n  return x;\n}\n", "compile_error", "undeclared", 2),
        ("int main(int c, char **v) {\n  int *p = 0;\n  return p[c];\n}\n", "memory_error", "pointer", 3),
        (DEEP, "recursion", "recursed without end", None),
    ],
)
async def test_c_errors_are_located_by_compiler_and_sanitizer(
    run: Run, tiny: MakeProblem, source: str, category: str, said: str, line: int | None
) -> None:
    """The compiler's message, and the line of a crash."""
    judged = await run(tiny(language=C, limits="test_seconds = 30\nanswer_seconds = 15\n"), source, "c")
    if judged.analysis["category"] == "crash":
        pytest.skip("this compiler has no sanitizers")
    assert judged.analysis["category"] == category
    assert said in judged.analysis["error"]
    if line is not None:
        assert judged.analysis["location"] == {"file": "node.c", "line": line}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_javascript_exception(run: Run, tiny: MakeProblem) -> None:
    """What node prints of an uncaught error names the line too."""
    language = '[languages.js]\nsource = "node.js"\nrun = ["node", "{source}"]\nbounded_address_space = false\n'
    source = "const a = null;\nfunction f() {\n  return a.term;\n}\nf();\n"
    judged = await run(tiny(language=language, limits="test_seconds = 30\nanswer_seconds = 15\n"), source, "js")
    assert judged.analysis["category"] == "exception"
    assert "TypeError" in judged.analysis["error"]
    assert judged.analysis["location"] == {"file": "node.js", "line": 3}


def test_unrecognised_failure_is_reported_as_unknown() -> None:
    """The general finding guesses nothing, and quotes what was printed last."""
    analysis = Analyst({}, "python", rules=()).analyse(Evidence(kind="tap", message="no", stderr="one\ntwo\n"))
    assert analysis.category == "unknown"
    assert "No rule" in analysis.analysis
    assert "two" in analysis.analysis


def test_operators_rule_comes_first() -> None:
    """It may claim a failure that a built-in rule recognises too."""

    def mine(evidence: Evidence, context: Context) -> Finding:
        return Finding(category="mine", analysis=f"Mine: {evidence.message} in {context.language}.")

    analysis = Analyst({}, "python", rules=[mine]).analyse(Evidence(kind="silence", message="silent"))
    assert (analysis.category, analysis.analysis) == ("mine", "Mine: silent in python.")


@pytest.mark.thorough
async def test_installed_rule_is_found(
    run: Run, tiny: MakeProblem, node: MakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by its entry point, in the supervisor; one that cannot be loaded is skipped."""
    site = tmp_path / "site"
    (site / "house_rules-1.0.dist-info").mkdir(parents=True)
    (site / "house_rules-1.0.dist-info" / "METADATA").write_text("Name: house-rules\nVersion: 1.0\n", encoding="utf-8")
    (site / "house_rules-1.0.dist-info" / "entry_points.txt").write_text(
        "[subcli.analyzers]\na-broken = house_rules:nowhere\nb-ours = house_rules:ours\n", encoding="utf-8"
    )
    (site / "house_rules.py").write_text(
        "from subcli.judge.analysis import Finding\n"
        "def ours(evidence, context):\n"
        "    return Finding('house', 'We know this one.', ['Ask us.']) if evidence.exit_code == 42 else None\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(site))
    judged = await run(tiny(), node(tick="sys.exit(42)"))
    assert (judged.analysis["category"], judged.analysis["suggestions"]) == ("house", ["Ask us."])


def test_operators_rule_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises or returns, the built-in rules follow; the log names the rule."""

    def raises(evidence: Evidence, context: Context) -> None:
        raise SystemExit("no")

    nonsense: Any = lambda *_: "nonsense"  # noqa: E731
    analyst = Analyst({}, "python", rules=[raises, nonsense])
    assert analyst.analyse(Evidence(kind="silence", message="silent")).category == "timeout"
    assert "raises" in caplog.text


def test_operators_rule_that_hangs_is_disabled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its timeout passes once."""
    monkeypatch.setattr("subcli.judge.analysis.explain._RULE_TIMEOUT_S", 0.05)
    asked = []

    def hangs(evidence: Evidence, context: Context) -> None:
        asked.append(1)
        time.sleep(0.5)

    analyst = Analyst({}, "python", rules=[hangs])
    for _ in range(3):
        assert analyst.analyse(Evidence(kind="silence", message="silent")).category == "timeout"
    assert len(asked) == 1
    assert "disabling it" in caplog.text
