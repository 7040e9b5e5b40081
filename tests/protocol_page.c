/*
 * protocol_page requests|responses: reads messages as JSON lines and writes each as both wires have
 * it, as mvm-builder-protocol(7) shows them. Other lines of the input are ignored, so that the
 * page's own text is the input that must give itself.
 *
 * protocol_page bytes: writes the messages that the protobuf wire alone has, with what is in them.
 */
#include "mvm_session.h"
#include <stdio.h>
#include <string.h>

enum { LINE_CAP = 1024, COLUMNS = 20 };

static struct mvm_decoder decoder;
static char fields[MVM_REQUEST_FIELDS_CAP];

static bool decode(enum mvm_direction direction, const char *line)
{
    size_t used;
    mvm_decoder_init(&decoder, direction, fields, sizeof fields);
    return mvm_decoder_push(&decoder, (const uint8_t *)line, strlen(line), &used) ==
           MVM_DECODER_MESSAGE;
}

static void write_json(const struct mvm_message *m)
{
    struct mvm_encoder encoder;
    uint8_t out[LINE_CAP];
    mvm_encoder_init(&encoder);
    mvm_encoder_start(&encoder, m);
    fwrite(out, 1, mvm_encoder_pull(&encoder, out, sizeof out), stdout);
}

static void write_protobuf(const struct mvm_message *m)
{
    struct mvm_proto_encoder encoder = {.busy = false};
    uint8_t out[LINE_CAP];
    mvm_proto_encoder_start(&encoder, m);
    size_t len = mvm_proto_encoder_pull(&encoder, out, sizeof out);
    for (size_t i = 0; i < len; i++) {
        printf("%s%02x", i == 0 ? "" : i % COLUMNS == 0 ? "\n" : " ", out[i]);
    }
    printf("\n");
}

#define TEXT(literal) ((struct mvm_text){(literal), sizeof(literal) - 1})
#define ID            TEXT("0123456789abcdef")

static void write_bytes_alone(void)
{
    uint8_t list[64];
    size_t len = mvm_proto_add_artifact(
        list, sizeof list, &(struct mvm_artifact_item){.name = TEXT("kernel"), .size = 1000});
    const struct {
        const char *shown;
        struct mvm_message m;
    } messages[] = {
        {"StreamBuild: flake_ref \"\", attr \"a\", timeout_secs 60, id, keep, source_size 1000",
         {.kind = MVM_MESSAGE_STREAM_BUILD,
          .id = ID,
          .build = {.flake_ref = TEXT(""),
                    .attr = TEXT("a"),
                    .has_timeout = true,
                    .timeout_secs = 60,
                    .keep = MVM_FLAG_TRUE,
                    .has_source = true,
                    .source_size = 1000}}},
        {"Want: id, bytes 1000", {.kind = MVM_MESSAGE_WANT, .id = ID, .bulk = {.length = 1000}}},
        {"Source: id, offset 998, data \"ab\", last",
         {.kind = MVM_MESSAGE_SOURCE,
          .id = ID,
          .text = TEXT("ab"),
          .bulk = {.offset = 998, .last = MVM_FLAG_TRUE}}},
        {"Ok: out_path \"/nix/store/0-a\", id, artifacts: \"kernel\" of 1000",
         {.kind = MVM_MESSAGE_OK,
          .id = ID,
          .text = TEXT("/nix/store/0-a"),
          .artifacts = {(const char *)list, len}}},
        {"Get: id, name \"kernel\", offset 998, length 2",
         {.kind = MVM_MESSAGE_GET,
          .id = ID,
          .bulk = {.name = TEXT("kernel"), .offset = 998, .length = 2}}},
        {"Artifact: id, name \"kernel\", offset 998, data \"ab\", last",
         {.kind = MVM_MESSAGE_ARTIFACT,
          .id = ID,
          .text = TEXT("ab"),
          .bulk = {.name = TEXT("kernel"), .offset = 998, .last = MVM_FLAG_TRUE}}},
        {"Drop: id", {.kind = MVM_MESSAGE_DROP, .id = ID}},
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        printf("%s\n", messages[i].shown);
        write_protobuf(&messages[i].m);
    }
}

int main(int argc, char **argv)
{
    char line[LINE_CAP];
    if (argc != 2) {
        return 2;
    }
    if (strcmp(argv[1], "bytes") == 0) {
        write_bytes_alone();
        return 0;
    }
    enum mvm_direction direction =
        strcmp(argv[1], "requests") == 0 ? MVM_DIRECTION_REQUESTS : MVM_DIRECTION_RESPONSES;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (line[0] != '{' && line[0] != '"') {
            continue;
        }
        if (!decode(direction, line)) {
            fprintf(stderr, "not a message: %s", line);
            return 1;
        }
        write_json(&decoder.message);
        write_protobuf(&decoder.message);
    }
    return 0;
}
