/*
 * The machine's clock. A machine without a real-time clock starts in 1970 or when its kernel was
 * built, and certificates are not valid yet; one that was paused or restored from a snapshot is
 * behind. The agent corrects both only as process 1.
 */
#ifndef MVM_CLOCK_H
#define MVM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Sets the clock to `secs` after 1970 if it is behind that, and logs it. Never sets it back. */
void mvm_clock_not_before(uint64_t secs);

/* Compares the clock with the host's, which KVM offers as a PTP device; sets it if the difference
 * is MVM_CLOCK_OFF_MS or more, in either direction, and logs it. Without such a device it does
 * nothing. */
void mvm_clock_follow_host(void);

/* ---- the parts ---- */

/* Whether a clock at `ours_ns` should be set to the host's `host_ns`. */
bool mvm_clock_is_off(int64_t ours_ns, int64_t host_ns);

enum { MVM_CLOCK_DEVICE_CAP = 64 };

/* Finds KVM's clock among the PTP devices of sysfs, `class`, such as /sys/class/ptp: its device's
 * path into `path`. A network card's clock does not count: it may show any time. */
bool mvm_clock_find(const char *class, char path[MVM_CLOCK_DEVICE_CAP]);

#endif
