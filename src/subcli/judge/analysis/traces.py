"""Reading what a language's runtime prints when it gives up: the exception's name, its text, and the calls.

Each runtime has a parser of its own, and each is tested with what that runtime really prints. The text comes from a
solution, so it may be anything: a parser looks at a bounded part of it, converts no number that is longer than a line
number can be, and returns ``None`` rather than guess.

A :class:`Trace` lists its frames innermost first. Which of them belong to the submission is for
:func:`subcli.judge.analysis.places.first_own` to decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_MAX_CHARACTERS: Final = 64 * 1024
"""Only the end of a longer text is read: what a program prints last, it prints when it ends."""
_MAX_FRAMES: Final = 200

_LINE: Final = r"(?P<line>\d{1,7})(?!\d)"


@dataclass(frozen=True)
class Call:
    """One call. ``file`` is as the runtime printed it."""

    file: str
    line: int
    function: str = ""


@dataclass(frozen=True)
class Trace:
    """An exception, panic or abort that ended a program.

    Attributes:
        name: The exception's name as the runtime prints it, such as ``KeyError`` or ``std::out_of_range``; ``panic``
            for Go and Rust, ``assert`` for a failed C assertion.
        text: Its message; may be empty.
        frames: The calls, innermost first; empty where the runtime prints none.
        at_load: Whether it was raised while the program was being read, before any of it ran.
    """

    name: str
    text: str
    frames: tuple[Call, ...] = ()
    at_load: bool = False


def read_trace(stderr: str, runtime: str = "") -> Trace | None:
    """The exception that ended a program, from what it wrote to stderr; ``None`` if no runtime printed one.

    Args:
        stderr: what it wrote.
        runtime: whose exceptions are looked for first, as `languages.toml` names it under `traceback`.
    """
    text = stderr[-_MAX_CHARACTERS:]
    parsers = (*_OF_RUNTIME.get(runtime, ()), *_PARSERS)
    return next((trace for parse in parsers if (trace := parse(text)) is not None), None)


# -- Python -----------------------------------------------------------------------------------------

_PYTHON_START: Final = "Traceback (most recent call last):"
_PYTHON_FRAME: Final = re.compile(
    rf'^[ \t|+]{{0,40}}File "(?P<file>[^"\n]{{1,1000}})", line {_LINE}(?:, in (?P<function>[^\n]{{1,200}}))?$',
    re.MULTILINE,
)
_PYTHON_END: Final = re.compile(
    r"^(?:[ |+]{0,40}\| )?(?P<name>[A-Za-z_][\w.<>]{0,200})(?:: (?P<text>[^\n]*))?$", re.MULTILINE
)


def _python(text: str) -> Trace | None:
    """The last traceback: of a chain, that is the exception that nothing caught."""
    _, start, last = text.rpartition(_PYTHON_START)
    if not start:
        return None
    frames = list(_PYTHON_FRAME.finditer(last))
    end = next(_PYTHON_END.finditer(last, frames[-1].end() if frames else 0), None)
    if end is None:
        return None
    # `__main__.f.<locals>.Odd`: where a class was defined says nothing here.
    return Trace(end["name"].rpartition(".")[2], end["text"] or "", _frames(reversed(frames)))


_PYTHON_SYNTAX: Final = re.compile(
    rf'^  File "(?P<file>[^"\n]{{1,1000}})", line {_LINE}\n(?:.*\n){{0,4}}?'
    r"(?:\w+\.)?(?P<name>SyntaxError|IndentationError|TabError): (?P<text>[^\n]*)$",
    re.MULTILINE,
)


def _python_syntax(text: str) -> Trace | None:
    """A file that Python could not read: it has no traceback of its own."""
    found = _PYTHON_SYNTAX.search(text)
    return found and Trace(found["name"], found["text"], _frames([found]), at_load=True)


# -- JavaScript -------------------------------------------------------------------------------------

_NODE_ERROR: Final = re.compile(
    r"^(?:Uncaught |\[)?(?P<name>(?:[A-Z]\w{0,100})?(?:Error|Exception))(?: \[\w{1,100}\])?(?:: (?P<text>[^\n]*))?$",
    re.MULTILINE,
)
_NODE_FRAME: Final = re.compile(
    r"^ {4}at (?:(?:async )?(?P<function>[^\n(]{1,200}) \()?(?:file://)?(?P<file>[^\n:()]{1,1000})"
    rf":{_LINE}:\d{{1,7}}\)?(?: \{{)?$",
    re.MULTILINE,
)
_NODE_HEAD: Final = re.compile(rf"^(?:file://)?(?P<file>/[^\n:]{{1,1000}}):{_LINE}\n", re.MULTILINE)
_NODE_VERSION: Final = re.compile(r"^Node\.js v\d", re.MULTILINE)


def _node(text: str) -> Trace | None:
    """What node prints of an uncaught error.

    While it reads a file, a syntax error has no call in that file; the file stands at the beginning instead.
    """
    frames = [frame for frame in _NODE_FRAME.finditer(text) if not frame["file"].startswith("node:")]
    # The last one before the calls: an earlier line may be the program's own.
    errors = list(_NODE_ERROR.finditer(text, 0, frames[0].start() if frames else len(text)))
    if not errors or not (frames or _NODE_VERSION.search(text) or "\n    at " in text):
        return None
    error = errors[-1]
    head = _NODE_HEAD.search(text)
    at_load = error["name"] == "SyntaxError" and (not frames or "\n    at wrapSafe (" in text)
    found = [head] if head and (at_load or not frames) else frames
    return Trace(error["name"], error["text"] or "", _frames(found), at_load=at_load)


# -- Java -------------------------------------------------------------------------------------------

_JAVA_START: Final = re.compile(
    r'^Exception in thread "[^"\n]{0,200}" (?P<name>[\w.$]{1,300})(?:: (?P<text>[^\n]*))?$', re.MULTILINE
)
_JAVA_CAUSE: Final = re.compile(r"^Caused by: (?P<name>[\w.$]{1,300})(?:: (?P<text>[^\n]*))?$", re.MULTILINE)
_JAVA_FRAME: Final = re.compile(
    rf"^\s{{1,8}}at (?P<function>[\w.$/<>@-]{{1,400}})\((?P<file>[\w$-]{{1,200}}\.\w{{1,10}}):{_LINE}\)$", re.MULTILINE
)
_JDK: Final = ("java.", "javax.", "jdk.", "sun.", "com.sun.")


def _java(text: str) -> Trace | None:
    """An uncaught exception; its innermost cause says most. The JDK's own calls are left out."""
    starts = list(_JAVA_START.finditer(text))
    if not starts:
        return None
    start = starts[-1]
    rest = text[start.start() :]
    causes = list(_JAVA_CAUSE.finditer(rest))
    cause = causes[-1] if causes else start
    inner = rest[causes[-1].start() :] if causes else rest
    frames = [_java_frame(found) for part in (inner, rest) for found in _JAVA_FRAME.finditer(part)]
    own = tuple(dict.fromkeys(frame for frame in frames if frame is not None))
    return Trace(cause["name"].rpartition(".")[2], cause["text"] or "", own[:_MAX_FRAMES])


