/* Promise: the list of allow and deny lets in whom HAProxy's rules let in and refuses whom they
 * refuse; and a rule that cannot be said so is lost, never dropped in silence. */
#include <stdio.h>
#include <unistd.h>

#include "base/address.h"
#include "import/access.h"
#include "import_fixture.h"

static struct imported file;
static struct access who;

/* A frontend with these lines from line 3 on. */
static void read_front(const char *lines, bool sni)
{
    struct text text = {0};
    text_add(&text, "frontend f\nbind :1\n%s", lines);
    import(&file, text.data);
    text_free(&text);
    access_read(proxies_find(&file.proxies, "f", false), sni, &who);
}

/* "-10.0.0.0/8 +::/0": to be freed. */
static char *shown(void)
{
    struct text out = {0};
    text_add(&out, "%s", "");
    for (size_t i = 0; i < who.count; i++) {
        text_add(&out, "%s%s%s", i > 0 ? " " : "", who.entries[i].allow ? "+" : "-",
                 who.entries[i].range.text);
    }
    return out.data;
}

#define CONN    "tcp-request connection "
#define CONTENT "tcp-request content "
#define A       "{ src 10.0.0.0/8 }"
#define B       "{ src 10.1.0.0/16 }"
#define ALL     "0.0.0.0/0"

struct list {
    const char *lines;
    const char *shown;
    enum verdict verdict; /* of line 3 */
};

static const struct list lists[] = {
    {"", "", VERDICT_NONE},
    {CONN "reject if " A "\n", "-10.0.0.0/8", VERDICT_KEPT},
    {CONN "reject if !" A "\n", "+10.0.0.0/8", VERDICT_KEPT},
    {CONN "reject unless " A "\n", "+10.0.0.0/8", VERDICT_KEPT},
    {CONN "accept if " A "\n" CONN "reject\n", "+10.0.0.0/8", VERDICT_KEPT},
    {CONN "accept if !" A "\n" CONN "reject\n", "-10.0.0.0/8", VERDICT_KEPT},
    {CONN "accept if !" A "\n" CONN "reject if " B "\n", "-10.1.0.0/16", VERDICT_LOST},
    {CONN "accept if " A "\n", "", VERDICT_KEPT},
    {CONN "accept\n" CONN "reject\n", "", VERDICT_NOT_NEEDED},
    {CONN "reject\n", "-0.0.0.0/0 -::/0", VERDICT_KEPT},
    {CONN "reject\n" CONN "accept if " A "\n", "-0.0.0.0/0 -::/0", VERDICT_KEPT},
    {CONN "accept if " B "\n" CONN "reject if " A "\n", "+10.1.0.0/16 -10.0.0.0/8 +0.0.0.0/0 +::/0",
     VERDICT_KEPT},
    {CONN "reject if " A " !" B "\n", "+10.1.0.0/16 -10.0.0.0/8 +0.0.0.0/0 +::/0", VERDICT_KEPT},
    {CONN "reject if " A " !" B "\n" CONN "reject if { src 1.2.3.4 }\n", "-1.2.3.4", VERDICT_LOST},
    {CONN "reject if " B "\n" CONN "reject if !" A "\n", "-10.1.0.0/16 +10.0.0.0/8", VERDICT_KEPT},
    {CONN "reject if !" A "\n" CONN "reject if " B "\n", "-10.1.0.0/16 +10.0.0.0/8", VERDICT_KEPT},
    {CONN "reject if !" A "\n" CONN "reject\n", "-0.0.0.0/0 -::/0", VERDICT_KEPT},
    {CONN "accept if { src 1.2.3.4 }\n" CONN "reject if !" A "\n", "+1.2.3.4 +10.0.0.0/8",
     VERDICT_KEPT},
    {CONN "reject if !" A " !{ src ::1 }\n", "+10.0.0.0/8 +::1", VERDICT_KEPT},
    {CONN "reject if " A " || { src ::1 }\n", "-10.0.0.0/8 -::1", VERDICT_KEPT},
    {CONN "reject unless " A " || { src ::1 }\n", "+10.0.0.0/8 +::1", VERDICT_KEPT},
    {CONN "silent-drop if " A "\n", "-10.0.0.0/8", VERDICT_DIFFERENCE},
    {CONN "reject if FALSE\n", "", VERDICT_NOT_NEEDED},
    {CONN "reject if LOCALHOST\n", "-127.0.0.0/8 -::1", VERDICT_KEPT},
    {CONTENT "reject if WAIT_END " A "\n", "-10.0.0.0/8", VERDICT_KEPT},
    {CONN "reject if { dst_port 80 }\n", "", VERDICT_LOST},
    {CONN "reject if " A " { dst_port 80 }\n", "", VERDICT_LOST},
    {CONN "accept if { dst_port 80 }\n", "", VERDICT_LOST},
    {CONN "reject if { src some.host }\n", "", VERDICT_LOST},
    {CONN "reject if { src -f /none }\n", "", VERDICT_LOST},
    {CONN "reject if { src,ipmask(8) 10.0.0.0 }\n", "", VERDICT_LOST},
    {CONTENT "reject if { req.len gt 100 }\n", "", VERDICT_LOST},
    {CONTENT "lua.check\n", "", VERDICT_LOST},
    {CONTENT "capture req.ssl_sni len 10\n", "", VERDICT_DIFFERENCE},
    {"mode http\nhttp-request deny if " A "\n", "-10.0.0.0/8", VERDICT_NONE},
    {"mode http\nhttp-request deny status 403 if " A "\n", "-10.0.0.0/8", VERDICT_NONE},
    {"mode http\nhttp-request set-header X y\n", "", VERDICT_NONE},
    /* Two of HAProxy's lists. */
    {CONN "reject if { src 1.2.3.4 }\n" CONTENT "accept if " A "\n" CONTENT "reject\n",
     "-1.2.3.4 +10.0.0.0/8", VERDICT_KEPT},
    {CONTENT "reject if { src 1.2.3.4 }\n" CONN "accept if " A "\n" CONN "reject\n",
     "-1.2.3.4 +10.0.0.0/8", VERDICT_KEPT},
    {CONTENT "reject if !" B "\n" CONN "accept if " A "\n" CONN "reject\n", "+10.0.0.0/8",
     VERDICT_LOST},
};

