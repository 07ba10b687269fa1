"""What a check of a problem found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """The result of one check. `skipped`: it could not run on this machine."""

    what: str
    ok: bool
    detail: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Report:
    """The results of all checks."""

    directory: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, object]:
        """For JSON: `directory`, `ok` and `items`, each with `what`, `ok`, `detail` and `skipped`."""
        return {"directory": str(self.directory), "ok": self.ok, "items": [asdict(check) for check in self.checks]}
