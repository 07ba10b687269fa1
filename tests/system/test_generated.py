"""The committed generated files are up to date."""

from __future__ import annotations

from pathlib import Path

from generate import everything

ROOT = Path(__file__).parents[2]


def test_generated_files() -> None:
    """`make generate` would change nothing, and there are no leftover files."""
    made = everything(ROOT)
    on_disk = {name: (ROOT / name).read_text() for name in made if (ROOT / name).is_file()}
    assert on_disk == made, "run `make generate`"
    beside = {
        path.relative_to(ROOT).as_posix() for place in ("completions", "man") for path in (ROOT / place).rglob("*")
    }
    files = {name for name in beside if (ROOT / name).is_file()}
    assert files == {name for name in made if name.startswith(("completions/", "man/"))}
