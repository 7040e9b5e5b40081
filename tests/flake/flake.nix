# Replaces nixpkgs if there is no network: as much of it as our flake and module use, and nothing
# that could be built. With a real `lib` beside it (tests/flake/run), that one is used.
{
  outputs = { self }:
    let
      lib = if builtins.pathExists ./lib then import ./lib else import ./lib.nix;
      forSystem = system: rec {
        inherit lib;
        stdenv = {
          cc.targetPrefix = "";
          hostPlatform = { inherit system; };
          mkDerivation = attrs: derivation {
            name = "${attrs.pname}-${attrs.version}";
            inherit system;
            inherit (attrs) src makeFlags;
            preBuild = attrs.preBuild or "";
            buildFlags = attrs.buildFlags or [ ];
            builder = "/bin/sh";
          } // { inherit (attrs) meta; };
        };
        nanopb = derivation { name = "nanopb"; inherit system; builder = "/bin/sh"; } // { src = "/nanopb"; };
        buildPackages = { inherit nanopb; };
        callPackage = path: more:
          let make = import path; in
          make (builtins.intersectAttrs (builtins.functionArgs make) { inherit lib stdenv nanopb buildPackages; } // more);
        pkgsStatic = { inherit callPackage; };
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] forSystem;
    };
}
