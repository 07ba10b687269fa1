"""The statement of a package as Markdown: which file, in which language, with which samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge.package.latex import title_of, to_markdown
from tests.judge.package.packages import loaded

SAMPLES = {
    "data/sample/1.in": "1 2\n",
    "data/sample/1.ans": "3\n",
    "data/sample/2.in": "4 5\n",
    "data/sample/2.ans": "9\n",
}
MODERN = "problem_format_version: 2025-09\nname: {sv: Summa, en: Sum}\nconstants: {most: {value: 10, tex: '10^1'}}\n"


def block(text: str) -> str:
    return f"```\n{text}\n```"


@pytest.mark.parametrize(
    ("files", "title", "text"),
    [
        ({"problem_statement/problem.tex": "\\problemname{Sum $a+b$}\nAdd."}, "Minimal", "Add."),
        ({"problem.yaml": "", "problem_statement/problem.tex": "\\problemname{Sum $a+b$}\nAdd."}, "Sum a+b", "Add."),
        ({"problem.yaml": "", "problem_statement/problem.en.tex": "%% plainproblemname: S\nAdd."}, "S", "Add."),
        ({"problem.yaml": "", "problem_statement/problem.en.tex": "Add."}, "minimal", "Add."),
        ({"statement/problem.en.md": "Add.", "statement/problem.en.tex": "TeX"}, "Minimal", "Add."),
        ({"statement/problem.sv.md": "Addera.", "statement/problem.en-GB.md": "Add."}, "Minimal", "Add."),
        (
            {"problem.yaml": MODERN, "statement/problem.sv.md": "Addera.", "statement/problem.de.md": "Addiere."},
            "Sum",
            "Addiere.",
        ),
        ({"problem.yaml": MODERN, "statement/problem.sv.md": "Addera."}, "Summa", "Addera."),
        (
            {"problem.yaml": MODERN, "statement/problem.en.md": "{{most}} {{ most.tex }} {{least}}"},
            "Sum",
            "10 10^1 {{least}}",
        ),
        ({"problem.yaml": MODERN, "statement/problem.en.tex": "\\constant{most}"}, "Sum", "10"),
        ({"statement/problem.en.pdf": "%PDF"}, "Minimal", "The statement is a PDF file: problem.en.pdf."),
        ({"statement/readme.md": "no"}, "Minimal", ""),
    ],
)
def test_which_statement_is_shown(tmp_path: Path, files: Mapping[str, str], title: str, text: str) -> None:
    problem = loaded(tmp_path, files)
    assert (problem.title, problem.description.strip()) == (title, text)


def test_samples_follow_the_statement(tmp_path: Path) -> None:
    text = loaded(tmp_path, {**SAMPLES, "statement/problem.en.md": "Add.\n"}).description
    assert text == (
        f"Add.\n\n## Sample Input 1\n\n{block('1 2')}\n\n## Sample Output 1\n\n{block('3')}\n\n"
        f"## Sample Input 2\n\n{block('4 5')}\n\n## Sample Output 2\n\n{block('9')}\n"
    )


def test_samples_stand_where_the_statement_wants_them(tmp_path: Path) -> None:
    text = loaded(
        tmp_path, {**SAMPLES, "statement/problem.en.md": "A {{nextsample}} B {{remainingsamples}} C"}
    ).description
    assert text.index("Sample Input 1") < text.index(" B ") < text.index("Sample Input 2") < text.index(" C")
    tex = loaded(tmp_path / "tex", {**SAMPLES, "statement/problem.en.tex": "A \\nextsample B"}).description
    assert tex.index("A") < tex.index("Sample Input 1") < tex.index("\nB") < tex.index("Sample Input 2")


def test_what_is_shown_may_differ_from_what_is_judged(tmp_path: Path) -> None:
    files = {
        "data/sample/1.in.statement": "shown\n",
        "data/sample/1.out": "also right\n",
        "data/sample/2.ans.statement": "said\n",
    }
    text = loaded(tmp_path, {**SAMPLES, **files}).description
    assert block("shown") in text
    assert block("also right") in text
    assert block("said") in text
    assert "1 2" not in text
    assert block("9") not in text


def test_interactive_samples_are_conversations(tmp_path: Path) -> None:
    files = {
        "problem.yaml": "validation: custom interactive\n",
        "output_validators/a.py": "",
        "data/sample/2.interaction": ">1\n<higher\n",
        "data/sample/3.interaction": ">5\n",
    }
    text = loaded(tmp_path, {**SAMPLES, **files}).description
    assert block(">1\n<higher") in text
    assert block(">5") in text
    assert "1 2" not in text


def test_long_samples_are_cut_and_cannot_leave_their_block(tmp_path: Path) -> None:
    files = {"data/sample/1.in": "x" * 100_000, "data/sample/1.ans": "```\n# Forged\n"}
    text = loaded(tmp_path, files).description
    assert len(text) < 10_000
    assert "````\n```\n# Forged\n````" in text


@pytest.mark.parametrize(
    ("latex", "markdown"),
    [
        ("\\section*{Input}\nOne.", "## Input\n\nOne."),
        ("\\begin{Output}One.\\end{Output}", "## Output\n\nOne."),
        ("\\begin{itemize}\n\\item a\n\\item $b \\leq 10^5$\n\\end{itemize}", "- a\n\n- b ≤ 10^5"),
        ("\\textbf{a} \\emph{b} \\texttt{c} \\url{http://d.example}", "**a** *b* `c` <http://d.example>"),
        ("\\href{http://a.example}{b}", "[b](http://a.example)"),
        ("``quoted'' --- and~so on", "“quoted” — and\xa0so on"),
        ("\\begin{verbatim}\nint  main() {\n  $x$\n\\end{verbatim}", "int  main() {\n      $x$"),
        ("\\begin{lstlisting}[language=C]\na\n\\end{lstlisting}", "a"),
        (
            "\\begin{tabular}{|l|l|}\\hline a & $b$ \\\\ \\hline c & \\& \\\\ \\end{tabular}",
            "| a | b |\n| --- | --- |\n| c | & |",
        ),
        ("\\illustration{0.3}{cave.jpg}{A cave}", "[Figure cave.jpg: A cave]"),
        ("\\includegraphics[width=3cm]{cave}", "[Figure cave]"),
        ("\\begin{figure}\\includegraphics{a}\\caption{One}\\end{figure}", "[Figure a]One"),
        ("\\caption*{One}", "One"),
        ("One \\href{two}", "One \\href{two}"),
        ("% a comment\nText.", "Text."),
        ("\\unknown{kept}", "kept"),
        ("{unclosed $x", "unclosed x"),
        ("\\begin{itemize} \\item a", "- a"),
        ("", ""),
    ],
)
def test_latex_as_markdown(latex: str, markdown: str) -> None:
    assert to_markdown(latex) == markdown


@pytest.mark.parametrize(
    "latex", ["{" * 50_000, "\\emph{" * 5_000 + "x" + "}" * 5_000, "$" * 9_999, "\\begin{itemize}" * 3_000]
)
def test_absurd_latex_is_shown_somehow(latex: str) -> None:
    assert isinstance(to_markdown(latex), str)


def test_the_title_in_latex() -> None:
    assert title_of("\\problemname{A {\\em very} \\textbf{odd} one}") == "A very odd one"
    assert title_of("no title") == ""
