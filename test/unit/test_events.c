#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "ctl/events.h"

static int setup(void **state)
{
    log_set_level(LOG_LEVEL_ERROR);
    *state = calloc(1, sizeof(struct events));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void nothing_has_happened_at_first(void **state)
{
    assert_null(events_newest(*state, 0));
    assert_null(events_newest(*state, SIZE_MAX));
}

static void an_event_carries_its_number_time_and_words(void **state)
{
    struct events *e = *state;
    uint64_t before = (uint64_t)time(NULL) * 1000;
    events_add(e, "redis", "primary", "%s is the primary, %d follow", "redis-0", 2);
    events_add(e, "", "router", "started");
    const struct event *newest = events_newest(e, 0);
    const struct event *oldest = events_newest(e, 1);
    assert_int_equal(newest->number, 2);
    assert_string_equal(newest->backend, "");
    assert_string_equal(newest->kind, "router");
    assert_string_equal(newest->text, "started");
    assert_int_equal(oldest->number, 1);
    assert_string_equal(oldest->backend, "redis");
    assert_string_equal(oldest->text, "redis-0 is the primary, 2 follow");
    assert_true(oldest->at_unix_ms >= before && oldest->at_unix_ms < before + 60000);
    assert_null(events_newest(e, 2));
}

static void the_newest_are_kept_and_the_oldest_go(void **state)
{
    struct events *e = *state;
    size_t total = EVENTS_KEPT * 2 + 7;
    for (size_t i = 1; i <= total; i++) {
        events_add(e, "b", "server", "%zu", i);
    }
    for (size_t i = 0; i < EVENTS_KEPT; i++) {
        const struct event *event = events_newest(e, i);
        assert_non_null(event);
        assert_int_equal(event->number, total - i);
        assert_int_equal(strtoul(event->text, NULL, 10), total - i);
    }
    assert_null(events_newest(e, EVENTS_KEPT));
    assert_int_equal(e->count, total);
}

static void words_that_are_too_long_are_cut(void **state)
{
    struct events *e = *state;
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    events_add(e, longer, longer, "%s", longer);
    const struct event *event = events_newest(e, 0);
    assert_int_equal(strlen(event->text), EVENT_TEXT_MAX - 1);
    assert_int_equal(strlen(event->backend), sizeof(event->backend) - 1);
    assert_int_equal(strlen(event->kind), sizeof(event->kind) - 1);
    assert_int_equal(event->number, 1);
}

/* Runs `add` with standard error in a file and returns what was logged. */
static size_t logged(struct events *e, char *out, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    events_add(e, "redis", "fence", "redis-1 was fenced");
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    fclose(file);
    return len;
}

static void every_event_is_a_line_of_the_log(void **state)
{
    char line[512];
    log_set_level(LOG_LEVEL_INFO);
    size_t len = logged(*state, line, sizeof(line));
    log_set_level(LOG_LEVEL_ERROR);
    assert_non_null(strstr(line, " level=info "));
    assert_non_null(strstr(line, "redis"));
    assert_non_null(strstr(line, "redis-1 was fenced\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_has_happened_at_first, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_carries_its_number_time_and_words, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_newest_are_kept_and_the_oldest_go, setup, teardown),
        cmocka_unit_test_setup_teardown(words_that_are_too_long_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(every_event_is_a_line_of_the_log, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
