#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>
#include <uv.h>

#include "base/macros.h"
#include "model/thread_table.h"

static void an_id_leads_to_its_connection_while_it_has_one(void **state)
{
    (void)state;
    struct thread_table *t = thread_table_new();
    struct thread_entry e = {0};
    uint32_t thread = 1;
    thread_table_add(t, &e);
    assert_false(thread_table_aim(t, e.id, 3, &thread));
    thread_entry_set(&e, 3, UINT32_MAX);
    assert_true(thread_table_aim(t, e.id, 3, &thread));
    assert_int_equal(thread, UINT32_MAX);
    thread_entry_clear(&e);
    assert_false(thread_table_aim(t, e.id, 3, &thread));
    thread_entry_set(&e, 3, 5);
    thread_table_remove(t, &e);
    assert_false(thread_table_aim(t, e.id, 3, &thread));
    thread_table_remove(t, &e);
    thread_table_free(t);
}

static void another_server_and_another_id_have_none(void **state)
{
    (void)state;
    struct thread_table *t = thread_table_new();
    struct thread_entry e = {0};
    uint32_t thread;
    thread_table_add(t, &e);
    thread_entry_set(&e, 0, 5);
    assert_false(thread_table_aim(t, e.id, 1, &thread));
    assert_false(thread_table_aim(t, e.id + 1, 0, &thread));
    assert_false(thread_table_aim(t, e.id + 512, 0, &thread));
    assert_false(thread_table_aim(t, 5, 0, &thread));
    assert_false(thread_entry_clear(&e)); /* none of them has aimed at it */
    thread_entry_set(&e, 0, 0);           /* a server that has not said */
    assert_false(thread_table_aim(t, e.id, 0, &thread));
    thread_table_remove(t, &e);
    thread_table_free(t);
}

static void who_is_aimed_at_keeps_its_connection(void **state)
{
    (void)state;
    struct thread_table *t = thread_table_new();
    struct thread_entry e = {0};
    uint32_t thread;
    thread_table_add(t, &e);
    thread_entry_set(&e, 2, 9);
    assert_true(thread_entry_leave(&e));
    thread_entry_set(&e, 2, 9);
    assert_true(thread_table_aim(t, e.id, 2, &thread));
    assert_false(thread_entry_leave(&e));
    assert_true(thread_table_aim(t, e.id, 2, &thread));
    assert_int_equal(thread, 9);
    assert_true(thread_entry_clear(&e));
    assert_false(thread_entry_clear(&e));
    thread_table_remove(t, &e);
    thread_table_free(t);
}

static void ids_are_far_apart_and_no_two_are_the_same(void **state)
{
    (void)state;
    static struct thread_entry entries[4000];
    struct thread_table *tables[] = {thread_table_new(), thread_table_new()};
    uint32_t thread;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        thread_table_add(tables[0], &entries[i]);
        assert_true(entries[i].id >= 0x80000000U);
        thread_entry_set(&entries[i], 0, (uint32_t)i + 1);
    }
    unsigned elsewhere = 0; /* who has such an id in another process */
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        struct thread_entry other = {0};
        assert_true(thread_table_aim(tables[0], entries[i].id, 0, &thread));
        assert_int_equal(thread, i + 1);
        thread_table_add(tables[1], &other);
        elsewhere += thread_table_aim(tables[0], other.id, 0, &thread);
        thread_table_remove(tables[1], &other);
    }
    assert_true(elsewhere < 4);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        thread_table_remove(tables[0], &entries[i]);
    }
    thread_table_free(tables[0]);
    thread_table_free(tables[1]);
}

#define ROUNDS 200000

struct race {
    struct thread_table *table;
    struct thread_entry *entry;
    atomic_bool begun;
    atomic_bool over;
    bool hit[ROUNDS + 1];  /* the aiming thread's: connections that it was told of */
    bool left[ROUNDS + 1]; /* the session's: those that it gave away */
};

static void aim(void *arg)
{
    struct race *r = arg;
    atomic_store(&r->begun, true);
    while (!atomic_load(&r->over)) {
        uint32_t thread;
        if (thread_table_aim(r->table, r->entry->id, 0, &thread)) {
            r->hit[thread] = true;
        }
    }
}

static void what_is_aimed_at_is_not_given_away(void **state)
{
    (void)state;
    static struct race r;
    struct thread_entry e = {0};
    uv_thread_t thread;
    r.table = thread_table_new();
    r.entry = &e;
    thread_table_add(r.table, &e);
    assert_int_equal(uv_thread_create(&thread, aim, &r), 0);
    while (!atomic_load(&r.begun)) {
    }
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        thread_entry_set(&e, 0, i);
        r.left[i] = thread_entry_leave(&e);
        if (!r.left[i]) {
            assert_true(thread_entry_clear(&e));
        }
    }
    atomic_store(&r.over, true);
    uv_thread_join(&thread);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        assert_false(r.hit[i] && r.left[i]);
    }
    thread_table_remove(r.table, &e);
    thread_table_free(r.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_leads_to_its_connection_while_it_has_one),
        cmocka_unit_test(another_server_and_another_id_have_none),
        cmocka_unit_test(who_is_aimed_at_keeps_its_connection),
        cmocka_unit_test(ids_are_far_apart_and_no_two_are_the_same),
        cmocka_unit_test(what_is_aimed_at_is_not_given_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
