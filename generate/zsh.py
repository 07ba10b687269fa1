"""The completion for zsh, by its own `_arguments`: with the help beside each option."""

from __future__ import annotations

from generate.tree import DIRECTORIES, FILES, Argument, Command, Option, Values

_HEAD = """\
#compdef subcli
# zsh completion for subcli. Made by `make generate`; do not edit.

_subcli_names() {
  local -a found
  found=(${(f)"$(command subcli __complete $1 "${(@)words[2,CURRENT-1]}" 2>/dev/null)"})
  compadd -V subcli -a found
}
"""
_TAIL = """\
# Autoloaded, this file is the function's body: without the call, the first TAB would only define it.
if [[ $funcstack[1] == _subcli ]]; then
  _subcli "$@"
else
  compdef _subcli subcli
fi
"""


def script(tree: Command) -> str:
    """The whole script."""
    return "\n".join([_HEAD, *(_function(command) for command in reversed(list(tree.walk()))), _TAIL])


def _name(command: Command) -> str:
    return "_".join(("_subcli", *command.path))


def _function(command: Command) -> str:
    specs = [_option(option) for option in command.options]
    if command.commands:
        return _group(command, [*specs, "'1: :->command'", "'*:: :->rest'"])
    specs += [_argument(argument) for argument in command.arguments]
    return f"{_name(command)}() {{\n  _arguments -s -S \\\n    {_joined(specs)}\n}}\n"


def _group(command: Command, specs: list[str]) -> str:
    described = "\n".join(f"        {_quoted(f'{under.name}:{_first_line(under.help)}')}" for under in command.commands)
    cases = "\n".join(f"        {under.name}) {_name(under)} ;;" for under in command.commands)
    return f"""\
{_name(command)}() {{
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C -s -S \\
    {_joined(specs)}
  case $state in
    command)
      local -a commands=(
{described}
      )
      _describe command commands ;;
    rest)
      curcontext="${{curcontext%:*}}-$line[1]:"
      case $line[1] in
{cases}
      esac ;;
  esac
}}
"""


def _joined(specs: list[str]) -> str:
    return " \\\n    ".join(specs)


def _option(option: Option) -> str:
    label = f"[{_described(option.help)}]"
    values = ""
    if option.values is not None:
        values = f":{option.values.label.lower()}:{_action(option.values)}"
    one_of = "{" + ",".join(f"{name}{'=' if values and len(name) > 2 else ''}" for name in option.names) + "}"
    if option.repeatable:
        prefix = "'*'"
    elif len(option.names) > 1:
        prefix = f"'({' '.join(option.names)})'"
    else:
        prefix = ""
    names = one_of if len(option.names) > 1 else f"{option.names[0]}{'=' if values else ''}"
    return f"{prefix}{names}{_quoted(label + values)}"


def _argument(argument: Argument) -> str:
    place = "*" if argument.repeatable else ("" if argument.required else ":")
    return _quoted(f"{place}:{argument.values.label.lower()}:{_action(argument.values)}")


def _action(values: Values) -> str:
    if values.choices:
        return f"({' '.join(values.choices)})"
    if values.kind == FILES:
        return "_files"
    if values.kind == DIRECTORIES:
        return "_files -/"
    return f"{{_subcli_names {values.kind}}}" if values.kind else " "


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")


def _described(text: str) -> str:
    text = _first_line(text).replace("\\", "\\\\")
    return text.replace("[", "\\[").replace("]", "\\]")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
