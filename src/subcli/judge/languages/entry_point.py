"""Where a program begins: which file has its main function, and what a Java program's main class is called.

Sources are looked at without their comments and strings. All patterns here take time linear in the text, which comes
from a solution.
"""

from __future__ import annotations

import re
from typing import Final

_NO_CODE: Final = re.compile(
    r"//[^\n]*"
    r"|/\*[\s\S]*?(?:\*/|\Z)"
    r'|"""[\s\S]*?(?:"""|\Z)'
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'(?:\\.[^'\n]{0,8}|[^'\\\n])'"
)
_PUBLIC: Final = re.compile(
    r"\bpublic\s+(?:(?:final|abstract|sealed|strictfp)\s+)*(?:class|interface|enum|record)\s+(\w+)"
)
_PACKAGE: Final = re.compile(r"^[ \t]*package\s+([\w.]+)\s*;", re.MULTILINE)
_STEP: Final = re.compile(r"(?<![.\w])(?:class|interface|enum|record)\s+(?P<type>\w+)|(?P<brace>[{}])")


def code_of(text: str) -> str:
    """The text of a source file, in a language with C's comments and strings, with both left out."""
    return _NO_CODE.sub(" ", text)


def has_main(text: str, main: str) -> bool:
    """Whether a source file has what the regular expression `main` describes."""
    return re.search(main, code_of(text)) is not None


def public_type(text: str) -> str:
    """The name of the public class of a Java file, after which the file must be named; empty if it has none."""
    found = _PUBLIC.search(code_of(text))
    return found[1] if found else ""


def main_class(text: str, main: str) -> str:
    """The name by which `java` starts the class with the main method, with its package; empty if there is none.

    Args:
        text: a Java file.
        main: a regular expression for the head of a main method.
    """
    code = code_of(text)
    found = re.search(main, code)
    if found is None:
        return ""
    around: list[str] = []
    """For each brace that is open at this point, the type that it belongs to, or an empty string."""
    announced = ""
    for step in _STEP.finditer(code, 0, found.start()):
        if step["type"]:
            announced = step["type"]
        elif step["brace"] == "{":
            around.append(announced)
            announced = ""
        elif around:
            around.pop()
    package = _PACKAGE.search(code)
    name = "$".join(filter(None, around))
    return f"{package[1]}.{name}" if package and name else name