def _java_frame(found: re.Match[str]) -> Call | None:
    # `java.base/java.util.ArrayList.get`: a named module is the JDK's, or a library's.
    if "/" in found["function"] or found["function"].startswith(_JDK):
        return None
    package = found["function"].split(".")[:-2]
    return Call("/".join((*package, found["file"])), int(found["line"]), found["function"].rpartition(".")[2])


# -- Go ---------------------------------------------------------------------------------------------

_GO_START: Final = re.compile(r"^(?P<name>panic|fatal error): (?P<text>[^\n]*)$", re.MULTILINE)
_GO_FRAME: Final = re.compile(
    rf"^(?P<function>[^\s(][^\n]{{0,400}}?)\([^\n]*\)\n\t(?P<file>/[^\n:]{{1,1000}}\.go):{_LINE}", re.MULTILINE
)


def _go(text: str) -> Trace | None:
    """A panic, or an error of the runtime such as a deadlock. The first goroutine listed is the one that failed."""
    start = _GO_START.search(text)
    if start is None or ("goroutine " not in text and "runtime:" not in text):
        return None
    frames = [found for found in _GO_FRAME.finditer(text, start.end()) if "/src/runtime/" not in found["file"]]
    message = start["text"].removesuffix(" [recovered]")
    return Trace("panic" if start["name"] == "panic" else "fatal error", message, _frames(frames))


