"""Generates the reference of the documentation site from the program: commands, exit codes, JSON, settings.

The pages are built with the site and not committed. What they say is in the help, the man pages and ``subcli schema``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

from generate import reference_settings
from generate.man import SHARED, description, epilog
from generate.site_markdown import first_line, markdown, paragraphs, table, words
from generate.tree import Argument, Command, Option
from subcli.cli import exits


def pages(commands: Command) -> dict[str, str]:
    """Return all pages of the reference, by their path on the site."""
    single = {f"reference/commands/{command.name}.md": _command_page(command) for command in commands.commands}
    return {
        "reference/commands.md": _commands(commands, list(single)),
        **single,
        "reference/exit-codes.md": _exit_codes(commands),
        "reference/json.md": _json(),
        "reference/settings.md": reference_settings.page(commands),
    }


def title(page: str) -> str:
    """The title of a generated page."""
    return page.partition("\n")[0].removeprefix("# ")


def summary(page: str) -> str:
    """Its first paragraph, in one line, without the full stop."""
    return " ".join(page.split("\n\n")[1].split()).rstrip(".")


def _commands(commands: Command, paths: list[str]) -> str:
    rows = []
    for command in commands.commands:
        rows.append([f"[`{words(command)}`](commands/{command.name}.md)", first_line(command.help)])
        for under in command.walk():
            if under is not command:
                anchor = "-".join(("subcli", *under.path))
                rows.append([f"[`{words(under)}`](commands/{command.name}.md#{anchor})", first_line(under.help)])
    entries = [path.removeprefix("reference/").removesuffix(".md") for path in paths]
    tree = "\n".join(["```{toctree}", ":hidden:", "", *entries, "```"])
    common = next(command for command in commands.commands if command.path == ("list",))
    shared = [option for option in common.options if SHARED & set(option.names)]
    parts = [
        "# Commands",
        "All commands with their arguments and options, as in `subcli COMMAND --help` and the man pages.",
        table(["command", "what it does"], rows),
        "## Common options",
        "Most commands have these; the page of a command lists those that it adds.",
        _options(shared),
        tree,
    ]
    return "\n\n".join(parts) + "\n"


def _command_page(command: Command) -> str:
    return "\n\n".join(part for under in command.walk() for part in _command(under, len(under.path))) + "\n"


def _command(command: Command, level: int) -> list[str]:
    parts = [f"{'#' * level} {words(command)}", *paragraphs(command.help), f"```console\n$ {_usage(command)}\n```"]
    if command.arguments:
        rows = [[f"`{_argument(argument)}`", markdown(argument.help or "Required.")] for argument in command.arguments]
        parts.append(table(["argument", "meaning"], rows))
    own = [option for option in command.options if not SHARED & set(option.names)]
    if own:
        parts.append(_options(own))
    if len(own) < len(command.options):
        target = "../commands.md#common-options"
        parts.append(f"The [common options]({target}) are available too.")
    example, codes = epilog(command.epilog)
    if codes:
        parts.append(table(["exit code", "meaning"], [[str(code), markdown(meaning)] for code, meaning in codes]))
    if example:
        parts.append("For example:\n\n```sh\n" + "\n".join(example) + "\n```")
    return parts


def _usage(command: Command) -> str:
    arguments = "".join(f" {_argument(argument)}" for argument in command.arguments)
    return f"{words(command)}{' COMMAND' if command.commands else ''} [OPTION]...{arguments}"


def _argument(argument: Argument) -> str:
    label = argument.values.label
    return (label if argument.required else f"[{label}]") + ("..." if argument.repeatable else "")


def _options(options: Iterable[Option]) -> str:
    rows = []
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.names)
        value = f" `{option.values.label}`" if option.values else ""
        notes = [markdown(description(option))]
        notes += ["May be repeated."] if option.repeatable else []
        notes += [f"Variable: `{option.variable}`."] if option.variable else []
        rows.append([names + value, " ".join(notes)])
    return table(["option", "meaning"], rows)


def _exit_codes(commands: Command) -> str:
    ends = {words(command): [code for code, _ in epilog(command.epilog)[1]] for command in commands.walk()}
    rows = []
    for code, meaning in exits.meanings(exits.WATCHING):
        users = [words for words, codes in ends.items() if code in codes]
        everyone = len(users) == len([codes for codes in ends.values() if codes])
        rows.append([str(code), markdown(meaning), "all" if everyone else ", ".join(f"`{words}`" for words in users)])
    parts = [
        "# Exit codes",
        "What a script may conclude from the exit code of each command.",
        "The exit code is the same with and without `--json`. It is never 0 without a verdict. With several "
        "submissions, it is the highest code among them. The counts in a summary never override the verdict.",
        "Commands that wait for no verdict exit 0 if they did their work.",
        table(["code", "meaning", "commands that can end with it"], rows),
        "[subcli in a pipeline](../ci.md#exit-codes) says after which of them to try again.",
    ]
    return "\n\n".join(parts) + "\n"


def _json() -> str:
    schema = json.loads(resources.files("subcli").joinpath("schema.json").read_text(encoding="utf-8"))
    parts = [
        "# JSON output",
        "Every line and object that `--json` prints, with its fields.",
        "`subcli schema` prints the same as a JSON Schema (2020-12), [which you can download](schema.json). `submit` "
        "and `watch` print one object per line (NDJSON): those that have a `type`. The last line of a submission is "
        "`result` or `error`. Every other command prints one object. Fields may be added; a program must ignore those "
        "that it does not know. Fields of a server's events pass through as the server sent them.",
    ]
    lines = {name: item for name, item in schema["$defs"].items() if item["properties"].get("type")}
    objects = {name: item for name, item in schema["$defs"].items() if name not in lines}
    for heading, items in (("Lines", lines), ("Objects of other commands", objects)):
        parts.append(f"## {heading}")
        for name, item in items.items():
            parts += [f"### `{name}`", item.get("description", ""), _fields(item)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _fields(item: dict[str, Any]) -> str:
    required = set(item.get("required", ()))
    rows = [
        [f"`{name}`", _type(field), "yes" if name in required else "", markdown(field.get("description", ""))]
        for name, field in item["properties"].items()
        if field is not False
    ]
    return table(["field", "type", "always", "meaning"], rows)


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    found = field.get("type", "any")
    kind = found if isinstance(found, str) else " or ".join(found)
    items = field.get("items", {}).get("type")
    return f"{kind} of {items}s" if kind == "array" and isinstance(items, str) else kind
