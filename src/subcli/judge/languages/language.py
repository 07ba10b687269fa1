"""A language: how a solution in it is built and started."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHIMS = Path(__file__).parents[1] / "shims"
_PLACEHOLDER = re.compile(r"\{(?:source|python|shims)\}")


@dataclass(frozen=True)
class Language:
    """How a solution in one language is built and started.

    `build` and `run` may contain the placeholders `{source}`, `{sources}` (every file with the extension of
    the source), `{python}` and `{shims}`; see `expand`.
    """

    name: str
    source: str
    run: tuple[str, ...]
    build: tuple[str, ...] = ()
    template: Path | None = None
    requires: tuple[str, ...] = ()
    """Programs that must be installed for this language, for example `node`."""
    bounded_address_space: bool = True
    """Whether memory may be limited by RLIMIT_AS; V8 and the JVM reserve far more than they use."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that must be installed: those that it requires, and those that its commands start by name."""
        started = (command[0] for command in (self.build, self.run) if command)
        return tuple(dict.fromkeys((*self.requires, *filter(is_installed_program, started))))

    def template_text(self) -> str:
        """The text of the template; empty if the problem has none."""
        return self.template.read_text(encoding="utf-8") if self.template else ""

    def name_of_single(self, submitted: str | None) -> str:
        """The name under which the only file of a submission is judged: its own, so that places name it.

        It is `source` where the file has no name, where its ending is another one (`entry` would not find it), and
        where the commands name `source` themselves.
        """
        words = (*self.build, *self.run)
        placed = any("{sources}" in word or "{source}" in word for word in words)
        # `./main.py`, but not `python_main.py`.
        fixed = any(re.search(rf"(?<![\w.-]){re.escape(self.source)}(?![\w.-])", word) for word in words)
        if not submitted or not placed or fixed or Path(submitted).suffix != Path(self.source).suffix:
            return self.source
        return Path(submitted).name

    def entry(self, files: Mapping[str, str]) -> str | None:
        """The file to start: the one named `source`, otherwise the only one with the same extension."""
        if self.source in files:
            return self.source
        alike = self._alike(files)
        return alike[0] if len(alike) == 1 else None

    def _alike(self, files: Mapping[str, str]) -> list[str]:
        suffix = Path(self.source).suffix
        return sorted(name for name in files if Path(name).suffix == suffix)

    def expand(self, command: tuple[str, ...], files: Mapping[str, str], entry: str) -> tuple[str, ...]:
        """The command with its placeholders replaced, for a submission of these files.

        A name such as `-o.c`, `@opts.c` or `+x.c` becomes `./-o.c`: no program takes it for an option or a file of
        options.
        """
        known = {"{source}": _operand(entry), "{python}": sys.executable, "{shims}": str(SHIMS)}
        words: list[str] = []
        for word in command:
            if word == "{sources}":
                words += map(_operand, self._alike(files))
            else:
                # In one pass: a file may be called like a placeholder.
                words.append(_PLACEHOLDER.sub(lambda found: known[found[0]], word))
        return tuple(words)


def is_installed_program(word: str) -> bool:
    """Whether a command's first word names a program of the machine, not a placeholder or a file beside the command."""
    return "{" not in word and (word.startswith("/") or "/" not in word)


def _operand(name: str) -> str:
    return f"./{name}" if name.startswith(("-", "@", "+")) else name
