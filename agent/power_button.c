#define _GNU_SOURCE
#include "power_button.h"
#include "mvm_text.h"
#include "small_files.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* <linux/input.h>, spelled out: not every libc comes with the kernel's headers. */
struct input_mask {
    uint32_t type;
    uint32_t codes_size;
    uint64_t codes_ptr;
};

#define EVIOCSMASK _IOW('E', 0x93, struct input_mask)

enum { EV_SYN = 0, EV_KEY = 1, KEY_POWER = 116, NAME_CAP = 64 };

static bool set_mask(int fd, uint32_t type, const uint8_t *bits, uint32_t size)
{
    struct input_mask mask = {
        .type = type, .codes_size = size, .codes_ptr = (uint64_t)(uintptr_t)bits};
    return ioctl(fd, EVIOCSMASK, &mask) == 0;
}

/* Masks all events but KEY_POWER: keyboards with that key have many others. */
static bool mask_others(int fd)
{
    static const uint8_t types[8] = {1 << EV_KEY}; /* whole longs, or EINVAL */
    static const uint8_t keys[96] = {[KEY_POWER / 8] = 1 << KEY_POWER % 8};
    return set_mask(fd, EV_KEY, keys, sizeof keys) && set_mask(fd, EV_SYN, types, sizeof types);
}

/* Whether the last but one of the words of 64 bits that sysfs shows has KEY_POWER's bit. */
static bool has_key(const char *words)
{
    uint64_t previous = 0, last = 0;
    for (const char *p = words; *p != '\0' && *p != '\n'; p++) {
        if (*p == ' ') {
            previous = last;
            last = 0;
        } else {
            last = last << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
        }
    }
    uint64_t word = sizeof(long) == 8 ? previous : 0; /* no 32-bit machine has ACPI's button */
    return (word >> (KEY_POWER - 64) & 1) != 0;
}

static bool is_button(int class, const char *name)
{
    char path[NAME_CAP];
    char words[256];
    return mvm_text_begins(mvm_text_from(name), "event") &&
           mvm_text_join(path, sizeof path, name, "/device/capabilities/key", "") &&
           mvm_posix_read_small(class, path, words, sizeof words) && has_key(words);
}

/* The descriptor stays open, and is never read: the signal is enough. */
static void watch(const char *name)
{
    char path[NAME_CAP];
    if (!mvm_text_join(path, sizeof path, "/dev/input/", name, "")) {
        return;
    }
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (!mask_others(fd) || fcntl(fd, F_SETSIG, SIGPWR) < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0) {
        close(fd);
    }
}

void mvm_power_button_watch(void)
{
    struct mvm_posix_directory d;
    const char *name;
    if (!mvm_posix_directory_open(&d, AT_FDCWD, "/sys/class/input")) {
        return;
    }
    while ((name = mvm_posix_directory_next(&d)) != NULL) {
        if (is_button(d.fd, name)) {
            watch(name);
        }
    }
    mvm_posix_directory_close(&d);
}
