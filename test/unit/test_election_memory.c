/* What an election remembers survives being told as text, value by value; lines that are cut, too
 * long or nonsense change nothing that they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/text.h"
#include "model/election_memory.h"

#define HEX_48 "00112233445566778899aabbccddeeff0011223344556677"

/* As long as it can be. */
#define FILL(field, letter)                                                                        \
    do {                                                                                           \
        memset(field, letter, sizeof(field) - 1);                                                  \
    } while (0)

static void fill_lineage(struct lineage *l)
{
    FILL(l->id, 'i');
    FILL(l->previous_id, 'p');
    l->previous_end = INT64_MIN;
    l->offset = INT64_MAX;
}

static void fill_whole(struct election_memory *m)
{
    *m = (struct election_memory){
        .elected_term = UINT64_MAX,
        .elected_part = PART_GALERA,
        .stepped_down = true,
        .contested_since_ms = 77,
        .started_ms = 78,
        .elected_gtids = {.known = true, .count = 2},
        .histories.count = 2,
    };
    FILL(m->elected_identity, 'e');
    fill_lineage(&m->elected);
    FILL(m->elected_group, 'g');
    FILL(m->elected_why, 'w');
    for (unsigned i = 0; i < 2; i++) {
        struct gtid_range *r = &m->elected_gtids.ranges[i];
        struct lineage_edge *e = &m->histories.edges[i];
        memset(r->source.bytes, 0xf0 + (int)i, sizeof r->source.bytes);
        r->first = 1 + i;
        r->last = UINT64_MAX - i;
        FILL(e->child, 'c');
        e->end = -5;
        e->seen = UINT64_MAX;
        e->lost = i == 1;
    }
    FILL(m->histories.edges[1].parent, 'p'); /* the first one has none */
}

static void fill_single(struct server_memory *s)
{
    struct census_memory *c = &s->census;
    *s = (struct server_memory){
        .proven = true,
        .claimed_since = 1,
        .lost_since = 2,
        .defeated = true,
        .replica_position = -3,
        .replica_term = 4,
        .outvoted = true,
        .census = {.part = PART_GROUP, .own_since = 5, .subordinate = true, .followed_end = -6},
    };
    FILL(s->replica_identity, 'r');
    FILL(s->unlinked_identity, 'u');
    FILL(s->lost_id, 'l');
    FILL(s->claimed_id, 'c');
    FILL(c->id, 'i');
    FILL(c->name, 'n');
    FILL(c->former, 'f');
    FILL(c->inherited, 'h');
    fill_lineage(&c->own);
    FILL(c->own_identity, 'o');
    FILL(c->followed, 'w');
    FILL(c->followed_identity, 'd');
    FILL(c->followed_source, 's');
}

/* All lines of it; those that were not known. */
static unsigned take_all(char *text, struct election_memory *m, struct server_memory *s)
{
    unsigned unknown = 0;
    char *rest = text;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        unknown += m != NULL ? !election_memory_take(m, line) : !server_memory_take(s, line);
    }
    return unknown;
}

static void all_of_a_backend_survives(void **state)
{
    (void)state;
    static struct election_memory from;
    static struct election_memory to;
    struct text text = {0};
    fill_whole(&from);
    election_memory_save(&from, &text);
    assert_int_equal(take_all(text.data, &to, NULL), 0);
    assert_memory_equal(&from, &to, sizeof from);
    text_free(&text);
}

static void all_of_a_server_survives(void **state)
{
    (void)state;
    static struct server_memory from;
    static struct server_memory to;
    struct text text = {0};
    fill_single(&from);
    server_memory_save(&from, &text);
    assert_int_equal(take_all(text.data, NULL, &to), 0);
    assert_memory_equal(&from, &to, sizeof from);
    text_free(&text);
}

static void nothing_survives_as_nothing(void **state)
{
    (void)state;
    static struct election_memory zero;
    static struct election_memory whole;
    static struct server_memory none;
    static struct server_memory single;
    struct text text = {0};
    election_memory_save(&whole, &text);
    assert_int_equal(take_all(text.data, &whole, NULL), 0);
    assert_memory_equal(&whole, &zero, sizeof zero);
    text_free(&text);
    server_memory_save(&single, &text);
    assert_int_equal(take_all(text.data, NULL, &single), 0);
    assert_memory_equal(&single, &none, sizeof none);
    text_free(&text);
}

/* Reasons come from names that servers tell. */
static void a_line_end_in_a_text_ends_it(void **state)
{
    (void)state;
    static struct election_memory from = {.elected_why = "one\nstarted_ms 5"};
    static struct election_memory to;
    struct text text = {0};
    election_memory_save(&from, &text);
    take_all(text.data, &to, NULL);
    assert_string_equal(to.elected_why, "one");
    assert_int_equal(to.started_ms, 0);
    text_free(&text);
}

static void what_is_not_known_or_cut_is_left_out(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "edge",
        "edge ",
        "edge a",
        "edge a b",
        "edge a b 1 2",
        "edge a b x y z",
        "range ",
        "range 0",
        "range 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 11 22 33 44 55 66 77 1 2",
        "range " HEX_48,
        "range " HEX_48 " 1",
        "range zz112233445566778899aabbccddeeff0011223344556677 1 2",
        "tomorrow's 1",
        "elected",
        "elected 1",
        "started_ms",
        "elected_whynot 1",
    };
    static struct election_memory zero;
    static struct election_memory m;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char *exact = strdup(lines[i]); /* for who reads beyond its end */
        assert_false(election_memory_take(&m, exact));
        free(exact);
    }
    assert_memory_equal(&m, &zero, sizeof m);
}

static void what_is_too_long_is_cut_or_left_out(void **state)
{
    (void)state;
    static struct election_memory m;
    static struct server_memory s;
    char line[600] = "elected_group ";
    memset(line + strlen(line), 'x', 500);
    assert_true(election_memory_take(&m, line));
    assert_int_equal(strlen(m.elected_group), sizeof m.elected_group - 1);
    assert_false(m.stepped_down);
    memcpy(line, "edge          ", 14);
    assert_false(election_memory_take(&m, line));
    char edge[200];
    snprintf(edge, sizeof edge, "edge %.*s b 1 2 0", REPLID_MAX, line + 100);
    assert_false(election_memory_take(&m, edge));
    for (int i = 0; i < 2 * LINEAGE_EDGES; i++) {
        assert_int_equal(election_memory_take(&m, "edge a b 1 2 1"), i < LINEAGE_EDGES);
    }
    for (int i = 0; i < 2 * GTID_RANGES_MAX; i++) {
        assert_int_equal(election_memory_take(&m, "range " HEX_48 " 1 2"), i < GTID_RANGES_MAX);
    }
    assert_true(server_memory_take(&s, "census.part 99"));
    assert_int_equal(s.census.part, PART_LINEAGE);
    assert_true(server_memory_take(&s, "census.part -1"));
    assert_int_equal(s.census.part, PART_LINEAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_backend_survives),
        cmocka_unit_test(all_of_a_server_survives),
        cmocka_unit_test(nothing_survives_as_nothing),
        cmocka_unit_test(a_line_end_in_a_text_ends_it),
        cmocka_unit_test(what_is_not_known_or_cut_is_left_out),
        cmocka_unit_test(what_is_too_long_is_cut_or_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
