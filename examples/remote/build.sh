# shellcheck shell=sh disable=SC2154 # `out` and `seconds` are the derivation's
# Runs in nix's build environment, under busybox's sh, and says where that is. A sandbox has a host name of
# its own, so the name is read from a file that the builder's nix.conf lets in.
set -eu
busybox=$1

read -r host </etc/hostname
echo "built on $host"
"$busybox" sleep "$seconds"
"$busybox" mkdir "$out"
echo "a kernel from $host" >"$out/kernel"
echo "a root file system from $host" >"$out/rootfs"
