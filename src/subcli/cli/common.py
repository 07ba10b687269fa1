"""What every command shares: the common options, and how a command is declared.

``@command(app)`` adds the common options (contract, section 2) to a function's own. The function receives them as one
frozen :class:`Common`, then the :class:`~subcli.cli.streams.Streams` of the process, and returns its exit code.
"""

from __future__ import annotations

import functools
import inspect
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from typer.core import TyperCommand

from subcli.cli import exits
from subcli.cli.resolve import resolve_settings
from subcli.cli.streams import Streams
from subcli.core.errors import SubcliError, UsageError
from subcli.output.terminal.console import ThemeName, theme_name

if TYPE_CHECKING:
    from subcli.settings.config import Settings


_COMMAND: Final = re.compile(r"`subcli (?:auth |problems )?(\w+)[^`]*`")
_LOCAL: Final = frozenset({"serve", "worker", "demo", "test", "user", "db", "check", "schema", "completion"})
"""The commands that reach no server."""


def with_options(hint: str, options: str) -> str:
    """``hint``, changed so that the commands in it use the same server as this one.

    Args:
        options: of :meth:`Common.for_server`; a command that names a server already keeps it.
    """

    def complete(found: re.Match[str]) -> str:
        command = found[0].strip("`")
        if found[1] in _LOCAL or re.search(r" --(server|profile|help)\b", command):
            return found[0]
        words, redirection, file = command.partition(" <")
        return f"`{words}{options}{redirection}{file}`"

    return _COMMAND.sub(complete, hint)


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """The options that every command takes."""

    json: bool = False
    quiet: bool = False
    server: str | None = None
    profile: str | None = None
    no_input: bool = False
    insecure_http: bool = False
    theme: str | None = None
    debug: bool = False

    def is_debugging(self, env: Mapping[str, str]) -> bool:
        """Whether anything is logged to stderr: by ``--debug``, or by SUBCLI_DEBUG."""
        return self.debug or bool(env.get("SUBCLI_DEBUG"))

    def for_server(self, pasted_server: str | None = None) -> str:
        """The options that make another command line use the same server as this one."""
        import shlex

        server = self.server or pasted_server
        given = (("--server", server), ("--profile", None if pasted_server else self.profile))
        return "".join(f" {option} {shlex.quote(value)}" for option, value in given if value)

    def settings(self, streams: Streams, *, pasted_server: str | None = None, **flags: str | None) -> Settings:
        """Resolve the settings, with these flags on top.

        Args:
            pasted_server: see :func:`subcli.settings.config.load`.

        Raises:
            UsageError: A file or setting cannot be used.
        """
        return resolve_settings(
            streams.env,
            streams.cwd,
            {"server": self.server, **flags},
            profile=self.profile,
            insecure_http=self.insecure_http,
            pasted_server=pasted_server,
        )


_OPTIONS: dict[str, Any] = {
    "json": Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id or the verdict.")],
    "server": Annotated[str | None, typer.Option("--server", metavar="URL", help="Server to use.")],
    "profile": Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of your settings file.")],
    "no_input": Annotated[bool, typer.Option("--no-input", help="Never prompt.")],
    "insecure_http": Annotated[
        bool, typer.Option("--insecure-http", help="Allow sending credentials over plain http to another machine.")
    ],
    "theme": Annotated[
        ThemeName | None,
        typer.Option("--theme", metavar="THEME", help="Colours: default, high-contrast or colour-blind."),
    ],
    "debug": Annotated[bool, typer.Option("--debug", help="Log everything to stderr.")],
}


