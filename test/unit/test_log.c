/* A line of the log leaves at once or not at all: nothing that a target does stops who writes, and
 * what was lost is counted and told. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/log_line.h"
#include "base/log_target.h"

struct place {
    char directory[64];
    char path[128];
    char target[160];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->directory, sizeof p->directory, "/tmp/test_log.XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->path, sizeof p->path, "%s/log", p->directory);
    snprintf(p->target, sizeof p->target, "file:%s", p->path);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char moved[128];
    log_close();
    log_set_level(LOG_LEVEL_INFO);
    unlink(p->path);
    snprintf(moved, sizeof moved, "%s/moved", p->directory);
    unlink(moved);
    assert_int_equal(rmdir(p->directory), 0);
    free(p);
    return 0;
}

static void configure(const char *target, enum log_format format)
{
    char why[LOG_WHY_MAX] = "";
    const struct log_setup setup = {target, format, LOG_LEVEL_INFO};
    if (log_configure(&setup, why) != 0) {
        fail_msg("%s", why);
    }
}

static const char *content(const char *path)
{
    static char data[1 << 20];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(data, 1, sizeof data - 1, file);
    data[len] = '\0';
    fclose(file);
    return data;
}

/* The same, once all is written. */
static const char *written(const char *path)
{
    log_close();
    return content(path);
}

/* Targets ------------------------------------------------------------------------------------- */

static void targets_are_as_the_manual_says(void **state)
{
    (void)state;
    static const char *const good[] = {"stderr",           "file:/var/log/router.log",
                                       "syslog",           "syslog:10.0.0.1:514",
                                       "syslog:[::1]:514", "syslog:unix:/run/log"};
    static const char *const bad[] = {
        "",      "stdout",          "file:",   "syslog:",     "syslogx", "syslog:log:514",
        "udp:x", "syslog:10.0.0.1", "stderr:", "syslog::514", "/var/log"};
    struct log_target t;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(log_target_parse(&t, good[i]), 0);
        log_target_release(&t);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(log_target_parse(&t, bad[i]), -EINVAL);
        log_target_release(&t);
    }
}

static void a_file_is_appended_to_and_not_for_everybody(void **state)
{
    struct place *p = *state;
    struct stat about;
    configure(p->target, LOG_FORMAT_TEXT);
    log_info("one");
    log_close();
    configure(p->target, LOG_FORMAT_TEXT);
    log_info("two");
    log_debug("not wanted");
    const char *data = written(p->path);
    assert_non_null(strstr(data, "msg=one\n"));
    assert_non_null(strstr(data, "msg=two\n"));
    assert_null(strstr(data, "not wanted"));
    assert_int_equal(stat(p->path, &about), 0);
    assert_int_equal(about.st_mode & 007, 0);
}

/* It could not be opened a second time: who started us has made it for us. */
static void the_same_file_with_another_format_is_not_opened_again(void **state)
{
    struct place *p = *state;
    char moved[128];
    snprintf(moved, sizeof moved, "%s/moved", p->directory);
    configure(p->target, LOG_FORMAT_TEXT);
    assert_int_equal(rename(p->path, moved), 0);
    assert_int_equal(mkdir(p->path, 0700), 0);
    configure(p->target, LOG_FORMAT_JSON);
    log_info("one");
    assert_non_null(strstr(written(moved), "\"msg\":\"one\"}\n"));
    assert_int_equal(rmdir(p->path), 0);
}

static void a_file_that_was_moved_away_is_opened_again_by_its_name(void **state)
{
    struct place *p = *state;
    char moved[128];
    snprintf(moved, sizeof moved, "%s/moved", p->directory);
    configure(p->target, LOG_FORMAT_TEXT);
    log_info("one");
    assert_int_equal(rename(p->path, moved), 0);
    log_info("two");
    log_reopen();
    log_info("three");
    assert_non_null(strstr(written(moved), "msg=two\n"));
    assert_null(strstr(written(moved), "three"));
    assert_non_null(strstr(written(p->path), "msg=three\n"));
}

static void one_that_cannot_be_opened_again_is_told_in_the_old_one(void **state)
{
    struct place *p = *state;
    char moved[128];
    snprintf(moved, sizeof moved, "%s/moved", p->directory);
    configure(p->target, LOG_FORMAT_TEXT);
    assert_int_equal(rename(p->path, moved), 0);
    assert_int_equal(mkdir(p->path, 0700), 0);
    log_reopen();
    log_info("three");
    assert_non_null(strstr(written(moved), "cannot open the log file"));
    assert_non_null(strstr(written(moved), "msg=three\n"));
    assert_int_equal(rmdir(p->path), 0);
}

