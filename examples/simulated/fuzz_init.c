/* fuzz_init.c: an init's build loop on a simulated machine, which the fuzzer's bytes make go wrong.
 */
#include "mvm_executor.h"
#include "mvm_sim.h"
#include <stdlib.h>
#include <string.h>

#define IMAGE "/nix/store/00000000000000000000000000000000-image"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the init under test: its loop, with the machine as a parameter ---- */

static enum mvm_executor_event build(struct mvm_executor *x, struct mvm_sim *machine)
{
    for (;;) {
        enum mvm_executor_event event = mvm_executor_step(x, machine->now_ms);
        if (event == MVM_EXECUTOR_OK || event == MVM_EXECUTOR_ERR) {
            return event;
        } else if (event == MVM_EXECUTOR_LOG) {
            mvm_executor_logged(x, machine->now_ms);
        } else if (event == MVM_EXECUTOR_WAIT) { /* where your init polls, time passes here */
            uint64_t own = mvm_executor_deadline(x), next = mvm_sim_next_ms(machine);
            uint64_t until = own < next ? own : next;
            if (until == UINT64_MAX) {
                abort(); /* stuck: nothing would ever wake it */
            }
            machine->now_ms = until > machine->now_ms ? until : machine->now_ms + 1;
        }
    }
}

/* ---- the machine ---- */

static void make_machine(struct mvm_sim *machine, const uint8_t *data, size_t size)
{
    uint8_t bytes[8] = {0};
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    mvm_sim_init(machine, "/build-out", "/build-in");
    mvm_sim_put(machine, IMAGE "/kernel", "a kernel");
    mvm_sim_put(machine, IMAGE "/rootfs.ext4", "a root file system");
    machine->build.out = IMAGE "\n";
    machine->build.err = "building\n";
    machine->build.exit.code = bytes[0] % 2;
    machine->build.run_ms = bytes[1] * UINT64_C(10);
    machine->out.busy = bytes[2] % 4 == 1;
    machine->out.absent = bytes[2] % 4 == 2;
    machine->fail_at = bytes[3]; /* this call fails, … */
    machine->fail_with = bytes[4];
    machine->fail_run = bytes[5];
    machine->piece = bytes[6]; /* … reads and writes move so few bytes … */
    machine->late_ms = bytes[7] * 4u;
    machine->delay_seed = bytes[7]; /* … and are late */
}

static bool is_whole(struct mvm_sim *machine, const char *path, const char *text)
{
    const struct mvm_sim_file *file = mvm_sim_find(machine, path);
    return file != NULL && file->len == strlen(text) && memcmp(file->bytes, text, file->len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mvm_sim machine;
    static struct mvm_executor executor;
    static const struct mvm_executor_config config = {.out_dir = "/build-out",
                                                      .out_device = "/dev/vdb"};
    struct mvm_job job = {.flake_ref = mvm_text_from("path:/flake"),
                          .attr = mvm_text_from("image")};

    make_machine(&machine, data, size);
    mvm_executor_init(&executor, &mvm_sim_port, &machine, &config);
    mvm_executor_start(&executor, &job, machine.now_ms);
    if (build(&executor, &machine) == MVM_EXECUTOR_OK) {
        mvm_sim_power_cut(&machine); /* what Ok promises is on the disk */
        if (!is_whole(&machine, "/build-out/vmlinux", "a kernel") ||
            !is_whole(&machine, "/build-out/rootfs.ext4", "a root file system")) {
            abort();
        }
    }
    return 0;
}
