/*
 * Writes the seeds for fuzzing, `seeds FOLDER`: one file for each message and wire, after the four
 * bytes that seed the targets' random numbers.
 */
#include "mvm_encoder.h"
#include "mvm_proto.h"
#include <stdio.h>
#include <string.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

#define BUILD_OF(flake, attribute) .flake_ref = TEXT(flake), .attr = TEXT(attribute)
#define ID                         TEXT("0123456789abcdef")

static const struct mvm_message messages[] = {
    {.kind = MVM_MESSAGE_BUILD,
     .build = {BUILD_OF("/build-in", "packages.x86_64-linux.a"), .has_timeout = true,
               .timeout_secs = 1800}},
    {.kind = MVM_MESSAGE_BUILD, .build = {BUILD_OF("path:/\xc3\xa9 \"q\"", "a")}},
    {.kind = MVM_MESSAGE_BUILD, .id = ID, .build = {BUILD_OF(".", "a"), .keep = MVM_FLAG_TRUE}},
    {.kind = MVM_MESSAGE_HELLO, .hello = {.nonce = TEXT("n")}},
    {.kind = MVM_MESSAGE_JOIN, .id = ID},
    {.kind = MVM_MESSAGE_CANCEL, .id = ID},
    {.kind = MVM_MESSAGE_WELCOME,
     .hello = {TEXT("n"), TEXT("mvm-guest 1"), TEXT("b"), TEXT("ids cancel join keep")}},
    {.kind = MVM_MESSAGE_CANCELLED, .text = TEXT("running"), .id = ID},
    {.kind = MVM_MESSAGE_ERR, .text = TEXT("no"), .refusal = {ID, TEXT("id_conflict")}},
    {.kind = MVM_MESSAGE_LOG, .text = TEXT(""), .id = ID, .beat = MVM_FLAG_TRUE},
    {.kind = MVM_MESSAGE_PING},
    {.kind = MVM_MESSAGE_OK, .text = TEXT("/nix/store/0123-x")},
    {.kind = MVM_MESSAGE_ERR, .text = TEXT("nix build failed (exit status: 1)")},
    {.kind = MVM_MESSAGE_LOG, .text = TEXT("a\x1b[1mb\xff\tc\\\"\xf0\x9f\x98\x80")},
    {.kind = MVM_MESSAGE_LOG, .text = TEXT("")},
    {.kind = MVM_MESSAGE_PONG},
    /* of the protobuf wire alone */
    {.kind = MVM_MESSAGE_STREAM_BUILD,
     .id = ID,
     .build = {BUILD_OF("", "a"), .keep = MVM_FLAG_TRUE, .has_source = true, .source_size = 100}},
    {.kind = MVM_MESSAGE_SOURCE,
     .id = ID,
     .text = TEXT("nix-archive-1"),
     .bulk = {.offset = 7, .last = MVM_FLAG_TRUE}},
    {.kind = MVM_MESSAGE_GET, .id = ID, .bulk = {.name = TEXT("kernel"), .length = UINT64_MAX}},
    {.kind = MVM_MESSAGE_DROP, .id = ID},
    {.kind = MVM_MESSAGE_WANT, .id = ID, .bulk = {.length = 65536}},
    {.kind = MVM_MESSAGE_ARTIFACT,
     .id = ID,
     .text = TEXT("ELF"),
     .bulk = {.name = TEXT("kernel"), .offset = 1, .last = MVM_FLAG_TRUE}},
};

enum { MESSAGES = sizeof messages / sizeof messages[0], CAP = 512 };

static bool write_seed(const char *folder, const char *name, size_t i, uint8_t dice,
                       const uint8_t *frame, size_t len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s-%zu-%u", folder, name, i, dice);
    FILE *f = fopen(path, "wb");
    if (f == NULL) {
        perror(path);
        return false;
    }
    const uint8_t start[] = {0, 0, 0, dice};
    bool written =
        fwrite(start, 1, sizeof start, f) == sizeof start && fwrite(frame, 1, len, f) == len;
    return fclose(f) == 0 && written;
}

/* What the agent of fuzz_host does in a build whose flake is sent, and in one of the guest's own,
 * until their artifact is fetched. */
static const struct mvm_text sessions[] = {
    TEXT("\x00\x07\0\0\x02\0\x01\0\x05\0\xf0\0\0\0\x01\x01\x05\x06\0\x01\x05"),
    TEXT("\x01\x07\0\0\x02\0\x01\0\0\0\0\x01\x01\x05\x06\0\x01\x05"),
};

int main(int argc, char **argv)
{
    uint8_t frame[CAP];
    bool ok = argc == 2;
    for (size_t i = 0; ok && i < MESSAGES; i++) {
        struct mvm_encoder json;
        struct mvm_proto_encoder protobuf;
        mvm_encoder_init(&json);
        mvm_encoder_start(&json, &messages[i]);
        size_t json_len = mvm_encoder_pull(&json, frame, CAP);
        ok = json_len == 0 || write_seed(argv[1], "json", i, (uint8_t)i, frame, json_len);
        mvm_proto_encoder_start(&protobuf, &messages[i]);
        size_t protobuf_len = mvm_proto_encoder_pull(&protobuf, frame, CAP);
        for (uint8_t dice = 0; ok && dice < 2; dice++) { /* either direction */
            ok = write_seed(argv[1], "protobuf", i, dice, frame, protobuf_len);
        }
    }
    for (size_t i = 0; ok && i < sizeof sessions / sizeof sessions[0]; i++) {
        ok = write_seed(argv[1], "session", i, 0, (const uint8_t *)sessions[i].bytes,
                        sessions[i].len);
    }
    return ok ? 0 : 1;
}
