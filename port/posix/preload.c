/*
 * Reads the beginnings of a program, and of its interpreter or loader, as execve(2) does: the agent
 * itself then finds them in the page cache, and does not wait for the disk that nix is on.
 */
#define _GNU_SOURCE
#include "posix_internal.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 4096, DEPTH = 5 }; /* the kernel's own limit on scripts that run scripts */

struct head {
    size_t len;
    char bytes[HEAD];
};

static bool read_head(const char *path, struct head *h)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, h->bytes, sizeof h->bytes);
    close(fd);
    h->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* "#! /bin/sh -e" */
static struct mvm_text of_script(const struct head *h)
{
    struct mvm_text line = {h->bytes + 2, h->len - 2};
    line = mvm_posix_cut(&line, '\n');
    while (line.len > 0 && (line.bytes[0] == ' ' || line.bytes[0] == '\t')) {
        line = (struct mvm_text){line.bytes + 1, line.len - 1};
    }
    return mvm_posix_cut(&line, ' ');
}

/* The loader of a program for this machine; its name follows the headers in the first page. */
static struct mvm_text of_elf(const struct head *h)
{
    ElfW(Ehdr) e;
    ElfW(Phdr) p;
    memcpy(&e, h->bytes, sizeof e);
    bool native = e.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32);
    for (size_t i = 0; native && i < e.e_phnum; i++) {
        if (e.e_phoff > h->len || (i + 1) * sizeof p > h->len - e.e_phoff) {
            break;
        }
        memcpy(&p, h->bytes + e.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type == PT_INTERP && p.p_offset < h->len && p.p_filesz <= h->len - p.p_offset) {
            struct mvm_text name = {h->bytes + p.p_offset, p.p_filesz};
            return mvm_posix_cut(&name, '\0');
        }
    }
    return (struct mvm_text){"", 0};
}

/* Empty: it has none, or none that can be read. */
static struct mvm_text interpreter_of(const struct head *h)
{
    if (h->len > 2 && memcmp(h->bytes, "#!", 2) == 0) {
        return of_script(h);
    }
    if (h->len >= sizeof(ElfW(Ehdr)) && memcmp(h->bytes, ELFMAG, SELFMAG) == 0) {
        return of_elf(h);
    }
    return (struct mvm_text){"", 0};
}

void mvm_posix_preload(const char *program)
{
    struct head h;
    char path[MVM_PATH_MAX];
    bool fits = mvm_text_join(path, sizeof path, program, "", "");
    for (int i = 0; i < DEPTH && fits && read_head(path, &h); i++) {
        struct mvm_text next = interpreter_of(&h);
        struct mvm_writer w;
        mvm_writer_init(&w, path, sizeof path);
        mvm_writer_add_text(&w, next);
        mvm_writer_finish(&w);
        fits = next.len > 0 && !w.cut;
    }
}
