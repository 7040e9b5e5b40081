# What of nixpkgs' lib the flake and the module use, as plainly as will do.
rec {
  genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
  inherit (builtins) attrNames concatMap;
  cleanSource = path: path;
  licenses.mit = "mit";
  platforms.linux = [ "x86_64-linux" "aarch64-linux" ];
}
