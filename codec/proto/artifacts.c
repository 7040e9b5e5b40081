/* The list of artifacts in an Ok: consecutive items of the repeated field. */
#include "mvm.pb.h"
#include "mvm_proto.h"
#include <pb_decode.h>
#include <pb_encode.h>

static bool write_item(pb_ostream_t *stream, const struct mvm_artifact_item *item)
{
    return pb_encode_tag(stream, PB_WT_STRING, mvm_guest_v1_Item_name_tag) &&
           pb_encode_string(stream, (const pb_byte_t *)item->name.bytes, item->name.len) &&
           pb_encode_tag(stream, PB_WT_VARINT, mvm_guest_v1_Item_size_tag) &&
           pb_encode_varint(stream, item->size);
}

size_t mvm_proto_add_artifact(uint8_t *out, size_t cap, const struct mvm_artifact_item *item)
{
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    pb_ostream_t stream = pb_ostream_from_buffer(out, cap);
    if (item->name.len > MVM_WORD_MAX || !write_item(&sizing, item) ||
        !pb_encode_tag(&stream, PB_WT_STRING, mvm_guest_v1_Ok_artifacts_tag) ||
        !pb_encode_varint(&stream, sizing.bytes_written) || !write_item(&stream, item)) {
        return 0;
    }
    return stream.bytes_written;
}

static bool read_item(pb_istream_t *stream, struct mvm_artifact_item *item)
{
    pb_wire_type_t type;
    uint32_t tag;
    bool eof;
    while (pb_decode_tag(stream, &type, &tag, &eof)) {
        if (tag == mvm_guest_v1_Item_name_tag && type == PB_WT_STRING) {
            pb_istream_t name;
            if (!pb_make_string_substream(stream, &name)) {
                return false;
            }
            item->name = (struct mvm_text){name.state, name.bytes_left};
            if (!pb_read(&name, NULL, name.bytes_left) ||
                !pb_close_string_substream(stream, &name)) {
                return false;
            }
        } else if (tag == mvm_guest_v1_Item_size_tag && type == PB_WT_VARINT) {
            if (!pb_decode_varint(stream, &item->size)) {
                return false;
            }
        } else if (!pb_skip_field(stream, type)) {
            return false;
        }
    }
    return eof;
}

bool mvm_proto_next_artifact(struct mvm_text *list, struct mvm_artifact_item *item)
{
    pb_istream_t stream = pb_istream_from_buffer((const pb_byte_t *)list->bytes, list->len);
    pb_wire_type_t type;
    uint32_t tag;
    bool eof;
    *item = (struct mvm_artifact_item){{NULL, 0}, 0};
    while (pb_decode_tag(&stream, &type, &tag, &eof)) {
        bool is_item = tag == mvm_guest_v1_Ok_artifacts_tag && type == PB_WT_STRING;
        pb_istream_t inner;
        if (!is_item && !pb_skip_field(&stream, type)) {
            break;
        }
        if (is_item) {
            bool good = pb_make_string_substream(&stream, &inner) && read_item(&inner, item) &&
                        pb_close_string_substream(&stream, &inner) &&
                        item->name.len <= MVM_WORD_MAX;
            list->bytes = good ? stream.state : NULL;
            list->len = good ? stream.bytes_left : 0;
            return good;
        }
    }
    list->len = 0;
    return false;
}