static void every_list_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        read_front(lists[i].lines, false);
        char *seen = shown();
        enum verdict verdict =
            lists[i].lines[0] != '\0' ? line_at(&file, 3)->verdict : VERDICT_NONE;
        if (strcmp(seen, lists[i].shown) != 0 || verdict != lists[i].verdict) {
            print_error("%s", lists[i].lines);
        }
        assert_string_equal(seen, lists[i].shown);
        assert_int_equal(verdict, lists[i].verdict);
        free(seen);
        import_end(&file);
    }
}

/* Of HAProxy's three lists, played by themselves, and of ours. */
struct rule {
    bool content;
    bool accepts;
    int shape; /* 0: always, 1: if src, 2: unless src, 3: if src but not another */
    int range;
    int other;
};

static const char *const ranges[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.2.0.0/16",
                                     "2001:db8::/32"};
static const char *const clients[] = {"9.9.9.9:1",  "10.0.0.1:1",      "10.1.0.1:1", "10.1.1.1:1",
                                      "10.2.2.2:1", "[2001:db8::1]:1", "[::1]:1"};

static bool fits(const char *range, const struct address *client)
{
    struct cidr cidr;
    assert_int_equal(cidr_parse(&cidr, range), 0);
    return cidr_contains(&cidr, client);
}

static bool holds(const struct rule *r, const struct address *client)
{
    bool in = fits(ranges[r->range], client);
    switch (r->shape) {
    case 0:
        return true;
    case 1:
        return in;
    case 2:
        return !in;
    default:
        return in && !fits(ranges[r->other], client);
    }
}

static bool lets_in(const struct rule *rules, size_t count, bool content,
                    const struct address *client)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].content == content && holds(&rules[i], client)) {
            return rules[i].accepts;
        }
    }
    return true;
}

static bool ours_lets_in(const struct address *client)
{
    bool any = false;
    for (size_t i = 0; i < who.count; i++) {
        if (fits(who.entries[i].range.text, client)) {
            return who.entries[i].allow;
        }
        any = any || who.entries[i].allow;
    }
    return !any;
}

static bool anything_lost(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (line_at(&file, 3 + i)->verdict == VERDICT_LOST) {
            return true;
        }
    }
    return false;
}

static void write_rule(struct text *out, const struct rule *r)
{
    text_add(out, "tcp-request %s %s", r->content ? "content" : "connection",
             r->accepts ? "accept" : "reject");
    if (r->shape > 0) {
        text_add(out, " %s { src %s }", r->shape == 2 ? "unless" : "if", ranges[r->range]);
    }
    if (r->shape == 3) {
        text_add(out, " !{ src %s }", ranges[r->other]);
    }
    text_add(out, "\n");
}

