#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/macros.h"
#include "model/cancel_table.h"

static void a_name_leads_to_its_server_until_it_is_removed(void **state)
{
    (void)state;
    struct cancel_table *t = cancel_table_new(8);
    size_t server = 99;
    assert_false(cancel_table_find(t, 0, "key", 3, &server));
    struct cancel_entry *e = cancel_table_add(t, 0, 2, "key", 3);
    assert_non_null(e);
    assert_true(cancel_table_find(t, 0, "key", 3, &server));
    assert_int_equal(server, 2);
    cancel_table_remove(t, e);
    server = 99;
    assert_false(cancel_table_find(t, 0, "key", 3, &server));
    assert_int_equal(server, 99);
    cancel_table_free(t);
}

static void only_the_whole_name_in_the_same_backend_counts(void **state)
{
    (void)state;
    struct cancel_table *t = cancel_table_new(8);
    size_t server;
    struct cancel_entry *e = cancel_table_add(t, 1, 0, "secret", 6);
    assert_false(cancel_table_find(t, 0, "secret", 6, &server));
    assert_false(cancel_table_find(t, 1, "secre", 5, &server));
    assert_false(cancel_table_find(t, 1, "secrets", 7, &server));
    assert_false(cancel_table_find(t, 1, "secreT", 6, &server));
    assert_true(cancel_table_find(t, 1, "secret", 6, &server));
    cancel_table_remove(t, e);
    cancel_table_free(t);
}

static void a_full_table_takes_no_more(void **state)
{
    (void)state;
    struct cancel_table *t = cancel_table_new(3);
    struct cancel_entry *kept[3];
    for (size_t i = 0; i < 3; i++) {
        kept[i] = cancel_table_add(t, 0, i, &i, sizeof i);
        assert_non_null(kept[i]);
    }
    assert_null(cancel_table_add(t, 0, 0, "more", 4));
    cancel_table_remove(t, kept[1]);
    kept[1] = cancel_table_add(t, 0, 7, "more", 4);
    assert_non_null(kept[1]);
    for (size_t i = 0; i < 3; i++) {
        cancel_table_remove(t, kept[i]);
    }
    cancel_table_free(t);
}

static void two_sessions_may_have_one_name(void **state)
{
    (void)state;
    struct cancel_table *t = cancel_table_new(8);
    size_t server;
    struct cancel_entry *one = cancel_table_add(t, 0, 1, "key", 3);
    struct cancel_entry *two = cancel_table_add(t, 0, 2, "key", 3);
    cancel_table_remove(t, two);
    assert_true(cancel_table_find(t, 0, "key", 3, &server));
    assert_int_equal(server, 1);
    cancel_table_remove(t, one);
    assert_false(cancel_table_find(t, 0, "key", 3, &server));
    cancel_table_free(t);
}

#define THREADS 4
#define ROUNDS  5000

struct user {
    uv_thread_t thread;
    struct cancel_table *table;
    size_t number;
    size_t wrong;
};

/* Each adds, finds and removes names that begin with its number. */
static void use(void *arg)
{
    struct user *u = arg;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t key[2] = {u->number, round % 3};
        size_t server = 99;
        struct cancel_entry *e = cancel_table_add(u->table, 0, u->number, key, sizeof key);
        bool found = cancel_table_find(u->table, 0, key, sizeof key, &server);
        u->wrong += e == NULL || !found || server != u->number;
        cancel_table_remove(u->table, e);
        u->wrong += cancel_table_find(u->table, 0, key, sizeof key, &server);
    }
}

static void all_threads_may_use_it_at_once(void **state)
{
    (void)state;
    struct cancel_table *t = cancel_table_new(THREADS);
    struct user users[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        users[i] = (struct user){.table = t, .number = i};
        assert_int_equal(uv_thread_create(&users[i].thread, use, &users[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        uv_thread_join(&users[i].thread);
        assert_int_equal(users[i].wrong, 0);
    }
    cancel_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_its_server_until_it_is_removed),
        cmocka_unit_test(only_the_whole_name_in_the_same_backend_counts),
        cmocka_unit_test(a_full_table_takes_no_more),
        cmocka_unit_test(two_sessions_may_have_one_name),
        cmocka_unit_test(all_threads_may_use_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
