"""Completion in real shells (bash, zsh, fish), with the scripts installed by the wheel."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from subcli.workspace.completion_cache import CompletionCache
from tests.sampling import first

from .conftest import needs
from .shell import Shell

ROOT = Path(__file__).parents[2]
PROMPT = "ready> "
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
EVIL = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "'|touch pwned", "\x1b]0;pwned\x07", "-rf", "a b", "ü"]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The `share` of an environment, as pyproject.toml lays it out."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, target in wheel["shared-data"].items():
        if source.startswith("completions/"):
            path = tmp_path / target
            path.parent.mkdir(parents=True)
            path.symlink_to(ROOT / source)
    return tmp_path / "share"


@pytest.fixture
def person(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose cache knows names, bad ones among them, and who has two profiles."""
    home = Path(env["HOME"])
    names = home / ".cache/subcli/names"
    cache = CompletionCache("http://127.0.0.1:8000", names)
    cache.keep("problems", ["leader-election", "lru-cache"])
    cache.keep("languages", ["javascript", "python"])
    cache.keep("ids", [4712, 4711])
    CompletionCache("http://127.0.0.1:8123", home / "another").keep("ids", [9911])
    (path,) = [each for each in names.iterdir() if each.suffix != ".lock"]
    kept = json.loads(path.read_text())
    kept["problems"][1] += EVIL
    kept["ids"][1] += EVIL
    path.write_text(json.dumps(kept))
    for other in (home / "another").iterdir():
        other.rename(names / other.name)
    (home / ".config/subcli").mkdir(parents=True)
    (home / ".config/subcli/config.toml").write_text("[profiles.work]\n[profiles.'$(touch pwned)']\n")
    bin_directory = str(Path(sys.executable).parent)
    return {**env, "PATH": f"{bin_directory}:{env['PATH']}", "LC_ALL": "C.UTF-8"}


def bash(env: dict[str, str], share: Path, cwd: Path) -> Shell:
    """A bash with the package bash-completion, which loads ours at the first TAB."""
    needs("bash-completion", BASH_COMPLETION.is_file())
    setup = cwd / "bashrc"
    keys = "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'"
    setup.write_text(f"PS1='{PROMPT}'; . {BASH_COMPLETION}; {keys}\n")
    words = ["bash", "--noprofile", "--rcfile", str(setup), "-i"]
    return Shell(words, {**env, "XDG_DATA_DIRS": f"{share}:/usr/share"}, cwd)


def zsh(env: dict[str, str], share: Path, cwd: Path) -> Shell:
    """A zsh that finds ours in its fpath."""
    needs("zsh", shutil.which("zsh"))
    setup = f"PS1='{PROMPT}'; fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D\n"
    (cwd / ".zshrc").write_text(setup)
    return Shell(["zsh", "-i"], {**env, "ZDOTDIR": str(cwd)}, cwd)


def fish(env: dict[str, str], share: Path, cwd: Path) -> Shell:
    """A fish that finds ours among its data directories."""
    needs("fish", shutil.which("fish"))
    words = ["fish", "--private", "--init-command", f"function fish_prompt; echo -n '{PROMPT}'; end; set fish_greeting"]
    return Shell(words, {**env, "XDG_DATA_DIRS": f"{share}:/usr/local/share:/usr/share"}, cwd)


@pytest.mark.parametrize("start", first(1, [bash, zsh, fish]))
def test_tab(start: object, person: dict[str, str], share: Path, tmp_path: Path) -> None:
    """The first TAB completes commands, options and names; a hostile name is neither shown nor executed."""
    cwd = tmp_path / "here"
    cwd.mkdir()
    assert callable(start)
    with start(person, share, cwd) as shell:
        shell.until(lambda seen: PROMPT.strip() in seen.text)
        shell.press("subcli subm\t")
        shell.until(lambda seen: seen.line.startswith(f"{PROMPT}subcli submit"))
        shell.press("--prob\t")
        shell.until(lambda seen: "--problem" in seen.line)
        # After `--problem=` or `--problem `, as each shell has it.
        shell.press("\x15subcli submit node.py --problem lea\t")
        shell.until(lambda seen: "--problem leader-election" in seen.line)
        shell.press("\x15subcli submit node.py --problem=lru\t")
        shell.until(lambda seen: "--problem=lru-cache" in seen.line)
        shell.press("\x15subcli init --language py\t")
        shell.until(lambda seen: "--language python" in seen.line)
        shell.press("\x15subcli problems show --profile w\t")
        shell.until(lambda seen: "--profile work" in seen.line)
        shell.press("\x15subcli watch 47\t\t")
        shell.until(lambda seen: "4712" in seen.text and "4711" in seen.text)
        offered = shell.text.partition("subcli watch 47")[2]
        assert offered.index("4712") < offered.index("4711"), "the newest comes first"
        # An address has colons, at which bash splits words.
        shell.press("\x15subcli status --server http://127.0.0.1:8123 99\t")
        shell.until(lambda seen: ":8123 9911" in seen.text)
        shell.press("\x15subcli status --server=http://127.0.0.1:8123 99\t")
        shell.until(lambda seen: "--server=http://127.0.0.1:8123 9911" in seen.text)
        shell.press("\x15subcli problems show le\t")
        shell.until(lambda seen: "show leader-election" in seen.text)
        assert "pwned" not in shell.text
        assert "Traceback" not in shell.text
    assert not list(tmp_path.rglob("pwned"))
