# The agent and the host tool as static programs by musl, for an initramfs or any image; call it with
# pkgsStatic. nanopb is compiled in, as in package.nix.
{ lib, stdenv, buildPackages, nanopb }:

stdenv.mkDerivation {
  pname = "mvm-guest-static";
  version = import ./version.nix;
  src = lib.cleanSource ../.;

  makeFlags = [ "MUSL_GCC=${stdenv.cc.targetPrefix}cc" "AR=${stdenv.cc.targetPrefix}ar" "WARN=-Wall" "NANOPB_DIR=nanopb" ];
  preBuild = ''
    mkdir -p nanopb/generator
    cp ${nanopb.src}/pb*.[ch] nanopb/
    ln -s ${buildPackages.nanopb}/bin/nanopb_generator nanopb/generator/nanopb_generator
  '';
  buildFlags = [ "static-programs" ];
  # The Makefile has the flags that make them small; hardening would add to their size.
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
