# A machine image that only a remote builder can build: it asks for the feature "remote", which the builder's
# nix.conf beside this file offers and a machine's does not. No nixpkgs, no network; inputs/busybox is put
# there by tests/remote/run.
{
  description = "What a microVM has built elsewhere";

  outputs = { self }:
    let
      image = system: features: seconds: derivation {
        name = "mvm-guest-remote";
        inherit system;
        builder = "${self}/inputs/busybox";
        args = [ "sh" "${self}/build.sh" "${self}/inputs/busybox" ];
        requiredSystemFeatures = features;
        inherit seconds;
      };
      images = system: {
        remote = image system [ "remote" ] 0;
        slow = image system [ "remote" ] 60;
        anywhere = image system [ ] 0;
      };
    in
    {
      packages.x86_64-linux = images "x86_64-linux";
      packages.aarch64-linux = images "aarch64-linux";
    };
}
