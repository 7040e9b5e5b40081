# The machine that builds: the agent as a service, and nix. The output and the input disk are /dev/vdb and
# /dev/vdc; a disk that is /nix and lasts needs the agent as process 1, see docs/microvm.md.
{ pkgs, ... }:
{
  networking.hostName = "mvm-builder";
  services.mvm-builder-agent.enable = true;
  nix.settings.experimental-features = [ "nix-command" "flakes" ];
  environment.systemPackages = [ pkgs.git ];
  systemd.services.mvm-builder-agent.path = [ pkgs.git ];
}
