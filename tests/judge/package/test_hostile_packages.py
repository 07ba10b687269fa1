"""Packages that others made to harm: nothing outside of them is read, and no text of theirs controls a terminal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.cli.main import run
from subcli.judge.package.latex import title_of, to_markdown
from subcli.judge.problem import ProblemError
from subcli.judge.problem_file import load_problem
from subcli.judge.shelf import problem_shelf
from subcli.server.observe.logs import prepare
from tests.judge.package.packages import MINIMAL, write

DECOY = "planted-in-a-file-of-the-machine"
HOSTILE = "\x1b]0;renamed\x07\x1b[2J\u202e"
KEY = "\\e[2J\\u202e"
LARGE = 256 * 1024
PLACES = (
    "statement/problem.en.md",
    "problem_statement/problem.en.tex",
    "data/sample/1.in",
    "data/secret/1.ans",
    "data/secret/1.yaml",
    "data/secret/1.files/x",
    "data/secret/testdata.yaml",
    "data/more",
    "domjudge-problem.ini",
    ".timelimit",
    "include/python/x.py",
    "output_validators/validate.py",
    "submissions/accepted/a.py",
    "submissions/submissions.yaml",
    "problem.yaml",
    "data",
)


@pytest.fixture
def decoy(tmp_path: Path) -> Path:
    """A directory beside that of the problems, with a file in it."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine/secret").write_text(DECOY)
    return tmp_path / "machine"


def package(tmp_path: Path, files: Mapping[str, str | bytes | None]) -> Path:
    return write(tmp_path / "problems/minimal", {**MINIMAL, **files})


def link(root: Path, place: str, target: Path, *, relative: bool) -> Path:
    """Put a link to a target outside of the package into it."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rename(path.with_name("was-here"))
    path.unlink(missing_ok=True)
    up = "../" * (len(path.parent.relative_to(root.parent.parent).parts))
    path.symlink_to(f"{up}{target.relative_to(root.parent.parent)}" if relative else target)
    return path


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_links_out_of_a_package(tmp_path: Path, decoy: Path, place: str, *, relative: bool) -> None:
    """The package is left out, whatever the link is in the place of; its target is not read, nor shown to anybody."""
    root = package(tmp_path, {})
    target = decoy if place in ("data", "data/more") else decoy / "secret"
    path = link(root, place, target, relative=relative)
    says = f"{path}: is a link to {target}, which lies outside of the directory of the problems"
    with pytest.raises(ProblemError) as caught:
        load_problem(root)
    assert str(caught.value) == says
    with problem_shelf(root.parent, tmp_path) as snapshot:
        assert [str(error) for error in snapshot.broken] == [says]
        assert "minimal" not in snapshot.problems
        copied = [path for path in tmp_path.glob("subcli-*/**/*") if path.is_file() and not path.is_symlink()]
        assert copied
        assert not any(DECOY in path.read_text() for path in copied)


def test_links_in_a_package_and_beside_it(tmp_path: Path) -> None:
    """Cases that are used twice, and what several problems share."""
    root = package(tmp_path, {"problem.yaml": "validation: custom\n", "output_validators/v/validate.py": ""})
    write(root.parent, {"shared/lib.py": "one = 1\n"})
    (root / "data/sample").symlink_to("secret")
    (root / "output_validators/v/lib.py").symlink_to("../../../shared/lib.py")
    with problem_shelf(root.parent, tmp_path) as snapshot:
        problem = snapshot.problems["minimal"]
        assert problem.cases is not None
        assert problem.cases.checker is not None
        assert problem.cases.checker.tool.files == ("lib.py", "validate.py")
        assert [case.name for case in problem.cases.root.cases()] == ["sample/1", "secret/1"]


@pytest.mark.parametrize(
    "macro", ["input", "include", "lstinputlisting", "verbatiminput", "subfile", "import", "bibliography"]
)
def test_latex_reads_no_file(decoy: Path, macro: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A macro that would insert one inserts nothing of it."""
    monkeypatch.chdir(decoy)
    for name in (f"{decoy}/secret", "secret", "../machine/secret"):
        text = f"\\problemname{{\\{macro}{{{name}}}}}\\{macro}{{{name}}} \\{macro} {name} \\{macro}[x]{{{name}}} One."
        assert DECOY not in to_markdown(text) + title_of(text)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "latex",
    [
        "".join(f"\\newcommand{{\\{'bcdefghij'[n]}}}{{" + f"\\{'abcdefghi'[n]}" * 9 + "}" for n in range(9)) + "\\j",
        "\\begin{tabular}{l}" + "&" * (LARGE - 40) + "\\end{tabular}",
        "\\begin{tabular}{l}" + "\\cline{" * (LARGE // 8) + "\\end{tabular}",
        "\\begin{tabular}{l}" + "\\\\[" * (LARGE // 4) + "\\end{tabular}",
        "\\begin{tabular}{l}a & " * 25 + "x" + "\\\\ b & c \\end{tabular}" * 25,
        "\\problemname{" * (LARGE // 14),
        "\\problemname{" + "{}" * (LARGE // 3),
    ],
    ids=["macros in macros", "cells", "open lines", "open rows", "tables in tables", "titles", "braces"],
)
def test_latex_made_to_take_long(latex: str) -> None:
    """It is shown somehow, and does not grow beyond what its length allows."""
    assert len(to_markdown(latex)) + len(title_of(latex)) < 20 * LARGE


@pytest.mark.parametrize(
    "files",
    [
        {"problem.yaml": "type: puzzle\n"},
        {"problem.yaml": f'"{KEY}": 1\nlimits: {{"{KEY}": 1}}\n'},
        {"problem.yaml": f'type: "{KEY}"\n'},
        {"problem.yaml": f'name: "{KEY}"\nconstants: {{"{KEY}": 1}}\n'},
        {"problem.yaml": f'validator_flags: "{KEY}"\n'},
        {
            "problem.yaml": "validation: custom\n",
            f"output_validators/{HOSTILE}/a.py": "",
            "output_validators/b/b.py": "",
        },
        {"data/testdata.yaml": f'grader_flags: "{KEY}"\n', f"data/{HOSTILE}/1.in": ""},
        {"submissions/submissions.yaml": f'"{KEY}": {{permitted: ["{KEY}"]}}\n'},
        {f"submissions/accepted/{HOSTILE}.py": "print(1)\n", f"statement/{HOSTILE}": ""},
    ],
)
def test_names_and_texts_of_a_package_are_shown_harmless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Mapping[str, str]
) -> None:
    """Whatever is said of it, by `problems check` or in the log of a server, has its control characters escaped."""
    root = write(tmp_path / f"problems/odd{HOSTILE}", {**MINIMAL, **files})
    run(["problems", "check", str(root)])
    shown = "".join(capsys.readouterr())
    handler = logging.StreamHandler()
    prepare(handler, "text")
    with problem_shelf(root.parent, tmp_path) as snapshot:
        problem = next((each for each in snapshot.problems.values() if each.slug.startswith("odd")), None)
        said = [*map(str, snapshot.broken), *snapshot.remarks, *(problem.remarks if problem is not None else ())]
        records = [logging.LogRecord("x", logging.WARNING, "", 0, text, None, None) for text in said]
        shown += "".join(handler.format(record) for record in records)
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
