/* What a store path is: one name below /nix/store, of the characters and the length nix allows. */
#ifndef MVM_STORE_PATH_H
#define MVM_STORE_PATH_H

#include "mvm_text.h"

/* Bytes of the name: nix's own limit. Past it: not a store path. */
#define MVM_STORE_NAME_MAX 211

bool mvm_is_store_path(struct mvm_text text);

#endif
