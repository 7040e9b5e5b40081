/* Concatenation, for messages and paths; in a file of its own because codecs do not need it. */
#include "mvm_text.h"

void mvm_writer_add3(struct mvm_writer *w, const char *a, const char *b, const char *c)
{
    mvm_writer_add(w, a);
    mvm_writer_add(w, b);
    mvm_writer_add(w, c);
}

bool mvm_text_join(char *buf, size_t cap, const char *a, const char *b, const char *c)
{
    struct mvm_writer w;
    mvm_writer_init(&w, buf, cap);
    mvm_writer_add3(&w, a, b, c);
    return !w.cut;
}
