/* The loop's parts: messages arrive once and in order, deadlines fire in time and not after they
 * were disarmed, a connection keeps what the kernel does not take, and everything closes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "net/conn.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/loop.h"

#define POSTERS  3
#define POSTS    20000
#define BIG      (8 * 1024 * 1024)
#define PATIENCE 10000000000ULL /* ns until a test gives up */

/* Turns the loop until *done. */
static void turn_until(struct loop *l, const bool *done)
{
    uint64_t end = uv_hrtime() + PATIENCE;
    while (!*done) {
        assert_true(uv_hrtime() < end);
        uv_run(&l->uv, UV_RUN_NOWAIT);
    }
}

static struct loop *loop_new(void *receiver)
{
    struct loop *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(loop_init(l, receiver), 0);
    return l;
}

static void loop_end(struct loop *l)
{
    loop_stop(l);
    loop_run(l);
    assert_int_equal(loop_release(l), 0);
    free(l);
}

/* Mailbox ----------------------------------------------------------------------------------- */

struct inbox {
    unsigned next[POSTERS]; /* the number expected from each poster */
    unsigned total;
    bool all;
};

struct note {
    struct message message;
    unsigned poster;
    unsigned number;
};

struct poster {
    uv_thread_t thread;
    struct mailbox *to;
    unsigned index;
};

static void on_note(struct message *m, void *receiver)
{
    struct inbox *inbox = receiver;
    struct note *note = container_of(m, struct note, message);
    assert_int_equal(note->number, inbox->next[note->poster]);
    inbox->next[note->poster]++;
    inbox->all = ++inbox->total == POSTERS * POSTS;
    free(note);
}

static void post_many(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct note *note = calloc(1, sizeof *note);
        *note = (struct note){{.run = on_note}, p->index, i};
        mailbox_post(p->to, &note->message);
    }
}

static void test_messages_arrive_once_and_in_the_order_of_each_poster(void **state)
{
    (void)state;
    struct inbox inbox = {0};
    struct loop *l = loop_new(&inbox);
    struct poster posters[POSTERS];
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.to = &l->mailbox, .index = i};
        assert_int_equal(uv_thread_create(&posters[i].thread, post_many, &posters[i]), 0);
    }
    turn_until(l, &inbox.all);
    for (unsigned i = 0; i < POSTERS; i++) {
        uv_thread_join(&posters[i].thread);
    }
    loop_end(l);
}

/* Deadlines --------------------------------------------------------------------------------- */

struct alarm {
    struct deadline deadline;
    uint64_t fired_ms;
    bool fired;
};

static struct loop *alarm_loop;

static void on_alarm(struct deadline *d)
{
    struct alarm *a = container_of(d, struct alarm, deadline);
    assert_false(a->fired);
    a->fired = true;
    a->fired_ms = loop_now_ms(alarm_loop);
}

static void test_deadlines_fire_in_time_and_only_while_armed(void **state)
{
    (void)state;
    struct loop *l = alarm_loop = loop_new(NULL);
    struct deadline_list soon;
    struct deadline_list later;
    struct deadline_list never;
    deadline_list_init(&soon, l, 100, on_alarm);
    deadline_list_init(&later, l, 300, on_alarm);
    deadline_list_init(&never, l, 0, on_alarm);
    struct alarm a[5] = {0};
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        deadline_init(&a[i].deadline);
    }
    uint64_t began = loop_now_ms(l);
    deadline_arm(&soon, &a[0].deadline);
    deadline_arm(&soon, &a[1].deadline);
    deadline_arm(&later, &a[2].deadline);
    deadline_arm(&later, &a[3].deadline);
    deadline_arm(&never, &a[4].deadline);
    assert_false(deadline_is_armed(&a[4].deadline));
    deadline_disarm(&soon, &a[1].deadline);
    turn_until(l, &a[0].fired);
    assert_true(a[0].fired_ms - began >= 100);
    deadline_arm(&later, &a[2].deadline); /* once more: begins anew, behind the other */
    uint64_t again = loop_now_ms(l);
    turn_until(l, &a[2].fired);
    assert_true(a[2].fired_ms - again >= 300);
    assert_true(a[3].fired && a[3].fired_ms <= a[2].fired_ms);
    assert_false(a[1].fired);
    assert_int_equal(l->armed, 0);
    assert_false(uv_is_active((uv_handle_t *)&l->tick));
    loop_end(l);
}

/* Connections ------------------------------------------------------------------------------- */

struct end {
    struct conn conn;
    char *got;
    size_t len;
    bool eof;
    bool drained;
    bool closed;
    int error;
};

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct end *e = container_of(c, struct end, conn);
    memcpy(e->got + e->len, data, len);
    e->len += len;
}

static void on_eof(struct conn *c)
{
    container_of(c, struct end, conn)->eof = true;
}

static void on_drained(struct conn *c)
{
    container_of(c, struct end, conn)->drained = true;
}

static void on_error(struct conn *c, int status)
{
    struct end *e = container_of(c, struct end, conn);
    e->error = status;
    conn_close(c);
}

static void on_closed(struct conn *c)
{
    container_of(c, struct end, conn)->closed = true;
}

static const struct conn_ops ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

/* Two connected TCP sockets, by the listener that is also tested so. */
static void tcp_pair(int pair[2])
{
    struct address at = {.len = sizeof at.sa.v4};
    at.sa.v4.sin_family = AF_INET;
    at.sa.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listening;
    struct conn_tcp tcp = {30000, 30000};
    assert_int_equal(listener_bind(&at, &tcp, &listening, 1), 0);
    assert_int_equal(getsockname(listening, &at.sa.any, &at.len), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair[0], &at.sa.any, at.len), 0);
    pair[1] = accept(listening, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listening);
}

