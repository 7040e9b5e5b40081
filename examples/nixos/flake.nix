# NixOS for microVMs, in two images:
#     nix build .#tenant     what a builder is asked for: kernel, initrd and rootfs.ext4 of guest.nix
#     nix build .#builder    the builder itself: the same of builder.nix, with the agent and nix inside
# On a builder: mvm-builder … build /build-in packages.x86_64-linux.tenant
{
  description = "Images of NixOS for microVMs, and the builder that makes them";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # The repository that this example is part of; a copy elsewhere names its address.
  inputs.mvm-guest.url = "path:../..";
  inputs.mvm-guest.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { self, nixpkgs, mvm-guest }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      machine = system: modules: lib.nixosSystem { inherit system; modules = [ ./machine.nix ] ++ modules; };
      machines = system: {
        tenant = machine system [ ./guest.nix ];
        builder = machine system [ mvm-guest.nixosModules.default ./builder.nix ];
      };
      image = system: _: configuration: import ./image.nix {
        inherit nixpkgs;
        inherit (configuration) config;
        pkgs = nixpkgs.legacyPackages.${system};
      };
    in
    {
      packages = lib.genAttrs systems (system: builtins.mapAttrs (image system) (machines system));
    };
}
