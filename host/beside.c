#include "beside.h"
#include "parse.h"
#include <string.h>
#include <unistd.h>

static const char *const suffixes[] = {[MVM_BESIDE_NEW] = ".new-", [MVM_BESIDE_OLD] = ".old-"};

void mvm_beside_name(enum mvm_beside kind, const char *name, char *to, size_t cap)
{
    struct mvm_writer w;
    mvm_writer_init(&w, to, cap);
    mvm_writer_add3(&w, ".", name, suffixes[kind]);
    mvm_writer_add_u64(&w, (uint64_t)getpid());
}

struct mvm_text mvm_beside_parse(enum mvm_beside kind, const char *entry)
{
    const struct mvm_text none = {NULL, 0};
    const char *dash = strrchr(entry, '-');
    size_t len = strlen(suffixes[kind]);
    uint32_t pid;
    if (dash == NULL || mvm_parse_u32(dash + 1, INT32_MAX, &pid) != MVM_NUMBER_FINE) {
        return none;
    }
    size_t before = (size_t)(dash + 1 - entry); /* the suffix ends here */
    if (entry[0] != '.' || before <= 1 + len ||
        memcmp(entry + before - len, suffixes[kind], len) != 0) {
        return none;
    }
    return (struct mvm_text){entry + 1, before - len - 1};
}
