"""Tries subcli on every Python that is found: ``make test-pythons``, or ``python -m tests.pythons --here`` anywhere.

The whole suite runs on the oldest Python. On the others run the core and the portable tests, and on Linux also the
client's tests and a demo, in an environment of each Python's own. Warnings are errors. A Python that is not here is
named. On a free-threaded one it must all work without the global lock.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
WINDOWS: Final = sys.platform == "win32"
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14", "3.14t")
"""What is tried; ``t`` is free-threaded. Those on which it was tried are classifiers in pyproject.toml."""

_ASK: Final = (
    "import ensurepip, sys, sysconfig; t = sysconfig.get_config_var('Py_GIL_DISABLED');"
    "print('%d.%d%s' % (*sys.version_info[:2], 't' if t else ''), '.'.join(map(str, sys.version_info[:3])))"
)
_PYTEST: Final = ("-m", "pytest", "-q", "--import-mode=importlib", "-W", "error", "-p", "no:cacheprovider")
_ALONE: Final = ("--noconftest", "-c", os.devnull, f"--rootdir={ROOT}", "-p", "no:asyncio", "-o", "markers=thorough")
_CORE: Final = (
    *(*_ALONE, "tests/core", "tests/shared"),
    # The modes, links and locks of POSIX.
    *(("--ignore=tests/shared/test_files.py", "--deselect=tests/shared/test_toml.py::test_unreadable_file") * WINDOWS),
)
_PORTABLE: Final = (*_ALONE, "tests/portable")
_CLIENT: Final = (
    "-n",
    "2",
    "tests/client",
    "tests/settings",
    "tests/workspace",
    "tests/cli/completion",
    "tests/cli/watching",
)
_CLIENT_FILES: Final = ("tests/cli/test_main.py", "tests/cli/test_prompt.py", "tests/cli/test_runtime.py")
_OUTPUT: Final = ("tests/output",)


class Python(NamedTuple):
    """An interpreter.

    Attributes:
        version: as in :data:`VERSIONS`.
        full: with the number of its release.
        path: the program.
    """

    version: str
    full: str
    path: Path


def found() -> dict[str, Python]:
    """The first interpreter of each version: on the path, of pyenv, of uv, or named in ``PYTHONS``."""
    pythons: dict[str, Python] = {}
    for path in _candidates():
        python = _asked(path)
        if python is not None:
            pythons.setdefault(python.version, python)
    return pythons


def _candidates() -> Iterator[Path]:
    yield from map(Path, os.environ.get("PYTHONS", "").split())
    for version in VERSIONS:
        if program := shutil.which(f"python{version}"):
            yield Path(program)
    for pattern in (".pyenv/versions/3*/bin/python3", ".local/share/uv/python/cpython-3*/bin/python3"):
        yield from sorted(Path.home().glob(pattern), reverse=True)


def _asked(path: Path) -> Python | None:
    """What a program says of itself; ``None`` if it is no Python with pip, such as a shim without one behind it."""
    try:
        done = subprocess.run([path, "-c", _ASK], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    match = re.fullmatch(r"(3\.\d+t?) (\S+)\s*", done.stdout)
    return Python(match[1], match[2], path) if match else None


class Trial:
    """The tests on one interpreter.

    Args:
        python: the interpreter.
        environment: where its packages go.
    """

    def __init__(self, python: Python, environment: Path) -> None:
        self._python = python
        self._environment = environment
        bin_directory = environment / ("Scripts" if WINDOWS else "bin")
        self._program = bin_directory / ("python.exe" if WINDOWS else "python")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SUBCLI_"))}
        self._env = {**kept, "PYTHONPATH": str(ROOT), "PATH": f"{bin_directory}{os.pathsep}{kept['PATH']}"}
        if python.version.endswith("t"):
            # Nothing may switch the lock on again.
            self._env["PYTHON_GIL"] = "0"

    def prepare(self) -> str:
        """Install the project and what the tests need; what went wrong, if anything did."""
        if not self._program.exists():
            self._run(self._python.path, "-m", "venv", str(self._environment))
        judges = sys.platform == "linux" and not self._python.version.endswith("t")
        pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint", "constraints.txt")
        self._run(self._program, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade", "pip")
        done = self._run(self._program, *pip, "--editable", ".[server]" if judges else ".", "--group", "pythons")
        return "" if done.returncode == 0 else f"cannot be installed:\n{done.stdout}{done.stderr}"

    def parts(self) -> Iterator[tuple[str, str]]:
        """Run each part; yield its name, and how it went: ``812 passed``, or what failed."""
        yield "core", self._pytest(_CORE)
        yield "portable", self._pytest(_PORTABLE)
        if sys.platform == "linux" and not self._python.version.endswith("t"):
            yield "client", self._pytest((*_CLIENT, *_CLIENT_FILES, *_OUTPUT))
            yield "demo", self._demo()

    def _pytest(self, words: Sequence[str]) -> str:
        done = self._run(self._program, *_PYTEST, *words)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        count = re.search(r"\d+ passed", last)
        return count[0] if done.returncode == 0 and count else f"FAILED\n{done.stdout}{done.stderr}"

    def _demo(self) -> str:
        for words, code in ((("demo", "--plain"), 0), (("demo", "--failing", "-q"), 1)):
            done = self._run(self._program, "-W", "error", "-m", "subcli", *words)
            if done.returncode != code or "Warning" in done.stderr:
                return f"FAILED with {done.returncode}\n{done.stdout}{done.stderr}"
        return "passed, and the other failed"

    def _run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=ROOT, env=self._env, capture_output=True, text=True, encoding="utf-8")


def main() -> int:
    """Try each interpreter; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.pythons", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"Default: {', '.join(VERSIONS)}.")
    parser.add_argument("--here", action="store_true", help="only the Python that runs this")
    given = parser.parse_args()
    pythons = found()
    if given.here:
        this = _asked(Path(sys.executable))
        pythons = {this.version: this} if this is not None else {}
    failed = False
    for version in given.versions or (pythons if given.here else VERSIONS):
        if version not in pythons:
            print(f"{version}: not found", flush=True)
            continue
        python = pythons[version]
        trial = Trial(python, ROOT / ".venv/pythons" / version)
        problem = trial.prepare()
        for name, outcome in [("environment", problem)] if problem else trial.parts():
            failed = failed or "passed" not in outcome or "FAILED" in outcome
            print(f"{version} ({python.full}): {name}: {outcome}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
