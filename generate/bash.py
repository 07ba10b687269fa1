"""The completion for bash 4.4 and later, with or without the package bash-completion."""

from __future__ import annotations

from generate.tree import DIRECTORIES, FILES, Command, Values, options_with_values

_SCRIPT = """\
# bash completion for subcli. Made by `make generate`; do not edit.

_subcli() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local path='' kind='' offered='' place=0 word i
    COMPREPLY=()
    # `--name=value` comes as three words.
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case $word in
            =) ((i += 1)) ;;
            {valued})
                if [[ ${{COMP_WORDS[i+1]}} != = ]]; then ((i += 1)); fi ;;
            -?*) ;;
            *)
                case "$path $word" in
                    {paths}) path+=" $word" ;;
                    *) ((place += 1)) ;;
                esac ;;
        esac
    done
    case $prev in
{values}
        *)
            if [[ $cur == -* ]]; then
                case $path in
{options}
                esac
                kind=words
            else
                case "$path:$place" in
{arguments}
                esac
            fi ;;
    esac
    case $kind in
        words)
            mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$cur") ;;
        {files})
            compopt -o bashdefault -o default ;;
        {directories})
            compopt -o dirnames ;;
        ids | problems | languages | profiles)
            compopt -o nosort
            while IFS= read -r word; do
                if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
            done < <(command subcli __complete "$kind" "${{COMP_WORDS[@]:1:COMP_CWORD-1}}" 2>/dev/null) ;;
    esac
}}

complete -F _subcli subcli
"""


def script(tree: Command) -> str:
    """The whole script."""
    valued = options_with_values(tree)
    commands = [command for command in tree.walk() if command.path]
    return _SCRIPT.format(
        valued=" | ".join(sorted(valued)),
        paths=" | ".join(f"'{_key(command)}'" for command in commands),
        values="\n".join(f"        {name}) {_offer(values)} ;;" for name, values in sorted(valued.items())),
        options="\n".join(_options(command) for command in tree.walk()),
        arguments="\n".join(_arguments(tree)),
        files=FILES,
        directories=DIRECTORIES,
    )


def _key(command: Command) -> str:
    return "".join(f" {word}" for word in command.path)


def _options(command: Command) -> str:
    names = [name for option in command.options for name in option.names]
    return f"                    '{_key(command)}') {_words(names)} ;;"


def _words(words: list[str]) -> str:
    return f"offered='{' '.join(words)}'"


def _offer(values: Values) -> str:
    if values.choices:
        return f"kind=words {_words(list(values.choices))}"
    return f"kind={values.kind or 'none'}"


def _arguments(tree: Command) -> list[str]:
    lines = []
    for command in tree.walk():
        if command.commands:
            names = [under.name for under in command.commands]
            lines.append(f"                    '{_key(command)}:0') kind=words {_words(names)} ;;")
        for place, argument in enumerate(command.arguments):
            pattern = f"'{_key(command)}':*" if argument.repeatable else f"'{_key(command)}:{place}'"
            lines.append(f"                    {pattern}) {_offer(argument.values)} ;;")
    return lines
