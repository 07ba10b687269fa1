"""Chooses what solutions run under: `--sandbox auto|bwrap|none`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.process.starter import LocalStarter, Starter
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.groups import usable_cores
from subcli.judge.sandbox.probe import ProbeResult, probe

_OF_THE_SANDBOX: Final = ("/proc", "/dev", "/tmp")
MANUAL: Final = "docs/judging.md"


@dataclass(frozen=True)
class Choice:
    """The starter, its name, and what holds for it."""

    starter: Starter
    name: Sandbox
    findings: tuple[ProbeResult, ...]


class SandboxError(Exception):
    """A sandbox is needed and does not work here. Carries `message` and `hint`, each a sentence."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def choose(
    wanted: Sandbox,
    *,
    for_others: bool,
    concurrency: int = 1,
    hidden: tuple[Path, ...] = (),
    readable: tuple[Path, ...] = (),
) -> Choice:
    """Choose the starter for a judge. A sandbox is tried out before it is chosen.

    Args:
        wanted: The operator's choice.
        for_others: Whether people other than the operator submit code.
        concurrency: How many submissions are judged at once; they share the machine's processors.
        hidden: Directories that no solution may see, such as the server's data.
        readable: Files and directories that solutions may read besides what their languages need.

    Raises:
        SandboxError: A sandbox is needed and does not work here, or it cannot show what is `readable`.
    """
    for path in readable:
        _check_readable(path, hidden)
    if wanted is Sandbox.NONE:
        who = "other people's code runs" if for_others else "solutions run"
        return Choice(LocalStarter(), wanted, (ProbeResult(False, f"no sandbox, as requested: {who} as this user"),))
    if wanted is Sandbox.AUTO and not for_others:
        text = "no sandbox: your own code runs as you (use --sandbox bwrap for one)"
        return Choice(LocalStarter(), Sandbox.NONE, (ProbeResult(False, text),))
    cpus = max(1.0, usable_cores() / concurrency)
    found = probe(cpus=cpus, hidden=hidden, readable=readable)
    if found.starter is None:
        raise SandboxError(f"The sandbox does not work here: {found.reason}.", _hint(found.reason))
    return Choice(found.starter, Sandbox.BWRAP, found.findings)


def _check_readable(path: Path, hidden: Iterable[Path]) -> None:
    """
    Raises:
        SandboxError: The sandbox has something else at this path, or must hide it.
    """
    real = path.resolve()
    if not real.exists():
        raise SandboxError(f"There is no {path} for solutions to read.", "Check --sandbox-read.")
    for own in _OF_THE_SANDBOX:
        if Path(own).is_relative_to(real) or Path(own).is_relative_to(path):
            raise SandboxError(f"Solutions cannot read {path}: the sandbox has its own {own}.", "Name what they need.")
    for directory in hidden:
        # Only a check of what the operator wrote: what is hidden inside a readable directory stays hidden.
        if real.is_relative_to(directory.resolve()):
            raise SandboxError(f"Solutions must not read {path}: {directory} is hidden.", "Keep it elsewhere.")
    if any(real.is_relative_to(own) for own in ("/proc", "/dev", "/sys")):
        raise SandboxError(f"Solutions cannot read {path}: it belongs to the kernel.", "Name files on a disk.")


def _hint(reason: str) -> str:
    """What to do about it on this kind of machine."""
    if "not installed" in reason:
        return "Install it (`apt-get install bubblewrap libseccomp2`), or use --sandbox none."
    if "root only" in reason:
        return "Install Python and subcli where every user can read them, such as /opt; or use --sandbox none."
    if _in_container():
        return (
            "Start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            f"--security-opt systempaths=unconfined` (see {MANUAL}), or use --sandbox none."
        )
    if _restricted_by_apparmor():
        return (
            "Ubuntu does not let programs create user namespaces: give bwrap an AppArmor profile "
            f"(`apt-get install apparmor-profiles`, then the lines in {MANUAL}), or use --sandbox none."
        )
    return f"See {MANUAL} for what it needs, or use --sandbox none to run solutions as this user."


def _in_container() -> bool:
    return any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))


def _restricted_by_apparmor() -> bool:
    try:
        return Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").read_text().strip() == "1"
    except OSError:
        return False
