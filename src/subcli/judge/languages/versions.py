"""Which versions of the languages are installed on this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from subcli.judge.languages.language import Language
from subcli.judge.process.starter import clean_environment

_TIMEOUT_S: Final = 20.0
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
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=clean_environment(directory),
            start_new_session=True,
        )
    except OSError:
        return ""
    assert process.stdout is not None
    text = b""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                while len(text) < _MOST_BYTES and (data := await process.stdout.read(_MOST_BYTES)):
                    text += data
    finally:
        # It may have left something running, or print for ever.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    return next((line[:_LONGEST] for line in lines if line), "")
