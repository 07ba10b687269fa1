"""LaTeX statements as Markdown, as far as text can be. Import it where there is one: it loads pylatexenc.

Headings, lists, tables, code and emphasis become Markdown, formulas become Unicode, figures their captions. What cannot
be read is shown as it was written: a statement is never lost because of its form.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from pylatexenc.latex2text import (
    EnvironmentTextSpec,
    LatexNodes2Text,
    MacroTextSpec,
    get_default_latex_context_db,
)
from pylatexenc.latexwalker import LatexWalker, LatexWalkerError
from pylatexenc.latexwalker import get_default_latex_context_db as get_walker_db
from pylatexenc.macrospec import EnvironmentSpec, MacroSpec, VerbatimArgsParser

# What it cannot convert it would print to stderr.
logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)

_BLOCKS: Final = re.compile(r"\n{3,}")
_CELL: Final = re.compile(r"(?<!\\)&")
_ROW: Final = re.compile(r"\\\\(?:\[[^\]\n]{,40}\])?")
_RULE: Final = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^}\n]{,40}\})")
_MOST_CELLS: Final = 2_000
"""A larger table is shown as it was written: each cell takes a fraction of a millisecond."""
_TITLE: Final = re.compile(r"\\problemname\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_PLAIN_TITLE: Final = re.compile(r"^%%\s*plainproblemname:\s*(.+)$", re.MULTILINE)
_EMPHASIS: Final = re.compile(r"\\(?:textbf|textit|texttt|emph)(?![A-Za-z])")
_HEADINGS: Final = ("section", "subsection", "subsubsection", "paragraph")
_ENVIRONMENTS: Final = ("Input", "Output", "Interaction", "Sample", "Scoring", "Note")


def title_of(text: str) -> str:
    """The name of the problem in a statement, without LaTeX; empty if it says none."""
    plain = _PLAIN_TITLE.search(text)
    if plain:
        return plain[1].strip()
    found = _TITLE.search(text)
    return " ".join(to_markdown(_EMPHASIS.sub("", found[1])).split()) if found else ""


def to_markdown(text: str) -> str:
    """The text of a statement."""
    text = _TITLE.sub("", text, count=1)
    try:
        nodes, _, _ = LatexWalker(text, latex_context=_walker_db(), tolerant_parsing=True).get_latex_nodes()
        plain = LatexNodes2Text(latex_context=_text_db(), math_mode="text", strict_latex_spaces=False).nodelist_to_text(
            nodes
        )
    except (LatexWalkerError, RecursionError, ValueError, LookupError, TypeError, AttributeError):
        # What the library raises where a macro lacks an argument, and the like.
        return text.strip()
    lines = (line.strip() if not line.startswith("    ") else line.rstrip() for line in plain.split("\n"))
    return _BLOCKS.sub("\n\n", "\n".join(lines)).strip()


def _walker_db() -> Any:
    db = get_walker_db()
    db.add_context_category(
        "package",
        prepend=True,
        macros=[
            MacroSpec("problemname", "{"),
            MacroSpec("illustration", "{{{"),
            MacroSpec("constant", "{"),
            MacroSpec("caption", "*[{"),
            MacroSpec("sout", "{"),
            MacroSpec("url", "{"),
            MacroSpec("href", "{{"),
            MacroSpec("includegraphics", "*[[{"),
            MacroSpec("nextsample", ""),
            MacroSpec("remainingsamples", ""),
            *(MacroSpec(name, "*[{") for name in _HEADINGS),
        ],
        environments=[
            *(EnvironmentSpec(name, "") for name in _ENVIRONMENTS),
            EnvironmentSpec("lstlisting", args_parser=VerbatimArgsParser(verbatim_arg_type="verbatim-environment")),
            EnvironmentSpec("wrapfigure", "[{{"),
            EnvironmentSpec("tabular", "[{"),
            EnvironmentSpec("tabularx", "{{"),
        ],
    )
    return db


def _text_db() -> Any:
    db = get_default_latex_context_db()
    db.add_context_category(
        "package",
        prepend=True,
        macros=[
            MacroTextSpec("problemname", simplify_repl=""),
            MacroTextSpec("illustration", simplify_repl=_figure),
            MacroTextSpec("includegraphics", simplify_repl=_image),
            MacroTextSpec("caption", simplify_repl=_last),
            MacroTextSpec("constant", simplify_repl="{{%s}}"),
            MacroTextSpec("nextsample", simplify_repl="\n\n{{nextsample}}\n\n"),
            MacroTextSpec("remainingsamples", simplify_repl="\n\n{{remainingsamples}}\n\n"),
            MacroTextSpec("textbf", simplify_repl="**%s**"),
            MacroTextSpec("emph", simplify_repl="*%s*"),
            MacroTextSpec("textit", simplify_repl="*%s*"),
            MacroTextSpec("texttt", simplify_repl="`%s`"),
            MacroTextSpec("sout", simplify_repl="~~%s~~"),
            MacroTextSpec("url", simplify_repl="<%s>"),
            MacroTextSpec("href", simplify_repl="[%(2)s](%(1)s)"),
            MacroTextSpec("item", simplify_repl=_item),
            *(MacroTextSpec(name, simplify_repl=_heading) for name in _HEADINGS),
        ],
        environments=[
            *(EnvironmentTextSpec(name, simplify_repl=_titled) for name in _ENVIRONMENTS),
            *(EnvironmentTextSpec(name, simplify_repl=_code) for name in ("verbatim", "lstlisting")),
            *(
                EnvironmentTextSpec(name, simplify_repl="\n\n%s\n\n")
                for name in ("itemize", "enumerate", "description")
            ),
            *(EnvironmentTextSpec(name, simplify_repl="\n\n%s\n\n") for name in ("center", "figure", "quote")),
            EnvironmentTextSpec("wrapfigure", simplify_repl=_body),
            *(EnvironmentTextSpec(name, simplify_repl=_table) for name in ("tabular", "tabularx")),
        ],
    )
    return db


def _heading(node: Any, l2tobj: Any) -> str:
    level = 2 + _HEADINGS.index(node.macroname)
    return f"\n\n{'#' * level} {l2tobj.nodelist_to_text([node.nodeargd.argnlist[-1]]).strip()}\n\n"


def _titled(node: Any, l2tobj: Any) -> str:
    return f"\n\n## {node.environmentname}\n\n{_body(node, l2tobj)}"


def _body(node: Any, l2tobj: Any) -> str:
    return f"\n\n{l2tobj.nodelist_to_text(node.nodelist).strip()}\n\n"


def _code(node: Any, l2tobj: Any) -> str:
    arguments = node.nodeargd
    text = str(getattr(arguments, "verbatim_text", None) or l2tobj.nodelist_to_text(node.nodelist))
    lines = re.sub(r"\A\[[^\]\n]*\]", "", text).strip("\n").split("\n")
    return "\n\n" + "\n".join(f"    {line}" for line in lines) + "\n\n"


def _item(node: Any, l2tobj: Any) -> str:
    label = node.nodeoptarg
    return "\n- " + (f"{l2tobj.nodelist_to_text([label]).strip()} " if label is not None else "")


def _figure(node: Any, l2tobj: Any) -> str:
    _, name, caption = (l2tobj.nodelist_to_text([each]).strip() for each in node.nodeargd.argnlist)
    return f"\n\n[Figure {name}: {caption}]\n\n" if caption else f"\n\n[Figure {name}]\n\n"


def _last(node: Any, l2tobj: Any) -> str:
    arguments = node.nodeargd.argnlist
    return str(l2tobj.nodelist_to_text([arguments[-1]])).strip() if arguments else ""


def _image(node: Any, l2tobj: Any) -> str:
    return f"[Figure {l2tobj.nodelist_to_text([node.nodeargd.argnlist[-1]]).strip()}]"


def _table(node: Any, l2tobj: Any) -> str:
    source = "".join(each.latex_verbatim() for each in node.nodelist)
    if source.count("&") + source.count("\\\\") > _MOST_CELLS:
        return f"\n\n{source.strip()}\n\n"
    converter = LatexNodes2Text(latex_context=_text_db())
    rows = []
    for row in _ROW.split(_RULE.sub("", source)):
        if row.strip():
            cells = map(converter.latex_to_text, _CELL.split(row))
            rows.append([" ".join(cell.split()).replace("|", "\\|") for cell in cells])
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    return "\n\n" + "\n".join((lines[0], f"|{' --- |' * width}", *lines[1:])) + "\n\n"
