// The works of a peer that has decode_build, decode_log into `line`, and encode_log into `out`.
// Included after them.
static int works_run(const char *peer, int argc, char **argv)
{
    if (argc < 2) {
        bench_fail(peer, "FRAMES [MS]");
    }
    const int ms = argc > 2 ? atoi(argv[2]) : BENCH_DEFAULT_MS;
    bench_read(&build_frame, argv[1], "build", "json");
    bench_measure(peer, "", "decode-build", decode_build, 0, ms);
    for (int i = 0; i < BENCH_LOGS; i++) {
        bench_read(&text[i], argv[1], bench_log_names[i], "text");
        bench_read(&frame[i], argv[1], bench_log_names[i], "json");
        frame[i].len--; // without its newline
        frame[i].bytes[frame[i].len] = 0;
        decode_log(i, 1);
        bench_same(peer, &text[i], line, text[i].len);
        bench_measure(peer, "decode-", bench_log_names[i], decode_log, i, ms);
#ifndef WORKS_DECODE_ONLY
        encode_log(i, 1);
        bench_same(peer, &frame[i], out, frame[i].len);
        bench_measure(peer, "encode-", bench_log_names[i], encode_log, i, ms);
#endif
    }
    return 0;
}
