/*
 * Our decoders and encoders, and the limits that memory sets:
 *     codec FRAMES [MS]               measures
 *     codec --memcpy NAME FRAMES [MS] measures the C library's memcpy alone, as NAME: as the
 *                                     environment holds it to something
 *     codec --frames FRAMES           writes the frames that every peer reads
 *     codec --count FRAMES WORK N     does one work N times, for a counter of instructions
 *     codec --works FRAMES            lists the works and the bytes of their frames
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include "mvm_decoder.h"
#include "mvm_encoder.h"
#include "mvm_proto.h"

/* The same code compiled for this machine, if it has AVX2 or more, besides the portable one. */
#if defined(__AVX2__)
#define OURS "mvm-native"
#else
#define OURS "mvm"
#endif

static struct bench_bytes build_frame, proto_frame, text[BENCH_LOGS], frame[BENCH_LOGS];
static char fields[MVM_RESPONSE_FIELDS_CAP];
static uint8_t out[BENCH_CAP];

/* Lines that follow each other, and room for the frame of each: with both half a megabyte, out of
 * L1 and in L2. */
enum { FAR_LINES = 128, FAR_LINE = 4096, FAR_FRAME = FAR_LINE + 64 };
static uint8_t far_lines[FAR_LINES][FAR_LINE], far_frames[FAR_LINES][FAR_FRAME];

static struct mvm_message log_message(int which)
{
    return (struct mvm_message){.kind = MVM_MESSAGE_LOG,
                                .text = {(const char *)text[which].bytes, text[which].len}};
}

/* ---- works ---------------------------------------------------------------------------------- */

static void decode(enum mvm_direction direction, const struct bench_bytes *from, long n)
{
    struct mvm_decoder d;
    mvm_decoder_init(&d, direction, fields, sizeof fields);
    for (long i = 0; i < n; i++) {
        size_t used;
        if (mvm_decoder_push(&d, from->bytes, from->len, &used) != MVM_DECODER_MESSAGE) {
            bench_fail(OURS, "no message");
        }
        bench_sink += d.message.text.len;
    }
}

static void decode_build(int which, long n)
{
    (void)which;
    decode(MVM_DIRECTION_REQUESTS, &build_frame, n);
}

static void decode_log(int which, long n)
{
    decode(MVM_DIRECTION_RESPONSES, &frame[which], n);
}

static void encode_log(int which, long n)
{
    struct mvm_encoder e;
    const struct mvm_message m = log_message(which); /* made beforehand, as the peers' */
    mvm_encoder_init(&e);
    for (long i = 0; i < n; i++) {
        mvm_encoder_start(&e, &m);
        bench_sink += mvm_encoder_pull(&e, out, sizeof out);
    }
}

static void encode_far(int which, long n)
{
    (void)which;
    struct mvm_encoder e;
    struct mvm_message m = {.kind = MVM_MESSAGE_LOG, .text = {NULL, FAR_LINE}};
    mvm_encoder_init(&e);
    for (long i = 0; i < n; i++) {
        m.text.bytes = (const char *)far_lines[i % FAR_LINES];
        mvm_encoder_start(&e, &m);
        bench_sink += mvm_encoder_pull(&e, far_frames[i % FAR_LINES], FAR_FRAME);
    }
}

static void proto_decode(int which, long n)
{
    (void)which;
    struct mvm_proto_decoder d;
    mvm_proto_decoder_init(&d, MVM_DIRECTION_RESPONSES, fields, sizeof fields);
    for (long i = 0; i < n; i++) {
        size_t used;
        if (mvm_proto_decoder_push(&d, proto_frame.bytes, proto_frame.len, &used) !=
            MVM_DECODER_MESSAGE) {
            bench_fail(OURS, "no message");
        }
        bench_sink += d.message.text.len;
    }
}

static void proto_encode(int which, long n)
{
    struct mvm_proto_encoder e;
    const struct mvm_message m = log_message(which);
    for (long i = 0; i < n; i++) {
        mvm_proto_encoder_start(&e, &m);
        bench_sink += mvm_proto_encoder_pull(&e, out, sizeof out);
    }
}

/* An Err as long as a frame in the agent's send buffer can be, into one buffer or into so many
 * bytes at a time. */
enum { ERR_LEN = 16384 };

