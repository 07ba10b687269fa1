"""Clean ends: Ctrl-C, SIGTERM, a closed terminal, a closed pipe, each within a second, in every output mode."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.hang import HANG_S
from tests.sampling import first

from .command import SUBCLI, Commands, Done
from .scripted import LOG, Answer, Request, Rest, Wire, event, scripted, seen, some, staying
from .terminal import Terminal, until
from .timing import Ending

WITHIN_S = 1.0
"""Section 3: within one second the terminal is restored and the command has ended."""

pytestmark = pytest.mark.side_by_side
MAY_BE_LOST = "The submission may not have arrived"
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]


async def interrupt(
    command: Commands, process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGINT
) -> Done:
    """Send a signal, and check that the command ends within a second."""
    ending = Ending(process.pid)
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), HANG_S)
    took_s = await ending.took_s()
    command.printed += [out.decode(), err.decode()]
    assert process.returncode is not None
    done = Done(process.returncode, out.decode(), err.decode(), took_s)
    assert took_s <= WITHIN_S, done
    return done


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("mode", ["--json", "--plain", "-q"])
@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGINT", "SIGTERM", "SIGHUP"])
async def test_signal_ends_a_watch(command: Commands, number: signal.Signals, code: int, mode: str) -> None:
    """SIGINT exits 130, SIGTERM and SIGHUP 143: within a second, and stderr names the command that resumes."""
    read = asyncio.Event()
    async with scripted(seen(3, read)) as server:
        process = await command.start("watch", "1", mode, "--server", server.url)
        await asyncio.wait_for(read.wait(), HANG_S)
        done = await interrupt(command, process, number)
    assert done.code == code, done
    assert "subcli watch 1" in done.err, done
    assert "Traceback" not in done.err
    if mode == "--json":
        assert (done.last["type"], done.last["error"]["kind"]) == ("error", "interrupted")
        assert done.last["exit_code"] == code
    if mode == "-q":
        assert done.out == ""


async def test_interrupt_during_backoff(command: Commands) -> None:
    """Ctrl-C while the command waits before a reconnect ends it within a second."""
    async with scripted(some(0)) as server:
        process = await command.start("watch", "1", "--json", "--server", server.url)
        assert process.stdout is not None
        while b"reconnecting" not in (line := await process.stdout.readline()):
            assert line, "the command ended by itself"
        done = await interrupt(command, process)
    assert done.code == 130, done
    assert "subcli watch 1" in done.err


async def test_interrupt_during_handshake(command: Commands) -> None:
    """Ctrl-C while a handshake gets no answer ends the command within a second."""
    async with scripted(staying) as server:
        process = await command.start("watch", "1", "--json", "--server", server.url)
        await asyncio.wait_for(server.connected.wait(), HANG_S)
        done = await interrupt(command, process)
    assert done.code == 130, done
    assert "subcli watch 1" in done.err


@pytest.mark.parametrize("mode", ["--json", "--plain", "-q"])
async def test_interrupt_before_there_is_an_id(command: Commands, mode: str) -> None:
    """Ctrl-C while the POST hangs: the submission may or may not have arrived, and `subcli list` tells."""
    (command.cwd / "end.py").write_text("pass")
    posted = asyncio.Event()

    def first(request: Request) -> Answer | None:
        if request.method != "POST":
            return None
        posted.set()
        return Answer(hang=True)

    async with scripted(rest=Rest(first=first)) as server:
        process = await command.start("submit", "end.py", "--problem", "1", mode, "--server", server.url)
        await asyncio.wait_for(posted.wait(), HANG_S)
        done = await interrupt(command, process)
    assert done.code == 130, done
    assert MAY_BE_LOST in done.err
    assert "subcli list" in done.err


async def test_interrupt_during_name_lookup(command: Commands) -> None:
    """Ctrl-C while the resolver hangs ends the command within a second."""
    patch = command.cwd / "slow-resolver"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import socket, time\n"
        "def slow(*args, **options):\n"
        "    open('looking', 'w').close()\n"
        "    time.sleep(20)\n"
        "    raise socket.gaierror(-3, 'no answer')\n"
        "socket.getaddrinfo = slow\n"
    )
    process = await command.start(
        *("watch", "1", "--plain", "--insecure-http", "--server", "http://judge.example"),
        env={"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}", "HTTP_PROXY": ""},
    )
    await until((command.cwd / "looking").exists)
    done = await interrupt(command, process)
    assert done.code == 130, done


@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"", 143)], ids=["Ctrl-C", "SIGTERM"])
async def test_live_screen_is_left(command: Commands, key: bytes, code: int) -> None:
    """Ctrl-C or SIGTERM on a live screen: terminal restored, cursor shown, and the hint left to read."""
    async with scripted(some(3, staying)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        ending = Ending(tty.process.pid)
        if key:
            tty.press(key)
        else:
            tty.signal(signal.SIGTERM)
        assert await tty.end() == code, tty.text
        assert await ending.took_s() <= WITHIN_S
        assert "subcli watch 1" in " ".join(tty.text.split()), tty.text
        assert tty.after == tty.before, "the terminal's settings are restored"
        assert not tty.screen.cursor.hidden
        assert pyte_modes_are_left(tty), "no alternate screen, no mouse, wrapping on"


def pyte_modes_are_left(tty: Terminal) -> bool:
    """Whether every private mode that was set was reset again."""
    raw = tty.raw.decode(errors="replace")
    return all(
        raw.rfind(f"\x1b[?{mode}{off}") >= raw.rfind(f"\x1b[?{mode}{on}")
        for mode, on, off in (
            ("1049", "h", "l"),
            ("25", "l", "h"),
            ("7", "l", "h"),
            ("2026", "h", "l"),
            ("1000", "h", "l"),
        )
    )


@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["live", "plain"])
async def test_closed_terminal(command: Commands, options: tuple[str, ...]) -> None:
    """Closing the window ends the command within a second: exit 143."""
    async with (
        scripted(some(3, staying)) as server,
        Terminal(command, "watch", "1", *options, "--server", server.url) as tty,
    ):
        await tty.until(lambda text: "One" in text)
        ending = Ending(tty.process.pid)
        tty.hang_up()
        assert await tty.end() == 143
        assert await ending.took_s() <= WITHIN_S


@pytest.mark.parametrize("mode", ["--json", "--plain"])
async def test_closed_pipe(command: Commands, mode: str) -> None:
    """`| head -1` ends the command within a second, although nothing more is written: exit 141, silently."""
    async with scripted(some(3, staying)) as server:
        read, write = os.pipe()
        process = await command.start("watch", "1", mode, "--server", server.url, stdout=write)
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as reader:
            await asyncio.get_running_loop().run_in_executor(None, reader.read, 1)
            ending = Ending(process.pid)
        _, err = await asyncio.wait_for(process.communicate(), HANG_S)
        assert await ending.took_s() <= WITHIN_S
    assert process.returncode == 141, err
    assert err == b""


async def test_pipe_closed_in_a_flood(command: Commands) -> None:
    """A reader that goes away in the middle of a flood: exit 141, silently."""
    many = [event(seq, "test_result", test_name=f"t{seq}", status="passed") for seq in range(1, 3000)]

    async def flood(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*many)
        await wire.stay()

    for mode in ("--json", "--plain"):
        async with scripted(flood) as server:
            process = await asyncio.create_subprocess_shell(
                f"{' '.join(SUBCLI)} watch 1 {mode} --server {server.url} | head -n 1; echo ${{PIPESTATUS[0]}}",
                executable="/bin/bash",
                env=command.env,
                cwd=command.cwd,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 40)
        assert out.splitlines()[-1] == b"141", (out, err)
        assert err == b""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "code"),
    first(
        2,
        [
            ("watch 1 --json --debug --server {url} >out", 0),
            ("--version >/dev/full", 2),
            ("status 7 --server {url}", 5),
            ("watch 1 --json --fail-fast --max-attempts nonsense", 2),
            ("", 2),
        ],
    ),
)
@pytest.mark.parametrize("stderr", first(1, ["full", "dead"]))
async def test_stderr_that_cannot_be_written(command: Commands, words: str, code: int, stderr: str) -> None:
    """What nobody hears does not end the work: a reader of stderr that left, or a full disk, changes no exit code."""
    read, write = os.pipe()
    os.close(read)
    redirected = "2>/dev/full" if stderr == "full" else ""

    def none_but_one(request: Request) -> Answer | None:
        return Answer(404, {"detail": "Not Found"}) if "/7" in request.path else None

    async with scripted(some(6), rest=Rest(first=none_but_one)) as server:
        shell = f"{' '.join(SUBCLI)} {words.format(url=server.url)} {redirected}"
        process = await asyncio.create_subprocess_shell(shell, env=command.env, cwd=command.cwd, stderr=write)
        os.close(write)
        assert await asyncio.wait_for(process.wait(), 40) == code
    if ">out" in words:
        assert '"final_status":"passed"' in (command.cwd / "out").read_text().splitlines()[-1].replace(" ", "")


async def test_closed_standard_streams(command: Commands) -> None:
    """`>&-`: the verdict still decides; no socket takes the place of stdout. A full disk is named."""
    async with scripted(some(6)) as server:
        for closing, mode in ((">&-", "--json"), (">&-", "--plain"), ("2>&-", "--plain"), ("<&- >&- 2>&-", "--json")):
            shell = f"{' '.join(SUBCLI)} watch 1 {mode} --server {server.url} {closing}"
            process = await asyncio.create_subprocess_shell(shell, env=command.env, cwd=command.cwd)
            assert await asyncio.wait_for(process.wait(), 40) == 0, closing
        shell = f"{' '.join(SUBCLI)} watch 1 --json --server {server.url} > /dev/full"
        process = await asyncio.create_subprocess_shell(
            shell, env=command.env, cwd=command.cwd, stderr=asyncio.subprocess.PIPE
        )
        _, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 2, err
    assert b"No space left" in err
    assert b"Traceback" not in err


@pytest.mark.thorough(measured=True)
async def test_ignored_hangup(command: Commands) -> None:
    """A SIGHUP that the parent had ignored, as nohup does, stays ignored."""
    read, hung_up = asyncio.Event(), asyncio.Event()

    async def go_on(wire: Wire) -> None:
        await hung_up.wait()
        await wire.answered()
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(seen(3, read, go_on)) as server:
        process = await command.start(
            *("watch", "1", "--json", "--server", server.url),
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
        await asyncio.wait_for(read.wait(), HANG_S)
        process.send_signal(signal.SIGHUP)
        hung_up.set()
        await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode == 0


@pytest.mark.thorough(measured=True)
async def test_interrupt_during_imports(command: Commands) -> None:
    """Ctrl-C while modules are still being imported: exit 130, without a traceback."""
    patch = command.cwd / "interrupting"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == os.environ['AT']:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    for module in ("subcli.cli.main", "typer", "httpx", "websockets"):
        done = await command(
            *("watch", "1", "--server", "http://127.0.0.1:9"),
            env={"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}", "AT": module},
        )
        assert done.code == 130, (module, done)
        assert "Traceback" not in done.err