class _Command(TyperCommand):
    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """`ID`, as in man pages and other programs' usage, instead of typer's `{ID}`."""
        return [re.sub(r"^\{(.*)\}$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    example: str,
    codes: tuple[int, ...] = exits.REQUESTING,
    is_group: bool = False,
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Declare a command: its own parameters, then the common options.

    Args:
        app: where to register it.
        name: if it differs from the function's.
        example: command lines for the help.
        codes: the exit codes that it can end with.
        is_group: it runs if none of the commands of ``app`` is named.
    """

    def declare(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def run(*, context: typer.Context, **given: Any) -> int:
            common, streams = _take_common(context, given), context.obj
            _check(common, given)
            _choose_theme(common, streams)
            _log_if_asked(common, streams)
            if context.invoked_subcommand is not None:
                return exits.OK
            return _call(function, common, streams, given)

        parameters = _parameters(function)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        epilog = exits.epilog(example, codes)
        if is_group:
            app.callback(invoke_without_command=True, epilog=epilog)(run)
        else:
            app.command(name, epilog=epilog, cls=_Command)(run)
        return function

    return declare


def _parameters(function: Callable[..., int]) -> list[inspect.Parameter]:
    """What typer makes options of: a command's own parameters, the common options, and the context."""
    by_name = inspect.Parameter.KEYWORD_ONLY
    # Without the two that `_call` passes.
    own = list(inspect.signature(function, eval_str=True).parameters.values())[2:]
    shared = [
        inspect.Parameter(option, by_name, default=default, annotation=_OPTIONS[option])
        for option, default in zip(Common.__struct_fields__, Common.__struct_defaults__, strict=True)
    ]
    context = inspect.Parameter("context", by_name, annotation=typer.Context)
    return [*(parameter.replace(kind=by_name) for parameter in own), *shared, context]


def _take_common(context: typer.Context, given: dict[str, Any]) -> Common:
    """Take the common options out of the arguments.

    `subcli problems --server URL show X` means the same as with the option at the end.
    """
    before = context.meta.get(__name__, Common())
    options = Common.__struct_fields__
    common = Common(**{option: given.pop(option) or getattr(before, option) for option in options})
    context.meta[__name__] = common
    return common


def _check(common: Common, given: Mapping[str, Any]) -> None:
    for value in (*given.values(), common.server, common.profile):
        _check_unicode(value)
    if common.json and common.quiet:
        raise UsageError("`--json` and `--quiet` exclude each other.", hint="Leave one of them out.")


def _choose_theme(common: Common, streams: Streams) -> None:
    """Put the theme where everything that is coloured finds it.

    Raises:
        UsageError: The variable names none.
    """
    if common.theme is not None:
        streams.env["SUBCLI_THEME"] = common.theme
    theme_name(streams.env)


def _log_if_asked(common: Common, streams: Streams) -> None:
    if common.is_debugging(streams.env):
        from subcli.cli.debug import switch_on
        from subcli.settings.token import secrets_in

        switch_on(streams.env.get("SUBCLI_DEBUG", ""), streams.stderr, *secrets_in(streams.env))


def _call(function: Callable[..., int], common: Common, streams: Streams, given: Mapping[str, Any]) -> int:
    try:
        return function(common, streams, **given)
    except SubcliError as error:
        error.hint = with_options(error.hint, common.for_server())
        raise
    except BrokenPipeError:
        raise exits.ReaderGone from None
    except KeyboardInterrupt:
        raise exits.CtrlC from None


def _check_unicode(value: object) -> None:
    """Reject a name that cannot be sent or stored. Paths may contain any bytes.

    Raises:
        UsageError: It has bytes that are not text in the encoding of the locale.
    """
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise UsageError(f"{value!r} is not valid text.", hint="It has bytes that are not UTF-8.")


def group(parent: typer.Typer, name: str, *, summary: str, example: str) -> typer.Typer:
    """A group of commands, which does nothing by itself."""
    made = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=summary, epilog=exits.epilog(example, ()))
    parent.add_typer(made, name=name)
    return made


def now() -> str:
    """The current time in the format of the messages."""
    from subcli.shared.encoding import timestamp

    return timestamp(time.time())


def submission(text: str) -> tuple[str | None, int]:
    """A submission as the user named it: an id, or the URL of its page, of its REST resource or of its WebSocket.

    Returns:
        The server that the URL names, with its path prefix, and the id.

    Raises:
        UsageError: It is neither.
    """
    if "://" not in text:
        return None, submission_id(text)
    scheme, _, address = text.partition("://")
    if scheme.lower() in ("ws", "wss"):
        text = f"http{scheme.lower()[2:]}://{address.replace('/ws/submissions/', '/submissions/', 1)}"
    server, _, rest = text.partition("/submissions/")
    # The settings check the rest of the server's address.
    if not text.lower().startswith(("http://", "https://")) or not rest:
        raise UsageError(f"{text!r} is not the URL of a submission.", hint="It ends in `/submissions/ID`.")
    return server.removesuffix("/api"), submission_id(re.split("[/?#]", rest)[0])


def submission_id(text: str) -> int:
    """An id as the user typed it, with or without ``#``.

    Raises:
        UsageError: It is not a number.
    """
    from subcli.shared.protocol import MAX_ID

    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(MAX_ID)) or int(digits) > MAX_ID:
        raise UsageError(
            f"{text!r} is not a valid submission id.", hint="An id is a number; `subcli list` shows yours."
        )
    return int(digits)


def expanded(path: Path | None) -> Path | None:
    """A type for options that name a path: expands ``~``, which no shell does in ``--option=~/file``."""
    from subcli.shared.files import expand_user

    return None if path is None else expand_user(path)


def written(path: Path | None) -> Path | None:
    """A type for what a command writes: as `expanded`, and nothing is ever written to a file called ``-``.

    Raises:
        UsageError: That is its name.
    """
    if path is not None and str(path) == "-":
        raise UsageError("`-` does not stand for stdout here.", hint="Name a file or a directory.")
    return expanded(path)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A parser for options that name a whole number. The help shows nothing of it: typer would print `[x>=1]`.

    Args:
        least: the smallest one.
        most: the largest one; default: there is none.
    """

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a valid whole number.") from None
        if number < least:
            raise typer.BadParameter(f"{number} is less than {least}.")
        if most is not None and number > most:
            raise typer.BadParameter(f"{number} is more than {most}.")
        return number

    return parse


def slug_of(problem: dict[str, Any]) -> str | None:
    """A name that is safe in a path and on a command line."""
    slug = problem.get("slug")
    if isinstance(slug, str) and slug and all(char.isalnum() or char in "-_." for char in slug) and slug[0] not in "-.":
        return slug
    return None
