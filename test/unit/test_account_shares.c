#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/account_shares.h"

#define WORKERS 3

static void an_account_is_one_for_all_who_name_it(void **state)
{
    (void)state;
    struct account_shares *t = account_shares_new(WORKERS);
    struct account_share *a = account_share_get(t, 1, 7, "app", 3);
    struct account_share *others[] = {
        account_share_get(t, 2, 7, "app", 3),
        account_share_get(t, 1, 8, "app", 3),
        account_share_get(t, 1, 7, "apple", 5),
        account_share_get(t, 1, 7, "", 0),
    };
    assert_ptr_equal(account_share_get(t, 1, 7, "app", 3), a);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_ptr_not_equal(others[i], a);
        account_share_unref(others[i]);
    }
    account_share_ref(a);
    account_share_unref(a);
    account_share_unref(a);
    assert_string_equal(a->user, "app"); /* somebody knows it still */
    account_share_unref(a);
    account_shares_free(t);
}

static void who_waits_longest_of_the_others_is_first(void **state)
{
    (void)state;
    struct account_shares *t = account_shares_new(WORKERS);
    struct account_share *a = account_share_get(t, 0, 0, "app", 3);
    unsigned worker;
    uint64_t since_ms;
    assert_false(account_share_first(a, 0, &worker, &since_ms));
    atomic_store(&a->at[0].since_ms, 5);
    assert_false(account_share_first(a, 0, &worker, &since_ms));
    atomic_store(&a->at[1].since_ms, 9);
    atomic_store(&a->at[2].since_ms, 8);
    assert_true(account_share_first(a, 0, &worker, &since_ms));
    assert_int_equal(worker, 2);
    assert_int_equal(since_ms, 8);
    assert_true(account_share_first(a, 2, &worker, &since_ms));
    assert_int_equal(worker, 0);
    account_share_unref(a);
    account_shares_free(t);
}

static void one_worker_keeps_a_free_one_for_all(void **state)
{
    (void)state;
    struct account_shares *t = account_shares_new(WORKERS);
    struct account_share *a = account_share_get(t, 0, 0, "app", 3);
    account_share_keep(a, 0); /* it has none */
    assert_false(account_share_keeps(a, 0));
    atomic_store(&a->at[1].free, 1);
    atomic_store(&a->at[2].free, 2);
    account_share_keep(a, 1);
    account_share_keep(a, 2);
    assert_true(account_share_keeps(a, 1));
    assert_true(account_share_is_kept(a, 2));
    assert_false(account_share_is_kept(a, 1));
    atomic_store(&a->at[1].free, 0); /* it is not told yet */
    assert_false(account_share_is_kept(a, 2));
    account_share_keep(a, 1);
    account_share_keep(a, 2);
    assert_true(account_share_is_kept(a, 1));
    account_share_leave(a, 2);
    assert_false(account_share_is_kept(a, 1));
    account_share_unref(a);
    account_shares_free(t);
}

static void who_is_poor_is_so_to_the_others(void **state)
{
    (void)state;
    struct account_shares *t = account_shares_new(WORKERS);
    struct account_share *a = account_share_get(t, 0, 0, "app", 3);
    atomic_store(&a->at[1].poor, true);
    assert_true(account_share_is_poor(a, 0));
    assert_false(account_share_is_poor(a, 1));
    account_share_leave(a, 1);
    assert_false(account_share_is_poor(a, 0));
    account_share_unref(a);
    account_shares_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_one_for_all_who_name_it),
        cmocka_unit_test(who_waits_longest_of_the_others_is_first),
        cmocka_unit_test(one_worker_keeps_a_free_one_for_all),
        cmocka_unit_test(who_is_poor_is_so_to_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