static void a_check_makes_nothing(void **state)
{
    struct place *p = *state;
    char why[LOG_WHY_MAX];
    assert_int_equal(log_check(p->target, why), 0);
    assert_int_equal(access(p->path, F_OK), -1);
    configure(p->target, LOG_FORMAT_TEXT);
    assert_int_equal(log_check(p->target, why), 0);
    assert_int_equal(log_check("stderr", why), 0);
    assert_int_equal(log_check("syslog:127.0.0.1:514", why), 0);
}

static void what_cannot_be_used_leaves_what_is(void **state)
{
    struct place *p = *state;
    char why[LOG_WHY_MAX];
    configure(p->target, LOG_FORMAT_JSON);
    static const char *const wrong[] = {"file:/nowhere/at/all", "syslog:unix:/nowhere/log", "x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct log_setup setup = {wrong[i], LOG_FORMAT_TEXT, LOG_LEVEL_ERROR};
        assert_true(log_configure(&setup, why) < 0);
        assert_non_null(strstr(why, wrong[i]));
        assert_true(log_check(wrong[i], why) < 0);
        assert_non_null(strstr(why, wrong[i]));
    }
    log_info("still here");
    assert_non_null(strstr(written(p->path), "\"msg\":\"still here\"}"));
}

/* What is not taken --------------------------------------------------------------------------- */

