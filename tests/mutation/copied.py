"""The copy of the tree in which mutmut works, and what is added to it.

mutmut works in `mutants/AREA/` and puts the mutants into `mutants/AREA/mutants/`, which we fill, so that it changes
nothing there but the files of the area.
"""

from __future__ import annotations

import json
import marshal
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_FOLDERS: Final = ("src", "tests", "generate", "completions", "man", "docs")
_FILES: Final = ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")
_NAMES: Final = ("confine", "grade", "host", "launch", "pump", "serve", "spawner")
_SCRIPTS: Final = tuple(f"judge/process/{name}.py" for name in _NAMES)
"""Programs that run without the packages of the environment, of which mutmut is one."""
_IMPORT: Final = "from mutmut.mutation.trampoline import wrap_in_trampoline as _mutmut_mutated, MutantDict\n"
_LOAD: Final = """
import marshal, os
_code = os.open({}, os.O_RDONLY)
_text = b""
while _more := os.read(_code, 1 << 20):
    _text += _more
os.close(_code)
exec(marshal.loads(_text))
"""
_PLUGINS: Final = ("no:xdist", "no:hypothesispytest", "no:anyio", "tests.mutation.plugin")
_RUN: Final = """
from mutmut import __main__ as mutmut
from mutmut.workers.isolation import ForkRunner
# What finds out which test calls what has just shown that all of them pass.
ForkRunner.run_clean_tests = lambda self, tests: 0
mutmut.cli()
"""
_GENERATE: Final = "from mutmut import __main__ as mutmut; mutmut.create_mutants(2)"


@dataclass(frozen=True)
class Area:
    """What is changed, and the tests that must notice.

    Attributes:
        chosen: which of these tests, in the words of pytest's `-k`.
    """

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    chosen: str = ""


class Copy:
    """A copy of the tree for one area, with its mutants.

    Args:
        name: of the area; several can be tested beside each other.
    """

    def __init__(self, name: str, area: Area) -> None:
        self._area = area
        self._place = ROOT / "mutants" / name
        self._inner = self._place / "mutants"

    def make(self) -> None:
        """Copy the tree, and make the mutants."""
        shutil.rmtree(self._place, ignore_errors=True)
        _copy(self._place)
        _copy(self._inner)
        (self._inner / "under_test").mkdir()
        settings = "".join(f"{name} = {json.dumps(value)}\n" for name, value in _settings(self._area).items())
        with (self._place / "pyproject.toml").open("a") as file:
            file.write(f"\n[tool.mutmut]\n{settings}")
        self._call([sys.executable, "-c", _GENERATE], stdout=subprocess.DEVNULL, check=True)
        for name in _SCRIPTS:
            self._make_switchable(self._inner / "src/subcli" / name)

    def run(self, *words: str) -> None:
        """Run mutmut in the copy."""
        self._call([sys.executable, "-c", _RUN, "run", *words])
        for path in self._inner.rglob("*.whole"):
            # From here on they are only read.
            path.rename(path.with_suffix(".py"))

    def outcomes(self) -> dict[str, int | None]:
        """The exit code of the tests for each mutant that was made; ``None`` where they were not run."""
        found: dict[str, int | None] = {}
        for path in sorted(self._place.rglob("*.meta")):
            found |= json.loads(path.read_text())["exit_code_by_key"]
        return found

    def difference(self, mutant: str) -> Sequence[str]:
        """The lines that a mutant changes, before and after."""
        program = str(Path(sys.executable).with_name("mutmut"))
        shown = self._call([program, "show", mutant], stdout=subprocess.PIPE, text=True)
        return re.findall(r"^[-+](?![-+] ?).*", shown.stdout, re.MULTILINE)

    def _call(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command in the copy; what it starts imports from there as well."""
        paths = (self._inner / "tests/mutation/site", self._inner / "src", self._inner)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        return subprocess.run(command, cwd=self._place, env=environment, **{"check": False, **options})

    def _make_switchable(self, script: Path) -> None:
        """Put our own switch into a program that cannot import mutmut's."""
        text = script.read_text()
        if _IMPORT not in text:
            return
        module = ".".join(script.relative_to(self._inner / "src").with_suffix("").parts)
        switch = (self._inner / "tests/mutation/switch.py").read_text()
        for name, value in {"MODULE": module, "PLACE": str(self._inner)}.items():
            switch = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", switch, flags=re.MULTILINE)
        text = text.replace(_IMPORT, switch)
        # A program is compiled at each start, which takes a second with all its mutants: it loads what was compiled.
        code = compile(text, str(script), "exec")
        script.with_suffix(".code").write_bytes(marshal.dumps(code))
        script.with_suffix(".whole").write_text(text)
        script.write_text(_LOAD.format(repr(str(script.with_suffix(".code")))))
        os.utime(script)


def _copy(target: Path) -> None:
    for name in _FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, target / name, ignore=ignored, symlinks=True)
    for name in _FILES:
        shutil.copy(ROOT / name, target)


def _settings(area: Area) -> Mapping[str, object]:
    plugins = [
        word
        for name in ("no:xdist", "no:hypothesispytest", "no:anyio", "tests.mutation.plugin")
        for word in ("-p", name)
    ]
    return {
        "source_paths": _sources(area),
        # Alembic loads these under names of its own, so mutmut's switch never reaches them, and each would survive.
        "do_not_mutate": ["*/migrations/*"],
        "pytest_add_cli_args_test_selection": list(area.tests),
        # Mutants that do not end are ended by mutmut, according to how long their tests take here and now.
        "pytest_add_cli_args": [*plugins, "--timeout", "600", *(["-k", area.chosen] if area.chosen else [])],
        # Before a test's own time come its fixtures: a database, or a process that has to be started.
        "timeout_constant": 5.0,
    }


def _sources(area: Area) -> Sequence[str]:
    """The files of an area; a module may be a file or a folder."""
    found = []
    for name in area.sources:
        path = ROOT / "src/subcli" / name
        found += [path] if path.exists() else sorted(path.parent.glob(f"{path.name}*.py"))
    return [str(path.relative_to(ROOT)) for path in found]