static void play(const struct rule *rules, size_t count, size_t *clear)
{
    struct text text = {0};
    for (size_t i = 0; i < count; i++) {
        write_rule(&text, &rules[i]);
    }
    read_front(text.data, false);
    bool lost = anything_lost(count);
    for (size_t c = 0; !lost && c < ARRAY_LEN(clients); c++) {
        struct address client;
        assert_int_equal(address_parse(&client, clients[c]), 0);
        bool theirs = lets_in(rules, count, false, &client) && lets_in(rules, count, true, &client);
        if (theirs != ours_lets_in(&client)) {
            char *seen = shown();
            print_error("%s%s: %s\n", text.data, seen, clients[c]);
            free(seen);
        }
        assert_int_equal(theirs, ours_lets_in(&client));
    }
    *clear += !lost;
    import_end(&file);
    text_free(&text);
}

static unsigned next_random(unsigned *state, unsigned below)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 16) % below;
}

/* Any rules in any order: whoever is let in by one is let in by the other. */
static void any_rules_mean_the_same(void **state)
{
    unsigned random = 7;
    size_t clear = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct rule rules[5];
        size_t count = 1 + next_random(&random, 5);
        for (size_t k = 0; k < count; k++) {
            rules[k] = (struct rule){.content = next_random(&random, 3) == 0,
                                     .accepts = next_random(&random, 2) == 0,
                                     .shape = (int)next_random(&random, 4),
                                     .range = (int)next_random(&random, ARRAY_LEN(ranges)),
                                     .other = (int)next_random(&random, ARRAY_LEN(ranges))};
        }
        play(rules, count, &clear);
    }
    /* Enough of them can be said. */
    assert_true(clear > 8000);
}

static void tls_is_asked_for_where_names_choose(void **state)
{
    static const char lines[] = CONTENT "accept if { req.ssl_hello_type 1 }\n" CONTENT "reject\n";
    (void)state;
    read_front(lines, true);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_NOT_NEEDED);
    assert_int_equal(who.count, 0);
    import_end(&file);
    read_front(lines, false);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_LOST);
    assert_int_equal(who.count, 0);
    import_end(&file);
    read_front(CONTENT "reject if !{ req_ssl_hello_type 1 }\n", true);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    import_end(&file);
}

struct limit {
    const char *lines;
    long long rate;
    long long sessions;
    enum verdict last; /* of the last line */
};

#define TABLE "stick-table type ip size 100k expire 30s store conn_cur,conn_rate(10s)\n"
#define TRACK CONN "track-sc0 src\n"

static const struct limit limits[] = {
    {TABLE TRACK CONN "reject if { sc0_conn_rate gt 500 }\n", 50, 0, VERDICT_DIFFERENCE},
    {TABLE TRACK CONN "reject if { sc_conn_rate(0) ge 500 }\n", 50, 0, VERDICT_DIFFERENCE},
    {TABLE TRACK CONN "reject if { sc_conn_rate(0) 501: }\n", 50, 0, VERDICT_DIFFERENCE},
    {TABLE CONN "reject if { src_conn_rate gt 501 }\n", 51, 0, VERDICT_DIFFERENCE},
    {TABLE TRACK CONN "reject if { sc0_conn_cur gt 20 }\n", 0, 20, VERDICT_KEPT},
    {TABLE CONN "reject if { src_conn_cur ge 20 }\n", 0, 19, VERDICT_KEPT},
    {"stick-table type ip size 1k store conn_rate(1s)\n" TRACK CONN
     "reject if { sc0_conn_rate gt 9 }\n",
     9, 0, VERDICT_KEPT},
    {CONN "track-sc1 src table t\n" CONN "reject if { sc1_conn_rate gt 40 }\n", 20, 0,
     VERDICT_DIFFERENCE},
    {CONN "reject if { src_conn_rate(t) gt 40 }\n", 20, 0, VERDICT_DIFFERENCE},
    {TABLE TRACK CONN "reject if { sc0_conn_cur gt 20 } !{ src 10.0.0.1 }\n", 0, 20,
     VERDICT_DIFFERENCE},
    {TABLE TRACK CONN "accept if { src 10.0.0.1 }\n" CONN "reject if { sc0_conn_cur gt 20 }\n", 0,
     20, VERDICT_DIFFERENCE},
    {TABLE CONN "reject if { sc0_conn_cur gt 20 }\n", 0, 0, VERDICT_LOST},
    {TABLE CONN "track-sc0 dst\n" CONN "reject if { sc0_conn_cur gt 20 }\n", 0, 0, VERDICT_LOST},
    {TABLE TRACK CONN "reject if { sc0_conn_cur eq 20 }\n", 0, 0, VERDICT_LOST},
    {TABLE TRACK CONN "reject if { sc0_conn_cur lt 20 }\n", 0, 0, VERDICT_LOST},
    {TABLE TRACK CONN "reject if { sc0_conn_cur gt 0 }\n", 0, 0, VERDICT_LOST},
    {TRACK CONN "reject if { sc0_conn_rate gt 9 }\n", 0, 0, VERDICT_LOST},
    {TABLE TRACK CONN "reject if { sc0_get_gpc0 gt 9 }\n", 0, 0, VERDICT_LOST},
};

