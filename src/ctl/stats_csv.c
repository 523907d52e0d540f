#include "ctl/stats_csv.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "ctl/stats_row.h"

/* RFC 4180: in quotes where it holds what separates. */
static void add_text(struct text *out, const char *s)
{
    if (s[strcspn(s, ",\"\r\n")] == '\0') {
        text_add_bytes(out, s, strlen(s));
        return;
    }
    text_add_bytes(out, "\"", 1);
    for (; *s != '\0'; s++) {
        text_add_bytes(out, "\"", *s == '"');
        text_add_bytes(out, *s == '\r' || *s == '\n' ? " " : s, 1);
    }
    text_add_bytes(out, "\"", 1);
}

void stats_csv_row(const struct stats_row *row, struct text *out)
{
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        const struct stats_value *v = &row->at[i];
        if (v->known && v->text != NULL) {
            add_text(out, v->text);
        } else if (v->known) {
            text_add_number(out, stats_fields[i].unit == STATS_TIME ? v->number / 1000 : v->number);
        }
        text_add_bytes(out, ",", 1);
    }
    text_add_bytes(out, "\n", 1);
}

static void add_backend(const struct control *c, size_t backend, struct text *out)
{
    struct stats_row row;
    for (size_t i = 0; i < c->config->backends[backend].servers.count; i++) {
        if (view_shows_server(c, backend, i)) {
            stats_row_server(c, backend, i, &row);
            stats_csv_row(&row, out);
        }
    }
    stats_row_backend(c, backend, &row);
    stats_csv_row(&row, out);
}

void stats_csv_head(struct text *out)
{
    text_add(out, "# ");
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        text_add(out, "%s,", stats_fields[i].csv);
    }
    text_add(out, "\n");
}

void stats_csv(const struct control *c, struct text *out)
{
    stats_csv_head(out);
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        if (view_shows_frontend(c, i)) {
            struct stats_row row;
            stats_row_frontend(c, i, &row);
            stats_csv_row(&row, out);
        }
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (view_shows_backend(c, i)) {
            add_backend(c, i, out);
        }
    }
}
