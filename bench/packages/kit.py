"""What our packages are made with.

A case of most of them says what a submission does on it: its input has a word for each submission, such as `ac` or
`tle`, and the submission with the number N carries out word N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.packages.programs import ACTOR, CHECKER, ECHO, GRADER, GUESSER

_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})


@dataclass(frozen=True)
class Package:
    """A package as its files."""

    name: str
    files: Mapping[str, str | None]

    def write(self, root: Path) -> Path:
        """Write it below `root`. Returns its directory."""
        for name, text in self.files.items():
            if text is not None:
                path = root / self.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return root / self.name


def actor(number: int) -> str:
    """The submission with this number."""
    return ACTOR.replace("NUMBER", str(number))


def _place(number: int) -> str:
    return "wrong_answer" if number else "accepted"


def cases(where: str, *words: str, answer: str = "yes\n") -> dict[str, str]:
    """A case for each text of words, below `data`."""
    return {
        f"data/{where}/{number}.{ending}": text
        for number, each in enumerate(words, 1)
        for ending, text in (("in", f"{each}\n"), ("ans", answer))
    }


def package(name: str, files: Mapping[str, str | None], yaml: str = "", count: int = 1) -> Package:
    """A package with so many actors besides what `files` say. The first one sets the time limit."""
    submissions = {f"submissions/{_place(number)}/actor{number}.py": actor(number) for number in range(count)}
    return Package(name, {"problem.yaml": f"name: {name}\n{yaml}", **submissions, **files})


def custom(
    name: str, *words: str, yaml: str = "validation: custom\n", more: Mapping[str, str | None] = _NOTHING
) -> Package:
    """A package with the checker; each word is what the output is on a case of its own."""
    files = {"output_validators/check/check.py": CHECKER, "data/testdata.yaml": "on_reject: continue\n", **more}
    return package(name, {**files, **cases("sample", "ac"), **cases("secret", *words)}, yaml)


def printing(name: str, answer: str, flags: str, *outputs: str) -> Package:
    """A package whose submissions print these outputs, which the default validator compares with the answer."""
    files = {
        f"submissions/{_place(number)}/print{number}.py": f"print(end={text!r})\n"
        for number, text in enumerate(outputs)
    }
    secret = {"data/secret/1.in": "1\n", "data/secret/1.ans": answer}
    return Package(name, {"problem.yaml": f"name: {name}\nvalidator_flags: {flags}\n", **secret, **files})


def talking(name: str, host: str, case: str, *solutions: str, ending: str = "py") -> Package:
    """An interactive package."""
    files = {f"submissions/wrong_answer/talk{number}.py": text for number, text in enumerate(solutions)}
    yaml = f"name: {name}\nvalidation: custom interactive\nlimits: {{validation_time: 5}}\n"
    # The first one sets the time limit.
    fine = {"submissions/accepted/a.py": ECHO if ending == "c" else GUESSER}
    validator = {f"output_validators/host/host.{ending}": host}
    return Package(name, {"problem.yaml": yaml, **validator, **cases("secret", case), **fine, **files})


def scoring(name: str, files: Mapping[str, str | None], count: int = 1, yaml: str = "") -> Package:
    """A package with points."""
    return package(name, files, "type: scoring\n" + yaml, count)


def graded(name: str, flags: str, more: Mapping[str, str | None] = _NOTHING) -> Package:
    """A package with the grader in `secret`."""
    files = {
        "graders/grade/grade.py": GRADER,
        "data/secret/testdata.yaml": f"grading: custom\non_reject: continue\ngrader_flags: {flags}\n",
        **cases("sample", "ac ac"),
        **cases("secret", "ac ac", "ac wa", "ac re"),
        **more,
    }
    return scoring(name, files, 2)


def with_flags(flags: str) -> dict[str, str]:
    """Groups that are graded by the default grader with these flags."""
    return {
        "data/testdata.yaml": "on_reject: continue\nrange: -100 1000\ngrader_flags: ignore_sample\n",
        "data/secret/testdata.yaml": f"on_reject: continue\ngrader_flags: {flags}\n",
        "data/secret/a/testdata.yaml": "accept_score: 30\nreject_score: 2\n",
        "data/secret/b/testdata.yaml": "accept_score: 12.5\non_reject: break\n",
        **cases("sample", "ac wa ac re"),
        **cases("secret/a", "ac wa ac re", "ac ac sig wa"),
        **cases("secret/b", "ac ac ac ac", "ac sig wa ac", "ac ac ac ac"),
    }
