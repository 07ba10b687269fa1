"""Generates the page about settings: keys of the settings files, and variables, from the types that read them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from generate.man import ENVIRONMENT, FILES
from generate.site_markdown import code, markdown, table
from generate.tree import Command
from subcli.settings.config import DEFAULT_API_PATH, DEFAULT_SERVER
from subcli.settings.files import Layer, ProjectSettings, UserSettings

_DEFAULTS: Final = {"server": DEFAULT_SERVER, "api_path": DEFAULT_API_PATH, "ws_url": "derived from `server`"}
_NOT_IN_PROJECT: Final = frozenset({"ws_url"})
"""A project file comes with code from strangers."""


def page(commands: Command) -> str:
    """Return the page."""
    project, user = _keys(ProjectSettings), _keys(UserSettings)
    flags = {name for command in commands.walk() for option in command.options for name in option.names}
    rows = []
    for key, kind in {**user, **project}.items():
        in_project = key in project and key not in _NOT_IN_PROJECT
        flag = f"--{key.replace('_', '-')}"
        variable = f"`SUBCLI_{key.upper()}`" if key in Layer.__struct_fields__ else ""
        places = [*([".subcli.toml"] if in_project else []), *(["config.toml"] if key in user else [])]
        rows.append(
            [
                f"`{key}`",
                _described(kind),
                ", ".join(f"`{place}`" for place in places),
                variable,
                f"`{flag}`" if flag in flags else "",
                _DEFAULTS.get(key, ""),
            ]
        )
    server: dict[tuple[str, str], list[str]] = {}
    for command in commands.walk():
        for option in command.options:
            if option.variable:
                server.setdefault((option.variable, option.names[0]), []).append(f"`subcli {command.path[0]}`")
    parts = [
        "# Settings",
        "Keys of the two settings files, and the variables that subcli reads.",
        "A setting comes from the first of these that has it: a flag, a variable, `.subcli.toml` in the working "
        "directory or above it, `config.toml`, the default. [The README](../readme.md#settings) explains how they are "
        "used. A `server` in `.subcli.toml` counts only if you logged in to it, or named it yourself.",
        "## Keys",
        table(["key", "value", "file", "variable", "flag", "default"], rows),
        "`files` and `test` are written by `subcli init`. A `[profiles.NAME]` table takes the keys of `config.toml` "
        "except `profiles`.",
        "## Files",
        table(["file", "content"], [[f"`{name}`", text] for name, text in FILES.items()]),
        "## Variables",
        table(["variable", "meaning"], [[code(names), markdown(text)] for names, text in ENVIRONMENT.items()]),
        "## Variables of the server",
        "[Running a server for others](../deploy.md) explains them, and the secrets that are given by variables alone.",
        table(
            ["variable", "meaning"],
            [
                [f"`{name}`", f"Same as `{flag}` of {', '.join(dict.fromkeys(users))}."]
                for (name, flag), users in server.items()
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _keys(struct: type[Layer]) -> dict[str, Any]:
    """The type of each key of a settings file."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.name: field.type for field in info.fields}


def _described(kind: Any) -> str:
    """What a setting's value is: the description in its type, of which None is left out."""
    for choice in getattr(kind, "types", (kind,)):
        if isinstance(choice, msgspec.inspect.Metadata) and choice.extra_json_schema:
            return str(choice.extra_json_schema.get("description", ""))
    return ""
