"""Loaded by the process of the tests: tells the processes below which mutant they are, and mutmut what they called."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from mutmut.mutation.trampoline import get_mutant_under_test
from mutmut.state import state

from tests.mutation.switch import PLACE

_NOTES: Final = Path(PLACE) / "under_test"


def pytest_configure() -> None:
    """Write down which mutant this process is."""
    (_NOTES / str(os.getpid())).write_text(get_mutant_under_test())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """What other processes have called counts as called by this test."""
    if get_mutant_under_test() == "stats":
        with suppress(FileNotFoundError):
            state()._stats.update((_NOTES / "called").read_text().split())
            (_NOTES / "called").unlink()
