# The service's unit, by the module system of a real nixpkgs: lib, flake → the unit's settings.
{ lib, flake, settings }:
(lib.evalModules {
  specialArgs = {
    pkgs.stdenv.hostPlatform.system = "x86_64-linux";
    utils.escapeSystemdExecArgs = lib.concatMapStringsSep " " builtins.toJSON;
  };
  modules = [
    flake.nixosModules.default
    { services.mvm-builder-agent = settings; }
    {
      options.systemd = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
      options.environment = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
      options.nix.package = lib.mkOption { type = lib.types.str; default = "/nix"; };
    }
  ];
}).config.systemd
