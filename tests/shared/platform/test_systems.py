"""Which platform is whose, and what they have in common."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from subcli.shared.platform import HERE, MacOS, Platform, Windows, platform_of
from subcli.shared.platform.desktop import Desktop, MacDesktop, WindowsDesktop
from subcli.shared.platform.signals import Signals, WindowsSignals
from tests.shared.platform.model import ModelApi


@pytest.mark.parametrize(
    ("system", "name", "judges"),
    [("linux", "Linux", True), ("darwin", "macOS", False), ("win32", "Windows", False), ("freebsd15", "macOS", False)],
)
def test_platform_of(system: str, name: str, judges: bool) -> None:
    """Of the three systems, only Linux judges; others that are like them are tried as macOS."""
    platform = platform_of(system)
    assert (platform.name, platform.judges) == (name, judges)
    assert type(platform_of(sys.platform)) is type(HERE)


ALL = [Windows(ModelApi())] if sys.platform == "win32" else [Platform(), MacOS(), Windows(ModelApi())]
"""Those whose parts can be made here: termios is not on Windows."""


@pytest.mark.parametrize("platform", ALL, ids=lambda each: each.name)
def test_parts(platform: Platform) -> None:
    """Each part is made once."""
    for part in ("files", "descriptors", "terminal", "signals", "desktop"):
        assert getattr(platform, part) is getattr(platform, part)
    assert platform.clock() <= platform.clock()
    selector = platform.selector()
    assert (selector is None) is (platform.name != "macOS")
    if selector is not None:
        selector.close()


def test_completion_needs_no_part() -> None:
    """TAB must be quick: what a platform consists of is imported when it is used."""
    program = "import sys, subcli.shared.files; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith("subcli.shared.platform")}
    assert ours == {"subcli.shared.platform", "subcli.shared.platform.files"}
    assert not {"asyncio", "ctypes", "selectors", "signal", "socket", "termios"} & set(loaded)


# -- signals ----------------------------------------------------------------------------------------


def run(main: Coroutine[Any, Any, str]) -> str:
    """Run it on the kind of loop that the program has."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main)


@pytest.mark.parametrize("signals", {each.signals for each in ALL}, ids=lambda each: type(each).__name__)
def test_signal_calls_a_function_of_the_loop(signals: Signals) -> None:
    """Ctrl-C ends a wait at once, and what was installed before is there again."""

    async def wait() -> str:
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        with signals.heard(loop) as hearing:
            hearing.add(signal.SIGINT, got.set_result, "Ctrl-C")
            loop.call_soon(signal.raise_signal, signal.SIGINT)
            found: str = await got
            hearing.remove(signal.SIGINT)
        return found

    before = signal.getsignal(signal.SIGINT)
    try:
        assert run(wait()) == "Ctrl-C"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there no signal interrupts a loop anyway")
def test_loop_that_no_signal_interrupts_is_woken() -> None:
    """On Windows a signal arrives in another thread and interrupts no wait: a socket does. Here it is made so."""

    async def wait() -> str:
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        with WindowsSignals().heard(loop) as hearing:
            hearing.add(signal.SIGTERM, got.set_result, "woken")
            loop.call_soon(ready.set)
            return str(await got)

    ready = threading.Event()

    def other_thread() -> None:
        ready.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Thread(target=other_thread)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        assert run(wait()) == "woken"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)
        thread.join()


def test_signals_of_each_system() -> None:
    """Windows has neither job control nor signals that end a program; a closed terminal counts as terminated."""
    assert set(WindowsSignals.ending) <= set(Signals.ending)
    assert WindowsSignals.stopping == WindowsSignals.fatal == ()
    assert Signals.reported(signal.SIGINT) == signal.SIGINT
    assert Signals.reported(Signals.ending[-1]) == signal.SIGTERM


# -- notifications ----------------------------------------------------------------------------------


def test_desktops(tmp_path: Path) -> None:
    """There is a desktop where its program is, and not at the other end of an SSH connection."""
    ending = ".exe" if sys.platform == "win32" else ""
    for name in (f"notify-send{ending}", f"osascript{ending}", "powershell.exe"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path), "DISPLAY": ":0"}
    for desktop in (Desktop(), MacDesktop(), WindowsDesktop()):
        assert desktop.is_here(env)
        assert not desktop.is_here({**env, "SSH_CONNECTION": "x"})
        assert not desktop.is_here({**env, "PATH": str(tmp_path / "none")})


def test_server_chooses_no_part_of_a_program() -> None:
    """The name of a problem may look like an option, a script or markup."""
    title, text = '-e do shell script "x"', "<b>$(x)</b>; 'x' \"x\""
    mac = MacDesktop().notification(title, text)
    assert list(mac.words[-3:]) == ["--", title, text]
    toast = WindowsDesktop().notification(title, text)
    assert toast.env == {"SUBCLI_TITLE": title, "SUBCLI_TEXT": text}
    assert not any(text in word or title in word for word in toast.words)
    assert Desktop().notification(title, "a & <b>").words[-2:] == (title, "a &amp; &lt;b&gt;")
