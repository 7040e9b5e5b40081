# The agent and the host tool as static programs by musl, for an initramfs or any image. Without the
# protobuf wire, as `make static` has them; call it with pkgsStatic.
{ lib, stdenv }:

stdenv.mkDerivation {
  pname = "mvm-guest-static";
  version = import ./version.nix;
  src = lib.cleanSource ../.;

  makeFlags = [ "MUSL_GCC=${stdenv.cc.targetPrefix}cc" "AR=${stdenv.cc.targetPrefix}ar" "WARN=-Wall" ];
  buildFlags = [ "static-programs" ];
  # The Makefile says how they are to be small; what is added here would only grow them.
  hardeningDisable = [ "all" ];
  enableParallelBuilding = true;
  installPhase = ''
    runHook preInstall
    install -D -t $out/bin build/static/mvm-builder-agent build/static/mvm-builder
    runHook postInstall
  '';

  meta = {
    description = "Builder agent for microVMs, one static program";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "mvm-builder-agent";
  };
}
