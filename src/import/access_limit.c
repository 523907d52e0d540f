/* How many sessions one address may have, and how often it may come: what is tracked, in which
 * table, over which time. */
#include <string.h>

#include "import/access_internal.h"

#define LIMITS_MAX 64 /* rules of one frontend; nobody has more */

bool access_track(struct access_reader *r, struct line *l)
{
    const struct word *action = line_argument(l, 0);
    const struct word *key = line_argument(l, 1);
    if (action == NULL || key == NULL || strncmp(action->text, "track-sc", 8) != 0) {
        return false;
    }
    unsigned i = (unsigned)(action->text[8] - '0');
    if (i >= ARRAY_LEN(r->tracks)) {
        line_mark(r->s, l, VERDICT_NOT_NEEDED, "nothing that is kept counts by it");
        return true;
    }
    struct track track = {.line = l, .table = ""};
    track.by_src = strcmp(key->text, "src") == 0 || strncmp(key->text, "src,", 4) == 0;
    if (line_says(l, 2, "table") && line_argument(l, 3) != NULL) {
        track.table = line_argument(l, 3)->text;
    }
    if (r->tracks[i].line != NULL) {
        line_mark(r->s, l, VERDICT_NOT_NEEDED, "nothing that is kept counts by it");
        return true;
    }
    r->tracks[i] = track;
    return true;
}

void access_settle_tracks(struct access_reader *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->tracks); i++) {
        struct track *t = &r->tracks[i];
        if (t->line != NULL) {
            line_mark(r->s, t->line, t->used ? VERDICT_KEPT : VERDICT_NOT_NEEDED,
                      t->used ? NULL : "nothing that is kept counts by it");
        }
    }
}

/* The table's line in the section of this name; "" = the proxy itself. */
static struct line *find_table(const struct access_reader *r, const char *name)
{
    for (size_t i = 0; i < r->s->section_count; i++) {
        const struct section *section = r->s->sections[i];
        bool wanted = name[0] == '\0'
                          ? section == r->p->section
                          : strcmp(section->name, name) == 0 && section->kind != SECTION_DEFAULTS;
        for (size_t k = 0; wanted && k < section->count; k++) {
            if (word_is(&section->lines[k]->words[0], "stick-table")) {
                return section->lines[k];
            }
        }
    }
    return NULL;
}

/* The time of "store conn_cur,conn_rate(10s)" in ms; 0 if there is none. */
static long long period_of(struct source *s, const struct line *table, const char *name)
{
    for (size_t i = 1; table != NULL && i < table->count; i++) {
        const char *at = strstr(table->words[i].text, name);
        const char *open = at != NULL ? at + strlen(name) : "";
        if (*open == '(') {
            struct word time = word_of(s, arena_copy(&s->arena, open + 1, strcspn(open + 1, ")")));
            long long ms = word_milliseconds(&time, 1000);
            return ms > 0 ? ms : 0;
        }
    }
    return 0;
}

/* Where "sc0_conn_rate", "sc_conn_rate(1,t)" and "src_conn_rate(t)" count; NULL: not by src. */
static const char *table_of(struct access_reader *r, const struct test *t)
{
    const char *argument = t->argument;
    if (strncmp(t->fetch, "src_", 4) == 0) {
        return argument;
    }
    char digit = t->fetch[2] == '_' ? argument[0] : t->fetch[2];
    const char *comma = t->fetch[2] == '_' ? strchr(argument, ',') : NULL;
    unsigned i = (unsigned)(digit - '0');
    if (i >= ARRAY_LEN(r->tracks) || !r->tracks[i].by_src) {
        return NULL;
    }
    r->tracks[i].used = true;
    const char *own = t->fetch[2] == '_' ? (comma != NULL ? comma + 1 : "") : argument;
    return own[0] != '\0' ? own : r->tracks[i].table;
}

/* How many are fine: "gt 10" is 10, "ge 10" and "10:" are 9. -1: something else is asked. */
static long long bound_of(const struct test *t)
{
    if (t->value_count != 1) {
        return -1;
    }
    struct word w = t->values[0];
    bool from = w.len > 1 && w.text[w.len - 1] == ':' && t->comparison[0] == '\0';
    char digits[16] = {0};
    if (w.len - from >= sizeof digits) {
        return -1;
    }
    memcpy(digits, w.text, w.len - from);
    struct word number = {.text = digits, .len = w.len - from};
    long long n = word_number(&number, 0, 10000000);
    if (strcmp(t->comparison, "gt") == 0) {
        return n;
    }
    return from || strcmp(t->comparison, "ge") == 0 ? n - 1 : -1;
}

static void take(long long *to, struct line **by, long long n, struct line *l)
{
    if (*to == 0 || n < *to) {
        *to = n;
        *by = l;
    }
}

static void limit_rate(struct access_reader *r, struct access_rule *rule, long long n,
                       struct line *table, const char *name)
{
    long long ms = period_of(r->s, table, name);
    if (ms == 0) {
        access_say(rule, VERDICT_LOST, "which time it counts over is not known");
        return;
    }
    long long rate = (n * 1000 + ms - 1) / ms;
    take(&r->out->session_rate_per_ip, &r->out->session_rate_line, rate, rule->line);
    if (ms != 1000) {
        access_say(rule, VERDICT_DIFFERENCE,
                   arena_print(&r->s->arena, "%lld in %llds: counted over a second here", n,
                               (ms + 999) / 1000));
    }
}

void access_limit(struct access_reader *r, struct access_rule *rule, const struct access_meaning *m)
{
    const struct test *t = m->limit;
    bool current = strstr(t->fetch, "_conn_cur") != NULL;
    const char *where = r->limits++ < LIMITS_MAX ? table_of(r, t) : NULL;
    long long n = bound_of(t);
    if (where == NULL || n <= 0) {
        access_say(rule, VERDICT_LOST, "router counts sessions of an address, nothing else");
        return;
    }
    struct line *table = find_table(r, where);
    if (table != NULL) {
        line_mark(r->s, table, VERDICT_KEPT, NULL);
    }
    if (m->tests->count > 1) {
        access_say(rule, VERDICT_DIFFERENCE, "the limit is for every address");
    }
    if (current) {
        take(&r->out->max_sessions_per_ip, &r->out->max_sessions_line, n, rule->line);
    } else {
        limit_rate(r, rule, n, table,
                   strstr(t->fetch, "sess_rate") != NULL ? "sess_rate" : "conn_rate");
    }
}
