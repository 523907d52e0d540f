/* Promise: a name goes to the rule of exactly that name, else to that of the longest wildcard it is
 * below, else to none, whatever a client sends and however many rules there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "model/sni.h"

/* A list of rules whose backends are their places. "*.x" is a wildcard. */
static struct sni_list list_of(const char *const *hosts, size_t count)
{
    struct sni_list list = {.items = calloc(count, sizeof(*list.items)), .count = count};
    for (size_t i = 0; i < count; i++) {
        bool wildcard = hosts[i][0] == '*';
        list.items[i] = (struct sni_rule){
            .host = strdup(hosts[i] + (wildcard ? 2 : 0)), .wildcard = wildcard, .backend = i};
    }
    sni_sort(&list);
    return list;
}

static void release(struct sni_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].host);
    }
    free(list->items);
    free(list->sorted);
}

/* The place of the rule, -1 if there is none. */
static int found(const struct sni_list *list, const char *name)
{
    const struct sni_rule *rule = sni_find(list, name);
    return rule != NULL ? (int)rule->backend : -1;
}

static const char *const few[] = {
    "hub.example.com", "*.example.com", "*.eu.example.com", "example.org",
    "*.org",           "a_b.example",   "xn--bcher-kva.ch", "*.hub.example.com",
};

static void an_exact_name_counts_before_a_wildcard(void **state)
{
    struct sni_list list = list_of(few, ARRAY_LEN(few));
    (void)state;
    assert_int_equal(found(&list, "hub.example.com"), 0);
    assert_int_equal(found(&list, "HUB.Example.COM"), 0);
    assert_int_equal(found(&list, "example.org"), 3);
    assert_int_equal(found(&list, "a_b.example"), 5);
    assert_int_equal(found(&list, "xn--bcher-kva.ch"), 6);
    release(&list);
}

static void the_longest_wildcard_counts_however_deep_the_name(void **state)
{
    struct sni_list list = list_of(few, ARRAY_LEN(few));
    (void)state;
    assert_int_equal(found(&list, "a.example.com"), 1);
    assert_int_equal(found(&list, "a.b.c.example.com"), 1);
    assert_int_equal(found(&list, "a.eu.example.com"), 2);
    assert_int_equal(found(&list, "a.b.EU.example.com"), 2);
    assert_int_equal(found(&list, "x.hub.example.com"), 7);
    assert_int_equal(found(&list, "www.example.org"), 4);
    release(&list);
}

static void a_wildcard_is_not_about_the_name_behind_it(void **state)
{
    struct sni_list list = list_of(few, ARRAY_LEN(few));
    (void)state;
    assert_int_equal(found(&list, "example.com"), -1);
    assert_int_equal(found(&list, "eu.example.com"), 1);
    assert_int_equal(found(&list, "org"), -1);
    assert_int_equal(found(&list, "badexample.com"), -1);
    assert_int_equal(found(&list, "hub.example.com.evil.net"), -1);
    release(&list);
}

static void whatever_a_client_sends_has_an_answer(void **state)
{
    struct sni_list list = list_of(few, ARRAY_LEN(few));
    struct sni_list empty = {0};
    char longest[SNI_HOST_MAX + 2];
    (void)state;
    static const char *const names[] = {"",     ".",           "..",       "*.example.net",
                                        "\xff", "\xc3.\xa4.x", "10.0.0.1", "hub.example.com."};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(found(&list, names[i]), -1);
    }
    assert_int_equal(found(&list, ".example.com"), 1); /* no client's, and no harm */
    assert_int_equal(found(&list, NULL), -1);
    assert_int_equal(found(&empty, "hub.example.com"), -1);
    memset(longest, 'a', sizeof(longest) - 1);
    for (size_t i = 1; i < sizeof(longest); i += 2) {
        longest[i] = '.';
    }
    memcpy(longest + SNI_HOST_MAX - strlen(".example.com"), ".example.com", sizeof(".example.com"));
    assert_int_equal(strlen(longest), SNI_HOST_MAX);
    assert_int_equal(found(&list, longest), 1);
    memmove(longest + 1, longest, SNI_HOST_MAX);
    longest[SNI_HOST_MAX + 1] = '\0';
    assert_int_equal(found(&list, longest), -1);
    release(&list);
}

static void thousands_of_rules_are_each_found(void **state)
{
    enum { MANY = 5000 };
    char(*names)[32] = calloc(MANY, sizeof(*names));
    const char **hosts = calloc(MANY, sizeof(*hosts));
    (void)state;
    for (int i = 0; i < MANY; i++) {
        int nr = i * 2503 % MANY; /* not in order */
        snprintf(names[i], sizeof(names[i]), i % 2 ? "*.h%d.example" : "h%d.example", nr);
        hosts[i] = names[i];
    }
    struct sni_list list = list_of(hosts, MANY);
    for (int i = 0; i < MANY; i++) {
        char name[40];
        snprintf(name, sizeof(name), "%s%s", i % 2 ? "x." : "", names[i] + (i % 2 ? 2 : 0));
        assert_int_equal(found(&list, name), i);
    }
    assert_int_equal(found(&list, "h5000.example"), -1);
    release(&list);
    free(names);
    free(hosts);
}

static void rules_of_one_host_stand_beside_each_other_in_the_order_of_the_file(void **state)
{
    static const char *const hosts[] = {"b.x", "a.x", "*.b.x", "b.x", "c.x"};
    struct sni_list list = list_of(hosts, ARRAY_LEN(hosts));
    size_t same = 0;
    (void)state;
    for (size_t i = 1; i < list.count; i++) {
        size_t before = list.sorted[i - 1];
        if (sni_same_host(&list.items[before], &list.items[list.sorted[i]])) {
            assert_int_equal(before, 0);
            assert_int_equal(list.sorted[i], 3);
            same++;
        }
    }
    assert_int_equal(same, 1);
    release(&list);
}

static void a_host_is_a_name(void **state)
{
    static const char *const good[] = {"a", "localhost", "HUB.example", "_x.a-b.c9", "1.a", "a.1"};
    static const char *const bad[] = {"",    ".",     "a.",         ".a",     "a..b", "a b",
                                      "a/b", "a.*.b", "a*.b",       "*",      "1",    "10.0.0.1",
                                      "::1", "a:1",   "\xc3\xa4.x", "a\x7f.b"};
    char label[SNI_LABEL_MAX + 2];
    char longest[SNI_HOST_MAX + 2];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(sni_host_valid(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(sni_host_valid(bad[i]));
    }
    memset(label, 'a', sizeof(label));
    label[SNI_LABEL_MAX] = '\0';
    assert_true(sni_host_valid(label));
    label[SNI_LABEL_MAX] = 'a';
    label[SNI_LABEL_MAX + 1] = '\0';
    assert_false(sni_host_valid(label));
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 1; i < SNI_HOST_MAX; i += 2) {
        longest[i] = '.';
    }
    longest[SNI_HOST_MAX] = '\0';
    assert_true(sni_host_valid(longest));
    memcpy(longest + SNI_HOST_MAX, "a", 2);
    assert_false(sni_host_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_name_counts_before_a_wildcard),
        cmocka_unit_test(the_longest_wildcard_counts_however_deep_the_name),
        cmocka_unit_test(a_wildcard_is_not_about_the_name_behind_it),
        cmocka_unit_test(whatever_a_client_sends_has_an_answer),
        cmocka_unit_test(thousands_of_rules_are_each_found),
        cmocka_unit_test(rules_of_one_host_stand_beside_each_other_in_the_order_of_the_file),
        cmocka_unit_test(a_host_is_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
