/*
 * Directories and small text files, such as those of /proc and /sys, read without a heap or stdio.
 * The caller owns the structs, some 4 KiB each, which hold one open descriptor, close-on-exec, from
 * open to close; closing one that could not be opened is harmless.
 *
 * For the port and the programs of this project; it is not installed.
 */
#ifndef MVM_SMALL_FILES_H
#define MVM_SMALL_FILES_H

#include "mvm_text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- directory.c ---- */
struct mvm_posix_directory {
    int fd; /* -1: could not be opened */
    long at;
    long end;
    _Alignas(8) char buf[4096];
};

/* Opens `path` below `dir` (or AT_FDCWD). False: it cannot be; errno says why. */
bool mvm_posix_directory_open(struct mvm_posix_directory *d, int dir, const char *path);

/* The next name but "." and "..", valid until the next call; NULL: no more. */
const char *mvm_posix_directory_next(struct mvm_posix_directory *d);
void mvm_posix_directory_close(struct mvm_posix_directory *d);

/* ---- lines.c ---- */
struct mvm_posix_lines {
    int fd;
    bool rest; /* the next bytes are the rest of a line too long */
    size_t start;
    size_t end;
    char buf[4096];
};

/* Opens `path` below `dir` (or AT_FDCWD). False: it cannot be; errno says why. */
bool mvm_posix_lines_open(struct mvm_posix_lines *l, int dir, const char *path);

/* The next line without its newline, valid until the next call; of one longer than the buffer,
 * its beginning. False: no more. */
bool mvm_posix_lines_next(struct mvm_posix_lines *l, struct mvm_text *line);
void mvm_posix_lines_close(struct mvm_posix_lines *l);

/* Reads a short file into buf, NUL-terminated. False: not there, or no room for all of it. */
bool mvm_posix_read_small(int dir, const char *path, char *buf, size_t cap);

/* Removes the text up to the next `separator` from the front of `*rest`, and the separator. */
struct mvm_text mvm_posix_cut(struct mvm_text *rest, char separator);

/* Appends a path of /proc/self/mounts or mountinfo, where blanks and backslashes are written as
 * \ooo. */
void mvm_posix_add_unescaped(struct mvm_writer *w, struct mvm_text text);

/* Parses a decimal number at the front of a text; 0 if there is none. */
uint64_t mvm_posix_number(struct mvm_text text);

#endif
