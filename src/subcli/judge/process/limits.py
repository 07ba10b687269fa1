"""Evidence of an exceeded limit, combined with what the test itself saw."""

from __future__ import annotations

from dataclasses import replace

from subcli.judge.evidence import Evidence
from subcli.judge.problem import ResourceLimits
from subcli.judge.process.usage import Usage

_MEGABYTE = 1024 * 1024


def over_limits(limits: ResourceLimits, usage: Usage) -> Evidence | None:
    """The first limit that `usage` exceeds, or None."""
    return too_many_processes(limits, usage.processes) or _disk(limits, usage) or _memory(limits, usage)


def too_many_processes(limits: ResourceLimits, count: int) -> Evidence | None:
    """The limit, if `count` processes at once exceed it."""
    if count <= limits.processes:
        return None
    return Evidence(
        kind="limit",
        limit="processes",
        message=f"{count} processes at once, more than the limit of {limits.processes}",
        expected=f"at most {limits.processes} processes",
        actual=f"{count} processes",
    )


def _disk(limits: ResourceLimits, usage: Usage) -> Evidence | None:
    for used in usage.places:
        if used.count > limits.files or used.size > limits.disk_mb * _MEGABYTE:
            return Evidence(
                kind="limit",
                limit="disk",
                message=f"it wrote more than {limits.disk_mb} MB or {limits.files} files",
                expected=f"at most {limits.disk_mb} MB in {limits.files} files",
                actual=f"{used.size // _MEGABYTE} MB in {used.count} files",
            )
    return None


def _memory(limits: ResourceLimits, usage: Usage) -> Evidence | None:
    used, largest = usage.memory // _MEGABYTE, usage.largest // _MEGABYTE
    each, total = limits.memory_mb, limits.total_memory_mb
    if usage.killed > 0:
        message = f"the memory ran out at the limit of {total} MB in all"
        expected, actual = f"at most {total} MB in all", "more; the kernel killed a process"
    elif largest > each:
        message = f"a process used {largest} MB of memory, more than the limit of {each} MB"
        expected, actual = f"at most {each} MB for each process", f"{largest} MB in one process, {used} MB in all"
    elif used > total:
        message = f"all processes used {used} MB of memory, more than the limit of {total} MB"
        expected, actual = f"at most {total} MB in all", f"{used} MB in {usage.processes} processes"
    else:
        return None
    return Evidence(kind="limit", limit="memory", message=message, expected=expected, actual=actual)


def over_limit(exceeded: Evidence, found: Evidence | None) -> Evidence:
    """The exceeded limit, which explains what the test or build saw, with the node, lines and output that it saw."""
    if found is None:
        return exceeded
    return replace(exceeded, node=found.node, sites=found.sites, stderr=found.stderr, command=found.command)


def left_behind(count: int, found: Evidence | None) -> Evidence:
    """Evidence that `count` processes were still running after the test; added to what the test found, if anything."""
    if found is not None:
        return replace(found, left_behind=count)
    return Evidence(
        kind="limit",
        limit="left_behind",
        message=f"{count} process{'es' if count > 1 else ''} still running after the test had ended",
        expected="no process left",
        actual=f"{count} left",
        left_behind=count,
    )


def out_of_time(seconds: float) -> Evidence:
    """Evidence that the whole submission took longer than `seconds`."""
    return Evidence(
        kind="limit",
        limit="submission_time",
        message=f"the submission took longer than {seconds:g} s in all",
        seconds=seconds,
    )
