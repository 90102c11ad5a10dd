/* The log: one line per event, and never a wait. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "tests/unit/support.h"

static int reader;          /* what stands on standard error is read here */
static char seen[1 << 20];

static int64_t mono(void) { return 0; }
static int64_t wall_ms;
static int64_t wall(void) { return wall_ms; }
static const struct clock fixed = { mono, wall };

static void become_stderr(int ends[2])
{
    reader = ends[0];
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    close(ends[1]);
    fcntl(reader, F_SETFL, O_NONBLOCK);
    log_init("test", LOG_LEVEL_INFO);
}

static void setup(void)
{
    int ends[2];

    signal(SIGPIPE, SIG_IGN);
    wall_ms = 1772357400007;
    clock_use(&fixed);
    ck_assert_int_eq(pipe(ends), 0);
    become_stderr(ends);
}

/* All that has been logged since the last look. */
static const char *look(void)
{
    size_t n = 0;
    ssize_t got;

    while ((got = read(reader, seen + n, sizeof(seen) - 1 - n)) > 0)
        n += (size_t)got;
    seen[n] = '\0';
    return seen;
}

static const char *after_pid(const char *line)
{
    const char *at = strstr(line, " pid=");

    ck_assert_ptr_nonnull(at);
    return strchr(at + 1, ' ');
}

START_TEST(a_line_says_when_how_grave_which_program_who_and_what)
{
    struct log l;
    char expected[200];

    log_prefix(&l, "req=%s", "8f3a");
    log_info(&l, "chat status=%d", 200);
    snprintf(expected, sizeof(expected),
             "time=2026-03-01T09:30:00.007Z level=info prog=test pid=%d req=8f3a chat status=200\n",
             (int)getpid());
    ck_assert_str_eq(look(), expected);
}
END_TEST

START_TEST(each_line_has_its_own_time)
{
    static const struct { int64_t ms; const char *time; } times[] = {
        { 1772357400007, "time=2026-03-01T09:30:00.007Z" },
        { 1772357400998, "time=2026-03-01T09:30:00.998Z" },
        { 1772357401000, "time=2026-03-01T09:30:01.000Z" },
        { 1772357400120, "time=2026-03-01T09:30:00.120Z" },     /* it was set back */
    };

    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        wall_ms = times[i].ms;
        log_info(NULL, "x");
        ck_assert_msg(strncmp(look(), times[i].time, strlen(times[i].time)) == 0, "%s", seen);
    }
}
END_TEST

START_TEST(without_a_prefix_the_event_follows_the_head)
{
    log_warn(NULL, "start");
    ck_assert_str_eq(after_pid(look()), " start\n");
    log_error(&(struct log){ "" }, "start");
    ck_assert_str_eq(after_pid(look()), " start\n");
}
END_TEST

START_TEST(lines_below_the_level_are_not_written)
{
    log_debug(NULL, "x");
    log_line(LOG_LEVEL_DEBUG, NULL, "x");
    ck_assert_str_eq(look(), "");
    log_init("test", LOG_LEVEL_ERROR);
    log_warn(NULL, "x");
    ck_assert_str_eq(look(), "");
    log_init("test", LOG_LEVEL_DEBUG);
    log_debug(NULL, "x");
    ck_assert_str_ne(look(), "");
}
END_TEST

START_TEST(one_event_is_one_line_whatever_is_in_it)
{
    struct log l;

    log_prefix(&l, "id=a\nb");
    log_info(&l, "x\ny\tz\r\x1B[31m\x7F caf\xC3\xA9 \xFF \xC2\x9B \xE2\x82");
    ck_assert_str_eq(after_pid(look()), " id=a\\nb x\\ny\\tz\\x0d\\x1b[31m\\x7f caf\xC3\xA9 \\xff "
                                        "\\xc2\\x9b \\xe2\\x82\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_still_a_line)
{
    static char text[10000];
    size_t len;

    for (int i = 0; i + 4 < (int)sizeof(text); i += 4)
        memcpy(text + i, "\xF0\x9F\x90\xA6", 4);
    log_info(NULL, "%s", text);
    look();
    len = strlen(seen);
    ck_assert_uint_gt(len, 1900);
    ck_assert_uint_le(len, 2048);
    ck_assert_int_eq(seen[len - 1], '\n');
    ck_assert_ptr_eq(strchr(seen, '\n'), seen + len - 1);
}
END_TEST

static void fill_and_find_the_loss(void)
{
    const char *lost;
    unsigned long count = 0;
    int lines = 0;

    for (int i = 0; i < 20000; i++)
        log_info(NULL, "line %d, long enough to fill what holds it before the loop ends ......", i);
    for (const char *p = look(); *p; p++)
        lines += *p == '\n';
    ck_assert_int_gt(lines, 0);
    ck_assert_int_lt(lines, 20000);
    log_info(NULL, "there is room again");
    lost = strstr(look(), "lost_lines=");
    ck_assert_ptr_nonnull(lost);
    ck_assert_int_eq(sscanf(lost, "lost_lines=%lu", &count), 1);
    ck_assert_uint_eq(count, 20000 - (unsigned long)lines);
    ck_assert_ptr_nonnull(strstr(lost, "there is room again"));
    log_info(NULL, "once more");
    ck_assert_ptr_null(strstr(look(), "lost_lines"));
}

START_TEST(a_full_pipe_does_not_block_and_what_is_lost_is_counted)
{
    fill_and_find_the_loss();
}
END_TEST

START_TEST(a_full_socket_does_not_block_and_what_is_lost_is_counted)
{
    int ends[2];

    close(reader);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    become_stderr(ends);
    fill_and_find_the_loss();
}
END_TEST

START_TEST(the_pipe_itself_stays_as_the_others_who_share_it_know_it)
{
    ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_pipe_that_nobody_reads_harms_nobody)
{
    close(reader);
    log_info(NULL, "x");
    errno = 42;
    log_info(NULL, "x");
    ck_assert_int_eq(errno, 42);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_line_says_when_how_grave_which_program_who_and_what);
    tcase_add_test(tc, each_line_has_its_own_time);
    tcase_add_test(tc, without_a_prefix_the_event_follows_the_head);
    tcase_add_test(tc, lines_below_the_level_are_not_written);
    tcase_add_test(tc, one_event_is_one_line_whatever_is_in_it);
    tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_still_a_line);
    tcase_add_test(tc, a_full_pipe_does_not_block_and_what_is_lost_is_counted);
    tcase_add_test(tc, a_full_socket_does_not_block_and_what_is_lost_is_counted);
    tcase_add_test(tc, the_pipe_itself_stays_as_the_others_who_share_it_know_it);
    tcase_add_test(tc, a_pipe_that_nobody_reads_harms_nobody);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
