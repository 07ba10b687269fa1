"""The completion for fish, with the help beside each option."""

from __future__ import annotations

from generate.tree import DIRECTORIES, FILES, Command, Option, Values, options_with_values

_HEAD = """\
# fish completion for subcli. Made by `make generate`; do not edit.

# Whether the line so far is that of a command: its words, and optionally how many arguments there are already.
function __subcli_at
    set -l valued {valued}
    set -l paths {paths}
    set -l words (commandline -opc)
    set -l path ''
    set -l place 0
    set -l skip 0
    for word in $words[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $word $valued
            set skip 1
        else if string match -q -- '-?*' $word
            continue
        else if contains -- "$path $word" $paths
            set path "$path $word"
        else
            set place (math $place + 1)
        end
    end
    test "$path" = "$argv[1]"; and begin
        test (count $argv) = 1; or test $place = $argv[2]
    end
end

function __subcli_names
    set -l words (commandline -opc)
    command subcli __complete $argv[1] $words[2..] 2>/dev/null
end

complete -c subcli -f
"""


def script(tree: Command) -> str:
    """The whole script."""
    commands = [command for command in tree.walk() if command.path]
    lines = [
        _HEAD.format(
            valued=" ".join(sorted(options_with_values(tree))),
            paths=" ".join(f"'{_key(command)}'" for command in commands),
        )
    ]
    for command in tree.walk():
        at = f"-n \"__subcli_at '{_key(command)}'\""
        lines += [f"complete -c subcli {at} {_option(option)}" for option in command.options]
        first = f"-n \"__subcli_at '{_key(command)}' 0\""
        lines += [
            f"complete -c subcli {first} -a {under.name} -d {_quoted(_first_line(under.help))}"
            for under in command.commands
        ]
        for place, argument in enumerate(command.arguments):
            where = at if argument.repeatable else f"-n \"__subcli_at '{_key(command)}' {place}\""
            if offered := _offer(argument.values, "-k "):
                lines.append(f"complete -c subcli {where} {offered}")
    return "\n".join(lines) + "\n"


def _key(command: Command) -> str:
    return "".join(f" {word}" for word in command.path)


def _option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    values = ""
    if option.values is not None:
        values = " -r " + (_offer(option.values, "-k ") or "-f")
    return f"{names}{values} -d {_quoted(_first_line(option.help))}"


def _offer(values: Values, ordered: str) -> str:
    if values.choices:
        return f"-f -a {_quoted(' '.join(values.choices))}"
    if values.kind == FILES:
        return "-F"
    if values.kind == DIRECTORIES:
        return "-f -a '(__fish_complete_directories)'"
    return f"{ordered}-f -a '(__subcli_names {values.kind})'" if values.kind else ""


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
