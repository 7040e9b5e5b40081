# Completion for mvm-builder-agent and mvm-builder. The options are those that --help of the installed
# program names.

# Readline splits words at "=" and ":", and replaces only what follows the last of them:
# --to=unix:/run/a is five words. Sets `at`, where the word begins, `current`, all of it up to the
# cursor, and `fixed`, what readline leaves as it is.
_mvm_builder_join() {
    local breaks=${COMP_WORDBREAKS-=:} class=''
    at=$COMP_CWORD current=${COMP_WORDS[COMP_CWORD]} fixed=''
    while ((at > 1)) && { [[ $current == [=:]* ]] || [[ ${COMP_WORDS[at - 1]} =~ ^[=:]+$ ]]; }; do
        at=$((at - 1))
        current=${COMP_WORDS[at]}$current
    done
    [[ $breaks != *=* ]] || class+='='
    [[ $breaks != *:* ]] || class+=':'
    [[ -z $class ]] || fixed=${current%"${current##*["$class"]}"}
}

# Sets `words` to the paths that continue `value`, the kind of an address before them.
_mvm_builder_files() {
    local kind=''
    [[ ! $value =~ ^[a-z+]+: ]] || kind=${BASH_REMATCH[0]}
    compopt -o filenames
    mapfile -t words < <(compgen -f -P "$kind" -- "${value#"$kind"}")
}

_mvm_builder() {
    local program=$1 at current fixed previous value option='' words=() i
    _mvm_builder_join
    previous=${COMP_WORDS[at - 1]} value=$current
    if [[ $current == --*=* ]]; then
        previous=${current%%=*} value=${current#*=}
        option=$previous=
    fi
    case $previous in
    --to) words=(unix: vsock: uds: serial:) ;;
    --listen) words=(vsock: unix: fd: serial:) ;;
    --wire) words=(json proto) ;;
    --end) words=(poweroff reboot halt) ;;
    --*-dir | --*-dev | --nix | --policy | --module | --modules | --log | --output | build) _mvm_builder_files ;;
    *)
        mapfile -t words < <("$program" --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)
        [[ ${program##*/} != mvm-builder ]] || words+=(ping wait hello build join cancel)
        ;;
    esac
    [[ $previous != --to && $previous != --listen ]] || [[ $value != *:* ]] || _mvm_builder_files
    COMPREPLY=()
    for i in "${words[@]}"; do
        [[ $option$i != "$current"* ]] || COMPREPLY+=("${option}${i}")
    done
    COMPREPLY=("${COMPREPLY[@]#"$fixed"}")
    [[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace
}

complete -F _mvm_builder mvm-builder-agent mvm-builder
