/* A build without nanopb (make PROTOBUF=no): without the wire, sessions never select it.
 */
#include "mvm_proto.h"

const bool mvm_proto_present = false;

void(mvm_proto_decoder_init)(struct mvm_proto_decoder *d, enum mvm_direction direction,
                             char *fields, size_t cap)
{
    (void)direction;
    (void)fields;
    (void)cap;
    *d = (struct mvm_proto_decoder){0};
}

enum mvm_decoder_status mvm_proto_decoder_push(struct mvm_proto_decoder *d, const uint8_t *bytes,
                                               size_t len, size_t *used)
{
    (void)d;
    (void)bytes;
    *used = len;
    return MVM_DECODER_PARTIAL;
}

bool mvm_proto_decoder_broken(const struct mvm_proto_decoder *d)
{
    (void)d;
    return false;
}

enum mvm_decoder_status mvm_proto_decoder_finish(struct mvm_proto_decoder *d)
{
    (void)d;
    return MVM_DECODER_PARTIAL;
}

void mvm_proto_encoder_start(struct mvm_proto_encoder *e, const struct mvm_message *m)
{
    (void)m;
    e->busy = false;
}

size_t mvm_proto_encoder_pull(struct mvm_proto_encoder *e, uint8_t *out, size_t cap)
{
    (void)e;
    (void)out;
    (void)cap;
    return 0;
}

bool mvm_proto_encoder_idle(const struct mvm_proto_encoder *e)
{
    return !e->busy;
}

size_t mvm_proto_add_artifact(uint8_t *out, size_t cap, const struct mvm_artifact_item *item)
{
    (void)out;
    (void)cap;
    (void)item;
    return 0;
}

bool mvm_proto_next_artifact(struct mvm_text *list, struct mvm_artifact_item *item)
{
    (void)list;
    (void)item;
    return false;
}
