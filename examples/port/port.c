/*
 * A custom port: the build job on a machine without kernel, nix or file system. mvm_port.h
 * documents each function. Here nix is a text that it prints, every file of its image is another,
 * and the output disk is a listing on standard output.
 */
#include "mvm_executor.h"
#include <stdio.h>
#include <string.h>

struct world {
    struct mvm_text says;  /* what the build has still to print */
    struct mvm_text image; /* the unread part of the open file */
    size_t written;
};

/* ---- the build: it succeeds immediately ---- */

static int take(struct mvm_text *text, uint8_t *buf, size_t cap)
{
    size_t len = text->len < cap ? text->len : cap;
    memcpy(buf, text->bytes, len);
    *text = (struct mvm_text){text->bytes + len, text->len - len};
    return (int)len;
}

static int find_nix(void *ctx, char *path, size_t cap)
{
    (void)ctx;
    return snprintf(path, cap, "/nix") < (int)cap ? 0 : MVM_PORT_FAILED;
}

static int spawn(void *ctx, const char *const argv[])
{
    struct world *w = ctx;
    (void)argv;
    w->says = mvm_text_from("/nix/store/0-image\n");
    return 0;
}

static int read_output(void *ctx, enum mvm_stream stream, uint8_t *buf, size_t cap)
{
    struct world *w = ctx;
    int len = stream == MVM_PORT_STDOUT ? take(&w->says, buf, cap) : 0;
    return len > 0 ? len : MVM_PORT_END;
}

static int poll_exit(void *ctx, struct mvm_exit *e)
{
    (void)ctx;
    *e = (struct mvm_exit){false, 0};
    return 1;
}

/* ---- files ---- */

static int find_file(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return MVM_PORT_NOT_REGULAR; /* the store path is a directory */
}

/* A call that would have to wait for a disk returns MVM_PORT_LATER; here nothing waits. */
static int64_t copy(void *ctx, const char *within, const char *from, const char *to, uint64_t *size)
{
    struct world *w = ctx;
    (void)within, (void)to;
    if (strstr(from, "/kernel") == NULL && strstr(from, "/rootfs") == NULL) {
        return MVM_PORT_NOT_FOUND;
    }
    if (w->image.len == 0) {
        w->image = mvm_text_from("what the build has made");
    }
    *size = w->image.len;
    uint8_t piece[8];
    int len = take(&w->image, piece, sizeof piece);
    w->written += (size_t)len;
    return w->image.len > 0 ? len : 0;
}

static int write_log(void *ctx, const uint8_t *bytes, size_t len)
{
    struct world *w = ctx;
    (void)bytes;
    w->written += len;
    return (int)len;
}

static int put(void *ctx, const char *path, const char *text)
{
    struct world *w = ctx;
    (void)path;
    w->written += strlen(text);
    return 0;
}

static int rename_file(void *ctx, const char *from, const char *to)
{
    (void)ctx, (void)from;
    return printf("%s is on the disk\n", to) > 0 ? 0 : MVM_PORT_FAILED;
}

/* ---- calls that have nothing to do here ---- */

static int done(void *ctx)
{
    (void)ctx;
    return 0;
}

static int done_with_path(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return 0;
}

static int signal_build(void *ctx, enum mvm_signal signal)
{
    (void)ctx, (void)signal;
    return 0;
}

static void close_build(void *ctx)
{
    (void)ctx;
}

static int mount_none(void *ctx, const char *device, const char *dir, bool read_only)
{
    (void)ctx, (void)device, (void)dir, (void)read_only;
    return MVM_PORT_NOT_FOUND;
}

static const char *reason(void *ctx)
{
    (void)ctx;
    return "there is no such thing here";
}

static int mounted(void *ctx, const char *dir, const char *device)
{
    (void)ctx, (void)dir, (void)device;
    return MVM_MOUNTED_NOTHING;
}

static int no_file(void *ctx, const char *path, uint64_t offset, uint8_t *buf, size_t cap)
{
    (void)ctx, (void)path, (void)offset, (void)buf, (void)cap;
    return MVM_PORT_NOT_FOUND;
}

static const struct mvm_port port = {
    .spawn = spawn,
    .read_output = read_output,
    .poll_exit = poll_exit,
    .signal_build = signal_build,
    .remaining = done,
    .out_of_memory = done,
    .close_build = close_build,
    .pause = close_build,
    .make_dir = done_with_path,
    .mounted = mounted,
    .mount = mount_none,
    .sync_fs = done_with_path,
    .unmount = done_with_path,
    .remount_ro = done_with_path,
    .released = done_with_path,
    .find_nix = find_nix,
    .read_file = no_file,
    .find_file = find_file,
    .copy = copy,
    .put = put,
    .replaceable = done_with_path,
    .rename = rename_file,
    .remove = done_with_path,
    .sync_dir = done_with_path,
    .open_log = done_with_path,
    .write_log = write_log,
    .close_log = done,
    .stop = done,
    .abandon = done,
    .end_job = done,
    .reason = reason,
};

/* ---- a build ---- */

int main(void)
{
    static struct mvm_executor x;
    struct world world = {.written = 0};
    struct mvm_executor_config config = {.out_dir = "/out"};
    struct mvm_job job = {.flake_ref = mvm_text_from("."), .attr = mvm_text_from("image")};
    uint64_t now_ms = 0; /* nothing here takes time */

    mvm_executor_init(&x, &port, &world, &config);
    mvm_executor_start(&x, &job, now_ms);
    for (;;) {
        switch (mvm_executor_step(&x, now_ms)) {
        case MVM_EXECUTOR_LOG:
            printf("log: %.*s\n", (int)x.text.len, x.text.bytes);
            mvm_executor_logged(&x, now_ms);
            break;
        case MVM_EXECUTOR_OK:
            printf("ok: %.*s, %zu bytes\n", (int)x.text.len, x.text.bytes, world.written);
            return 0;
        case MVM_EXECUTOR_ERR:
            printf("err: %.*s\n", (int)x.text.len, x.text.bytes);
            return 1;
        case MVM_EXECUTOR_AGAIN:
        case MVM_EXECUTOR_WAIT:
            break;
        }
    }
}