static void open_pair(struct loop *l, struct end ends[2])
{
    int fds[2];
    tcp_pair(fds);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){.got = malloc(BIG)};
        assert_int_equal(conn_open(&ends[i].conn, l, &ops, fds[i]), 0);
    }
}

static void close_pair(struct loop *l, struct end ends[2])
{
    for (int i = 0; i < 2; i++) {
        conn_close(&ends[i].conn);
        conn_close(&ends[i].conn); /* idempotent */
        turn_until(l, &ends[i].closed);
        free(ends[i].got);
    }
    loop_end(l);
}

static void test_what_the_kernel_does_not_take_is_kept_and_sent_before_the_fin(void **state)
{
    (void)state;
    struct loop *l = loop_new(NULL);
    struct end ends[2];
    open_pair(l, ends);
    char *big = malloc(BIG);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)(i * 2654435761U >> 13);
    }
    assert_int_equal(conn_write(&ends[0].conn, big, BIG - 5), 0);
    assert_true(conn_queued(&ends[0].conn) > 0);
    assert_int_equal(conn_write(&ends[0].conn, big + BIG - 5, 5), 0); /* behind the rest */
    conn_finish(&ends[0].conn);
    assert_int_equal(conn_write(&ends[0].conn, "x", 1), UV_EPIPE);
    assert_false(ends[0].drained);
    conn_start(&ends[1].conn);
    turn_until(l, &ends[1].eof);
    assert_true(ends[0].drained);
    assert_int_equal(ends[1].len, BIG);
    assert_memory_equal(ends[1].got, big, BIG);
    free(big);
    close_pair(l, ends);
}

static void test_a_pause_lasts_until_its_last_reason_is_gone(void **state)
{
    (void)state;
    struct loop *l = loop_new(NULL);
    struct end ends[2];
    open_pair(l, ends);
    conn_start(&ends[1].conn);
    conn_pause(&ends[1].conn, PAUSE_PEER_FULL);
    conn_pause(&ends[1].conn, PAUSE_HOLD);
    assert_int_equal(conn_write(&ends[0].conn, "hello", 5), 0);
    conn_finish(&ends[0].conn);
    assert_true(conn_peer_left(&ends[1].conn));
    conn_resume(&ends[1].conn, PAUSE_PEER_FULL);
    for (int i = 0; i < 20; i++) {
        uv_run(&l->uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(ends[1].len, 0);
    conn_resume(&ends[1].conn, PAUSE_HOLD);
    turn_until(l, &ends[1].eof);
    assert_int_equal(ends[1].len, 5);
    close_pair(l, ends);
}

static void test_a_reset_is_seen_as_one(void **state)
{
    (void)state;
    struct loop *l = loop_new(NULL);
    struct end ends[2];
    open_pair(l, ends);
    conn_start(&ends[1].conn);
    assert_int_equal(conn_write(&ends[0].conn, "hello", 5), 0);
    conn_reset(&ends[0].conn);
    assert_false(ends[0].conn.open);
    turn_until(l, &ends[1].closed);
    assert_int_equal(ends[1].error, UV_ECONNRESET);
    assert_false(ends[1].eof);
    close_pair(l, ends);
}

static void test_nothing_but_the_end_is_told_after_a_reset_with_bytes_queued(void **state)
{
    (void)state;
    struct loop *l = loop_new(NULL);
    struct end ends[2];
    open_pair(l, ends);
    char *big = calloc(1, BIG);
    assert_int_equal(conn_write(&ends[0].conn, big, BIG), 0);
    free(big);
    conn_finish(&ends[0].conn);
    conn_reset(&ends[0].conn);
    assert_int_equal(conn_queued(&ends[0].conn), 0);
    turn_until(l, &ends[0].closed);
    assert_false(ends[0].drained);
    assert_int_equal(ends[0].error, 0);
    close_pair(l, ends);
}

static void test_a_second_program_on_an_address_is_refused(void **state)
{
    (void)state;
    struct address at = {.len = sizeof at.sa.v4};
    at.sa.v4.sin_family = AF_INET;
    at.sa.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct conn_tcp tcp = {30000, 30000};
    int first[3];
    int second[3];
    assert_int_equal(listener_bind(&at, &tcp, first, 1), 0);
    assert_int_equal(getsockname(first[0], &at.sa.any, &at.len), 0);
    close(first[0]);
    assert_int_equal(listener_bind(&at, &tcp, first, 3), 0);
    assert_int_equal(listener_bind(&at, &tcp, second, 3), UV_EADDRINUSE);
    for (int i = 0; i < 3; i++) {
        close(first[i]);
    }
    assert_int_equal(listener_bind(&at, &tcp, second, 3), 0);
    for (int i = 0; i < 3; i++) {
        close(second[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_arrive_once_and_in_the_order_of_each_poster),
        cmocka_unit_test(test_deadlines_fire_in_time_and_only_while_armed),
        cmocka_unit_test(test_what_the_kernel_does_not_take_is_kept_and_sent_before_the_fin),
        cmocka_unit_test(test_a_pause_lasts_until_its_last_reason_is_gone),
        cmocka_unit_test(test_a_reset_is_seen_as_one),
        cmocka_unit_test(test_nothing_but_the_end_is_told_after_a_reset_with_bytes_queued),
        cmocka_unit_test(test_a_second_program_on_an_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