static void limits_of_an_address_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct text text = {0};
        text_add(&text, "%s", limits[i].lines);
        text_add(&text, "backend t\nstick-table type ip size 1k store conn_rate(2s)\n");
        read_front(text.data, false);
        text_free(&text);
        struct section *front = file.source.sections[0];
        enum verdict last = front->lines[front->count - 1]->verdict;
        if (who.session_rate_per_ip != limits[i].rate ||
            who.max_sessions_per_ip != limits[i].sessions || last != limits[i].last) {
            print_error("%s", limits[i].lines);
        }
        assert_int_equal(who.session_rate_per_ip, limits[i].rate);
        assert_int_equal(who.max_sessions_per_ip, limits[i].sessions);
        assert_int_equal(last, limits[i].last);
        assert_int_equal(who.count, 0);
        import_end(&file);
    }
}

static void what_only_counts_is_not_needed(void **state)
{
    (void)state;
    read_front(TABLE TRACK, false);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_NOT_NEEDED);
    import_end(&file);
    read_front(TABLE TRACK CONN "reject if { sc0_conn_cur gt 20 }\n", false);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_KEPT);
    import_end(&file);
}

static void a_backend_refuses_nobody(void **state)
{
    (void)state;
    import(&file, "backend b\n" CONTENT "reject if " A "\n" CONTENT "accept\n");
    access_read(back(&file, "b"), false, &who);
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_LOST);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_KEPT);
    assert_int_equal(who.count, 0);
    import_end(&file);
}

static void addresses_are_written_as_router_takes_them(void **state)
{
    static const char *const all[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"127.0.0.1/8", "127.0.0.0/8"},
        {"10.1.2.3/255.255.0.0", "10.1.0.0/16"},
        {"10.12/8", "10.0.0.0/8"},
        {"127.1", "127.0.0.1"},
        {"192.168.1/24", "192.168.0.0/24"},
        {"::1", "::1"},
        {"2001:db8::1/32", "2001:db8::/32"},
        {"10.0.0.1/255.0.255.0", NULL},
        {"10.0.0.1/33", NULL},
        {"example.com", NULL},
        {"0x7f.1", NULL},
        {"", NULL},
    };
    (void)state;
    import(&file, "frontend f\nbind :1\n");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct word w = word_of(&file.source, all[i][0]);
        struct word out = word_of(&file.source, "");
        bool ok = access_range(&file.source, &w, &out);
        assert_int_equal(ok, all[i][1] != NULL);
        struct cidr one;
        struct cidr other;
        if (ok) {
            assert_int_equal(cidr_parse(&one, out.text), 0);
            assert_int_equal(cidr_parse(&other, all[i][1]), 0);
            char a[ADDRESS_TEXT_MAX];
            char b[ADDRESS_TEXT_MAX];
            assert_string_equal(cidr_print(&one, a), cidr_print(&other, b));
        }
    }
    import_end(&file);
}

static void more_than_a_list_may_have_is_lost(void **state)
{
    char path[] = "/tmp/router-access-XXXXXX";
    struct text lines = {0};
    (void)state;
    FILE *f = fdopen(mkstemp(path), "w");
    assert_non_null(f);
    for (int i = 0; i < 1025; i++) {
        fprintf(f, "10.0.%d.%d\n", i / 256, i % 256);
    }
    assert_int_equal(fclose(f), 0);
    text_add(&lines, CONN "reject if { src -f %s }\n", path);
    read_front(lines.data, false);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_LOST);
    assert_int_equal(who.count, 0);
    import_end(&file);
    text_free(&lines);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_list_is_said),
        cmocka_unit_test(any_rules_mean_the_same),
        cmocka_unit_test(tls_is_asked_for_where_names_choose),
        cmocka_unit_test(limits_of_an_address_are_kept),
        cmocka_unit_test(what_only_counts_is_not_needed),
        cmocka_unit_test(a_backend_refuses_nobody),
        cmocka_unit_test(addresses_are_written_as_router_takes_them),
        cmocka_unit_test(more_than_a_list_may_have_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
