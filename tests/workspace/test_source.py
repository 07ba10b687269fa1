"""What a submission is read from, what is left out of it, and what is warned of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from subcli.core.errors import UsageError
from subcli.shared.files import write_atomically
from subcli.workspace import history as history_module
from subcli.workspace.history import MAX_ENTRIES, History, digest
from subcli.workspace.source import Source, read_source
from tests.system.conftest import needs

IGNORE = """\
# a comment
build/
*.o
!keep.o
/top.py
docs/**/draft.md
trailing\\ space
\\#hash.py
lib/[ab].py
sub/inner/*
!sub/inner/yes.py
"""
NESTED = "*.md\n!c.py\n/only-here.py\n"
FILES = [
    "a.py",
    "a.o",
    "keep.o",
    "top.py",
    "sub/top.py",
    "build/x.py",
    "sub/build/y.py",
    "docs/draft.md",
    "docs/a/b/draft.md",
    "docs/other.md",
    "#hash.py",
    "lib/a.py",
    "lib/c.py",
    "sub/inner/no.py",
    "sub/inner/yes.py",
    "sub/readme.md",
    "sub/only-here.py",
    "sub/deep/only-here.py",
    "ünï.py",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Files, and two `.gitignore` that name some of them."""
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text(IGNORE)
    (tmp_path / "sub" / ".gitignore").write_text(NESTED)
    return tmp_path


def test_directory_leaves_out_what_git_does(project: Path) -> None:
    """A directory is what `git ls-files` would list of it, without hidden files: also from below its root."""
    needs("git", shutil.which("git"))

    def git(*words: str, at: Path = project) -> str:
        return subprocess.run(
            ["git", "-c", "core.quotePath=false", *words], cwd=at, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    for at in (project, project / "sub", project / "docs"):
        listed = git("ls-files", "--cached", "--others", "--exclude-standard", at=at).splitlines()
        wanted = {name for name in listed if not any(part.startswith(".") for part in name.split("/"))}
        assert set(read_source([str(at)]).files) == wanted


def test_what_git_ignores_besides(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What only this clone ignores, and only this user; a `.gitignore` has the last word."""
    needs("git", shutil.which("git"))
    home = tmp_path_factory.mktemp("home")
    (home / "git").mkdir()
    (home / "git" / "ignore").write_text("top.py\n/sub/\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CONFIG_HOME", str(home))
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
        (project / ".git" / "info" / "exclude").write_text("\ufeffdocs/\n*.o\n!top.py\n")
        listed = subprocess.run(
            ["git", "-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"],
            cwd=project,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        wanted = {name for name in listed if not any(part.startswith(".") for part in name.split("/"))}
        assert set(read_source([str(project)]).files) == wanted
        assert not {name for name in wanted if name.startswith(("docs", "sub"))}


def git_lists(root: Path) -> set[str]:
    """What git itself would add, without hidden files."""
    words = ["git", "-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in listed if not any(part.startswith(".") for part in name.split("/"))}


@pytest.mark.parametrize(
    "config",
    [
        "[core]\n\texcludesFile = ~/mine\n",
        '[core] excludesfile = "~/mine" ; a comment\n',
        "\ufeff; a comment\r\n[CORE]\r\nbare = false\r\nExcludesFile = ~/\\\r\nmine  # more\r\n",
        '[core "sub"]\nexcludesFile = no\n[core]\nautocrlf\nexcludesFile =   ~/"mi"ne   \n',
        '[core]\nexcludesFile = ~/no\nexcludesFile = "~/m\\u"\n',
        "[core]\nexcludesFile = mine-in-the-tree\n",
        "[core]\nexcludesFile =\n",
        "[core]\nexcludesFile = ~/not there\n",
        "[include]\npath = more\n",
        "[include]\npath = ~/more\n[include]\npath = not-there\n[user]\nname = x\n",
        '[includeIf "gitdir:~/"]\npath = more\n',
        '[includeIf "gitdir:**/project/.git"]\npath = more\n',
        '[includeIf "gitdir/i:PROJECT/"]\npath = more\n',
        '[includeIf "gitdir:elsewhere/"]\npath = more\n',
        "[user]\nname = x\n",
    ],
)
def test_what_the_configuration_ignores(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """`core.excludesFile` is found where git finds it, written as git allows; without it, the usual file counts."""
    needs("git", shutil.which("git"))
    home = tmp_path_factory.mktemp("home")
    project = project.rename(home / "project")
    for name in ("HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "true")
    (home / "mine").write_text("docs/\n")
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("lib/\n")
    (home / "more").write_text("[core]\nexcludesFile = ~/mine\n")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / "mine-in-the-tree").write_text("top.py\n")
    (home / ".gitconfig").write_bytes(config.replace("\\u", "ine").encode())
    assert set(read_source([str(project)]).files) == git_lists(project)
    with (project / ".git/config").open("a") as file:
        file.write("[core]\n\texcludesFile = ~/none\n")
    assert set(read_source([str(project)]).files) == git_lists(project)


@pytest.mark.parametrize("config", ["[core]\nexcludesFile = 'x\ny = \"z\n", "core = x\n", "[core\n", "[core]\n=\n"])
def test_configuration_that_git_cannot_read_either(project: Path, config: str) -> None:
    """What it would exclude, secrets perhaps, is not submitted."""
    (project / ".git").mkdir()
    (project / ".git/config").write_text(config)
    with pytest.raises(UsageError, match=r"config:\d is not valid, and git does not read it either"):
        read_source([str(project)])


def test_linked_working_trees(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Their `.git` is a file; what the clone ignores lies in the main one, their own settings in a file beside it."""
    needs("git", shutil.which("git"))
    linked = tmp_path_factory.mktemp("linked") / "tree"

    def git(*words: str, at: Path = project) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, *words], cwd=at, check=True, capture_output=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    git("worktree", "add", "-q", str(linked))
    (project / ".git/info/exclude").write_text("no.py\n")
    (linked / "mine").write_text("yes.py\n!no.py\n")
    for name in ("no.py", "yes.py", "a.py"):
        (linked / name).write_text("x = 1\n")
    assert set(read_source([str(linked)]).files) == git_lists(linked) == {"a.py", "mine", "yes.py"}
    git("config", "extensions.worktreeConfig", "true")
    git("config", "--worktree", "core.excludesFile", "mine", at=linked)
    assert set(read_source([str(linked)]).files) == git_lists(linked) == {"a.py", "mine"}


def test_git_file_that_leads_nowhere(project: Path) -> None:
    """Nothing more is ignored then: git has no repository there either."""
    for content in (b"", b"gitdir: ", b"gitdir: ../nowhere\n", b"\xff\x00"):
        (project / ".git").write_bytes(content)
        assert "a.py" in read_source([str(project)]).files


def test_empty_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`subcli submit "$FILE"` without a FILE does not submit the whole directory."""
    monkeypatch.chdir(project)
    with pytest.raises(UsageError, match="name of a file is empty"):
        read_source([""])
    with pytest.raises(UsageError, match="name of a file is empty"):
        read_source(["top.py", ""])


def test_without_git_the_directory_itself_counts(project: Path) -> None:
    """Where there is no repository, the `.gitignore` of the directory and those below it count."""
    names = set(read_source([str(project)]).files)
    assert "a.o" not in names
    assert "keep.o" in names
    assert "sub/readme.md" not in names
    # Nobody says that the directory above has to do with it.
    assert "top.py" in read_source([str(project / "sub")]).files


def test_named_files_are_handed_in_all_the_same(project: Path) -> None:
    """What is named on the command line is meant."""
    assert set(read_source([str(project / "a.o"), str(project / "top.py")]).files) == {"a.o", "top.py"}


def test_library_is_not_loaded_without_a_gitignore(tmp_path: Path) -> None:
    """The library that reads `.gitignore` costs nothing where there is none."""
    (tmp_path / "a.py").write_text("x")
    read = "from subcli.workspace.source import read_source; read_source(['.'])"
    code = f"import sys; {read}; print('pathspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_two_files_of_one_name(tmp_path: Path) -> None:
    """Two directories with a file of the same name are no submission: one would replace the other."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(name)
    with pytest.raises(UsageError, match=r"Two files would both be named a\.py"):
        read_source([str(tmp_path / "one"), str(tmp_path / "two")])


def test_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is known by the path that it was read from; a single one by whatever the server calls it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "src" / name).write_text("x")
    directory = read_source(["src"])
    assert (directory.origin("a.py"), directory.origin("nope.py")) == ("src/a.py", None)
    assert read_source(["src/a.py"]).origin("solution.py") == "src/a.py"
    assert read_source(["src/a.py", "src/b.py"]).origin("src/b.py") == "src/b.py"
    assert Source({"<stdin>": "x"}, single=True).origin("solution.py") is None


def test_warnings(tmp_path: Path) -> None:
    """Files that are empty among others, and little room left; a package's empty `__init__.py` is as it should be."""
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("\n \n")
    (tmp_path / "__init__.py").write_text("")
    assert read_source([str(tmp_path)]).warnings() == ["b.py is empty."]
    (tmp_path / "b.py").write_text("é" * 120_000)
    (warning,) = read_source([str(tmp_path)]).warnings()
    assert "234 KiB" in warning
    assert "256 KiB" in warning


# -- what is left out, and that it is said -------------------------------------------------------------

SECRET = "token = 1\n"


@pytest.mark.parametrize(
    "patterns",
    [
        b"\xef\xbb\xbfsecret.py\n",
        b"secret.py\r\n*.x\r\n",
        b"\xef\xbb\xbfsecret.py",
        b"a\x0cb\nsecret.py\n",
        "# \u2028 is no end of a line\nsecret.py\n".encode(),
        b"[\n\\\nsecret.py\n",
        b"# Latin-1: \xe9\nsecret.py\n",
        b"#" + b" " * 100_000 + b"\nsecret.py\n",
    ],
)
def test_patterns_are_read_as_git_reads_them(tmp_path: Path, patterns: bytes) -> None:
    """A mark at the beginning, odd ends of lines, odd patterns and length never cost a pattern: secrets stay here."""
    (tmp_path / ".gitignore").write_bytes(patterns)
    for name in ("a.py", "secret.py"):
        (tmp_path / name).write_text(SECRET)
    assert list(read_source([str(tmp_path)]).files) == ["a.py"]
    if shutil.which("git"):
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        assert subprocess.run(["git", "check-ignore", "-q", "secret.py"], cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("content", ["secret.py\n".encode("utf-16"), b"#" * 2_000_000])
def test_gitignore_that_is_not_understood_is_an_error(tmp_path: Path, content: bytes) -> None:
    """What it excludes, secrets perhaps, is not submitted instead. PowerShell writes UTF-16."""
    (tmp_path / ".gitignore").write_bytes(content)
    (tmp_path / "secret.py").write_text(SECRET)
    with pytest.raises(UsageError, match=r"\.gitignore is "):
        read_source([str(tmp_path)])


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of somebody who cannot read everything, and as whom the test runs."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        with tempfile.TemporaryDirectory() as directory:
            yield Path(directory)
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("name", [".gitignore", "sub", "a.py"])
def test_what_cannot_be_read_is_an_error(unprivileged: Path, name: str) -> None:
    """Neither a `.gitignore` nor a directory is passed over because it is not ours to read."""
    (unprivileged / "a.py").write_text("x = 1\n")
    (unprivileged / ".gitignore").write_text("secret.py\n")
    (unprivileged / "sub").mkdir()
    (unprivileged / name).chmod(0)
    try:
        with pytest.raises(UsageError, match=f"{name} cannot be read: Permission denied"):
            read_source([str(unprivileged)])
    finally:
        (unprivileged / name).chmod(0o700)


def test_links_to_directories(tmp_path: Path) -> None:
    """A directory that is a link belongs to the submission; one that leads outside or to itself is refused."""
    (tmp_path / "outside").mkdir()
    top = tmp_path / "top"
    (top / "v1").mkdir(parents=True)
    (top / "v1" / "a.py").write_text("x = 1\n")
    (top / "current").symlink_to("v1")
    assert set(read_source([str(top)]).files) == {"v1/a.py", "current/a.py"}
    # The link that the user names is where the submission begins.
    (tmp_path / "link").symlink_to("top")
    assert set(read_source([str(tmp_path / "link")]).files) == {"v1/a.py", "current/a.py"}
    for target, why in (("../../outside", "a directory outside"), ("..", "contains it"), (".", "contains it")):
        (top / "v1" / "to").symlink_to(target)
        with pytest.raises(UsageError, match=why):
            read_source([str(top)])
        (top / "v1" / "to").unlink()


def test_what_tools_make_is_left_out_and_said(tmp_path: Path) -> None:
    """Caches, environments, build output and what is no file do not go along; the note counts them."""
    for name in (
        "a.py",
        "__pycache__/a.cpython-312.pyc",
        "node_modules/left-pad/index.js",
        "venv/lib/x.py",
        "target/debug/x.rs",
        "a.pyc",
        "x.egg-info/PKG-INFO",
        "a.out",
        ".env",
        "ignored.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" if name.endswith((".pyc", "a.out")) else b"x = 1\n")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "target" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("gone")
    found = read_source([str(tmp_path)])
    assert list(found.files) == ["a.py"]
    assert set(found.left_out) == {
        *("__pycache__/", "node_modules/", "venv/", "target/", "x.egg-info/"),
        *("a.pyc", "a.out", ".env", "ignored.txt", "pipe", "nowhere"),
    }
    assert found.note().startswith("Left out 11 entries that are hidden, ignored or generated: .env, ")
    assert found.note().endswith(" and 6 more. Name one to include it.")


def test_left_out_is_included_when_it_is_named(tmp_path: Path) -> None:
    """Beside its directory too, under the name that it has there; and `!` in `.gitignore` includes what tools make."""
    for name in ("a.py", ".env", "node_modules/x.js", "keep.o", "sub/b.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    whole = str(tmp_path)
    found = read_source([whole, f"{whole}/.env", f"{whole}/node_modules"])
    assert set(found.files) == {"a.py", ".env", "node_modules/x.js", "sub/b.py"}
    assert found.left_out == ("keep.o",)
    assert found.note() == "Left out 1 entry that is hidden, ignored or generated: keep.o. Name one to include it."
    assert list(read_source([f"{whole}/node_modules"]).files) == ["x.js"]
    (tmp_path / ".gitignore").write_text("!keep.o\n")
    found = read_source([whole, f"{whole}/a.py"])
    assert set(found.files) == {"a.py", "keep.o", "sub/b.py"}


def test_nothing_left_out_says_nothing(tmp_path: Path) -> None:
    """Files about the directory itself are not worth a word."""
    for name in ("a.py", ".gitignore", ".subcli.toml"):
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / ".git").mkdir()
    found = read_source([str(tmp_path)])
    assert (list(found.files), found.note()) == (["a.py"], "")


def test_everything_left_out_says_so(tmp_path: Path) -> None:
    """A directory of which nothing remains is an error that names what was left out."""
    (tmp_path / ".env").write_text("x")
    with pytest.raises(UsageError, match="no file to submit") as caught:
        read_source([str(tmp_path)])
    assert "Left out 1 entry that is hidden, ignored or generated: .env." in caught.value.hint


# -- the latest submission ----------------------------------------------------------------------------

CODE = Source({"node.py": "x = 1"}, single=True)


def test_same_code_is_noticed(tmp_path: Path) -> None:
    """The same code to the same problem of the same server, in the same language."""
    history = History(tmp_path / "state" / "submitted.json")
    assert history.find_same("http://a", "p", "python", CODE) is None
    history.add("http://a", "p", "python", CODE, 12, 1000.0)
    entry = history.find_same("http://a", "p", "python", CODE)
    assert entry is not None
    assert (entry.submission_id, entry.at) == (12, 1000.0)
    assert history.find_same("http://a", "p", "python", Source({"other.py": "x = 1"}, single=True)) is not None
    assert history.find_same("http://a", "p", "python", Source({"node.py": "x = 2"}, single=True)) is None
    assert history.find_same("http://a", "p", "c", CODE) is None
    assert history.find_same("http://a", "q", "python", CODE) is None
    assert history.find_same("http://b", "p", "python", CODE) is None
    assert "x = 1" not in (tmp_path / "state" / "submitted.json").read_text()


def test_name_of_a_log_is_remembered(tmp_path: Path) -> None:
    """That of the latest submission with an id: a restored server gives one out again."""
    history = History(tmp_path / "submitted.json")
    assert history.epoch_of("http://s", 343) is None
    history.add("http://s", "p", "c", CODE, 343, 1.0, "old")
    history.add("http://s", "other", "c", CODE, 343, 2.0, "new")
    history.add("http://s2", "p", "c", CODE, 343, 3.0, "elsewhere")
    history.add("http://s", "older server", "c", CODE, 344, 1.0)
    assert history.epoch_of("http://s", 343) == "new"
    assert history.epoch_of("http://s", 344) is None
    assert history.epoch_of("http://s", 345) is None


def test_files_are_told_apart() -> None:
    """The same texts under other names, or parted elsewhere, are another submission; their order is not."""
    one = Source({"a": "1", "b": "2"}, single=False)
    assert digest("c", one) == digest("c", Source({"b": "2", "a": "1"}, single=False))
    assert digest("c", one) != digest("c", Source({"a": "2", "b": "1"}, single=False))
    assert digest("c", one) != digest("c", Source({"a": "12", "b": ""}, single=False))


def test_history_is_bounded_and_bears_everything(tmp_path: Path) -> None:
    """The oldest entries go; a file that is broken, not there or not writable is passed over."""
    path = tmp_path / "submitted.json"
    path.write_text("{broken")
    history = History(path)
    for number in range(MAX_ENTRIES + 5):
        history.add("s", f"p{number}", "c", CODE, number, 0.0)
    assert history.find_same("s", "p4", "c", CODE) is None
    assert history.find_same("s", "p5", "c", CODE) is not None
    History(None).add("s", "p", "c", CODE, 1, 0.0)
    assert History(None).find_same("s", "p", "c", CODE) is None
    History(tmp_path / "submitted.json" / "below").add("s", "p", "c", CODE, 1, 0.0)
    assert {entry.name for entry in tmp_path.iterdir()} == {"submitted.json", "submitted.lock"}


def test_submissions_of_the_same_moment_are_all_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while another is between its reading and its writing waits: neither entry is lost."""
    path = tmp_path / "submitted.json"
    reading, going_on = threading.Event(), threading.Event()

    def pause(*arguments: Any, **options: Any) -> None:
        if not reading.is_set():
            reading.set()
            going_on.wait(30)
        write_atomically(*arguments, **options)

    monkeypatch.setattr(history_module, "write_atomically", pause)
    monkeypatch.setattr(history_module, "LOCK_S", 30.0)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(History(path).add, "s", "one", "c", CODE, 1, 1.0)
        assert reading.wait(30)
        second = threads.submit(History(path).add, "s", "two", "c", CODE, 2, 2.0)
        wait([second], 0.1)  # without a lock, it is done by now
        going_on.set()
        first.result(30)
        second.result(30)
    assert [History(path).find_same("s", problem, "c", CODE) is not None for problem in ("one", "two")] == [True, True]


def test_lock_that_cannot_be_had_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that somebody keeps, or that cannot be opened, costs a moment and no entry."""
    path = tmp_path / "submitted.json"
    monkeypatch.setattr(history_module, "LOCK_S", 0.05)
    with FileLock(path.with_suffix(".lock")):
        History(path).add("s", "p", "c", CODE, 1, 1.0)
    path.with_suffix(".lock").unlink(missing_ok=True)
    path.with_suffix(".lock").mkdir()
    History(path).add("s", "q", "c", CODE, 2, 2.0)
    assert [History(path).find_same("s", problem, "c", CODE) is not None for problem in ("p", "q")] == [True, True]


def test_history_follows_no_planted_link(tmp_path: Path) -> None:
    """Where others may write to the directory: what they planted is not written through, and nobody else reads it."""
    victim, path = tmp_path / "victim", tmp_path / "submitted.json"
    victim.write_text("precious")
    (tmp_path / f".submitted.json.{os.getpid()}").symlink_to(victim)
    History(path).add("s", "p", "c", CODE, 1, 0.0)
    assert victim.read_text() == "precious"
    assert path.stat().st_mode & 0o777 == 0o600
    assert History(path).find_same("s", "p", "c", CODE) is not None


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("nod.py", "Did you mean `node.py`?"),
        ("./NODE.PY", "Did you mean `node.py`?"),
        ("scr/main.py", "Did you mean `src/main.py`?"),
        ("src/mian.py", "Did you mean `src/main.py`?"),
        ("sr", "Did you mean `src`?"),
        ("scr/mian.py", "Check the path; `-` reads stdin."),
        ("other", "Check the path; `-` reads stdin."),
        ("../elsewhere/nothing/x.py", "Check the path; `-` reads stdin."),
    ],
)
def test_file_that_was_meant(typed: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with one wrong part: the hint is the path to type."""
    home = tmp_path / "home"
    (home / "src").mkdir(parents=True)
    for name in ("node.py", "src/main.py"):
        (home / name).write_text("print()")
    monkeypatch.chdir(home)
    with pytest.raises(UsageError, match="There is no file") as caught:
        read_source([typed])
    assert caught.value.hint == hint
    if os.geteuid():
        (home / "src").chmod(0)
        with pytest.raises(UsageError):
            read_source(["src/mian.py"])
        (home / "src").chmod(0o700)
