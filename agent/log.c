#include "log.h"
#include <errno.h>
#include <unistd.h>

void mvm_log_write(int fd, struct mvm_text text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.bytes, text.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        text.bytes += n;
        text.len -= (size_t)n;
    }
}

void mvm_log_begin(struct mvm_log_line *l, const char *what)
{
    /* One byte is kept for the newline. */
    mvm_writer_init(&l->w, l->text, sizeof l->text - 1);
    mvm_writer_add(&l->w, "mvm-builder-agent: ");
    mvm_writer_add(&l->w, what);
}

void mvm_log_end(struct mvm_log_line *l)
{
    size_t len = mvm_writer_finish(&l->w).len;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)l->text[i] < ' ' || l->text[i] == 0x7f) {
            l->text[i] = '?';
        }
    }
    l->text[len] = '\n';
    mvm_log_write(STDERR_FILENO, (struct mvm_text){l->text, len + 1});
}

void mvm_log(const char *what, const char *name, const char *why)
{
    struct mvm_log_line l;
    mvm_log_begin(&l, what);
    if (name != NULL) {
        mvm_writer_add(&l.w, name);
    }
    if (why != NULL) {
        mvm_writer_add(&l.w, why);
    }
    mvm_log_end(&l);
}
