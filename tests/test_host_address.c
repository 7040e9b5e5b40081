/* Addresses as a person writes them, and what is reported of invalid ones. */
#include "address.h"
#include "parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct mvm_peer peer;

static void assert_parsed(const char *text, enum mvm_peer_kind kind, const char *path, uint32_t cid,
                          uint32_t port)
{
    const char *wrong = mvm_peer_parse(&peer, text);
    if (wrong != NULL) {
        fail_msg("%s: %s", text, wrong);
    }
    assert_int_equal(peer.kind, kind);
    assert_string_equal(peer.path, path);
    assert_int_equal(peer.cid, cid);
    assert_int_equal(peer.port, port);
}

static void assert_refused(const char *text, const char *why)
{
    const char *wrong = mvm_peer_parse(&peer, text);
    if (wrong == NULL) {
        fail_msg("%s was taken", text);
    }
    assert_string_equal(wrong, why);
}

static void each_kind_is_read(void **state)
{
    (void)state;
    assert_parsed("unix:/run/agent.sock", MVM_PEER_UNIX, "/run/agent.sock", 0, 0);
    assert_parsed("unix:relative:with:colons", MVM_PEER_UNIX, "relative:with:colons", 0, 0);
    assert_parsed("vsock:3:21470", MVM_PEER_VSOCK, "", 3, 21470);
    assert_parsed("vsock:0:0", MVM_PEER_VSOCK, "", 0, 0);
    assert_parsed("vsock:4294967294:4294967294", MVM_PEER_VSOCK, "", 4294967294, 4294967294);
    assert_parsed("uds:/run/v.sock:21470", MVM_PEER_HYBRID, "/run/v.sock", 0, 21470);
    assert_parsed("uds:/run/a:b:21470", MVM_PEER_HYBRID, "/run/a:b", 0, 21470);
    assert_parsed("serial:/dev/ttyS0", MVM_PEER_SERIAL, "/dev/ttyS0", 0, 0);
}

static void what_is_wrong_is_reported(void **state)
{
    static const char no_kind[] = "it begins with none of unix:, vsock:, uds: and serial:";
    static const char vsock_port[] = "no port after the CID (vsock:CID:PORT)";
    static const char uds_port[] = "no port after the path (uds:PATH:PORT)";
    (void)state;
    assert_refused("", no_kind);
    assert_refused("/run/agent.sock", no_kind);
    assert_refused("UNIX:/run/agent.sock", no_kind);
    assert_refused("unix:", "the path is missing");
    assert_refused("serial:", "the path is missing");
    assert_refused("uds::1", "the path is missing");
    assert_refused("uds:/run/v.sock", uds_port);
    assert_refused("uds:/run/v.sock:", uds_port);
    assert_refused("uds:/run/v.sock:x", uds_port);
    assert_refused("vsock:3", vsock_port);
    assert_refused("vsock:3:", vsock_port);
    assert_refused("vsock:3:-1", vsock_port);
    assert_refused("vsock:3:21470 ", vsock_port);
    assert_refused("vsock::21470", "the CID is not a number");
    assert_refused("vsock:host:21470", "the CID is not a number");
    assert_refused("vsock:000000000000000000000003:1", "the CID is not a number");
}

static void a_number_that_is_too_large_is_called_so(void **state)
{
    static const char port[] = "the port is too large: 4294967294 is the last one";
    static const char cid[] = "the CID is too large: 4294967294 is the last one";
    (void)state;
    assert_refused("uds:/run/v.sock:4294967295", port);
    assert_refused("uds:/run/v.sock:99999999999999999999999", port);
    assert_refused("vsock:3:4294967295", port);
    assert_refused("vsock:4294967295:21470", cid);
    assert_refused("vsock:18446744073709551616:21470", cid);
}

/* `prefix`, then a path of `len` bytes, then `suffix`. */
static const char *of_length(const char *prefix, size_t len, const char *suffix)
{
    static char text[MVM_PATH_MAX + 32];
    size_t start = strlen(prefix);
    assert_true(start + len + strlen(suffix) < sizeof text);
    memcpy(text, prefix, start);
    memset(text + start, 'p', len);
    strcpy(text + start + len, suffix);
    return text;
}

static void a_path_may_be_as_long_as_its_kind_allows(void **state)
{
    size_t socket_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    size_t device_max = MVM_PATH_MAX - 1;
    (void)state;
    assert_null(mvm_peer_parse(&peer, of_length("unix:", socket_max, "")));
    assert_int_equal(strlen(peer.path), socket_max);
    assert_refused(of_length("unix:", socket_max + 1, ""), "the path is too long");
    assert_null(mvm_peer_parse(&peer, of_length("uds:", socket_max, ":1")));
    assert_refused(of_length("uds:", socket_max + 1, ":1"), "the path is too long");
    assert_null(mvm_peer_parse(&peer, of_length("serial:", device_max, "")));
    assert_int_equal(strlen(peer.path), device_max);
    assert_refused(of_length("serial:", device_max + 1, ""), "the path is too long");
}

static void numbers_are_digits_up_to_their_limit(void **state)
{
    uint64_t value = 7;
    (void)state;
    assert_int_equal(mvm_parse_u64("18446744073709551615", UINT64_MAX, &value), MVM_NUMBER_FINE);
    assert_true(value == UINT64_MAX);
    assert_int_equal(mvm_parse_u64("18446744073709551616", UINT64_MAX, &value), MVM_NUMBER_LARGE);
    assert_int_equal(mvm_parse_u64("0012", 12, &value), MVM_NUMBER_FINE);
    assert_int_equal(value, 12);
    assert_int_equal(mvm_parse_u64("13", 12, &value), MVM_NUMBER_LARGE);
    assert_int_equal(mvm_parse_u64("9", 5, &value), MVM_NUMBER_LARGE);
    assert_int_equal(mvm_parse_u64("", 12, &value), MVM_NUMBER_NONE);
    assert_int_equal(mvm_parse_u64("+1", 12, &value), MVM_NUMBER_NONE);
    assert_int_equal(mvm_parse_u64("1 ", 12, &value), MVM_NUMBER_NONE);
    assert_int_equal(mvm_parse_u64("99x", 12, &value), MVM_NUMBER_NONE);
    assert_int_equal(mvm_parse_u64("0x1", 12, &value), MVM_NUMBER_NONE);
    assert_int_equal(value, 12); /* unchanged */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_read),
        cmocka_unit_test(what_is_wrong_is_reported),
        cmocka_unit_test(a_number_that_is_too_large_is_called_so),
        cmocka_unit_test(a_path_may_be_as_long_as_its_kind_allows),
        cmocka_unit_test(numbers_are_digits_up_to_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
