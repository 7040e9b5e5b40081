# Agent, host tool, library, manual. The protobuf wire is compiled from nanopb's own C files; its
# generator runs at build time.
{ lib, stdenv, buildPackages, nanopb }:

stdenv.mkDerivation {
  pname = "mvm-guest";
  version = import ./version.nix;
  src = lib.cleanSource ../.;

  makeFlags = [
    "PREFIX=${placeholder "out"}"
    "CC=${stdenv.cc.targetPrefix}cc"
    "AR=${stdenv.cc.targetPrefix}ar"
    "OBJCOPY=${stdenv.cc.targetPrefix}objcopy"
    "NANOPB_DIR=nanopb"
    "WARN=-Wall"
  ];
  preBuild = ''
    mkdir -p nanopb/generator
    cp ${nanopb.src}/pb*.[ch] nanopb/
    ln -s ${buildPackages.nanopb}/bin/nanopb_generator nanopb/generator/nanopb_generator
  '';
  enableParallelBuilding = true;

  meta = {
    description = "Builder agent for microVMs, its host tool and library";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "mvm-builder";
  };
}
