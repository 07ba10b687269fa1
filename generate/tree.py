"""Reads the command tree into frozen values without typer's classes, for the generators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import typer

from subcli.cli.app import app

FILES: Final = "files"
DIRECTORIES: Final = "directories"
_BY_NAME: Final = {
    "id": "ids",
    "ids": "ids",
    "problem": "problems",
    "language": "languages",
    "profile": "profiles",
    "paths": FILES,
}
"""The kind of a parameter's values, by the parameter's name. Paths are recognised by their type."""


@dataclass(frozen=True)
class Values:
    """The values that a parameter accepts.

    Attributes:
        label: The placeholder in the help, such as ``SECONDS``.
        kind: ``ids``, ``problems``, ``languages``, ``profiles``, ``files``, ``directories``; empty for any text.
        choices: All valid values, if there is a fixed set.
    """

    label: str
    kind: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One option. ``values`` is None for a flag, ``variable`` names what sets it if it is not given."""

    names: tuple[str, ...]
    help: str
    values: Values | None
    repeatable: bool
    default: str
    variable: str = ""


@dataclass(frozen=True)
class Argument:
    """One argument, possibly repeatable."""

    help: str
    values: Values
    required: bool
    repeatable: bool


@dataclass(frozen=True)
class Command:
    """One command and its subcommands. ``path`` does not include the program's name."""

    path: tuple[str, ...]
    help: str
    epilog: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path[-1] if self.path else "subcli"

    def walk(self) -> Iterator[Command]:
        """Yield this command and, recursively, its subcommands."""
        yield self
        for command in self.commands:
            yield from command.walk()


def read() -> Command:
    """Return the command tree of the program, without hidden commands."""
    return _command(typer.main.get_command(app), ())


def options_with_values(tree: Command) -> dict[str, Values]:
    """Return all options that take a value, by name, with the values that the first command accepts.

    Raises:
        ValueError: An option takes a value in one command and none in another; the scripts assume it does not.
    """
    found: dict[str, Values] = {}
    flags: set[str] = set()
    for command in tree.walk():
        for option in command.options:
            for name in option.names:
                if option.values is None:
                    flags.add(name)
                else:
                    found.setdefault(name, option.values)
    if both := flags & found.keys():
        raise ValueError(f"options both with and without a value: {both}")
    return found


def other_values(tree: Command) -> Iterator[tuple[Command, str, Values]]:
    """Yield each command, name and values of options that accept other values there than in the first command."""
    first = options_with_values(tree)
    for command in tree.walk():
        for option in command.options:
            for name in option.names:
                if option.values is not None and option.values.kind != first[name].kind:
                    yield command, name, option.values


def _command(command: Any, path: tuple[str, ...]) -> Command:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    options = [_option(parameter) for parameter in shown if parameter.param_type_name == "option"]
    below = getattr(command, "commands", None) or {}
    return Command(
        path,
        command.help or "",
        command.epilog or "",
        (*options, Option(("--help", "-h"), "Show this help and exit.", None, repeatable=False, default="")),
        tuple(_argument(parameter) for parameter in shown if parameter.param_type_name == "argument"),
        tuple(_command(under, (*path, name)) for name, under in below.items() if not under.hidden),
    )


def _option(parameter: Any) -> Option:
    names = tuple(sorted((*parameter.opts, *parameter.secondary_opts), key=lambda name: (len(name) < 3, name)))
    default = parameter.default
    shown = str(default) if default not in (None, False, "") and not parameter.is_flag and not callable(default) else ""
    values = None if parameter.is_flag else _values(parameter)
    variable = str(parameter.envvar or "")
    return Option(names, parameter.help or "", values, bool(parameter.multiple), shown, variable)


def _argument(parameter: Any) -> Argument:
    return Argument(parameter.help or "", _values(parameter), bool(parameter.required), parameter.nargs != 1)


def _values(parameter: Any) -> Values:
    choices = tuple(str(getattr(choice, "value", choice)) for choice in getattr(parameter.type, "choices", ()) or ())
    label = (parameter.metavar or parameter.name.upper()).strip("[].")
    kind = _BY_NAME.get(parameter.name, "")
    if type(parameter.type).__name__ == "TyperPath":
        kind = DIRECTORIES if "DIR" in label else FILES
    return Values(label, kind, choices)
