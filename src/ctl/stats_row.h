/* One row of HAProxy's statistics: what is known of a frontend, a backend or a server, by the
 * columns of stats_fields.def. The CSV prints rows as they are, /metrics one column after another.
 * What a row points to is borrowed until the loop turns. */
#ifndef ROUTER_CTL_STATS_ROW_H
#define ROUTER_CTL_STATS_ROW_H

#include <stdint.h>

#include "ctl/stats_view.h"

enum stats_field {
#define FIELD(name, csv, unit) STATS_##name,
#include "ctl/stats_fields.def"
#undef FIELD
    STATS_FIELD_COUNT
};

enum stats_unit { STATS_PLAIN, STATS_TIME };

struct stats_field_words {
    const char *csv;
    enum stats_unit unit;
};

extern const struct stats_field_words stats_fields[STATS_FIELD_COUNT];

struct stats_value {
    bool known;
    const char *text; /* NULL: it is the number */
    int64_t number;
};

struct stats_row {
    const char *proxy;
    const char *server;      /* NULL: of a frontend or a backend */
    struct server_view view; /* of a server */
    const char *state;       /* one of haproxy_statuses; of a frontend or a backend DOWN or UP */
    const char *check;       /* one of haproxy_checks, or "INI"; NULL: nothing is probed */
    char status[32];
    struct stats_value at[STATS_FIELD_COUNT];
};

/* Values of check_status once a probe has ended. */
#define HAPROXY_CHECK_COUNT 12
extern const char *const haproxy_checks[HAPROXY_CHECK_COUNT];
/* How the last probe of it went: one of them, or "INI". */
const char *haproxy_check(const struct server_view *v);
/* In words, for check_desc. */
const char *haproxy_check_words(const char *check);

void stats_row_frontend(const struct control *c, size_t frontend, struct stats_row *row);
void stats_row_backend(const struct control *c, size_t backend, struct stats_row *row);
void stats_row_server(const struct control *c, size_t backend, size_t server,
                      struct stats_row *row);

#endif