# -- Rust -------------------------------------------------------------------------------------------

_RUST_START: Final = re.compile(
    rf"^thread '[^'\n]{{0,200}}'(?: \(\d{{1,20}}\))? panicked at "
    rf"(?:'(?P<old>.*?)', (?P<old_file>[^\n:]{{1,1000}}):(?P<old_line>\d{{1,7}}):\d{{1,7}}$"
    rf"|(?P<file>[^\n:]{{1,1000}}):{_LINE}:\d{{1,7}}:\n(?P<text>[^\n]*))",
    re.MULTILINE | re.DOTALL,
)
_RUST_FRAME: Final = re.compile(
    rf"^ {{1,6}}\d{{1,4}}: (?P<function>[^\n]{{1,400}})\n"
    rf"\s{{1,40}}at (?P<file>[^\n:]{{1,1000}}):{_LINE}(?::\d{{1,7}})?$",
    re.MULTILINE,
)


def _rust(text: str) -> Trace | None:
    """A panic, as rustc up to 1.72 and after it words it, with or without RUST_BACKTRACE."""
    found = _RUST_START.search(text)
    if found is None:
        return None
    if found["old_file"]:
        first = Call(found["old_file"], int(found["old_line"]))
        message = found["old"]
    else:
        first = Call(found["file"], int(found["line"]))
        message = found["text"]
    return Trace("panic", message, (first, *_frames(_RUST_FRAME.finditer(text, found.end()))))


# -- C and C++ --------------------------------------------------------------------------------------

_TERMINATE: Final = re.compile(
    r"^terminate called after throwing an instance of '(?P<name>[^'\n]{1,300})'\n?(?:  what\(\):  (?P<text>[^\n]*))?",
    re.MULTILINE,
)
_ASSERTION: Final = re.compile(
    rf"^(?:[^\n:]{{1,300}}: )?(?P<file>[^\n:]{{1,1000}}):{_LINE}: (?P<function>[^\n:]{{1,400}}(?:::[^\n:]{{1,200}})*): "
    r"Assertion [`'](?P<text>[^\n]*)' failed\.$",
    re.MULTILINE,
)
_HEAP: Final = re.compile(
    r"^(?:\*\*\* )?(?P<text>stack smashing detected|double free or corruption[^\n]*|free\(\): [^\n]*|malloc\(\): [^\n]*"
    r"|realloc\(\): [^\n]*|munmap_chunk\(\): [^\n]*|corrupted [^\n]*|malloc_consolidate\(\): [^\n]*)",
    re.MULTILINE,
)


def _cpp_exception(text: str) -> Trace | None:
    """An exception that left ``main``."""
    found = _TERMINATE.search(text)
    return found and Trace(found["name"], found["text"] or "")


def _assertion(text: str) -> Trace | None:
    """A failed ``assert``, as glibc prints it."""
    found = _ASSERTION.search(text)
    return found and Trace("assert", found["text"], _frames([found]))


def _heap(text: str) -> Trace | None:
    """A damaged heap or stack that glibc noticed."""
    found = _HEAP.search(text)
    return found and Trace("heap", found["text"].rstrip("* \n:").removesuffix(" ***"))


# -- Ruby, C# and Haskell: only where the language says so, because other programs may print the like ---------

