/* Process 1 of a pid namespace, such as a container's: the machine around it has an init already.
 */
#ifndef MVM_INIT_CONTAINER_H
#define MVM_INIT_CONTAINER_H

#include <stdbool.h>

/* Whether this process 1 is the machine's own. If so, Ctrl-Alt-Del comes as SIGINT from now on. */
bool mvm_init_is_the_machines(void);

/* Gives this process mounts and a host name that are its own, so that what it mounts, unmounts and
 * names is not the machine's. False: it may not have them, so it must not mount either. */
bool mvm_init_set_apart(void);

#endif
