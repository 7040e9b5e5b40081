# shellcheck shell=sh
# How nix speaks, for the stand-ins of this folder, which source it with
#     name         what `--version` prints, whole
#     before after lines on stderr around a build
#     flags        options that it knows besides those of every version
#     times        what is added to each object of `--json`
#     flakes       1: on without being asked for
# $IMAGE is a store path with a kernel and a root file system, $OTHER one without. The attribute is `one`: an output
# "out", the image; `many`: "out" and one that sorts after it; `named`: no "out", the image is another's name.
# shellcheck disable=SC2154 # set by the script that sources it

fail() {
    echo "error: $1" >&2
    exit 1
}

[ "$1" != --version ] || {
    echo "$name"
    exit
}

json=no features=$flakes command='' installable=''
while [ $# -gt 0 ]; do
    case $1 in
    --extra-experimental-features) features=1 && shift ;;
    --json) json=yes ;;
    --option) shift 2 ;;
    -L | --print-build-logs | --no-link | --no-write-lock-file) ;;
    --) ;;
    -*)
        case " $flags " in
        *" $1 "*) ;;
        *) fail "unrecognised flag '$1'
Try '/usr/bin/nix --help' for more information." ;;
        esac
        ;;
    build) command=build ;;
    *) installable=$1 ;;
    esac
    shift
done
[ "$features" = 1 ] || fail "experimental Nix feature 'nix-command' is disabled; add '--extra-experimental-features nix-command' to enable it"
[ "$command" = build ] || fail "no subcommand specified"

case ${installable##*#} in
one) outputs="\"out\":\"$IMAGE\"" ;;
many) outputs="\"out\":\"$IMAGE\",\"zz\":\"$OTHER\"" ;;
named) outputs="\"debug\":\"$OTHER\",\"image\":\"$IMAGE\"" ;;
*) fail "flake '${installable%%#*}' does not provide attribute '${installable##*#}'" ;;
esac
printf '%s' "$before" >&2
echo "image> building" >&2
printf '%s' "$after" >&2
[ $json = no ] || printf '[{"drvPath":"%s.drv","outputs":{%s}%s}]\n' "$IMAGE" "$outputs" "$times"
