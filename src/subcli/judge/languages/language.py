"""A language: how a solution in it is built and started."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from subcli.judge.languages.entry_point import has_main, main_class, public_type

SHIMS = Path(__file__).parents[1] / "shims"
_PLACEHOLDER = re.compile(r"\{(?:source|stem|class|python|shims)\}")


@dataclass(frozen=True)
class Language:
    """How a solution in one language is built and started.

    `build` and `run` may contain the placeholders `{source}`, `{stem}` (the source without its ending), `{class}`
    (Java's name of the main class), `{sources}` (every file that has one of `endings`), `{python}` and `{shims}`; see
    `expand`.
    """

    name: str
    source: str
    """The file to start, and the name of a single file that has none."""
    run: tuple[str, ...]
    build: tuple[str, ...] = ()
    template: Path | None = None
    requires: tuple[str, ...] = ()
    """Programs that must be installed for this language, for example `node`."""
    tools: tuple[str, ...] = ()
    """Programs that its commands may start without naming them, if they are installed."""
    bounded_address_space: bool = True
    """Whether memory may be limited by RLIMIT_AS; V8 and the JVM reserve far more than they use."""
    title: str = ""
    """What people call it, such as C++; empty: its name."""
    endings: tuple[str, ...] = ()
    """The endings of its source files, each with its dot; empty: that of `source`."""
    companions: tuple[str, ...] = ()
    """The endings of files that may lie beside them, such as headers."""
    entries: tuple[str, ...] = ()
    """Names of files to start besides `source`, the likeliest first."""
    keeps_name: bool = False
    """Whether a single file keeps its name, although no command has it from us."""
    main: str = ""
    """A regular expression that tells the file to start from others; empty if it cannot be told."""
    version: tuple[str, ...] = ()
    """The command that prints its version."""
    traceback: str = ""
    """How the analysis reads what its runtime prints when a program fails; see `subcli.judge.analysis.traces`."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that must be installed: those that it requires, and those that its commands start by name."""
        started = (command[0] for command in (self.build, self.run) if command)
        return tuple(dict.fromkeys((*self.requires, *filter(is_installed_program, started))))

    @property
    def source_endings(self) -> tuple[str, ...]:
        """The endings of its source files, each with its dot."""
        return self.endings or (PurePosixPath(self.source).suffix,)

    def template_text(self) -> str:
        """The text of the template; empty if the problem has none."""
        return self.template.read_text(encoding="utf-8") if self.template else ""

    def name_of_single(self, submitted: str | None, text: str = "") -> str:
        """The name under which the only file of a submission is judged: its own, so that places name it.

        It is `source` where the file has no name, where its ending is another one (`entry` would not find it), and
        where the commands name `source` themselves. A Java file is named after its public class, as it must be.

        Args:
            submitted: its name, if it has one.
            text: what is in it.
        """
        # `./main.py`, but not `python_main.py`.
        if any(re.search(rf"(?<![\w.-]){re.escape(self.source)}(?![\w.-])", word) for word in (*self.build, *self.run)):
            return self.source
        if self._uses("{class}") and (name := public_type(text)):
            return name + PurePosixPath(self.source).suffix
        placed = self.keeps_name or any(map(self._uses, ("{source}", "{sources}", "{stem}")))
        if not submitted or not placed or Path(submitted).suffix not in self.source_endings:
            return self.source
        return Path(submitted).name

    def entry(self, files: Mapping[str, str]) -> str | None:
        """The file to start; None if there is none, or if it cannot be told which one it is.

        It is the one with the main function, where that can be told and it is the only one; otherwise the one named
        `source` or like one of `entries`, otherwise the only one. Where the commands take all files, any will do.
        """
        alike = self._alike(files)
        starting = [name for name in alike if has_main(files[name], self.main)] if self.main else []
        choice = starting or ([self.source] if self.source in files else []) or alike
        for name in (self.source, *self.entries):
            if name in choice:
                return name
        is_any = not starting and not self._uses("{source}") and not self._uses("{stem}") and not self._uses("{class}")
        return choice[0] if len(choice) == 1 or (choice and is_any and self.endings) else None

    def _uses(self, placeholder: str) -> bool:
        return any(placeholder in word for word in (*self.build, *self.run))

    def _alike(self, files: Mapping[str, str]) -> list[str]:
        return sorted(name for name in files if Path(name).suffix in self.source_endings)

    def expand(self, command: tuple[str, ...], files: Mapping[str, str], entry: str) -> tuple[str, ...]:
        """The command with its placeholders replaced, for a submission of these files.

        A name such as `-o.c`, `@opts.c` or `+x.c` becomes `./-o.c`: no program takes it for an option or a file of
        options.
        """
        words: list[str] = []
        for word in command:
            if word == "{sources}":
                words += map(_operand, self._alike(files))
            else:
                # In one pass: a file may be called like a placeholder.
                words.append(_PLACEHOLDER.sub(lambda found: self._meaning(found[0], files, entry), word))
        return tuple(words)

    def _meaning(self, placeholder: str, files: Mapping[str, str], entry: str) -> str:
        match placeholder:
            case "{python}":
                return sys.executable
            case "{shims}":
                return str(SHIMS)
            case "{stem}":
                return _operand(str(PurePosixPath(entry).with_suffix("")))
            case "{class}":
                return main_class(files.get(entry, ""), self.main) or PurePosixPath(entry).stem
        return _operand(entry)


def is_installed_program(word: str) -> bool:
    """Whether a command's first word names a program of the machine, not a placeholder or a file beside the command."""
    return "{" not in word and (word.startswith("/") or "/" not in word)


def _operand(name: str) -> str:
    return f"./{name}" if name.startswith(("-", "@", "+")) else name
