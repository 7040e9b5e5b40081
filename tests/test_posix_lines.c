/* Small text files: lines of every length, numbers, words, escapes. */
#define _GNU_SOURCE
#include "posix_internal.h"
#include "small_files.h"
#include "test_posix_alone.h"

static void assert_line(struct mvm_posix_lines *l, const char *expected, size_t len)
{
    struct mvm_text line;
    assert_true(mvm_posix_lines_next(l, &line));
    assert_int_equal(line.len, len);
    assert_memory_equal(line.bytes, expected, len);
}

/* One that is longer than the buffer is cut, and its rest is not a line. */
static void lines_of_every_length_come_one_by_one(void **state)
{
    static struct mvm_posix_lines l;
    static char text[3 * sizeof l.buf + 100];
    static const size_t times[] = {0, 1, 2};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        for (int more = -4; more <= 4; more++) {
            if (times[i] == 0 && more < 0) {
                continue;
            }
            size_t len = (size_t)((int)(times[i] * sizeof l.buf) + more);
            memset(text, 'x', len);
            strcpy(text + len, "\n\nnext\nlast");
            write_file(in_place(&place, 0, "file"), text);
            assert_true(mvm_posix_lines_open(&l, AT_FDCWD, place.path[0]));
            assert_line(&l, text, len < sizeof l.buf ? len : sizeof l.buf);
            assert_line(&l, "", 0);
            assert_line(&l, "next", 4);
            assert_line(&l, "last", 4);
            struct mvm_text none;
            assert_false(mvm_posix_lines_next(&l, &none));
            mvm_posix_lines_close(&l);
            int next = open("/dev/null", O_RDONLY | O_CLOEXEC); /* gets its number */
            mvm_posix_lines_close(&l);
            assert_int_equal(close(next), 0);
        }
    }
    assert_false(mvm_posix_lines_open(&l, AT_FDCWD, in_place(&place, 0, "none")));
    mvm_posix_lines_close(&l);
}

static void a_small_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    char text[40];
    memset(text, 't', sizeof text);
    for (size_t len = 0; len < sizeof text; len++) {
        char buf[sizeof text] = "";
        text[len] = '\0';
        write_file(in_place(&place, 0, "file"), text);
        assert_false(mvm_posix_read_small(AT_FDCWD, place.path[0], buf, len));
        assert_int_equal(mvm_posix_read_small(AT_FDCWD, place.path[0], buf, len + 1), len > 0);
        assert_string_equal(buf, text);
        text[len] = 't';
    }
    assert_false(mvm_posix_read_small(AT_FDCWD, in_place(&place, 0, "none"), text, 10));
}

static void a_number_ends_with_its_digits(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {{"", 0},
                 {"x", 0},
                 {"0", 0},
                 {"7", 7},
                 {"10", 10},
                 {"1234567890", 1234567890},
                 {"99x", 99},
                 {"5 6", 5},
                 {"12/34", 12},
                 {"12:34", 12},
                 {"18446744073709551615", UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(mvm_posix_number(mvm_text_from(cases[i].text)) == cases[i].number);
    }
}

static void words_are_cut_off_one_by_one(void **state)
{
    static const char *const words[] = {"a", "", "bc", "d"};
    struct mvm_text rest = mvm_text_from("a  bc d");
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_true(mvm_text_equal(mvm_posix_cut(&rest, ' '), words[i]));
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(mvm_posix_cut(&rest, ' ').len, 0);
    rest = mvm_text_from(" ");
    assert_int_equal(mvm_posix_cut(&rest, ' ').len, 0);
    assert_int_equal(rest.len, 0);
}

/* As the kernel escapes names in its lists of mounts. */
static void escapes_become_their_bytes(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"plain", "plain"},
                                           {"a\\040b", "a b"},
                                           {"\\134", "\\"},
                                           {"\\011\\012", "\t\n"},
                                           {"x\\377", "x\377"},
                                           {"cut\\04", "cut\\04"},
                                           {"\\043\\101z", "#Az"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[32];
        struct mvm_writer w;
        mvm_writer_init(&w, buf, sizeof buf);
        mvm_posix_add_unescaped(&w, mvm_text_from(cases[i][0]));
        mvm_writer_finish(&w);
        assert_string_equal(buf, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(lines_of_every_length_come_one_by_one),
        ALONE(a_small_file_is_read_whole_or_not_at_all),
        ALONE(a_number_ends_with_its_digits),
        ALONE(words_are_cut_off_one_by_one),
        ALONE(escapes_become_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
