"""Each cause that the judge knows, as a real submission: what it is called, and where it happened."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

import pytest

from subcli.judge.analysis import Analyst
from subcli.judge.analyzers import Finding
from subcli.judge.evidence import Evidence

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
class Case:
    """A node that does this, what it is called, part of what is said, and the line."""

    start: str
    category: str
    said: str
    line: int | None = None
    init: str = "pass"
    tick: str = "pass"


CASES = {
    "exception": Case("def f(m):\n    return m['term']\n", "exception", "KeyError: 'term'", 2, tick="f(body)"),
    "exception of its own": Case(
        "class Odd(Exception): pass\n", "exception", "Odd: strange", 12, init="raise Odd('strange')"
    ),
    "chained exception": Case(
        "def f():\n    try:\n        {}['a']\n    except KeyError:\n        None.x\n",
        "exception",
        "AttributeError",
        5,
        init="f()",
    ),
    "missing module": Case("import no_such_module\n", "import_error", "no_such_module", 1),
    "missing name": Case("from json import lods\n", "import_error", "cannot import name 'lods'", 1),
    "recursion": Case("def f():\n    return f()\n", "recursion", "called itself without end", 2, tick="f()"),
    "signal": Case("import os\n", "crash", "killed by SIGSEGV", None, tick="os.kill(os.getpid(), 11)"),
    "connection refused": Case(
        "import socket\ndef f():\n    socket.create_connection(('127.0.0.1', 9))\n",
        "connection_refused",
        "Connection refused",
        3,
        init="f()",
    ),
    "exit": Case("", "early_exit", "n1 exited with code 0", None, tick="sys.exit()"),
    "exit with a code": Case("", "early_exit", "n1 exited with code 3", None, tick="sys.exit(3)"),
    "not JSON": Case("def f():\n    print('hello')\n", "not_json", "is not JSON", 2, tick="f()"),
    "not an object": Case("def f():\n    print([1])\n", "not_json", "an array instead of an object", 2, tick="f()"),
    "no body": Case('def f():\n    print(\'{"dest": "n1"}\')\n', "not_json", 'no "body"', 2, tick="f()"),
    "wrong sender": Case(
        'def f():\n    print(\'{"src": "n9", "dest": "n1", "body": {"type": "x"}}\')\n',
        "not_json",
        "came from n1",
        2,
        tick="f()",
    ),
    "wrong destination": Case(
        'def f():\n    print(\'{"dest": "n9", "body": {"type": "x"}}\')\n', "wrong_field", "no member", 2, tick="f()"
    ),
    "wrong save": Case(
        'def f():\n    print(\'{"dest": "disk", "body": {"type": "save", "data": 3}}\')\n',
        "wrong_field",
        'saves no "data"',
        2,
        tick="f()",
    ),
    "unfinished line": Case(
        "", "not_json", "does not end with a newline", None, tick="print('{', end='', flush=True); continue"
    ),
    "no answer": Case("", "timeout", "did not answer with tick_ok", None, tick="continue"),
    "closed stdout": Case("import os\n", "not_json", "closed its stdout", None, tick="os.close(1); continue"),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_cause_is_recognised(run, tiny, node, name):
    """The right category, the symptom in its words, and the line of the user's own file."""
    case = CASES[name]
    judged = await run(tiny(), node(case.start, init=case.init, tick=case.tick))
    assert judged.verdict == "failed"
    analysis = judged.analysis
    assert analysis["category"] == case.category
    assert case.said in analysis["error"] + analysis["analysis"]
    assert "subcli-judge-" not in repr(judged.events)
    if case.line is not None:
        assert analysis["location"] == {"file": "node.py", "line": case.line}
        assert f"> {case.line}  " in analysis["analysis"]


async def test_an_assertion_with_two_values(run, tiny, node):
    """What the test compared becomes expected and actual."""
    judged = await run(tiny("def test_sum(make_cluster):\n    make_cluster(1)\n    assert 2 + 2 == 5\n"), node())
    result = judged.of("test_result")[0]
    assert (result["expected"], result["actual"]) == ("5", "4")
    assert judged.analysis["category"] == "wrong_answer"
    assert "expected 5 and got 4" in judged.analysis["analysis"]


async def test_a_message_is_located_behind_its_helper(run, tiny, node):
    """Everything is printed by `send`; the place that is shown is the one that called it for this message."""
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


async def test_a_field_of_the_wrong_kind(run, tiny):
    """A test reads a field through the cluster; where it is missing the protocol line is shown."""
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


