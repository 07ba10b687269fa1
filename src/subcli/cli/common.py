"""What every command shares: the options that stand everywhere, and how a command is declared.

``@command(app)`` gives a function the common options of section 2 after its own, and hands them over as one
frozen :class:`Common`; the function returns its exit code.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from subcli.cli import exits
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.settings.config import Settings


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """The options that every command takes."""

    json: bool = False
    quiet: bool = False
    server: str | None = None
    profile: str | None = None
    no_input: bool = False
    insecure_http: bool = False
    debug: bool = False

    def for_server(self, pasted_server: str | None = None) -> str:
        """What another command line needs to reach the same server, as this one said it."""
        import shlex

        server = self.server or pasted_server
        said = (("--server", server), ("--profile", None if pasted_server else self.profile))
        return "".join(f" {option} {shlex.quote(value)}" for option, value in said if value)

    def settings(self, *, pasted_server: str | None = None, **flags: str | None) -> Settings:
        """The settings with these flags on top; ``pasted_server`` as :func:`subcli.settings.config.load` has it.

        Raises:
            UsageError: a file or setting cannot be used.
        """
        from subcli.client.records import Credentials
        from subcli.settings.config import load
        from subcli.settings.files import user_directory, user_file

        try:
            here = Path.cwd()
        except OSError:
            raise UsageError("The present directory does not exist any more.", hint="Change to another one.") from None
        return load(
            {"server": self.server, **flags},
            os.environ,
            here,
            user_file(),
            profile=self.profile,
            insecure_http=self.insecure_http,
            known_servers=Credentials(user_directory()).logins(),
            pasted_server=pasted_server,
        )


_OPTIONS: dict[str, Any] = {
    "json": Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Only the id or the verdict on stdout.")],
    "server": Annotated[str | None, typer.Option("--server", metavar="URL", help="The server to talk to.")],
    "profile": Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of the user file.")],
    "no_input": Annotated[bool, typer.Option("--no-input", help="Never ask for anything.")],
    "insecure_http": Annotated[
        bool, typer.Option("--insecure-http", help="Allow credentials over plain http to another machine.")
    ],
    "debug": Annotated[bool, typer.Option("--debug", help="Say everything, on stderr.")],
}


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    example: str,
    codes: tuple[int, ...] = exits.ASKING,
    is_group: bool = False,
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Declare a command: its own parameters, then the common options.

    Args:
        app: where it belongs.
        name: if it is not the function's.
        example: command lines for the help.
        codes: the exit codes that it can end with.
        is_group: it is what ``app`` itself does, with or without a command of its own behind it.
    """

    def declare(function: Callable[..., int]) -> Callable[..., int]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_OPTIONS[option])
            for option, default in zip(Common.__struct_fields__, Common.__struct_defaults__, strict=True)
        ]

        @functools.wraps(function)
        def run(**given: Any) -> int:
            common = Common(**{option: given.pop(option) for option in Common.__struct_fields__})
            if common.json and common.quiet:
                raise UsageError("`--json` and `--quiet` exclude each other.", hint="Leave one of them out.")
            if common.debug or os.environ.get("SUBCLI_DEBUG"):
                from subcli.cli.debug import switch_on
                from subcli.settings.config import secrets_in

                switch_on(os.environ.get("SUBCLI_DEBUG", ""), sys.stderr, *secrets_in(os.environ))
            try:
                return function(common, **given)
            except BrokenPipeError:
                raise exits.ReaderGone from None

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        epilog = exits.epilog(example, codes)
        if is_group:
            app.callback(invoke_without_command=True, epilog=epilog)(run)
        else:
            app.command(name, epilog=epilog)(run)
        return function

    return declare


def group(parent: typer.Typer, name: str, *, summary: str, example: str) -> typer.Typer:
    """A command that only holds others, with a help like theirs."""
    made = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=summary, epilog=exits.epilog(example, ()))
    parent.add_typer(made, name=name)
    return made


def now() -> str:
    """The present time as the messages write it."""
    from subcli.shared.protocol import timestamp

    return timestamp(time.time())


def print_json(fields: Mapping[str, Any]) -> None:
    """One object on stdout, with the schema's version."""
    from subcli.output.ndjson import SCHEMA
    from subcli.shared.protocol import encode

    sys.stdout.write(encode({"schema": SCHEMA, **fields}) + "\n")
    sys.stdout.flush()


def submission_id(text: str) -> int:
    """An id as the user typed it, with or without ``#``.

    Raises:
        UsageError: it is no number.
    """
    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise UsageError(f"{text!r} is no submission id.", hint="An id is a number; `subcli list` shows yours.")
    return int(digits)


def slug_of(problem: dict[str, Any]) -> str | None:
    """A name that is safe in a path and on a command line."""
    slug = problem.get("slug")
    if isinstance(slug, str) and slug and all(char.isalnum() or char in "-_." for char in slug) and slug[0] not in "-.":
        return slug
    return None
