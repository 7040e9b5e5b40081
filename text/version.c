#include "mvm_version.h"

const char *mvm_version(void)
{
    return MVM_VERSION;
}

int mvm_version_number(void)
{
    return MVM_VERSION_NUMBER;
}
