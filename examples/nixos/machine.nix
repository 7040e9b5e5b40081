# What both machines have: virtio's devices, an ext4 root on /dev/vda, a console, no boot loader.
{ lib, ... }:
{
  boot.loader.grub.enable = false;
  boot.initrd.availableKernelModules = [ "virtio_pci" "virtio_mmio" "virtio_blk" "ext4" ];
  boot.kernelModules = [ "vmw_vsock_virtio_transport" "virtio_console" ];
  boot.kernelParams = [ "console=ttyS0" ];
  fileSystems."/" = { device = "/dev/vda"; fsType = "ext4"; autoResize = true; };
  # The image says what its store holds; nix learns it at the first boot.
  boot.postBootCommands = ''
    if [ -f /nix-path-registration ]; then
      /run/current-system/sw/bin/nix-store --load-db </nix-path-registration && rm /nix-path-registration
    fi
  '';
  networking.useDHCP = lib.mkDefault true;
  documentation.enable = false;
  system.stateVersion = "25.05";
}
