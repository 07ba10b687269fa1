"""Which versions of the languages are installed on this machine."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from subcli.judge.languages.language import Language
from subcli.judge.process.starter import clean_environment

_TIMEOUT_S: Final = 10.0
_END_S: Final = 1.0
"""How long a command may take to end once it has closed its output."""
_MOST_BYTES: Final = 4096
_LONGEST: Final = 120


def missing_programs(language: Language) -> tuple[str, ...]:
    """The programs that the language needs and that are not installed."""
    return tuple(program for program in language.programs if shutil.which(program) is None)


async def version_of(language: Language, directory: Path) -> str:
    """The first line that the language's command for it prints, such as `go version go1.22.2 linux/amd64`.

    Args:
        directory: where it runs.

    Returns:
        Empty if the language has no such command, or if the command fails.
    """
    command = language.expand(language.version, {}, language.source)
    if not command:
        return ""
    try:
        text = await asyncio.to_thread(_first_output, command, directory)
    except OSError:
        return ""
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    return next((line[:_LONGEST] for line in lines if line), "")


def _first_output(command: Sequence[str], directory: Path) -> bytes:
    """What a command prints first, on stdout or stderr. It is ended then, whatever it does.

    Raises:
        OSError: it cannot be started.
    """
    text = b""
    deadline = time.monotonic() + _TIMEOUT_S
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=clean_environment(directory),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        try:
            while len(text) < _MOST_BYTES and select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
                data = os.read(pipe, _MOST_BYTES)
                if not data:
                    with suppress(subprocess.TimeoutExpired):
                        if process.wait(_END_S) != 0:
                            return b""
                    break
                text += data
        finally:
            # It may have left something running, or print for ever.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return text
