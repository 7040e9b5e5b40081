# A microVM image made by one raw derivation: no nixpkgs, no network, done in seconds. Everything it
# uses is beside this file in inputs/, put there by scripts/demo-flake (see README.md).
{
  description = "The mvm-guest demonstration image: a Linux kernel, an initrd and an ext4 root file system";

  outputs = { self }:
    let
      image = system: derivation {
        name = "mvm-guest-demo";
        inherit system;
        builder = "${self}/inputs/bin/sh";
        args = [ "${self}/build.sh" ];
        inputs = "${self}/inputs";
        init = "${self}/init";
        initrd = "${self}/initrd";
      };
    in
    {
      packages.x86_64-linux.tenant-demo = image "x86_64-linux";
      packages.aarch64-linux.tenant-demo = image "aarch64-linux";
    };
}
