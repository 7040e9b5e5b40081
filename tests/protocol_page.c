/*
 * protocol_page requests|responses: reads messages as JSON lines and writes each as both wires have
 * it, as mvm-builder-protocol(7) shows them. Other lines of the input are ignored, so that the
 * page's own text is the input that must give itself.
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

int main(int argc, char **argv)
{
    char line[LINE_CAP];
    if (argc != 2) {
        return 2;
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
