"""Standard streams that are not always blocking, UTF-8 or read: real pipes and terminals, readers behind gates."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hang import HANG_S
from tests.sampling import first

from .command import Commands
from .scripted import Answer, Request, Rest, Script, Wire, event, scripted, some, staying
from .terminal import Terminal, until
from .test_ends import pyte_modes_are_left

MANY = 6000
"""Events; as JSON or as lines they fill a pipe several times, and our own buffer as well."""


def flood(many: int = MANY, name: str = "a test whose name fills a pipe sooner than most") -> Script:
    """So many results, and a verdict."""

    async def script(wire: Wire) -> None:
        await wire.accept()
        results = (
            event(n, "test_result", test_name=f"{name} {n}", test_id=str(n), status="passed")
            for n in range(1, many + 1)
        )
        await wire.text(*results, event(many + 1, "complete", final_status="passed", summary={"passed": many}))
        await wire.close(1000)

    return script


class Pipe:
    """A pipe whose reader this test is.

    Attributes:
        write: the end for the program.
    """

    def __init__(self, *, blocking: bool) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self.write, blocking)

    @property
    def is_full(self) -> bool:
        """Whether the program has to wait."""
        poll = select.poll()
        poll.register(self.write, select.POLLOUT)
        return not poll.poll(0)

    def fill(self) -> int:
        """Leave no room; how many bytes are in it now."""
        os.set_blocking(self.write, False)
        written = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                written += os.write(self.write, b"\0" * 4096)
        return written

    async def rest(self) -> bytes:
        """Everything that is written from now on; the program alone holds the other end."""
        self.close_writer()
        os.set_blocking(self._read, True)
        return await asyncio.to_thread(self._read_all)

    def _read_all(self) -> bytes:
        parts = []
        while part := os.read(self._read, 1 << 16):
            parts.append(part)
        return b"".join(parts)

    def close_writer(self) -> None:
        """The program has its own."""
        if self.write >= 0:
            os.close(self.write)
            self.write = -1

    def close(self) -> None:
        """Both ends."""
        self.close_writer()
        os.close(self._read)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """One whose writer is non-blocking, as Node.js and ssh leave it."""
    made = Pipe(blocking=False)
    yield made
    made.close()


@pytest.fixture
def stopped() -> Iterator[Pipe]:
    """An ordinary one, whose reader reads nothing unless the test says so."""
    made = Pipe(blocking=True)
    yield made
    made.close()


@pytest.mark.parametrize("mode", ["--json", "--plain"])
async def test_reader_pauses_on_non_blocking_pipe(command: Commands, pipe: Pipe, mode: str) -> None:
    """A full pipe is waited for: every line arrives, and the verdict decides."""
    async with scripted(flood()) as server:
        process = await command.start("watch", "1", mode, "--server", server.url, stdout=pipe.write)
        await until(lambda: pipe.is_full)
        out = await pipe.rest()
        _, err = await process.communicate()
    lines = out.decode().splitlines()
    assert process.returncode == 0, err
    if mode == "--json":
        assert [found["seq"] for line in lines if "seq" in (found := json.loads(line))] == list(range(1, MANY + 2))
        assert json.loads(lines[-1])["final_status"] == "passed"
    else:
        assert sum(" fills a pipe " in line for line in lines) == MANY
        assert "passed" in lines[-1]


async def test_full_non_blocking_stderr(command: Commands, pipe: Pipe) -> None:
    """An error message waits for its reader too."""
    asked = asyncio.Event()

    def refuse(request: Request) -> Answer:
        asked.set()
        return Answer(404, {"detail": "no"})

    before = pipe.fill()
    async with scripted(rest=Rest(first=refuse)) as server:
        process = await command.start("status", "1", "--server", server.url, stderr=pipe.write)
        await asyncio.wait_for(asked.wait(), HANG_S)
        err = (await pipe.rest())[before:]
        await process.communicate()
    assert process.returncode == 5
    assert err.startswith(b"error: ")


@pytest.mark.parametrize("words", [["--version"], ["schema"], ["--help"]])
async def test_short_commands_on_full_non_blocking_pipe(command: Commands, pipe: Pipe, words: list[str]) -> None:
    """What needs no event loop waits as well."""
    before = pipe.fill()
    process = await command.start(*words, stdout=pipe.write)
    out = (await pipe.rest())[before:]
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"subcli" in out


async def test_stdin_that_does_not_end(command: Commands) -> None:
    """`--timeout` counts what is waited for before the submission too."""
    source, kept_open = os.pipe()
    process = await command.start("submit", "-", "--problem", "p", "--language", "c", "--timeout", "0.5", stdin=source)
    try:
        _, err = await process.communicate()
    finally:
        os.close(source)
        os.close(kept_open)
    assert process.returncode == 7
    assert err == b"error: No verdict within 0.5 s.\nhint:  Nothing was submitted: stdin has not ended.\n"


async def test_non_blocking_stdin(command: Commands) -> None:
    """`submit -` waits for its data, whoever made the pipe non-blocking."""
    source, sink = os.pipe()
    os.set_blocking(source, False)
    posted: list[bytes] = []

    def keep(request: Request) -> Answer | None:
        if request.method == "POST":
            posted.append(request.body)
        return None

    async with scripted(flood(1), rest=Rest(first=keep)) as server:
        words = ("submit", "-", "--problem", "1", "--language", "python", "--json", "--server", server.url)
        process = await command.start(*words, stdin=source)
        os.close(source)
        # It waits in poll(): where it would fail, it has ended by now.
        threads = Path(f"/proc/{process.pid}/task")
        await until(
            lambda: process.returncode is not None or any("poll" in at.read_text() for at in threads.glob("*/wchan"))
        )
        os.write(sink, b"first = 1\n")
        os.write(sink, b"second = 2\n")
        os.close(sink)
        out, err = await process.communicate()
    assert process.returncode == 0, (out, err)
    assert b"first = 1" in posted[0]
    assert b"second = 2" in posted[0]


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["--json", "--plain"])
@pytest.mark.parametrize(
    ("number", "code"), first(1, [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
)
async def test_signal_while_reader_has_stopped(
    command: Commands, stopped: Pipe, mode: str, number: signal.Signals, code: int
) -> None:
    """A pipe that nobody reads does not keep a signal from ending the program; stderr says how to go on."""
    async with scripted(flood(20_000)) as server:
        process = await command.start("watch", "1", mode, "--server", server.url, stdout=stopped.write)
        await until(lambda: stopped.is_full)
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == code, err
    assert b"subcli watch 1" in err


@pytest.mark.thorough
@pytest.mark.parametrize("many", [20_000, 700], ids=["too much", "fits into our buffer"])
async def test_timeout_while_reader_has_stopped(command: Commands, stopped: Pipe, many: int) -> None:
    """`--timeout` ends the program, also where the verdict is there and only its line was not read."""
    async with scripted(flood(many)) as server:
        words = ("watch", "1", "--json", "--timeout", "2", "--server", server.url)
        process = await command.start(*words, stdout=stopped.write)
        _, err = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == 7, err


@pytest.mark.thorough(measured=True)
async def test_signal_while_nobody_reads_either_stream(command: Commands, stopped: Pipe) -> None:
    """`2>&1 | a reader that stops`: the same, without the last words."""
    async with scripted(flood(20_000)) as server:
        words = ("watch", "1", "--json", "--debug", "--server", server.url)
        process = await command.start(*words, stdout=stopped.write, stderr=stopped.write)
        await until(lambda: stopped.is_full)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), HANG_S) == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signal_while_a_table_is_not_read(
    command: Commands, stopped: Pipe, number: signal.Signals, code: int
) -> None:
    """Commands that print at their end: once they wait for their reader, a signal still ends them."""
    rows = [{"id": n, "slug": "p" * 400, "title": "t" * 400} for n in range(1, 1000)]

    def first(request: Request) -> Answer | None:
        return Answer(200, {"problems": rows}) if request.path == "/api/problems" else None

    async with scripted(rest=Rest(first=first)) as server:
        process = await command.start("problems", "--json", "--server", server.url, stdout=stopped.write)
        await until(lambda: stopped.is_full)
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == code, err


@pytest.mark.thorough
async def test_slow_reader_gets_everything_after_the_verdict(command: Commands, stopped: Pipe) -> None:
    """A verdict does not cut off what the reader has not read yet."""
    async with scripted(flood()) as server:
        process = await command.start("watch", "1", "--json", "--server", server.url, stdout=stopped.write)
        await until(lambda: stopped.is_full)
        out = await stopped.rest()
        await process.communicate()
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["type"] == "result"


# -- encodings --------------------------------------------------------------------------------------

LOCALES = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "gbk"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.thorough
@pytest.mark.parametrize("env", first(1, LOCALES), ids=lambda env: next(iter(env.values())))
async def test_json_is_utf_8_in_every_locale(command: Commands, env: dict[str, str]) -> None:
    """The names of tests arrive as they are, whatever the locale can show."""
    name = "Größe 中文 🎉 ünï"
    async with scripted(flood(2, name)) as server:
        done = await command("watch", "1", "--json", "--server", server.url, env=env)
    assert done.code == 0, done
    assert [line["test_name"] for line in done.of("test_result")] == [f"{name} 1", f"{name} 2"]
    assert name in done.out


@pytest.mark.thorough
@pytest.mark.parametrize("env", first(2, LOCALES), ids=lambda env: next(iter(env.values())))
@pytest.mark.parametrize("mode", first(1, ["--plain", "-q"]))
async def test_people_see_what_the_locale_can_show(command: Commands, env: dict[str, str], mode: str) -> None:
    """Escapes stand for the rest."""
    async with scripted(flood(2, "中文 🎉")) as server:
        process = await command.start("watch", "1", mode, "--server", server.url, env=env)
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"passed" in out
    assert b"fault" not in err


# -- sizes ------------------------------------------------------------------------------------------


@pytest.mark.thorough
async def test_impossible_widths_count_as_unset(command: Commands) -> None:
    """A table has the width of a pipe, and is not empty."""
    rows = [{"id": 17, "problem_id": "lru-cache", "status": "passed"}]

    def first(request: Request) -> Answer | None:
        return Answer(200, {"submissions": rows}) if request.path == "/api/submissions" else None

    async with scripted(rest=Rest(first=first)) as server:
        usual = await command("list", "--server", server.url)
        assert "lru-cache" in usual.out
        for width in ("0", "99999999999"):
            done = await command("list", "--server", server.url, env={"COLUMNS": width, "LINES": width})
            assert (done.code, done.out) == (0, usual.out), width
        usual, zero = [await command("status", "1", "--server", server.url, env=env) for env in ({}, {"COLUMNS": "0"})]
        assert (zero.code, zero.out) == (0, usual.out)


# -- the terminal afterwards ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT]
)
async def test_terminal_is_restored_after_every_signal(command: Commands, number: signal.Signals) -> None:
    """Cursor, screen, wrapping and title, whatever ends the program."""
    async with scripted(some(3, staying)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.signal(number)
        await tty.end()
        assert tty.after == tty.before
        assert pyte_modes_are_left(tty)
        assert tty.raw.count(b"\x1b[22;2t") == tty.raw.count(b"\x1b[23;2t"), "titles saved and restored"


@pytest.mark.thorough(measured=True)
async def test_terminal_is_restored_by_the_second_of_two_signals(command: Commands) -> None:
    """The second ends the program while the first still waits, and leaves the terminal as it was."""
    patch = command.cwd / "hanging-end"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import asyncio\n"
        "import subcli.cli.watching.loop as loop\n"
        "async def hang(*args, **options):\n"
        "    open('hanging', 'w').close()\n"
        "    while True:\n"
        "        try:\n"
        "            await asyncio.sleep(3600)\n"
        "        except asyncio.CancelledError:\n"
        "            pass\n"
        "loop.asyncio = type('asyncio', (), {**vars(asyncio), 'gather': hang})\n"
    )
    env = {**command.env, "PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}"}
    patched = Commands(env, command.cwd, command.printed)
    async with scripted(some(3, staying)) as server, Terminal(patched, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.press(b"\x03")
        await until((command.cwd / "hanging").exists)
        tty.press(b"\x03")
        assert await tty.end() == 130
        assert tty.after == tty.before
        assert pyte_modes_are_left(tty)


async def test_terminal_that_is_stopped(command: Commands) -> None:
    """Ctrl-S stops the screen, not the program: `--timeout` still ends it."""
    words = ("watch", "1", "--timeout", "4")
    async with scripted(some(3, staying)) as server, Terminal(command, *words, "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.press(b"\x13")
        code = await asyncio.wait_for(tty.process.wait(), HANG_S)
    assert code == 7


# -- servers ----------------------------------------------------------------------------------------


@pytest.mark.thorough
async def test_server_whose_log_nobody_reads(command: Commands, stopped: Pipe) -> None:
    """It goes on answering, and ends at a signal."""
    stopped.fill()
    os.set_blocking(stopped.write, True)
    words = ("serve", "--port", "0", "--json", "--log-level", "debug", "--data-dir", str(command.cwd / "data"))
    process = await command.start(*words, stderr=stopped.write)
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), HANG_S))
    done = await command("problems", "-q", "--server", ready["url"])
    assert done.code == 0
    assert "lru-cache" in done.out
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), HANG_S) == 0