static void proto_encode_err(int room, long n)
{
    static char message[ERR_LEN];
    struct mvm_proto_encoder e;
    const struct mvm_message m = {.kind = MVM_MESSAGE_ERR, .text = {message, ERR_LEN}};
    memset(message, 'e', sizeof message);
    for (long i = 0; i < n; i++) {
        mvm_proto_encoder_start(&e, &m);
        while (!mvm_proto_encoder_idle(&e)) {
            bench_sink += mvm_proto_encoder_pull(&e, out, (size_t)room);
        }
    }
}

static const struct work {
    const char *name;
    void (*run)(int which, long n);
    int which;
    const struct bench_bytes *frame;
} works[] = {
    {"decode-build", decode_build, 0, &build_frame},
    {"decode-log80", decode_log, BENCH_LOG80, &frame[BENCH_LOG80]},
    {"encode-log80", encode_log, BENCH_LOG80, &frame[BENCH_LOG80]},
    {"decode-log4k", decode_log, BENCH_LOG4K, &frame[BENCH_LOG4K]},
    {"encode-log4k", encode_log, BENCH_LOG4K, &frame[BENCH_LOG4K]},
    {"decode-escape", decode_log, BENCH_ESCAPE, &frame[BENCH_ESCAPE]},
    {"encode-escape", encode_log, BENCH_ESCAPE, &frame[BENCH_ESCAPE]},
    {"decode-utf8", decode_log, BENCH_UTF8, &frame[BENCH_UTF8]},
    {"encode-utf8", encode_log, BENCH_UTF8, &frame[BENCH_UTF8]},
    {"proto-decode-log80", proto_decode, BENCH_LOG80, &proto_frame},
    {"proto-encode-log80", proto_encode, BENCH_LOG80, &proto_frame},
};
enum { WORKS = sizeof works / sizeof *works };

/* ---- limits --------------------------------------------------------------------------------- */

static void limit_memcpy(int which, long n)
{
    for (long i = 0; i < n; i++) {
        memcpy(out, text[which].bytes, text[which].len);
        bench_sink += out[i & 1023];
    }
}

static void limit_memcpy_far(int which, long n)
{
    (void)which;
    for (long i = 0; i < n; i++) {
        memcpy(far_frames[i % FAR_LINES], far_lines[i % FAR_LINES], FAR_LINE);
        bench_sink += far_frames[i % FAR_LINES][i & 1023];
    }
}

static void limit_memchr(int which, long n)
{
    for (long i = 0; i < n; i++) {
        const void *found = memchr(frame[which].bytes, '\n', frame[which].len);
        bench_sink += (size_t)((const uint8_t *)found - frame[which].bytes);
    }
}

/* ---- frames --------------------------------------------------------------------------------- */

static void repeat(struct bench_bytes *b, const char *unit, size_t len)
{
    while (b->len + strlen(unit) <= len) {
        memcpy(b->bytes + b->len, unit, strlen(unit));
        b->len += strlen(unit);
    }
    while (b->len < len) {
        b->bytes[b->len++] = '.';
    }
}

static void make_texts(void)
{
    repeat(&text[BENCH_LOG80],
           "[ 17/412] cc -O2 -Wall -c -o build/src/libutil/hash.o src/libutil/hash.c", 80);
    repeat(&text[BENCH_LOG4K],
           "checking whether the compiler accepts -fstack-protector-strong... yes; ", 4096);
    repeat(&text[BENCH_ESCAPE], "plain 7\"columns\\then an\tbuild s\x1b", 4096);
    repeat(&text[BENCH_UTF8], "größer als – naïve 日本語のログ 🚀 ", 4096);
}

static void make_frames(void)
{
    struct mvm_encoder e;
    mvm_encoder_init(&e);
    for (int i = 0; i < BENCH_LOGS; i++) {
        struct mvm_message m = log_message(i);
        mvm_encoder_start(&e, &m);
        frame[i].len = mvm_encoder_pull(&e, frame[i].bytes, BENCH_CAP);
    }
    struct mvm_message build = {
        .kind = MVM_MESSAGE_BUILD,
        .build = {mvm_text_from("git+https://git.example.org/infra/tenants?ref=main&rev="
                                "4f1d3c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0&dir=worker"),
                  mvm_text_from("packages.x86_64-linux.tenant-worker"), true, 1800}};
    mvm_encoder_start(&e, &build);
    build_frame.len = mvm_encoder_pull(&e, build_frame.bytes, BENCH_CAP);
    struct mvm_proto_encoder p;
    struct mvm_message log = log_message(BENCH_LOG80);
    mvm_proto_encoder_start(&p, &log);
    proto_frame.len = mvm_proto_encoder_pull(&p, proto_frame.bytes, BENCH_CAP);
}

