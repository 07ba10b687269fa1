"""The system call filter: how long it is, and what it says of calls that nobody knows yet."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys

import pytest

from subcli.judge.sandbox.syscalls import FilterError, compiled

_INSTRUCTION_BYTES = 8
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_STATX = 332
_GETPID_OF_X32 = 0x4000_0000 + 39


@pytest.fixture(scope="module")
def rules() -> bytes:
    try:
        return compiled()
    except FilterError as error:
        pytest.skip(str(error))


class _Program(ctypes.Structure):
    """struct sock_fprog, linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def called(rules: bytes, number: int) -> int:
    """The error that a call gives under the filter; a negative signal if that kills the process."""
    child = os.fork()
    if child == 0:
        library = ctypes.CDLL(None, use_errno=True)
        program = _Program(len(rules) // _INSTRUCTION_BYTES, rules)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if library.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
            os._exit(255)
        os._exit(ctypes.get_errno() if library.syscall(number, -1, -1, -1, -1) == -1 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_filter_is_short(rules: bytes) -> None:
    """The kernel compiles it for each process that is started."""
    assert len(rules) / _INSTRUCTION_BYTES <= 400


@pytest.mark.parametrize("number", [600, 1_023, 1_024, 100_000, 0x3FFF_FFFF])
def test_calls_that_are_newer_than_the_library(rules: bytes, number: int) -> None:
    """They fail as on a kernel that lacks them."""
    assert called(rules, number) == errno.ENOSYS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other architectures have other numbers")
def test_unknown_calls_do_not_reach_the_kernel(rules: bytes) -> None:
    """What is above the last call that the library knows fails, even if the kernel has it."""
    at = 4 * _INSTRUCTION_BYTES + 4
    last = int.from_bytes(rules[at : at + 4], sys.byteorder)
    assert _STATX < last < 1_023
    assert called(rules, _STATX) != errno.ENOSYS
    older = rules[:at] + (_STATX - 1).to_bytes(4, sys.byteorder) + rules[at + 4 :]
    assert called(older, _STATX) == errno.ENOSYS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 belongs to x86-64")
def test_calls_of_another_architecture_kill(rules: bytes) -> None:
    """Those of x32 have the architecture of x86-64, and numbers above all of it."""
    assert called(rules, _GETPID_OF_X32) == -signal.SIGSYS
