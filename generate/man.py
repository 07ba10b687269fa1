"""Generates the manual pages: section 1 from the command tree, section 7 from the documentation."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

from generate.markdown import to_roff
from generate.roff import Page, bold, escaped, italic
from generate.tree import Argument, Command, Option
from subcli.cli import exits
from subcli.cli.common import Common

SHARED: Final = frozenset(f"--{name.replace('_', '-')}" for name in Common.__struct_fields__)
"""The options that every command takes."""
ENVIRONMENT: Final = {
    "SUBCLI_SERVER, SUBCLI_PROFILE": "Same as --server and --profile.",
    "SUBCLI_PROBLEM, SUBCLI_LANGUAGE": "Same as --problem and --language.",
    "SUBCLI_API_PATH, SUBCLI_WS_URL": "Where to find the REST API and the WebSocket, if not at /api and /ws.",
    "SUBCLI_TOKEN, SUBCLI_TOKEN_FILE": "The access token, or a file that contains it. Takes precedence over a login.",
    "SUBCLI_INSECURE_HTTP": "Same as --insecure-http.",
    "SUBCLI_THEME": "Same as --theme.",
    "SUBCLI_DEBUG": "Same as --debug, for the named channels only: socket:*, http, retry.",
    "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY": "The proxy, http or https; and the hosts to reach without one.",
    "SSL_CERT_FILE, SSL_CERT_DIR": "CA certificates to trust, for a private certificate authority.",
    "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE": "Same as SSL_CERT_FILE, where neither that nor SSL_CERT_DIR is set.",
    "NO_COLOR, FORCE_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM, COLUMNS, CI": "Control colors, width and interactivity.",
}
FILES: Final = {
    ".subcli.toml": "Project settings, in the working directory or a parent: problem, language, files, server.",
    "~/.config/subcli/config.toml": "User settings, with a [profiles.NAME] table for each further server.",
}


def pages(tree: Command, docs: Path) -> dict[str, str]:
    """Return all manual pages, by path.

    Args:
        docs: The documentation directory.
    """
    commands = [command for command in tree.walk() if command.path]
    pages = {f"man/man1/{_title(command)}.1": _command(command) for command in commands}
    pages["man/man1/subcli.1"] = _top(tree)
    pages["man/man7/subcli-exit-codes.7"] = _exit_codes()
    pages["man/man7/subcli-protocol.7"] = _protocol((docs / "protocol.md").read_text(encoding="utf-8"))
    return pages


def _title(command: Command) -> str:
    return "-".join(("subcli", *command.path))


def _name(page: Page, title: str, text: str) -> None:
    page.section("NAME")
    page.filled(f"{escaped(title)} \\- {escaped(text.rstrip('.'))}")


def _top(tree: Command) -> str:
    page = Page("subcli", 1)
    _name(page, "subcli", tree.help)
    page.section("SYNOPSIS")
    page.raw(f"{bold('subcli')} {italic('COMMAND')} [{italic('OPTION')}]...")
    page.section("DESCRIPTION")
    page.text(
        "Submits code to a judge for programming problems, shows each test result as it arrives, explains why a test "
        "failed, and exits with a code that depends only on the verdict. If the connection is lost, subcli reconnects "
        "and resumes: every event is shown once and in order."
    )
    page.section("COMMANDS")
    for command in tree.walk():
        if command.path and not command.commands:
            page.item(bold(" ".join(("subcli", *command.path))), f"{_first(command.help)} See {_title(command)}(1).")
    _options(page, tree)
    _shared(page, next(command for command in tree.walk() if command.path == ("list",)))
    for heading, entries in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        page.section(heading)
        for name, text in entries.items():
            page.item(bold(name), text)
    _rest(page, tree, [_title(command) for command in tree.commands])
    return str(page)


def _command(command: Command) -> str:
    page = Page(_title(command), 1)
    words = " ".join(("subcli", *command.path))
    _name(page, _title(command), _first(command.help))
    page.section("SYNOPSIS")
    arguments = "".join(f" {_argument(argument)}" for argument in command.arguments)
    below = f" [{italic('COMMAND')}]" if command.commands else ""
    page.raw(f"{bold(words)}{below} [{italic('OPTION')}]...{arguments}")
    page.section("DESCRIPTION")
    for paragraph in command.help.split("\n\n"):
        page.text(" ".join(paragraph.split()))
    for under in command.commands:
        page.item(bold(" ".join(("subcli", *under.path))), _first(under.help))
    if any(argument.help for argument in command.arguments):
        page.section("ARGUMENTS")
        for argument in command.arguments:
            page.item(_argument(argument), argument.help or "Required.")
    _options(page, command)
    _shared(page, command)
    _rest(page, command, ["subcli", *(_title(under) for under in command.commands)])
    return str(page)


def _argument(argument: Argument) -> str:
    label = italic(argument.values.label)
    return (label if argument.required else f"[{label}]") + ("..." if argument.repeatable else "")


def _options(page: Page, command: Command) -> None:
    page.section("OPTIONS")
    for option in command.options:
        if not SHARED & set(option.names):
            page.item(_option(option), description(option))


def _shared(page: Page, command: Command) -> None:
    shared = [option for option in command.options if SHARED & set(option.names)]
    if shared:
        page.section("COMMON OPTIONS")
        for option in shared:
            page.item(_option(option), description(option))


def _option(option: Option) -> str:
    names = ", ".join(bold(name) for name in option.names)
    return names if option.values is None else f"{names} {italic(option.values.label)}"


def description(option: Option) -> str:
    """The help of an option, with its choices and its default."""
    choices = option.values.choices if option.values else ()
    listed = all(choice in option.help for choice in choices)
    one_of = "" if listed else f" One of: {', '.join(choices)}."
    return f"{option.help}{one_of}" + (f" Default: {option.default}." if option.default else "")


def _rest(page: Page, command: Command, see_also: list[str]) -> None:
    example, codes = epilog(command.epilog)
    if codes:
        page.section("EXIT STATUS")
        for code, meaning in codes:
            page.item(bold(str(code)), f"{meaning[:1].upper()}{meaning[1:]}.")
    if example:
        page.section("EXAMPLES")
        page.code(example)
    page.section("SEE ALSO")
    names = [f"{bold(name)}(1)" for name in see_also]
    page.raw(",\n".join([*names, f"{bold('subcli-exit-codes')}(7)", f"{bold('subcli-protocol')}(7)"]))


def epilog(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """Parse the examples and the exit codes from the epilog of a command's help."""
    example: list[str] = []
    codes: list[tuple[int, str]] = []
    for part in text.replace("\b\n", "").split("\n\n"):
        head, _, body = part.partition("\n")
        if head.startswith("Example"):
            example = textwrap.dedent(body).splitlines()
        elif head.startswith("Exit codes: "):
            codes = exits.meanings(exits.from_ranges(head.removeprefix("Exit codes: ").partition(";")[0]))
    return example, codes


def _exit_codes() -> str:
    page = Page("subcli-exit-codes", 7)
    _name(page, "subcli-exit-codes", "exit codes of subcli")
    page.section("DESCRIPTION")
    page.text(
        "The exit code is the same with and without --json. It is never 0 without a verdict. With several submissions, "
        "it is the highest code among them. The counts in a summary never override the verdict."
    )
    for code, meaning in exits.meanings(exits.WATCHING):
        page.item(bold(str(code)), f"{meaning[:1].upper()}{meaning[1:]}.")
    page.section("EXAMPLES")
    page.code(
        [
            "subcli submit node.py --problem leader-election -q",
            'if [ "$?" = 1 ]; then echo "judged, but not passed"; fi',
        ]
    )
    page.section("SEE ALSO")
    page.raw(f"{bold('subcli')}(1)")
    return str(page)


def _protocol(markdown: str) -> str:
    page = Page("subcli-protocol", 7)
    _name(page, "subcli-protocol", "messages between subcli and a server")
    to_roff(markdown, page)
    page.section("SEE ALSO")
    page.raw(f"{bold('subcli')}(1)")
    return str(page)


def _first(text: str) -> str:
    return text.partition("\n")[0]
