/*
 * Texts for errnos, those of strerror(3) in the C locale: the same with every libc, so that
 * messages can be searched for. Only errnos that this project's calls return: half the size of a
 * libc's table.
 */
#include "system.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const uint16_t errors[] = {
    EPERM,      ENOENT,        EIO,        ENXIO,     E2BIG,   ENOEXEC, EBADF,        ECHILD,
    EAGAIN,     ENOMEM,        EACCES,     ENOTBLK,   EBUSY,   EEXIST,  ENODEV,       ENOTDIR,
    EISDIR,     EINVAL,        ENFILE,     EMFILE,    ETXTBSY, EFBIG,   ENOSPC,       EROFS,
    EPIPE,      ENAMETOOLONG,  ENOSYS,     ENOTEMPTY, ELOOP,   EBADMSG, EAFNOSUPPORT, EOPNOTSUPP,
    EADDRINUSE, EADDRNOTAVAIL, ECONNRESET, ESTALE,    EUCLEAN, EDQUOT,  ENOKEY,       EKEYREJECTED};

/* In the same order. */
static const char texts[] = "Operation not permitted\0"
                            "No such file or directory\0"
                            "Input/output error\0"
                            "No such device or address\0"
                            "Argument list too long\0"
                            "Exec format error\0"
                            "Bad file descriptor\0"
                            "No child processes\0"
                            "Resource temporarily unavailable\0"
                            "Cannot allocate memory\0"
                            "Permission denied\0"
                            "Block device required\0"
                            "Device or resource busy\0"
                            "File exists\0"
                            "No such device\0"
                            "Not a directory\0"
                            "Is a directory\0"
                            "Invalid argument\0"
                            "Too many open files in system\0"
                            "Too many open files\0"
                            "Text file busy\0"
                            "File too large\0"
                            "No space left on device\0"
                            "Read-only file system\0"
                            "Broken pipe\0"
                            "File name too long\0"
                            "Function not implemented\0"
                            "Directory not empty\0"
                            "Too many levels of symbolic links\0"
                            "Bad message\0"
                            "Address family not supported by protocol\0"
                            "Operation not supported\0"
                            "Address already in use\0"
                            "Cannot assign requested address\0"
                            "Connection reset by peer\0"
                            "Stale file handle\0"
                            "Structure needs cleaning\0"
                            "Disk quota exceeded\0"
                            "Required key not available\0"
                            "Key was rejected by service\0";

const char mvm_posix_unknown_error[] = "unknown error";

const char *mvm_posix_error_text(int err)
{
    const char *text = texts;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i] == err) {
            return text;
        }
        text += strlen(text) + 1;
    }
    return mvm_posix_unknown_error;
}
