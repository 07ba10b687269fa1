# bash completion for subcli. Made by `make generate`; do not edit.

_subcli() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local path='' kind='' offered='' place=0 word i
    COMPREPLY=()
    # `--name=value` comes as three words.
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            =) ((i += 1)) ;;
            --after-seq | --allow-origin | --concurrency | --data-dir | --database | --host | --junit-xml | --language | --limit | --log-format | --log-level | --max-attempts | --metrics-address | --port | --problem | --problems | --profile | --redis | --sandbox | --server | --timeout | --trusted-proxy | --user)
                if [[ ${COMP_WORDS[i+1]} != = ]]; then ((i += 1)); fi ;;
            -?*) ;;
            *)
                case "$path $word" in
                    ' submit' | ' watch' | ' status' | ' list' | ' cancel' | ' open' | ' init' | ' doctor' | ' serve' | ' worker' | ' demo' | ' schema' | ' completion' | ' problems' | ' problems show' | ' problems check' | ' auth' | ' auth login' | ' auth logout' | ' auth status' | ' auth token' | ' user' | ' user add' | ' user list' | ' user remove') path+=" $word" ;;
                    *) ((place += 1)) ;;
                esac ;;
        esac
    done
    case $prev in
        --after-seq) kind=none ;;
        --allow-origin) kind=none ;;
        --concurrency) kind=none ;;
        --data-dir) kind=directories ;;
        --database) kind=none ;;
        --host) kind=none ;;
        --junit-xml) kind=files ;;
        --language) kind=languages ;;
        --limit) kind=none ;;
        --log-format) kind=words offered='text json' ;;
        --log-level) kind=words offered='debug info warning error' ;;
        --max-attempts) kind=none ;;
        --metrics-address) kind=none ;;
        --port) kind=none ;;
        --problem) kind=problems ;;
        --problems) kind=directories ;;
        --profile) kind=profiles ;;
        --redis) kind=none ;;
        --sandbox) kind=words offered='auto bwrap none' ;;
        --server) kind=none ;;
        --timeout) kind=none ;;
        --trusted-proxy) kind=none ;;
        --user) kind=none ;;
        *)
            if [[ $cur == -* ]]; then
                case $path in
                    '') offered='--version -V --help -h' ;;
                    ' submit') offered='--problem --language --no-watch --after-seq --timeout --fail-fast --max-attempts --compact --plain --junit-xml --notify --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' watch') offered='--after-seq --timeout --fail-fast --max-attempts --compact --plain --junit-xml --notify --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' status') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' list') offered='--limit --problem --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' cancel') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' open') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' init') offered='--language --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' doctor') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' serve') offered='--host --port --data-dir --problems --concurrency --no-worker --database --redis --auth --allow-origin --trusted-proxy --metrics-address --log-format --log-level --sandbox --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' worker') offered='--database --redis --problems --concurrency --sandbox --metrics-address --log-format --log-level --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' demo') offered='--failing --plain --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' schema') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' completion') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' problems') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' problems show') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' problems check') offered='--sandbox --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' auth') offered='--help -h' ;;
                    ' auth login') offered='--user --with-token --insecure-storage --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' auth logout') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' auth status') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' auth token') offered='--json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' user') offered='--help -h' ;;
                    ' user add') offered='--password-stdin --data-dir --database --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' user list') offered='--data-dir --database --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                    ' user remove') offered='--data-dir --database --json --quiet -q --server --profile --no-input --insecure-http --debug --help -h' ;;
                esac
                kind=words
            else
                case "$path:$place" in
                    ':0') kind=words offered='submit watch status list cancel open init doctor serve worker demo schema completion problems auth user' ;;
                    ' submit':*) kind=files ;;
                    ' watch':*) kind=ids ;;
                    ' status:0') kind=ids ;;
                    ' cancel:0') kind=ids ;;
                    ' open:0') kind=ids ;;
                    ' init:0') kind=problems ;;
                    ' init:1') kind=directories ;;
                    ' completion:0') kind=words offered='bash zsh fish' ;;
                    ' problems:0') kind=words offered='show check' ;;
                    ' problems show:0') kind=problems ;;
                    ' problems check:0') kind=directories ;;
                    ' auth:0') kind=words offered='login logout status token' ;;
                    ' user:0') kind=words offered='add list remove' ;;
                    ' user add:0') kind=none ;;
                    ' user remove:0') kind=none ;;
                esac
            fi ;;
    esac
    case $kind in
        words)
            mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$cur") ;;
        files)
            compopt -o bashdefault -o default ;;
        directories)
            compopt -o dirnames ;;
        ids | problems | languages | profiles)
            compopt -o nosort
            while IFS= read -r word; do
                if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
            done < <(command subcli __complete "$kind" "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null) ;;
    esac
}

complete -F _subcli subcli
