"""What the launcher passes on."""

from __future__ import annotations

import os

from subcli.judge.process.launch import _KeepingPump


def test_what_was_only_kept_is_still_to_be_passed_on() -> None:
    """Else a launcher that ends in this moment loses it: the traceback of a program that has just failed."""
    source, solution = os.pipe()
    target, passed_on = os.pipe()
    copy = os.memfd_create("copy")
    pump = _KeepingPump(source, passed_on, 1024, lambda: None, copy)
    assert pump.is_empty()
    os.write(solution, b"Traceback\n")
    pump.keep()
    assert not pump.is_empty()
    os.close(solution)
    pump.run()
    assert pump.is_empty()
    assert os.read(target, 1024) == os.pread(copy, 1024, 0) == b"Traceback\n"
    for descriptor in (source, target, passed_on, copy):
        os.close(descriptor)
