"""The statement of a package, as Markdown with its samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.package.metadata import Metadata
from subcli.judge.package.programs import entries
from subcli.judge.package.tree import CaseFiles, Data
from subcli.judge.package.yaml_table import read_text
from subcli.judge.problem import ProblemError
from subcli.judge.process.text import cut

_MAX_BYTES: Final = 256 * 1024
_SHOWN_CHARACTERS: Final = 4_000
"""Of each file of a sample."""
_MOST_SAMPLES: Final = 20
_NAME: Final = re.compile(r"problem(?:\.([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})?))?\.(md|tex|pdf)")
_FORMS: Final = ("md", "tex", "pdf")
_CONSTANT: Final = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")


@dataclass(frozen=True)
class _Text:
    """A statement: its file, its language and its form. English sorts first, Markdown before LaTeX before PDF."""

    path: Path
    language: str
    form: str

    @property
    def rank(self) -> tuple[bool, str, int]:
        return (self.language.partition("-")[0] != "en", self.language, _FORMS.index(self.form))


def read_statement(root: Path, metadata: Metadata, data: Data) -> tuple[str, str]:
    """The title, empty if nothing says it, and the statement with its samples.

    Raises:
        ProblemError: a statement cannot be read.
    """
    texts = sorted(_texts(root), key=lambda text: text.rank)
    names = dict(metadata.names)
    chosen = texts[0] if texts else None
    language = chosen.language if chosen else "en"
    title = names.get(language) or names.get("en") or names.get("") or next(iter(names.values()), "")
    body = ""
    if chosen is not None and chosen.form == "md":
        body = read_text(chosen.path, _MAX_BYTES)
    elif chosen is not None and chosen.form == "tex":
        from subcli.judge.package.latex import title_of, to_markdown

        source = read_text(chosen.path, _MAX_BYTES)
        title = title or title_of(source)
        body = to_markdown(source)
    elif chosen is not None:
        body = f"The statement is a PDF file: {chosen.path.name}."
    return title, _with_samples(body, metadata, data)


def _texts(root: Path) -> Iterator[_Text]:
    for directory in ("statement", "problem_statement"):
        for path in entries(root / directory):
            found = _NAME.fullmatch(path.name)
            if found and path.is_file():
                yield _Text(path, found[1] or "en", found[2])


def _with_samples(body: str, metadata: Metadata, data: Data) -> str:
    """The statement with the samples where it asks for them, the rest at its end, and the constants filled in."""
    samples = list(_samples(metadata, data))

    def replaced(found: re.Match[str]) -> str:
        if found[1] == "nextsample":
            return samples.pop(0) if samples else ""
        if found[1] == "remainingsamples":
            rest = "\n\n".join(samples)
            samples.clear()
            return rest
        return metadata.constants.get(found[1], found[0])

    text = _CONSTANT.sub(replaced, body).strip()
    return "\n\n".join((text, *samples) if text else samples).strip() + "\n"


def _samples(metadata: Metadata, data: Data) -> Iterator[str]:
    if data.sample is None:
        return
    cases = {case.name: case for case in data.sample.cases()}
    alone = {f"sample/{path.stem}": path for path in entries(data.sample.path) if path.suffix == ".interaction"}
    is_hidden = bool(metadata.types & {"interactive", "multi-pass"})
    for number, name in enumerate(sorted({*cases, *alone})[:_MOST_SAMPLES], 1):
        if name in alone:
            yield f"## Sample Interaction {number}\n\n{_block(alone[name])}"
        elif not is_hidden:
            files = _shown(cases[name])
            given, answer = _block(files["in"]), _block(files["ans"])
            yield f"## Sample Input {number}\n\n{given}\n\n## Sample Output {number}\n\n{answer}"


def _shown(case: CaseFiles) -> Mapping[str, Path]:
    """The files to show for the input and the answer."""
    base = case.input.with_suffix("")
    inputs = (base.with_name(f"{base.name}.in.statement"), case.input)
    answers = (base.with_name(f"{base.name}.ans.statement"), base.with_name(f"{base.name}.out"), case.answer)
    return {
        "in": next(path for path in inputs if path.is_file()),
        "ans": next(path for path in answers if path.is_file()),
    }


def _block(path: Path) -> str:
    """The text of a file as a block of code."""
    try:
        with path.open("rb") as file:
            text = file.read(4 * _SHOWN_CHARACTERS).decode("utf-8", "replace")
    except OSError as error:
        raise ProblemError(path, f"cannot be read: {error.strerror or error}") from None
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{cut(text, _SHOWN_CHARACTERS).rstrip()}\n{fence}"
