"""The manual pages: one for each command, from the command tree; section 7 from the documentation."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

from generate.markdown import to_roff
from generate.roff import Page, bold, escaped, italic
from generate.tree import Argument, Command, Option
from subcli.cli import exits
from subcli.cli.common import Common

_SHARED: Final = frozenset(f"--{name.replace('_', '-')}" for name in Common.__struct_fields__)
_ENVIRONMENT: Final = {
    "SUBCLI_SERVER, SUBCLI_PROFILE": "As --server and --profile.",
    "SUBCLI_PROBLEM, SUBCLI_LANGUAGE": "As --problem and --language.",
    "SUBCLI_API_PATH, SUBCLI_WS_URL": "Where the REST and the WebSocket half are, if not at /api and /ws.",
    "SUBCLI_TOKEN, SUBCLI_TOKEN_FILE": "The token to send, or the file that holds it. It goes before a login.",
    "SUBCLI_INSECURE_HTTP": "As --insecure-http.",
    "SUBCLI_DEBUG": "As --debug, for the channels named: socket:*, http, retry.",
    "SSL_CERT_FILE": "Certificates to trust, for an authority of one's own.",
    "NO_COLOR, FORCE_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM, COLUMNS, CI": "Whether and how the output is drawn.",
}
_FILES: Final = {
    ".subcli.toml": "Settings of a project, here or in a directory above: problem, language, files, server.",
    "~/.config/subcli/config.toml": "Your settings, with [profiles.NAME] for several servers.",
}


def pages(tree: Command, docs: Path) -> dict[str, str]:
    """All manual pages, by their paths.

    Args:
        docs: the directory of the documentation.
    """
    commands = [command for command in tree.walk() if command.path]
    made = {f"man/man1/{_title(command)}.1": _command(command) for command in commands}
    made["man/man1/subcli.1"] = _top(tree)
    made["man/man7/subcli-exit-codes.7"] = _exit_codes()
    made["man/man7/subcli-protocol.7"] = _protocol((docs / "protocol.md").read_text(encoding="utf-8"))
    return made


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
        "Hands code in to a judge for programming problems, shows every test result as it happens, says why a test "
        "failed, and exits by the verdict alone. A lost connection is taken up again: every event is seen once and in "
        "order."
    )
    page.section("COMMANDS")
    for command in tree.walk():
        if command.path and not command.commands:
            page.item(bold(" ".join(("subcli", *command.path))), f"{_first(command.help)} See {_title(command)}(1).")
    _options(page, tree)
    _shared(page, next(command for command in tree.walk() if command.path == ("list",)))
    for heading, entries in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
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
            page.item(_argument(argument), argument.help or "Needed.")
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
        if not _SHARED & set(option.names):
            page.item(_option(option), _told(option))


def _shared(page: Page, command: Command) -> None:
    shared = [option for option in command.options if _SHARED & set(option.names)]
    if shared:
        page.section("OPTIONS OF EVERY COMMAND")
        for option in shared:
            page.item(_option(option), _told(option))


def _option(option: Option) -> str:
    names = ", ".join(bold(name) for name in option.names)
    return names if option.values is None else f"{names} {italic(option.values.label)}"


def _told(option: Option) -> str:
    choices = option.values.choices if option.values else ()
    are_named = all(choice in option.help for choice in choices)
    one_of = "" if are_named else f" One of: {', '.join(choices)}."
    return f"{option.help}{one_of}" + (f" Default: {option.default}." if option.default else "")


def _rest(page: Page, command: Command, beside: list[str]) -> None:
    example, codes = _epilog(command.epilog)
    if codes:
        page.section("EXIT STATUS")
        for code, meaning in codes:
            page.item(bold(code), f"{meaning[:1].upper()}{meaning[1:]}.")
    if example:
        page.section("EXAMPLES")
        page.code(example)
    page.section("SEE ALSO")
    names = [f"{bold(name)}(1)" for name in beside]
    page.raw(",\n".join([*names, f"{bold('subcli-exit-codes')}(7)", f"{bold('subcli-protocol')}(7)"]))


def _epilog(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The examples and the exit codes in what the help says below its options."""
    example: list[str] = []
    codes: list[tuple[str, str]] = []
    for part in text.replace("\b\n", "").split("\n\n"):
        head, _, body = part.partition("\n")
        lines = textwrap.dedent(body).splitlines()
        if head.startswith("Example"):
            example = lines
        elif head.startswith("Exit codes"):
            codes = [(found[1], found[2]) for line in lines if (found := re.match(r"\s*(\d+)\s+(.*)", line))]
    return example, codes


def _exit_codes() -> str:
    page = Page("subcli-exit-codes", 7)
    _name(page, "subcli-exit-codes", "what the exit status of subcli says")
    page.section("DESCRIPTION")
    page.text(
        "The same in human and in JSON mode. A stream that ends without a verdict is never 0. Several submissions: the "
        "highest code among them. The counts of a summary never override the verdict."
    )
    for code, meaning in exits.meanings(exits.WATCHING):
        page.item(bold(str(code)), f"{meaning[:1].upper()}{meaning[1:]}.")
    page.section("EXAMPLES")
    page.code(
        [
            "subcli submit node.py --problem leader-election -q",
            'if [ "$?" = 1 ]; then echo "judged, and not passed"; fi',
        ]
    )
    page.section("SEE ALSO")
    page.raw(f"{bold('subcli')}(1)")
    return str(page)


def _protocol(markdown: str) -> str:
    page = Page("subcli-protocol", 7)
    _name(page, "subcli-protocol", "what subcli and a server say to each other")
    to_roff(markdown, page)
    page.section("SEE ALSO")
    page.raw(f"{bold('subcli')}(1)")
    return str(page)


def _first(text: str) -> str:
    return text.partition("\n")[0]
