/* Nix's store. */
#ifndef MVM_STORE_H
#define MVM_STORE_H

#define MVM_STORE "/nix/store"

#endif