/* As a disk is full that has room for some bytes still: what may be written ends within a line. */
static struct rlimit fill_disk(const char *path, rlim_t room)
{
    struct rlimit old;
    struct stat about;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(stat(path, &about), 0);
    const struct rlimit tight = {(rlim_t)about.st_size + room, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    return old;
}

/* What stands behind its time is at the place where it is in each line. */
static void assert_begins_line(const char *data, const char *after_time)
{
    static const char time[] = "time=2026-11-21T09:00:00.000Z";
    assert_non_null(after_time);
    const char *line = after_time - strlen(time);
    assert_true(line > data && line[-1] == '\n');
    assert_memory_equal(line, time, 7);
}

static void wait_dropped(uint64_t count)
{
    for (unsigned i = 0; log_dropped() < count && i < 10000; i++) {
        usleep(1000);
    }
    assert_int_equal(log_dropped(), count);
}

/* The lines that were lost are told before the next, and half a line does not spoil it. */
static void a_full_disk_loses_lines_and_says_so_later(void **state)
{
    struct place *p = *state;
    uint64_t before = log_dropped();
    configure(p->target, LOG_FORMAT_TEXT);
    log_info("whole");
    log_close();
    configure(p->target, LOG_FORMAT_TEXT);
    struct rlimit old = fill_disk(p->path, 30);
    log_info("torn");
    log_info("not at all");
    log_info("nor this");
    wait_dropped(before + 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_info("whole again");
    const char *data = written(p->path);
    assert_null(strstr(data, "torn\n"));
    const char *lost = strstr(data, " level=warn msg=\"3 lines of the log were lost\"\ntime=");
    assert_begins_line(data, lost);
    assert_non_null(strstr(lost, "msg=\"whole again\"\n"));
    assert_int_equal(log_dropped(), before + 3);
}

static void a_disk_that_stays_full_loses_lines_and_nothing_else(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    configure("file:/dev/full", LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < 5; i++) {
        log_info("lost");
    }
    log_close();
    assert_int_equal(log_dropped(), before + 5);
}

/* Standard error may be a file, too. */
static void half_a_line_on_standard_error_does_not_spoil_the_next(void **state)
{
    struct place *p = *state;
    uint64_t before = log_dropped();
    int file = open(p->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    configure("stderr", LOG_FORMAT_TEXT);
    log_info("whole");
    struct rlimit old = fill_disk(p->path, 30);
    log_info("torn");
    log_info("not at all");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_info("whole again");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
    assert_int_equal(log_dropped(), before + 2);
    const char *data = written(p->path);
    const char *lost = strstr(data, " level=warn msg=\"2 lines of the log were lost\"\ntime=");
    assert_begins_line(data, lost);
    assert_non_null(strstr(lost, "msg=\"whole again\"\n"));
}

/* Fills what standard error is, of which the other end is read only then: whole lines, and the next
 * one that is taken tells how many were lost. */
static void fill_stderr(const int ends[2])
{
    static char data[1 << 20];
    uint64_t before = log_dropped();
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    configure("stderr", LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < 20000; i++) {
        log_info("a line of which there are many");
    }
    bool blocking = (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0;
    assert_true(blocking); /* whoever started us has it too */
    uint64_t lost = log_dropped() - before;
    assert_in_range(lost, 1000, 19999);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (ssize_t got; (got = read(ends[0], data, sizeof data)) > 0;) {
        assert_memory_equal(data, "time=", 5);
        assert_int_equal(data[got - 1], '\n');
    }
    log_info("and on");
    dup2(saved, STDERR_FILENO);
    close(saved);
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], data + len, sizeof data - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    data[len] = '\0';
    char words[64];
    snprintf(words, sizeof words, "\"%llu lines of the log were lost\"", (unsigned long long)lost);
    assert_non_null(strstr(data, words));
    assert_non_null(strstr(data, "msg=\"and on\"\n"));
    close(ends[0]);
    close(ends[1]);
}

static void a_full_pipe_loses_lines_and_stays_as_it_was(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fill_stderr(ends);
}

/* journald's. */
static void a_full_socket_loses_lines_and_stays_as_it_was(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fill_stderr(ends);
}

static int syslog_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void a_syslog_that_does_not_read_loses_lines(void **state)
{
    struct place *p = *state;
    char target[160];
    char data[LOG_LINE_MAX];
    uint64_t before = log_dropped();
    int fd = syslog_at(p->path);
    snprintf(target, sizeof target, "syslog:unix:%s", p->path);
    configure(target, LOG_FORMAT_HAPROXY);
    for (unsigned i = 0; i < 1000; i++) {
        log_warn("one of many");
    }
    uint64_t lost = log_dropped() - before;
    assert_in_range(lost, 1, 999);
    ssize_t got = recv(fd, data, sizeof data - 1, 0);
    assert_true(got > 0);
    data[got] = '\0';
    assert_memory_equal(data, "<132>", 5); /* local0, warning */
    char tag[64];
    snprintf(tag, sizeof tag, " haproxy[%d]: one of many", (int)getpid());
    assert_string_equal(data + got - strlen(tag), tag);
    while (recv(fd, data, sizeof data, MSG_DONTWAIT) > 0) {
    }
    close(fd);
    log_info("nobody is there");
    unlink(p->path);
    fd = syslog_at(p->path); /* it was started again */
    log_info("somebody is");
    got = recv(fd, data, sizeof data - 1, 0);
    data[got] = '\0';
    snprintf(tag, sizeof tag, "%llu lines of the log were lost", (unsigned long long)lost + 1);
    assert_non_null(strstr(data, tag));
    got = recv(fd, data, sizeof data - 1, 0);
    data[got] = '\0';
    assert_non_null(strstr(data, ": somebody is"));
    close(fd);
}

/* Many threads, and one that changes where their lines go. */
#define WRITERS 3
#define LINES   2000

static void *write_lines(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < LINES; i++) {
        log_info("a line of a thread");
    }
    return NULL;
}

static void threads_do_not_mix_their_lines_nor_lose_any_while_files_change(void **state)
{
    struct place *p = *state;
    char moved[128];
    char other[160];
    snprintf(moved, sizeof moved, "%s/moved", p->directory);
    snprintf(other, sizeof other, "file:%s", moved);
    pthread_t threads[WRITERS];
    uint64_t before = log_dropped();
    configure(p->target, LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        configure(i % 2 == 0 ? other : p->target, LOG_FORMAT_TEXT);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(log_dropped(), before);
    unsigned count = 0;
    const char *paths[] = {moved, p->path};
    for (unsigned i = 0; i < 2; i++) {
        const char *line = written(paths[i]);
        for (; *line != '\0'; line = strchr(line, '\n') + 1, count++) {
            assert_memory_equal(line, "time=", 5);
            assert_memory_equal(strchr(line, '\n') - 24, "msg=\"a line of a thread\"", 24);
        }
    }
    assert_int_equal(count, WRITERS * LINES);
}

/* Gates --------------------------------------------------------------------------------------- */

static void a_gate_counts_what_it_holds_back_and_tells_it(void **state)
{
    struct place *p = *state;
    struct log_gate gate = {0};
    uint64_t before = log_left_out();
    configure(p->target, LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < 2000; i++) {
        log_limited(&gate, 3, LOG_LEVEL_INFO, "again");
    }
    uint64_t held = log_left_out() - before;
    assert_in_range(held, 2000 - 3 * 20, 1997); /* however slow this machine is */
    unsigned waiting = gate.suppressed;
    gate.window_s = 1;
    log_limited(&gate, 3, LOG_LEVEL_INFO, "last");
    char words[64];
    snprintf(words, sizeof words, "msg=\"last (%u like this left out)\"\n", waiting);
    assert_true(waiting > 0);
    assert_non_null(strstr(written(p->path), words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_as_the_manual_says),
        cmocka_unit_test_setup_teardown(a_file_is_appended_to_and_not_for_everybody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_same_file_with_another_format_is_not_opened_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_moved_away_is_opened_again_by_its_name,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_opened_again_is_told_in_the_old_one,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_check_makes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_used_leaves_what_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_lines_and_says_so_later, set_up,
                                        tear_down),
        cmocka_unit_test(a_disk_that_stays_full_loses_lines_and_nothing_else),
        cmocka_unit_test_setup_teardown(half_a_line_on_standard_error_does_not_spoil_the_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_and_stays_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_socket_loses_lines_and_stays_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_syslog_that_does_not_read_loses_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            threads_do_not_mix_their_lines_nor_lose_any_while_files_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gate_counts_what_it_holds_back_and_tells_it, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
