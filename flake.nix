# For users of nix: packages of everything and of the static agent alone, and the agent as a service
# of NixOS:
#     nix build github:…#static
#     { imports = [ mvm-guest.nixosModules.default ]; services.mvm-builder-agent.enable = true; }
{
  description = "A builder agent for microVMs, in C: agent, host tool and library";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      packages = pkgs: {
        default = pkgs.callPackage ./packaging/package.nix { };
        static = pkgs.pkgsStatic.callPackage ./packaging/static.nix { };
      };
    in
    {
      packages = forEach packages;
      checks = forEach packages;
      nixosModules.default = import ./packaging/nixos-module.nix self;
    };
}
