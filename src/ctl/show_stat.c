#include "ctl/show_stat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/stats_csv.h"
#include "ctl/stats_row.h"
#include "ctl/typed_field.h"

struct printer {
    const struct stat_wanted *wanted;
    struct text *out;
    bool any; /* a row was printed */
};

/* What HAProxy says of its columns; of the others, that they are counters. */
static void describe(enum stats_field field, struct typed_field *f)
{
    static const struct {
        enum stats_field field;
        const char *tags;
        const char *type;
    } table[] = {
        {STATS_PXNAME, "KNS", "str"},        {STATS_SVNAME, "KNS", "str"},
        {STATS_QCUR, "MGP", "u32"},          {STATS_QMAX, "MMP", "u32"},
        {STATS_SCUR, "MGP", "u32"},          {STATS_SMAX, "MMP", "u32"},
        {STATS_SLIM, "CLP", "u32"},          {STATS_STATUS, "SGP", "str"},
        {STATS_WEIGHT, "MaP", "u32"},        {STATS_ACT, "SGP", "u32"},
        {STATS_BCK, "SGP", "u32"},           {STATS_LASTCHG, "MAP", "u32"},
        {STATS_DOWNTIME, "MCP", "u32"},      {STATS_QLIMIT, "CLP", "u32"},
        {STATS_PID, "KGP", "u32"},           {STATS_IID, "KGS", "u32"},
        {STATS_SID, "KGS", "u32"},           {STATS_TYPE, "CGS", "u32"},
        {STATS_RATE, "MRP", "u32"},          {STATS_RATE_LIM, "CLP", "u32"},
        {STATS_RATE_MAX, "MMP", "u32"},      {STATS_CHECK_STATUS, "MOP", "str"},
        {STATS_CHECK_CODE, "MOP", "u32"},    {STATS_CHECK_DURATION, "MDP", "u64"},
        {STATS_REQ_RATE, "MRP", "u32"},      {STATS_REQ_RATE_MAX, "MMP", "u32"},
        {STATS_LASTSESS, "MAP", "s32"},      {STATS_LAST_CHK, "MOP", "str"},
        {STATS_QTIME, "MaP", "u32"},         {STATS_CTIME, "MaP", "u32"},
        {STATS_RTIME, "MaP", "u32"},         {STATS_TTIME, "MaP", "u32"},
        {STATS_CHECK_DESC, "MOP", "str"},    {STATS_CHECK_RISE, "CGS", "u32"},
        {STATS_CHECK_FALL, "CGS", "u32"},    {STATS_CHECK_HEALTH, "CGS", "u32"},
        {STATS_ADDR, "CGS", "str"},          {STATS_MODE, "CGS", "str"},
        {STATS_ALGO, "CGS", "str"},          {STATS_CONN_RATE, "MRP", "u32"},
        {STATS_CONN_RATE_MAX, "MMP", "u32"}, {STATS_SRV_ICUR, "MGP", "u32"},
        {STATS_QTIME_MAX, "MMP", "u32"},     {STATS_CTIME_MAX, "MMP", "u32"},
        {STATS_RTIME_MAX, "MMP", "u32"},     {STATS_TTIME_MAX, "MMP", "u32"},
        {STATS_IDLE_CONN_CUR, "MGP", "u32"}, {STATS_SAFE_CONN_CUR, "MGP", "u32"},
        {STATS_USED_CONN_CUR, "MGP", "u32"}, {STATS_NEED_CONN_EST, "MGP", "u32"},
        {STATS_UWEIGHT, "MaP", "u32"},
    };
    *f = (struct typed_field){(unsigned)field, stats_fields[field].csv, "MCP", "u64"};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].field == field) {
            f->tags = table[i].tags;
            f->type = table[i].type;
        }
    }
}

/* Forms ------------------------------------------------------------------------------------- */

static int64_t number_of(const struct stats_row *row, enum stats_field field)
{
    return row->at[field].known ? row->at[field].number : 0;
}

