"""The tests of an LRU cache. Prints TAP 14; the program under test is named by SUBCLI_SOLUTION."""

import collections
import contextlib
import ctypes
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import time

ANSWER_SECONDS = 5.0
STDERR_BYTES = 16_384
PR_SET_PDEATHSIG = 1  # prctl(2)


class CaseFailure(Exception):
    """A test has failed; the keywords are its diagnostics."""

    def __init__(self, message, **data):
        super().__init__(message)
        self.data = {"message": message, **data}


def solution():
    """The command under test: the judge's launcher, or on your machine a program or a Python file."""
    path = os.environ.get("SUBCLI_SOLUTION")
    if not path:
        sys.exit("Which program? SUBCLI_SOLUTION=./lru python3 tests/run.py, or SUBCLI_SOLUTION=lru.py")
    return [sys.executable, path] if path.endswith(".py") else [path]


def die_together():
    """In a new process of the solution: lead a group that can be killed as a whole, and end when the tests end."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """The solution, one process of it. It is gone when the `with` block ends, and when these tests end."""

    def __init__(self, capacity):
        self._capacity = capacity
        self._said = []
        self._buffer = b""
        self._stderr = b""

    def __enter__(self):
        self._process = subprocess.Popen(
            solution(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_together
        )
        self._selector = selectors.DefaultSelector()
        try:
            for stream in (self._process.stdout, self._process.stderr):
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ)
            self.expect(f"capacity {self._capacity}", "ok")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        self._end()

    def _end(self):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            # What was not written yet has no reader any more.
            with contextlib.suppress(OSError):
                stream.close()
        self._selector.close()

    def expect(self, command, answer):
        """Give one command; anything but `answer` is a failure."""
        self._send([command])
        self._compare(command, answer, self._line(command))

    def expect_all(self, exchange):
        """Give many commands at once, as (command, answer) pairs, and compare all answers."""
        sent = 0
        for command, answer in exchange:
            # Some are always under way, so that neither side waits for the other.
            while sent < len(exchange) and sent - len(self._said) < 200:
                upto = min(len(exchange), sent + 100)
                self._send([each for each, _ in exchange[sent:upto]])
                sent = upto
            self._compare(command, answer, self._line(command))

    def _compare(self, command, answer, got):
        self._said.append((command, got))
        if got == answer:
            return
        recent = "\n".join(f"{asked} -> {said}" for asked, said in self._said[-12:])
        raise CaseFailure(
            f"`{command}` was answered with `{got}`", expected=answer, actual=got, output=recent, **self._errors()
        )

    def _send(self, commands):
        # Where the program is gone, its exit says more.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("".join(f"{each}\n" for each in commands).encode())
            self._process.stdin.flush()

    def _line(self, command):
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CaseFailure(
                    f"no answer to `{command}` within {ANSWER_SECONDS:g} s", kind="silence", **self._errors()
                )
            self._read(left)
            if not self._selector.get_map():
                code = self._process.wait()
                raise CaseFailure(f"the program ended when it was told `{command}`", exit=code, **self._errors())
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def _read(self, timeout):
        for key, _ in self._selector.select(timeout):
            data = os.read(key.fd, 65_536)
            if not data:
                self._selector.unregister(key.fileobj)
            elif key.fileobj is self._process.stdout:
                self._buffer += data
            else:
                self._stderr = (self._stderr + data)[-STDERR_BYTES:]

    def _errors(self):
        """What the program has written to stderr so far, if anything."""
        self._read(0)
        text = self._stderr.decode("utf-8", "replace").strip()
        return {"stderr": text} if text else {}


def stores_and_returns():
    """Stores and returns values"""
    with Program(10) as cache:
        cache.expect("put a 1", "ok")
        cache.expect("put b two", "ok")
        cache.expect("get a", "1")
        cache.expect("get b", "two")
        cache.expect("size", "2")


def knows_what_is_missing():
    """Says none for what it does not hold"""
    with Program(2) as cache:
        cache.expect("get a", "none")
        cache.expect("size", "0")


def replaces():
    """Replaces the value of a key"""
    with Program(2) as cache:
        cache.expect("put a 1", "ok")
        cache.expect("put a 2", "ok")
        cache.expect("get a", "2")
        cache.expect("size", "1")


def evicts_the_oldest():
    """Evicts the least recently used entry"""
    with Program(3) as cache:
        for key in "abc":
            cache.expect(f"put {key} 1", "ok")
        cache.expect("put d 1", "evicted a")
        cache.expect("put e 1", "evicted b")
        cache.expect("get a", "none")
        cache.expect("size", "3")


def get_is_a_use():
    """A get counts as use"""
    with Program(2) as cache:
        cache.expect("put a 1", "ok")
        cache.expect("put b 2", "ok")
        cache.expect("get a", "1")
        cache.expect("put c 3", "evicted b")
        cache.expect("get a", "1")


def put_is_a_use():
    """A put counts as use"""
    with Program(2) as cache:
        cache.expect("put a 1", "ok")
        cache.expect("put b 2", "ok")
        cache.expect("put a 3", "ok")
        cache.expect("put c 4", "evicted b")


def deletes():
    """Deletes what it holds"""
    with Program(2) as cache:
        cache.expect("delete a", "none")
        cache.expect("put a 1", "ok")
        cache.expect("delete a", "ok")
        cache.expect("get a", "none")
        cache.expect("put b 2", "ok")
        cache.expect("put c 3", "ok")
        cache.expect("delete b", "ok")
        cache.expect("put d 4", "ok")
        cache.expect("put e 5", "evicted c")


def agrees_with_a_model():
    """Agrees with a model over 2,000 commands"""
    with Program(8) as cache:
        cache.expect_all(history(random.Random(8), capacity=8, keys=20, length=2_000))


def is_fast():
    """Holds 20,000 entries and stays fast"""
    with Program(20_000) as cache:
        fill = [(f"put k{number} {number}", "ok") for number in range(20_000)]
        reads = [(f"get k{number}", str(number)) for number in range(20_000)]
        renew = [(f"put n{number} x", f"evicted k{number}") for number in range(20_000)]
        cache.expect_all(fill + reads + renew)


def history(rng, *, capacity, keys, length):
    """Random commands with the answers of a correct cache."""
    held = collections.OrderedDict()
    exchange = []
    for number in range(length):
        key = f"k{rng.randrange(keys)}"
        what = rng.random()
        if what < 0.45:
            answer = "ok"
            if key not in held and len(held) == capacity:
                answer = f"evicted {held.popitem(last=False)[0]}"
            held[key] = f"v{number}"
            held.move_to_end(key)
            exchange.append((f"put {key} v{number}", answer))
        elif what < 0.85:
            if key in held:
                held.move_to_end(key)
            exchange.append((f"get {key}", held.get(key, "none")))
        elif what < 0.97:
            exchange.append((f"delete {key}", "none" if held.pop(key, None) is None else "ok"))
        else:
            exchange.append(("size", str(len(held))))
    return exchange


TESTS = [
    stores_and_returns,
    knows_what_is_missing,
    replaces,
    evicts_the_oldest,
    get_is_a_use,
    put_is_a_use,
    deletes,
    agrees_with_a_model,
    is_fast,
]


def main():
    """Run all tests, each with its result as soon as it is known."""
    solution()
    # So that a `with` block is left, and its program killed, when a terminal or a build system ends these tests.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    print(f"TAP version 14\n1..{len(TESTS)}", flush=True)
    failed = 0
    for number, test in enumerate(TESTS, start=1):
        data = {"type": "performance" if test is is_fast else "functional"}
        began = time.monotonic()
        try:
            test()
            word = "ok"
        except CaseFailure as failure:
            failed += 1
            word = "not ok"
            data |= failure.data
        data["duration_ms"] = round((time.monotonic() - began) * 1000)
        diagnostics = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in data.items())
        print(f"{word} {number} - {test.__doc__}\n  ---\n{diagnostics}  ...", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
