"""What is known about a failure. Tests fill it in, analyzers read it, and it crosses processes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Site:
    """A place in a file of the submission."""

    file: str
    line: int
    function: str = ""
    text: str = ""
    """The line itself, without its indentation."""


@dataclass(frozen=True)
class Evidence:
    """Facts about one failure. Empty fields are unknown or do not apply."""

    kind: str
    """violation, exit, silence, bad_line, bad_field, flood, assertion, build, missing_tool, limit, tap, other."""
    message: str = ""
    expected: str = ""
    actual: str = ""
    node: str = ""
    exit_code: int | None = None
    """As `subprocess` gives it: negative for a signal."""
    stderr: str = ""
    line: str = ""
    """The offending line of output."""
    field: str = ""
    """The field of a message that is missing or wrong."""
    sites: tuple[Site, ...] = ()
    """Places in the user's files, most telling first."""
    command: str = ""
    language: str = ""
    limit: str = ""
    """Which limit was exceeded: time, memory, processes, file_size, disk, output."""
    seconds: float = 0.0
    left_behind: int = 0
    """Processes that were still running when the test had ended."""
    explanation: str = ""
    suggestions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value not in ("", (), None)}

    @staticmethod
    def from_json(values: Mapping[str, object]) -> Evidence:
        """The evidence that `as_json` made. Raises msgspec.ValidationError where it is something else."""
        import msgspec  # not needed where evidence is only collected

        return msgspec.convert(values, Evidence)
