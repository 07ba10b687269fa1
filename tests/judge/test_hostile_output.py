"""Whatever a solution writes, every parser that reads it survives: the verdict is about the solution."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from subcli.judge.analysis.explain import Analyst
from subcli.judge.evidence import Evidence, Site
from subcli.judge.harness.message import parse
from subcli.judge.job import UnsafePath, check_path
from subcli.judge.process.confine import NICENESS
from subcli.judge.process.starter import CONFINE
from subcli.judge.supervise.tap_parser import Parser
from subcli.judge.supervise.tap_yaml import parse_yaml

DIGITS = "9" * 5000
"""`int()` refuses more than 4,300 digits (sys.set_int_max_str_digits)."""
FILES = {"node.py": "x = 1\n" * 3, "main.c": "int main() {}\n", "Main.java": "class Main {}\n"}
NUMBERS = st.sampled_from(["0", "1", "-1", "3", "12345678", DIGITS, "١٢", "²", "1e999", "NaN"])
LINES = [
    "Traceback (most recent call last):",
    '  File "node.py", line {}, in f',
    '  File "node.py", line {}',
    "KeyError: {}",
    "SyntaxError: expected ':'",
    "Uncaught TypeError: {}",
    "    at f (node.py:{}:{})",
    "Node.js v{}",
    'Exception in thread "main" a.B: {}',
    "\tat a.Main.main(Main.java:{})",
    "Caused by: x.Y: {}",
    "panic: {}",
    "goroutine {} [running]:",
    "thread 'main' ({}) panicked at 'x', main.c:{}:{}",
    "thread 'main' panicked at main.c:{}:{}:",
    "main.c:{}:{}: error: x",
    "a.out: main.c:{}: f: Assertion `x' failed.",
    "==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x{} at pc {}",
    "READ of size {} at 0x1 thread T{}",
    "    #{} 0x1 in f main.c:{}:{}",
    "main.c:{}:{}: runtime error: index {} out of bounds for type 'int [{}]'",
    "Command terminated by signal {}",
    "TAP version {}",
    "1..{}",
    "1..{} # SKIP {}",
    "ok {} - x",
    "not ok {} - x # TODO {}",
    "    ok {}",
    "  ---",
    "  a: {}",
    "  ? [[{}",
    "  &a *a !!python/object:x {}",
    "  ...",
    "Bail out! {}",
    '{{"src": "n0", "dest": "n1", "body": {{"type": "x", "n": {}}}}}',
    '{{"src": {}, "dest": "n1", "body": {{"type": "x"}}}}',
    '{{"dump_signal": {}}}',
    '[{}, [["node.py", {}, "f"]]]',
]


@st.composite
def outputs(draw: st.DrawFn) -> str:
    """Lines that parsers look for, with numbers that they do not expect, among anything."""
    lines = []
    for line in draw(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=20)), max_size=8)):
        count = line.count("{}") if line in LINES else 0
        lines.append(line.format(*(draw(NUMBERS) for _ in range(count))) if line in LINES else line)
    return "\n".join(lines)


DEEP = "[" * 100_000
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ["violation", "exit", "silence", "bad_line", "bad_field", "flood", "assertion", "build", "limit", "tap"]


@FUZZ
@given(outputs(), st.sampled_from(KINDS), st.sampled_from(["python", "c", "java", "javascript", "go", "rust"]))
@example(f'Traceback (most recent call last):\n  File "node.py", line {DIGITS}, in f\nKeyError: 1', "exit", "python")
@example(DEEP, "bad_line", "python")
@example("\ud800\x00\x1b", "bad_line", "c")
def test_every_failure_is_explained(text: str, kind: str, language: str) -> None:
    """The analysis gives a finding for any stderr, line, message and site."""
    evidence = Evidence(
        kind=kind, message=text, expected=text, actual=text, stderr=text, line=text, field=text, exit_code=1,
        sites=(Site("node.py", 10**12, text, ""),), command=text, language=language, limit="time",
    )  # fmt: skip
    for given_evidence in (evidence, evidence.bounded()):
        assert Analyst(FILES, language, rules=[]).analyse(given_evidence).analysis


@FUZZ
@given(outputs())
@example(f"TAP version {DIGITS}\n1..{DIGITS}\nok {DIGITS}")
@example(f"1..1\nnot ok\n  ---\n  a: {DEEP}\n  ...")
def test_any_tap_is_read(text: str) -> None:
    """No line ends the parser, and diagnostics remain a mapping."""
    parser = Parser()
    for line in text.split("\n"):
        parser.feed(line)
    parser.finish()
    assert parser.missing >= 0
    assert isinstance(parse_yaml(text), dict)


@FUZZ
@given(outputs())
@example(DEEP)
@example('{"src": ' + "[" * 900 + "]" * 900 + ', "dest": "n1", "body": {"type": "x"}}')
@example('{"dest": "n1", "body": {"type": "x", "n": ' + DIGITS + "}}")
def test_any_line_of_a_node_is_read(text: str) -> None:
    """A line is a message that can be passed on, or the reason is told."""
    for line in text.split("\n"):
        with suppress(ValueError):
            message = parse(line.encode("utf-8", "surrogatepass"), "n0", 0, ())
            assert json.loads(message.encoded())["body"] is not None


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "a\x1b[2Jb", "a\x7fb", "a\x85b", "a\x9b2Jb", "\rdir/a.c"])
def test_names_with_control_characters_are_refused(name: str) -> None:
    """C0, DEL and C1 alike."""
    with pytest.raises(UnsafePath):
        check_path(name)


def test_solutions_stand_back() -> None:
    """What `confine` starts has a lower priority than the judge, and SCHED_BATCH."""
    code = "import os; print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_BATCH)"
    command = [sys.executable, "-I", "-S", str(CONFINE), "--", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{min(19, os.nice(0) + NICENESS)} True\n"
