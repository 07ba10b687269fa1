"""Commands on an event loop: what ends them from outside, and what does not."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.cli.runtime import Interrupts, run
from tests.cli.streams import captured


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[int]:
    """A FIFO opened for reading and writing, as `exec 3<>fifo` does in a shell so that opening it does not block."""
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


async def _write_and_look(stdout: io.TextIOWrapper) -> str:
    stdout.write("line\n")
    stdout.flush()
    for _ in range(5):
        # The selector is asked in each round of the loop.
        await asyncio.sleep(0)
    return "finished"


def test_what_can_be_read_from_stdout_is_not_the_end_of_its_reader(tmp_path: Path, fifo: int) -> None:
    """Whoever opened the FIFO both ways can read from it what we wrote."""
    with open(fifo, "w", closefd=False) as stdout:
        streams = replace(captured(tmp_path).streams, stdout=stdout)
        assert run(lambda _: _write_and_look(stdout), streams) == "finished"


def test_reader_that_went_away_is_noticed_without_a_write(tmp_path: Path) -> None:
    """A pipe that nobody can read from any more cancels the command."""
    reading, writing = os.pipe()
    os.close(reading)

    async def wait(_: Interrupts) -> None:
        await asyncio.sleep(30)

    with open(writing, "w") as stdout, pytest.raises(BrokenPipeError):
        run(wait, replace(captured(tmp_path).streams, stdout=stdout))