async def test_a_missing_build_tool_is_not_the_users_fault(run, tiny):
    """Verdict error: the submission was never judged."""
    language = '[languages.zig]\nsource = "a.zig"\nrequires = ["no-such-compiler"]\nrun = ["./a"]\n'
    judged = await run(tiny(language=language), "x", "zig")
    assert judged.verdict == "error"
    assert judged.analysis["category"] == "missing_build_tool"
    assert "no-such-compiler" in judged.analysis["analysis"]


async def test_a_program_that_cannot_be_started(run, tiny):
    """The run command names something that the build did not make."""
    language = '[languages.sh]\nsource = "a.sh"\nrun = ["./not-there"]\n'
    judged = await run(tiny(language=language), "x", "sh")
    assert judged.analysis["category"] == "not_startable"
    assert "./not-there" in judged.analysis["error"]


async def test_a_build_that_fails_without_a_compilers_words(run, tiny):
    """The build's last line is shown."""
    language = '[languages.sh]\nsource = "a.sh"\nbuild = ["sh", "{source}"]\nrun = ["true"]\n'
    judged = await run(tiny(language=language), "echo no luck today; exit 4", "sh")
    assert judged.verdict == "build_failed"
    assert judged.analysis["category"] == "build_error"
    assert "no luck today" in judged.analysis["analysis"]


async def test_several_files_and_none_to_start(run, tiny):
    """It is said which name was looked for."""
    judged = await run(tiny(), {"a.py": "", "b.py": ""})
    assert judged.verdict == "build_failed"
    assert "'node.py'" in judged.analysis["error"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("source", "category", "said", "line"),
    [
        ("int main(void) {\n  return x;\n}\n", "compile_error", "undeclared", 2),
        ("int main(int c, char **v) {\n  int *p = 0;\n  return p[c];\n}\n", "memory_error", "pointer", 3),
        (DEEP, "recursion", "called itself", None),
    ],
)
async def test_c_is_located_by_its_compiler_and_its_sanitizer(run, tiny, source, category, said, line):
    """The compiler's words, and the line of a crash."""
    judged = await run(tiny(language=C), source, "c")
    if judged.analysis["category"] == "crash":
        pytest.skip("this compiler has no sanitizers")
    assert judged.analysis["category"] == category
    assert said in judged.analysis["error"]
    if line is not None:
        assert judged.analysis["location"] == {"file": "node.c", "line": line}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_a_javascript_exception(run, tiny):
    """What node prints of an uncaught error names the line as well."""
    language = '[languages.js]\nsource = "node.js"\nrun = ["node", "{source}"]\nbounded_address_space = false\n'
    judged = await run(tiny(language=language), "const a = null;\nfunction f() {\n  return a.term;\n}\nf();\n", "js")
    assert judged.analysis["category"] == "exception"
    assert "TypeError" in judged.analysis["error"]
    assert judged.analysis["location"] == {"file": "node.js", "line": 3}


def test_what_no_rule_knows_is_said_to_be_unknown():
    """The general answer claims nothing, and repeats what was written last."""
    analysis = Analyst({}, "python", "/w", rules=()).analyse(Evidence(kind="tap", message="no", stderr="one\ntwo\n"))
    assert analysis.category == "unknown"
    assert "No rule" in analysis.analysis
    assert "two" in analysis.analysis


def test_an_operators_rule_is_asked_first():
    """It may claim a failure that a built-in rule knows as well."""

    def mine(evidence, context):
        return Finding(category="mine", analysis=f"Mine: {evidence.message} in {context.language}.")

    analysis = Analyst({}, "python", "/w", rules=[mine]).analyse(Evidence(kind="silence", message="silent"))
    assert (analysis.category, analysis.analysis) == ("mine", "Mine: silent in python.")


def test_an_operators_rule_that_fails_changes_nothing(caplog):
    """Whatever it raises or answers, the built-in rules go on; the log says whose fault it was."""

    def raises(evidence, context):
        raise SystemExit("no")

    analyst = Analyst({}, "python", "/w", rules=[raises, lambda *_: "nonsense"])
    assert analyst.analyse(Evidence(kind="silence", message="silent")).category == "timeout"
    assert "raises" in caplog.text


def test_an_operators_rule_that_hangs_is_not_asked_again(monkeypatch, caplog):
    """It costs its patience once."""
    monkeypatch.setattr("subcli.judge.analysis._PATIENCE_SECONDS", 0.05)
    asked = []

    def hangs(evidence, context):
        asked.append(1)
        time.sleep(0.5)

    analyst = Analyst({}, "python", "/w", rules=[hangs])
    for _ in range(3):
        assert analyst.analyse(Evidence(kind="silence", message="silent")).category == "timeout"
    assert len(asked) == 1
    assert "not asked again" in caplog.text