/* What is known in this column as text; false: nothing. */
static bool value_of(const struct stats_row *row, enum stats_field field, char digits[32],
                     const char **text)
{
    const struct stats_value *v = &row->at[field];
    int64_t number = stats_fields[field].unit == STATS_TIME ? v->number / 1000 : v->number;
    snprintf(digits, 32, "%" PRId64, number);
    *text = v->text != NULL ? v->text : digits;
    return v->known;
}

static void add_typed(const struct stats_row *row, struct text *out)
{
    static const char letters[] = "FBS";
    char digits[32];
    const char *value;
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        if (value_of(row, (enum stats_field)i, digits, &value)) {
            struct typed_field f;
            describe((enum stats_field)i, &f);
            text_add(out, "%c.%" PRId64 ".%" PRId64 ".", letters[number_of(row, STATS_TYPE)],
                     number_of(row, STATS_IID), number_of(row, STATS_SID));
            typed_field_line(&f, value, out);
        }
    }
}

static void add_json(const struct stats_row *row, struct text *out)
{
    static const char *const kinds[] = {"Frontend", "Backend", "Server"};
    char digits[32];
    const char *value;
    const char *comma = "";
    text_add(out, "[");
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        if (value_of(row, (enum stats_field)i, digits, &value)) {
            struct typed_field f;
            describe((enum stats_field)i, &f);
            text_add(out, "%s{\"objType\":\"%s\",\"proxyId\":%" PRId64 ",\"id\":%" PRId64 ",",
                     comma, kinds[number_of(row, STATS_TYPE)], number_of(row, STATS_IID),
                     number_of(row, STATS_SID));
            typed_field_json(&f, value, out);
            text_add(out, "}");
            comma = ",";
        }
    }
    text_add(out, "]");
}

/* Rows -------------------------------------------------------------------------------------- */

static bool is_wanted(const struct stats_row *row, const struct stat_wanted *w)
{
    int64_t type = number_of(row, STATS_TYPE);
    bool server = row->server != NULL;
    return (w->proxy == NULL || strcmp(w->proxy, row->proxy) == 0) &&
           (w->iid < 0 || w->iid == number_of(row, STATS_IID)) && (w->types & (1U << type)) != 0 &&
           (!server || w->sid < 0 || w->sid == number_of(row, STATS_SID)) &&
           (!server || !w->up || strcmp(row->state, "UP") == 0) &&
           (!server || !w->no_maint || strcmp(row->state, "MAINT") != 0);
}

static void add_row(struct printer *p, const struct stats_row *row)
{
    if (!is_wanted(row, p->wanted)) {
        return;
    }
    if (p->wanted->form == STAT_JSON) {
        text_add(p->out, "%s", p->any ? "," : "");
        add_json(row, p->out);
    } else if (p->wanted->form == STAT_TYPED) {
        add_typed(row, p->out);
    } else {
        stats_csv_row(row, p->out);
    }
    p->any = true;
}

static void add_backend(struct printer *p, const struct control *c, size_t backend)
{
    const struct backend_config *b = &c->config->backends[backend];
    struct stats_row row;
    for (size_t i = 0; i < b->servers.count; i++) {
        if (view_shows_server(c, backend, i)) {
            stats_row_server(c, backend, i, &row);
            add_row(p, &row);
        }
    }
    stats_row_backend(c, backend, &row);
    add_row(p, &row);
}

void show_stat(const struct control *c, const struct stat_wanted *wanted, struct text *out)
{
    struct printer p = {.wanted = wanted, .out = out};
    if (wanted->form == STAT_CSV) {
        stats_csv_head(out);
    }
    text_add(out, "%s", wanted->form == STAT_JSON ? "[" : "");
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        struct stats_row row;
        if (view_shows_frontend(c, i)) {
            stats_row_frontend(c, i, &row);
            add_row(&p, &row);
        }
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (view_shows_backend(c, i)) {
            add_backend(&p, c, i);
        }
    }
    text_add(out, "%s", wanted->form == STAT_JSON ? "]\n" : "");
}
