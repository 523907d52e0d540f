#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/lineage.h"

static struct lineage history(const char *id, int64_t offset, const char *parent, int64_t end)
{
    struct lineage l = {.previous_end = end, .offset = offset};
    snprintf(l.id, sizeof(l.id), "%s", id);
    snprintf(l.previous_id, sizeof(l.previous_id), "%s", parent);
    return l;
}

static void learn(struct lineage_book *book, const char *id, const char *parent, int64_t end,
                  uint64_t seen)
{
    struct lineage l = history(id, end, parent, end);
    lineage_learn(book, &l, seen);
}

static void test_a_way_is_as_wide_as_its_narrowest_part(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    struct lineage_path path;
    learn(&book, "b", "a", 100, 1);
    learn(&book, "c", "b", 90, 2);
    learn(&book, "d", "c", 120, 3);
    assert_true(lineage_trace(&book, "d", "a", &path));
    assert_int_equal(path.end, 90);
    assert_true(lineage_trace(&book, "d", "c", &path));
    assert_int_equal(path.end, 120);
    assert_false(lineage_trace(&book, "a", "d", NULL));
    assert_false(lineage_trace(&book, "a", "a", NULL));
    assert_false(lineage_trace(&book, "x", "a", NULL));
}

static void test_what_is_branched_off_a_loser_has_lost(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    struct lineage_path path;
    learn(&book, "b", "a", 100, 1);
    learn(&book, "c", "b", 110, 2);
    lineage_lose(&book, "b");
    lineage_lose(&book, "unknown");
    learn(&book, "b", "a", 100, 3); /* it still claims: that does not rehabilitate it */
    assert_true(lineage_trace(&book, "c", "a", &path));
    assert_true(path.lost);
    assert_true(lineage_trace(&book, "c", "b", &path));
    assert_false(path.lost);
}

static void test_nonsense_is_not_learnt_and_circles_end(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    learn(&book, "b", "", 100, 1);
    learn(&book, "b", "b", 100, 1);
    learn(&book, "b", "a", -1, 1);
    learn(&book, "b", "a", 0, 1);
    assert_int_equal(book.count, 0);
    learn(&book, "a", "b", 10, 1);
    learn(&book, "b", "c", 10, 1);
    learn(&book, "c", "a", 10, 1);
    assert_false(lineage_trace(&book, "a", "x", NULL));
    struct lineage a = history("a", 5, "b", 10);
    struct lineage x = history("x", 5, "y", 10);
    assert_false(lineage_supersedes(&book, &a, &x));
}

static void test_the_book_is_bounded_and_forgets_what_nobody_shows_any_more(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    struct lineage_path path;
    learn(&book, "old", "a", 10, 1);
    learn(&book, "shown", "a", 10, 2);
    lineage_lose(&book, "shown");
    for (uint64_t i = 0; i < 10 * LINEAGE_EDGES; i++) {
        char id[REPLID_MAX];
        snprintf(id, sizeof(id), "n%u", (unsigned)i);
        learn(&book, id, "a", 10, 2 * i + 3);
        learn(&book, "shown", "a", 10, 2 * i + 4);
    }
    assert_int_equal(book.count, LINEAGE_EDGES);
    assert_false(lineage_trace(&book, "old", "a", NULL));
    assert_true(lineage_trace(&book, "shown", "a", &path));
    assert_true(path.lost); /* it never left */
    assert_true(lineage_trace(&book, "n639", "a", NULL));
    assert_false(lineage_trace(&book, "n3", "a", NULL));
}

static void test_a_branch_supersedes_what_it_has_read_whole(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    learn(&book, "b", "a", 100, 1);
    struct lineage a = history("a", 99, "", -1);
    struct lineage b = history("b", 150, "a", 100);
    assert_true(lineage_supersedes(&book, &b, &a));
    assert_false(lineage_supersedes(&book, &a, &b));
    a.offset = 100; /* one that `b` has not */
    assert_false(lineage_supersedes(&book, &b, &a));
    assert_false(lineage_supersedes(&book, &b, &b));
}

static void test_of_two_branches_the_later_supersedes_until_the_other_writes(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    learn(&book, "b", "a", 100, 1);
    learn(&book, "c", "a", 90, 2);
    learn(&book, "d", "a", 100, 3);
    struct lineage b = history("b", 150, "a", 100);
    struct lineage c = history("c", 89, "a", 90);
    struct lineage d = history("d", 99, "a", 100);
    assert_true(lineage_supersedes(&book, &b, &c));
    assert_false(lineage_supersedes(&book, &c, &b));
    c.offset = 90;
    assert_false(lineage_supersedes(&book, &b, &c));
    /* At the same offset neither is later. */
    assert_false(lineage_supersedes(&book, &b, &d));
    assert_false(lineage_supersedes(&book, &d, &b));
}

static void test_unrelated_histories_supersede_nothing(void **state)
{
    (void)state;
    struct lineage_book book = {0};
    learn(&book, "b", "a", 100, 1);
    struct lineage b = history("b", 150, "a", 100);
    struct lineage x = history("x", 1, "", -1);
    assert_false(lineage_supersedes(&book, &b, &x));
    assert_false(lineage_supersedes(&book, &x, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_way_is_as_wide_as_its_narrowest_part),
        cmocka_unit_test(test_what_is_branched_off_a_loser_has_lost),
        cmocka_unit_test(test_nonsense_is_not_learnt_and_circles_end),
        cmocka_unit_test(test_the_book_is_bounded_and_forgets_what_nobody_shows_any_more),
        cmocka_unit_test(test_a_branch_supersedes_what_it_has_read_whole),
        cmocka_unit_test(test_of_two_branches_the_later_supersedes_until_the_other_writes),
        cmocka_unit_test(test_unrelated_histories_supersede_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