_RUBY: Final = re.compile(
    rf"^(?P<file>[^\n:]{{1,1000}}):{_LINE}:in [`'](?P<function>[^'\n]{{1,300}})': (?P<text>[^\n]*) "
    r"\((?P<name>[A-Z][\w:]{0,200})\)$",
    re.MULTILINE,
)
_RUBY_FRAME: Final = re.compile(
    rf"^\tfrom (?P<file>[^\n:]{{1,1000}}):{_LINE}:in [`'](?P<function>[^'\n]{{1,300}})'$", re.MULTILINE
)
_CSHARP: Final = re.compile(
    r"^(?:Unhandled [Ee]xception(?::\n|\. )|\[ERROR\] FATAL UNHANDLED EXCEPTION: )"
    r"(?P<name>[\w.`+]{1,300}): (?P<text>[^\n]*)$",
    re.MULTILINE,
)
_CSHARP_FRAME: Final = re.compile(
    r"^ {2,3}at (?P<function>[\w.`+<>/]{1,300}) ?\([^()\n]{0,1000}\) (?:\[0x[0-9a-f]{1,16}\] )?"
    rf"in (?P<file>[^\n:]{{1,1000}}):(?:line )?{_LINE} ?$",
    re.MULTILINE,
)
_HASKELL: Final = re.compile(
    r"^[^\s:][^\n:]{0,200}: (?P<text>[^\n]+)(?=\nCallStack \(from HasCallStack\):$)", re.MULTILINE
)
_HASKELL_FRAME: Final = re.compile(
    rf"^  (?P<function>[^\n]{{1,300}}), called at (?P<file>[^\n:]{{1,1000}}):{_LINE}:\d{{1,7}} in [^\n]{{1,300}}$",
    re.MULTILINE,
)


def _ruby(text: str) -> Trace | None:
    """An exception that nothing rescued."""
    found = _RUBY.search(text)
    if found is None:
        return None
    return Trace(found["name"], found["text"], (*_frames([found]), *_frames(_RUBY_FRAME.finditer(text, found.end()))))


def _csharp(text: str) -> Trace | None:
    """An unhandled exception, as Mono and .NET print it. Files are named where there are debugging symbols."""
    found = _CSHARP.search(text)
    if found is None:
        return None
    frames = _frames(_CSHARP_FRAME.finditer(text, found.end()))
    return Trace(found["name"].rpartition(".")[2], found["text"], frames)


def _haskell(text: str) -> Trace | None:
    """A call of `error`, or of what uses it."""
    found = _HASKELL.search(text)
    return found and Trace("error", found["text"], _frames(_HASKELL_FRAME.finditer(text, found.end())))


_OF_RUNTIME: Final[dict[str, tuple[Callable[[str], Trace | None], ...]]] = {
    "python": (_python, _python_syntax),
    "java": (_java,),
    "go": (_go,),
    "rust": (_rust,),
    "node": (_node,),
    "csharp": (_csharp,),
    "haskell": (_haskell,),
    "ruby": (_ruby,),
}
_PARSERS: Final[tuple[Callable[[str], Trace | None], ...]] = (
    _python,
    _python_syntax,
    _java,
    _go,
    _rust,
    _cpp_exception,
    _assertion,
    _heap,
    _node,
)
"""Those whose first line nothing else prints come first."""


def _frames(found: Iterator[re.Match[str]] | list[re.Match[str]]) -> tuple[Call, ...]:
    frames: list[Call] = []
    for match in found:
        groups = match.groupdict()
        frames.append(Call(groups["file"], int(groups["line"]), (groups.get("function") or "").strip()))
        if len(frames) == _MAX_FRAMES:
            break
    return tuple(frames)


def is_same_file(printed: str, submitted: str) -> bool:
    """Whether the path that a runtime printed names a submitted file: it ends with its whole path."""
    shown, name = PurePosixPath(printed).parts, PurePosixPath(submitted).parts
    return shown[-len(name) :] == name
