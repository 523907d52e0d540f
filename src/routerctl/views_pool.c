/* `show pool json` for people: what there is of each backend's pool, why clients have connections
 * of their own, servers against their caps, and the connections one by one. */
#include <string.h>

#include "routerctl/format.h"
#include "routerctl/views.h"

static void add_string(const struct json *j, const struct json_node *n, const char *key,
                       enum colour colour, struct table *t)
{
    const char *words = json_string(j, n, key, NULL);
    bool any = words != NULL && words[0] != '\0';
    table_add(t, any ? colour : COLOUR_DIM, "%s", any ? words : "-");
}

static void add_number(const struct json *j, const struct json_node *n, const char *key,
                       struct table *t)
{
    double value;
    if (json_number(j, n, key, &value)) {
        table_add(t, value > 0 ? COLOUR_PLAIN : COLOUR_DIM, "%.0f", value);
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
}

static void add_numbers(const struct json *j, const struct json_node *n, const char *const *keys,
                        struct table *t)
{
    for (; *keys != NULL; keys++) {
        add_number(j, n, *keys, t);
    }
}

static void add_duration(const struct json *j, const struct json_node *n, const char *key,
                         bool known, struct table *t)
{
    char words[FORMAT_MAX];
    double ms;
    if (known && json_number(j, n, key, &ms)) {
        table_add(t, COLOUR_PLAIN, "%s", format_duration(words, ms));
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
}

/* Behind what stands there already, if it has any rows. */
static void end_table(const struct view *v, struct table *t, struct text *out)
{
    if (table_rows(t) > 0) {
        text_add(out, "%s", out->len > 0 ? "\n" : "");
        table_print(t, v->colours, "", out);
    }
    table_free(t);
}

/* A backend --------------------------------------------------------------------------------- */

/* What pools of one protocol have. */
struct columns {
    const char *head;
    const char *const *now;
    const char *const *ever;
    const char *connections; /* the head of their table */
    const char *const *of_connection;
};

static const struct columns of_redis = {
    "BACKEND MODE >CLIENTS >HELD >SHARED >LENT >IDLE >OPENING >REUSE >READ >WRITTEN >OTHER >WAITED "
    ">RESENT >UNKNOWN >REFUSED",
    (const char *const[]){"clients", "held", "shared", "lent", "idle", "opening", NULL},
    (const char *const[]){"read", "written", "other", "waited", "resent", "unknown", "refused",
                          NULL},
    "SERVER ADDRESS USER >DB >RESP STATE USE PINS >PINNED >AGE >COMMANDS >FLYING SESSION",
    (const char *const[]){"database", "resp", NULL},
};

static const struct columns of_mysql = {
    "BACKEND MODE >CLIENTS >HELD >LENT >IDLE >OPENING >REUSE >FRESH >CHANGED >RESUMED >DENIED "
    ">SLOWED "
    ">QUEUED >RETURNED >ENDED >CLEANED >LOGIN_US",
    (const char *const[]){"clients", "held", "lent", "idle", "opening", NULL},
    (const char *const[]){"fresh", "changed", "resumed", "denied", "slowed", "queued", "returned",
                          "ended", "cleaned", "login_average_us", NULL},
    "SERVER ADDRESS USER >THREAD >LEASES STATE USE PINS >PINNED >AGE >COMMANDS >FLYING SESSION",
    (const char *const[]){"thread", "leases", NULL},
};

static bool is_of_mysql(const struct json *j, const struct json_node *b)
{
    return json_member(j, json_member(j, b, "pool"), "fresh") != NULL;
}

static void add_pool(const struct json *j, const struct json_node *b, const struct columns *columns,
                     struct table *t)
{
    const struct json_node *pool = json_member(j, b, "pool");
    double percent;
    if (pool == NULL || pool->kind != JSON_OBJECT) {
        return;
    }
    add_string(j, b, "name", COLOUR_BOLD, t);
    add_string(j, pool, "mode", COLOUR_PLAIN, t);
    add_numbers(j, pool, columns->now, t);
    if (json_number(j, pool, "reuse_percent", &percent)) {
        table_add(t, COLOUR_PLAIN, "%.0f%%", percent);
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
    add_numbers(j, pool, columns->ever, t);
}

static void add_pins(const struct json *j, const struct json_node *b, struct table *t)
{
    const struct json_node *pins = json_member(j, json_member(j, b, "pool"), "pins");
    const struct json_node *oldest = json_member(j, b, "oldest_pin_ms");
    const struct json_node *pin = json_first(j, pins);
    for (; pin != NULL; pin = json_next(j, pin)) {
        if (pin->key != NULL && json_number_or(j, pins, pin->key, 0) > 0) {
            add_string(j, b, "name", COLOUR_PLAIN, t);
            table_add(t, COLOUR_PLAIN, "%s", pin->key);
            add_number(j, pins, pin->key, t);
            add_duration(j, oldest, pin->key, true, t);
        }
    }
}

static void add_server(const struct json *j, const char *backend, const struct json_node *s,
                       struct table *t)
{
    static const char *const links[] = {"shared", "lent", "idle", "opening", NULL};
    table_add(t, COLOUR_PLAIN, "%s/%s", backend, json_string(j, s, "server", "?"));
    add_number(j, s, "used", t);
    if (json_number_or(j, s, "max_connections", 0) > 0) {
        add_number(j, s, "max_connections", t);
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
    add_numbers(j, s, links, t);
}

static enum colour use_colour(const char *use)
{
    return strcmp(use, "opening") == 0 ? COLOUR_WARN
           : strcmp(use, "idle") == 0  ? COLOUR_DIM
                                       : COLOUR_PLAIN;
}

static void add_connection(const struct json *j, const char *backend, const struct json_node *c,
                           const struct columns *columns, struct table *t)
{
    const char *use = json_string(j, c, "use", "-");
    const char *pins = json_string(j, c, "pins", "");
    table_add(t, COLOUR_PLAIN, "%s/%s", backend, json_string(j, c, "server", "?"));
    add_string(j, c, "address", COLOUR_PLAIN, t);
    add_string(j, c, "user", COLOUR_PLAIN, t);
    add_numbers(j, c, columns->of_connection, t);
    add_string(j, c, "state", COLOUR_PLAIN, t);
    table_add(t, use_colour(use), "%s", use);
    add_string(j, c, "pins", COLOUR_PLAIN, t);
    add_duration(j, c, "pinned_ms", pins[0] != '\0', t);
    add_duration(j, c, "age_ms", true, t);
    add_number(j, c, "commands", t);
    add_number(j, c, "in_flight", t);
    add_string(j, c, "session", COLOUR_PLAIN, t);
}

/* What is logged in as a user. */
static void add_account(const struct json *j, const char *backend, const struct json_node *a,
                        struct table *t)
{
    table_add(t, COLOUR_PLAIN, "%s", backend);
    add_string(j, a, "user", COLOUR_PLAIN, t);
    add_number(j, a, "lent", t);
    add_number(j, a, "idle", t);
}

/* Addresses from which logins fail. */
static void add_failure(const struct json *j, const char *backend, const struct json_node *f,
                        struct table *t)
{
    static const char *const counts[] = {"denied", "broken", "late", "left", "slowed", NULL};
    table_add(t, COLOUR_PLAIN, "%s", backend);
    add_string(j, f, "address", COLOUR_PLAIN, t);
    add_numbers(j, f, counts, t);
    add_duration(j, f, "delay_ms", json_number_or(j, f, "delay_ms", 0) > 0, t);
    add_duration(j, f, "ago_ms", true, t);
}

/* The whole --------------------------------------------------------------------------------- */

struct tables {
    struct table pools;
    struct table connections;
};

static void begin(struct tables *t, const struct columns *columns)
{
    table_begin(&t->pools, columns->head);
    table_begin(&t->connections, columns->connections);
}

void view_pools(const struct view *v, struct text *out)
{
    const struct json *j = v->j;
    struct table pins, accounts, failures, servers;
    struct tables redis, mysql;
    begin(&redis, &of_redis);
    begin(&mysql, &of_mysql);
    table_begin(&pins, "BACKEND PINNED >CLIENTS >OLDEST");
    table_begin(&accounts, "BACKEND ACCOUNT >LENT >IDLE");
    table_begin(&failures, "BACKEND FAILURES_FROM >DENIED >BROKEN >LATE >LEFT >SLOWED >DELAY >AGO");
    table_begin(&servers, "SERVER >USED >MAX >SHARED >LENT >IDLE >OPENING");
    for (const struct json_node *b = json_first(j, json_root(j)); b != NULL; b = json_next(j, b)) {
        const char *name = json_string(j, b, "name", "?");
        const struct columns *columns = is_of_mysql(j, b) ? &of_mysql : &of_redis;
        struct tables *own = is_of_mysql(j, b) ? &mysql : &redis;
        add_pool(j, b, columns, &own->pools);
        add_pins(j, b, &pins);
        const struct json_node *n = json_first(j, json_member(j, b, "accounts"));
        for (; n != NULL; n = json_next(j, n)) {
            add_account(j, name, n, &accounts);
        }
        n = json_first(j, json_member(j, b, "failures"));
        for (; n != NULL; n = json_next(j, n)) {
            add_failure(j, name, n, &failures);
        }
        n = json_first(j, json_member(j, b, "servers"));
        for (; n != NULL; n = json_next(j, n)) {
            add_server(j, name, n, &servers);
        }
        n = json_first(j, json_member(j, b, "connections"));
        for (; n != NULL; n = json_next(j, n)) {
            add_connection(j, name, n, columns, &own->connections);
        }
    }
    end_table(v, &redis.pools, out);
    end_table(v, &mysql.pools, out);
    end_table(v, &pins, out);
    end_table(v, &accounts, out);
    end_table(v, &failures, out);
    end_table(v, &servers, out);
    end_table(v, &redis.connections, out);
    end_table(v, &mysql.connections, out);
}
