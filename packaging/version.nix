# The version, from include/mvm_version.h.
let
  header = builtins.readFile ../include/mvm_version.h;
in
builtins.head (builtins.match ".*\n#define MVM_VERSION \"([0-9.]+)\".*" header)
