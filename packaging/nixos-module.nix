# The agent as a service of NixOS: services.mvm-builder-agent. The unit is that of
# mvm-builder-agent.service.in.
flake:
{ config, lib, pkgs, utils, ... }:

let
  cfg = config.services.mvm-builder-agent;
  arguments =
    lib.concatMap (address: [ "--listen" address ]) cfg.listen
    ++ lib.concatMap (name: [ "--nix-option" name cfg.nixOptions.${name} ]) (lib.attrNames cfg.nixOptions)
    ++ cfg.extraArgs;
in
{
  options.services.mvm-builder-agent = {
    enable = lib.mkEnableOption "the builder agent, for a microVM that builds for its host";
    package = lib.mkOption {
      type = lib.types.package;
      default = flake.packages.${pkgs.stdenv.hostPlatform.system}.default;
      defaultText = lib.literalExpression "mvm-guest.packages.\${system}.default";
      description = "The package with bin/mvm-builder-agent.";
    };
    listen = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ "vsock:21470" ];
      example = [ "vsock:21470" "serial:org.mvm.builder" ];
      description = "Where to take requests, as --listen has it.";
    };
    nixOptions = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = { substitute = "false"; };
      description = "Options for nix, each as --nix-option NAME VALUE.";
    };
    extraArgs = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "--out-dev" "/dev/vda" ];
      description = "Further arguments, see mvm-builder-agent(8).";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.services.mvm-builder-agent = {
      description = "Builder agent for microVMs";
      documentation = [ "man:mvm-builder-agent(8)" ];
      after = [ "basic.target" ];
      wantedBy = [ "multi-user.target" ];
      path = [ config.nix.package pkgs.gitMinimal pkgs.openssh ]; # git flakes, remote builders
      startLimitIntervalSec = 0;
      serviceConfig = {
        ExecStart = utils.escapeSystemdExecArgs ([ "${cfg.package}/bin/mvm-builder-agent" ] ++ arguments);
        Restart = "always";
        RestartSec = 1;
        RestartPreventExitStatus = 2;
        TasksMax = "infinity";
        Delegate = true;
        KillMode = "mixed";
        TimeoutStopSec = 75;
      };
    };
  };
}