static void write_file(const char *folder, const char *name, const char *suffix,
                       const struct bench_bytes *b)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(b->bytes, 1, b->len, file) != b->len || fclose(file) != 0) {
        bench_fail(path, "cannot be written");
    }
}

static void write_frames(const char *folder)
{
    make_texts();
    make_frames();
    for (int i = 0; i < BENCH_LOGS; i++) {
        write_file(folder, bench_log_names[i], "text", &text[i]);
        write_file(folder, bench_log_names[i], "json", &frame[i]);
    }
    write_file(folder, "build", "json", &build_frame);
    write_file(folder, "log80", "pb", &proto_frame);
}

static void read_frames(const char *folder)
{
    for (int i = 0; i < BENCH_LOGS; i++) {
        bench_read(&text[i], folder, bench_log_names[i], "text");
        bench_read(&frame[i], folder, bench_log_names[i], "json");
    }
    bench_read(&build_frame, folder, "build", "json");
    bench_read(&proto_frame, folder, "log80", "pb");
    for (int i = 0; i < FAR_LINES; i++) {
        memcpy(far_lines[i], text[BENCH_LOG4K].bytes, FAR_LINE);
    }
}

/* What is timed is right: a decoded text equals the encoded one. */
static void check(void)
{
    for (int i = 0; i < BENCH_LOGS; i++) {
        decode_log(i, 1);
        bench_same(OURS, &text[i], fields, text[i].len);
        encode_log(i, 1);
        bench_same(OURS, &frame[i], out, frame[i].len);
    }
    encode_far(0, 1);
    bench_same(OURS, &frame[BENCH_LOG4K], far_frames[0], frame[BENCH_LOG4K].len);
    proto_encode(BENCH_LOG80, 1);
    bench_same(OURS, &proto_frame, out, proto_frame.len);
}

/* ---- program -------------------------------------------------------------------------------- */

/* Only this function's instructions are counted: their number depends on the works' memory, and not
 * on arguments and files. */
__attribute__((noinline)) void counted(const struct work *work, long n);
void counted(const struct work *work, long n)
{
    work->run(work->which, n);
}

static int count(const char *name, long n)
{
    for (int i = 0; i < WORKS; i++) {
        if (strcmp(works[i].name, name) == 0) {
            counted(&works[i], n);
            return 0;
        }
    }
    bench_fail(name, "no such work");
    return 1;
}

static void measure_memcpy(const char *name, int ms)
{
    bench_measure(name, "", "encode-log4k", limit_memcpy, BENCH_LOG4K, ms);
    bench_measure(name, "", "decode-log4k", limit_memcpy, BENCH_LOG4K, ms);
    bench_measure(name, "", "encode-log4k-l2", limit_memcpy_far, 0, ms);
}

static void measure(int ms)
{
    for (int i = 0; i < WORKS; i++) {
        bench_measure(OURS, "", works[i].name, works[i].run, works[i].which, ms);
    }
    bench_measure(OURS, "", "encode-log4k-l2", encode_far, 0, ms);
    bench_measure(OURS, "", "proto-encode-err16k", proto_encode_err, sizeof out, ms);
    bench_measure(OURS, "", "proto-encode-err16k-by-64", proto_encode_err, 64, ms);
    measure_memcpy("memcpy", ms);
    bench_measure("memchr", "", "decode-log4k", limit_memchr, BENCH_LOG4K, ms);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--frames") == 0) {
        write_frames(argv[2]);
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "--count") == 0) {
        read_frames(argv[2]);
        return count(argv[3], strtol(argv[4], NULL, 10));
    }
    if (argc == 3 && strcmp(argv[1], "--works") == 0) {
        read_frames(argv[2]);
        for (int i = 0; i < WORKS; i++) {
            printf("%s %zu\n", works[i].name, works[i].frame->len);
        }
        return 0;
    }
    if (argc >= 4 && strcmp(argv[1], "--memcpy") == 0) {
        read_frames(argv[3]);
        measure_memcpy(argv[2], argc > 4 ? (int)strtol(argv[4], NULL, 10) : BENCH_DEFAULT_MS);
        return 0;
    }
    if (argc < 2) {
        bench_fail("codec", "codec FRAMES [MS]");
        return 1;
    }
    read_frames(argv[1]);
    check();
    measure(argc > 2 ? (int)strtol(argv[2], NULL, 10) : BENCH_DEFAULT_MS);
    return 0;
}
