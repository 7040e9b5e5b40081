# The machine that is built: put your own services here.
{
  networking.hostName = "tenant";
  services.getty.autologinUser = "root";
}
