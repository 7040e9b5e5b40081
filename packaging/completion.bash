# Completion for mvm-builder-agent and mvm-builder. The options are those that --help of the installed
# program names.

_mvm_builder() {
    local program=$1 current=$2 previous=$3 words
    # Readline takes unix:PATH apart into "unix", ":" and "PATH".
    if [[ $current == : || $previous == : ]]; then
        current=${current#:} previous=:
    fi
    case $previous in
    : | --*-dir | --*-dev | --nix | --policy | --module | --modules | --log | build)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --listen) words='vsock: unix: fd: serial:' ;;
    --to) words='unix: vsock: uds: serial:' ;;
    --wire) words='json proto' ;;
    --end) words='poweroff reboot halt' ;;
    *)
        words=$("$program" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*')
        [[ ${program##*/} != mvm-builder ]] || words+=' ping wait build'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    [[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace
}

complete -F _mvm_builder mvm-builder-agent mvm-builder
