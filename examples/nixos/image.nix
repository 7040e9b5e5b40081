# A machine's artifacts under the names that the agent stages: kernel, initrd, rootfs.ext4, fc-base.json.
{ nixpkgs, pkgs, config }:
let
  build = config.system.build;
  rootfs = pkgs.callPackage "${nixpkgs}/nixos/lib/make-ext4-fs.nix" {
    storePaths = [ build.toplevel ];
    volumeLabel = "nixos";
    populateImageCommands = "mkdir -p files/{etc,proc,sys,dev,run,tmp,build-in,build-out}";
  };
  # Firecracker needs the ELF file on x86; the others accept it, too.
  kernel =
    if pkgs.stdenv.hostPlatform.isx86_64
    then "${build.kernel.dev}/vmlinux"
    else "${build.kernel}/${config.system.boot.loader.kernelFile}";
  base = builtins.toJSON {
    boot_args = toString (config.boot.kernelParams ++ [ "root=/dev/vda" "rw" "init=${build.toplevel}/init" ]);
  };
in
pkgs.runCommand config.networking.hostName { inherit base; passAsFile = [ "base" ]; } ''
  mkdir $out
  cp ${kernel} $out/kernel
  cp ${build.initialRamdisk}/initrd $out/initrd
  cp ${rootfs} $out/rootfs.ext4
  cp $basePath $out/fc-base.json
''
