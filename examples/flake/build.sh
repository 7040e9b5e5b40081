# Runs in nix's build environment, under busybox's sh: what it prints is the live log.
set -eu

run() {
    "$inputs/bin/busybox" "$@"
}

echo "taking the kernel"
run mkdir -p "$out" root/bin root/dev root/proc root/sys
run cp "$inputs/vmlinuz" "$out/kernel"
run sleep 1

if [ -e "$inputs/modules" ]; then
    echo "making the initrd: the kernel has its disk's drivers in modules"
    run mkdir -p early/bin early/dev early/root
    run cp "$inputs/bin/busybox" early/bin/busybox
    run chmod 755 early/bin/busybox
    for applet in insmod mount sh switch_root; do
        run ln -s busybox "early/bin/$applet"
    done
    run cp -r "$inputs/modules" early/modules
    run cp "$initrd" early/init
    run chmod 755 early/init
    run find early -exec "$inputs/bin/busybox" touch -h -d @1 {} +
    (cd early && run find . | run sort | run cpio -o -H newc -R 0:0 --renumber-inodes --ignore-devno) >"$out/initrd"
fi

echo "filling the root file system"
run cp "$inputs/bin/busybox" root/bin/busybox
run cp "$init" root/init
run chmod 755 root/init root/bin/busybox
run sleep 1

echo "making rootfs.ext4"
# A fixed identity and clock: the same inputs give the same image.
export E2FSPROGS_FAKE_TIME=1 MKE2FS_CONFIG="$inputs/mke2fs.conf"
run find root -exec "$inputs/bin/busybox" touch -h -d @1 {} +
"$inputs/lib/loader" --library-path "$inputs/lib" "$inputs/bin/mke2fs" -q -t ext4 -L mvm-demo \
    -U 6d766d2d-6775-6573-742d-64656d6f0001 \
    -E hash_seed=6d766d2d-6775-6573-742d-64656d6f0002,root_owner=0:0 \
    -d root "$out/rootfs.ext4" 12M
# mke2fs copies each file's time of change, which nothing can set beforehand.
last=$(($(run find root | run wc -l) + 11))
for inode in 2 $(run seq 11 "$last"); do
    for time in atime ctime mtime crtime; do
        echo "set_inode_field <$inode> $time @1"
    done
done >times
"$inputs/lib/loader" --library-path "$inputs/lib" "$inputs/bin/debugfs" -w -f times "$out/rootfs.ext4" >changed 2>&1
echo "done: $(run du -k "$out/kernel" | run cut -f1) KiB of kernel," \
    "$(run du -k "$out/rootfs.ext4" | run cut -f1) KiB of root file system"
