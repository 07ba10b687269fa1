"""Clean ends: Ctrl-C, SIGTERM, a closed terminal, a closed pipe, each within a second, in every output mode."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from .command import SUBCLI, Commands, Done
from .scripted import LOG, Answer, Rest, Server, Wire, event, scripted, some, staying
from .terminal import Terminal, until
from .together import SLACK_S, Batch, together

WITHIN_S = 1.0
end = Batch()


@pytest.mark.long
@pytest.mark.timeout(170)
async def test_ends(command: Commands) -> None:
    """Everything that ends a command from outside."""
    await together(end.scenarios, command)


async def ended_by(
    command: Commands, server: Server, number: signal.Signals, *words: str, after_s: float = 0.3
) -> tuple[Done, float]:
    """Send a signal once the socket is open; how it ended, and how many seconds later."""
    process = await command.start(*words, "--server", server.url)
    await asyncio.wait_for(server.connected.wait(), 30)
    await asyncio.sleep(after_s)
    sent = time.monotonic()
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    took = time.monotonic() - sent
    command.printed += [out.decode(), err.decode()]
    return Done(process.returncode or 0, out.decode(), err.decode(), took), took


@end
async def a_signal_in_each_mode(command: Commands) -> None:
    """SIGINT 130, SIGTERM and SIGHUP 143: within a second, and stderr says how to take it up again."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)):
        for mode in ("--json", "--plain", "-q"):
            async with scripted(some(3, staying)) as server:
                done, took = await ended_by(command, server, number, "watch", "1", mode)
            assert done.code == code, (number, mode, done)
            assert took < WITHIN_S + SLACK_S
            assert "subcli watch 1" in done.err, (number, mode, done)
            assert "Traceback" not in done.err
            if mode == "--json":
                assert (done.last["type"], done.last["error"]["kind"]) == ("error", "interrupted")
                assert done.last["exit_code"] == code
            if mode == "-q":
                assert done.out == ""


@end
async def while_it_waits(command: Commands) -> None:
    """Ctrl-C in the middle of a backoff, and while a handshake gets no answer, is as quick."""
    for script in (some(0), staying):
        async with scripted(script) as server:
            done, took = await ended_by(command, server, signal.SIGINT, "watch", "1", "--json", after_s=0.6)
        assert done.code == 130, done
        assert took < WITHIN_S + SLACK_S
        assert "subcli watch 1" in done.err


@end
async def before_there_is_an_id(command: Commands) -> None:
    """While the POST hangs: the submission may not have arrived, and `subcli list`."""
    (command.cwd / "end.py").write_text("pass")
    for mode in ("--json", "--plain", "-q"):
        posted = asyncio.Event()

        def first(request: object, posted: asyncio.Event = posted) -> Answer | None:
            if getattr(request, "method", "") != "POST":
                return None
            posted.set()
            return Answer(hang=True)

        async with scripted(rest=Rest(first=first)) as server:
            process = await command.start("submit", "end.py", "--problem", "1", mode, "--server", server.url)
            await asyncio.wait_for(posted.wait(), 30)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 30)
            assert time.monotonic() - sent < WITHIN_S + SLACK_S
        assert process.returncode == 130, (mode, out, err)
        assert b"The submission may not have arrived" in err
        assert b"subcli list" in err


@end
async def a_name_lookup_that_hangs(command: Commands) -> None:
    """A resolver that hangs does not hold up the end."""
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
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130, err
    assert time.monotonic() - sent < WITHIN_S + SLACK_S


@end
async def live_on_a_terminal(command: Commands) -> None:
    """Ctrl-C, SIGTERM on a live screen: the terminal as it was, the cursor shown, the hint left to read."""
    for ending, code in ((lambda t: t.press(b"\x03"), 130), (lambda t: t.signal(signal.SIGTERM), 143)):
        async with scripted(some(3, staying)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
            await tty.until(lambda text: "One" in text)
            sent = time.monotonic()
            ending(tty)
            assert await tty.end() == code, tty.text
            assert time.monotonic() - sent < WITHIN_S + SLACK_S
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


@end
async def a_closed_terminal(command: Commands) -> None:
    """The window is closed: 143, within a second, nothing left running."""
    for words in (("watch", "1"), ("watch", "1", "--plain")):
        async with scripted(some(3, staying)) as server, Terminal(command, *words, "--server", server.url) as tty:
            await tty.until(lambda text: "One" in text)
            sent = time.monotonic()
            tty.hang_up()
            assert await tty.end() in (143, -signal.SIGHUP)
            assert tty.process.returncode == 143
            assert time.monotonic() - sent < WITHIN_S + SLACK_S


@end
async def a_closed_pipe(command: Commands) -> None:
    """`| head -1`: 141, silent, within a second although nothing more is written."""
    for mode in ("--json", "--plain"):
        async with scripted(some(3, staying)) as server:
            read, write = os.pipe()
            process = await command.start("watch", "1", mode, "--server", server.url, stdout=write)
            os.close(write)
            with os.fdopen(read, "rb", buffering=0) as reader:
                await asyncio.get_running_loop().run_in_executor(None, reader.read, 1)
            closed = time.monotonic()
            _, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 141, (mode, err)
        assert err == b""
        assert time.monotonic() - closed < WITHIN_S + SLACK_S


@end
async def a_pipe_closed_in_a_flood(command: Commands) -> None:
    """A reader that goes in the middle of a flood: 141 as well, without a word."""
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


@end
async def streams_that_are_closed(command: Commands) -> None:
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


@end
async def nohup(command: Commands) -> None:
    """A hangup that whoever started us wants ignored is ignored."""
    release = asyncio.Event()

    async def wait(wire: Wire) -> None:
        await release.wait()
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(some(3, wait)) as server:
        process = await command.start(
            *("watch", "1", "--json", "--server", server.url),
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
        await asyncio.wait_for(server.connected.wait(), 30)
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.3)
        release.set()
        await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0


@end
async def while_it_starts(command: Commands) -> None:
    """Ctrl-C while modules are still being imported: 130, and no traceback."""
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
