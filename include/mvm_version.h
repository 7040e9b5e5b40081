#ifndef MVM_VERSION_H
#define MVM_VERSION_H

/* The release this source belongs to; `--version` of both programs prints it. */
#define MVM_VERSION "0.1.0"

/* The same as a number, to compare: major * 10000 + minor * 100 + patch. */
#define MVM_VERSION_NUMBER 100

#ifdef __cplusplus
extern "C" {
#endif

/* Those of the library that is linked, which may be another than its headers'. */
const char *mvm_version(void);
int mvm_version_number(void);

#ifdef __cplusplus
}
#endif

#endif
