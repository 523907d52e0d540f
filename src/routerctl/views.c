#include "routerctl/views.h"

#include <string.h>

#include "routerctl/format.h"

const struct json_node *view_list(const struct json *j, const char *what)
{
    const struct json_node *list = json_member(j, json_root(j), what);
    return list != NULL && list->kind == JSON_LIST ? json_first(j, list) : NULL;
}

bool view_wanted(const char *only, const char *backend, const char *server)
{
    if (only == NULL) {
        return true;
    }
    size_t len = strcspn(only, "/");
    if (strlen(backend) != len || strncmp(only, backend, len) != 0) {
        return false;
    }
    return server == NULL || only[len] == '\0' || strcmp(only + len + 1, server) == 0;
}

enum colour view_state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {
        {"up", COLOUR_GOOD},      {"open", COLOUR_PLAIN}, {"ready", COLOUR_PLAIN},
        {"down", COLOUR_BAD},     {"none", COLOUR_DIM},   {"maint", COLOUR_WARN},
        {"unknown", COLOUR_WARN}, {"stale", COLOUR_WARN}, {"drain", COLOUR_WARN},
        {"quiet", COLOUR_WARN},   {"pause", COLOUR_WARN}, {"disabled", COLOUR_WARN},
    };
    for (size_t i = 0; i < ARRAY_LEN(colours); i++) {
        if (strcmp(colours[i].state, state) == 0) {
            return colours[i].colour;
        }
    }
    return COLOUR_PLAIN;
}

enum colour view_role_colour(const char *role)
{
    return strcmp(role, "primary") == 0   ? COLOUR_BOLD
           : strcmp(role, "unknown") == 0 ? COLOUR_WARN
                                          : COLOUR_PLAIN;
}

void view_headline(const struct json *j, struct text *out)
{
    const struct json_node *r = json_member(j, json_root(j), "router");
    char up[FORMAT_MAX];
    const char *state = json_is_true(j, r, "draining") ? "draining"
                        : json_is_true(j, r, "ready")  ? "ready"
                                                       : "not ready";
    struct text words = {0};
    text_add(&words, "router %s, pid %.0f, up %s, %.0f workers, %.0f of %.0f sessions, %s",
             json_string(j, r, "version", "?"), json_number_or(j, r, "pid", 0),
             format_duration(up, json_number_or(j, r, "uptime_ms", 0)),
             json_number_or(j, r, "workers", 0), json_number_or(j, r, "sessions", 0),
             json_number_or(j, r, "max_sessions", 0), state);
    term_clean(out, words.data, words.len, false);
    text_free(&words);
}

enum colour view_backend_words(const struct json *j, const struct json_node *backend,
                               struct text *out)
{
    struct text words = {0};
    char held[FORMAT_MAX];
    const char *primary = json_string(j, backend, "primary", NULL);
    const char *verdict = json_string(j, backend, "verdict", NULL);
    double waiting = json_number_or(j, backend, "waiting", 0);
    double held_ms = json_number_or(j, backend, "held_ms", 0);
    text_add(&words, "%s (%s)", json_string(j, backend, "name", "?"),
             json_string(j, backend, "protocol", "?"));
    if (primary != NULL) {
        text_add(&words, ": primary %s%s", primary,
                 json_is_true(j, backend, "stale") ? " (cannot be asked)" : "");
    } else if (verdict != NULL) {
        text_add(&words, ": no primary");
    }
    if (verdict != NULL && strcmp(verdict, "primary") != 0) {
        text_add(&words, ", %s", verdict);
    }
    if (json_is_true(j, backend, "paused")) {
        text_add(&words, ", paused by the operator");
    }
    if (waiting > 0) {
        text_add(&words, ", %.0f waiting", waiting);
    }
    if (held_ms > 0) {
        text_add(&words, ", held for %s", format_duration(held, held_ms));
    }
    term_clean(out, words.data, words.len, false);
    text_free(&words);
    bool waits = waiting > 0 || held_ms > 0 || json_is_true(j, backend, "paused");
    bool bad = verdict != NULL && primary == NULL;
    return bad ? COLOUR_BAD : waits ? COLOUR_WARN : COLOUR_BOLD;
}

void view_lag(const struct json *j, const struct json_node *server, struct text *out)
{
    double value;
    char words[FORMAT_MAX];
    if (json_number(j, server, "behind_ms", &value)) {
        text_add(out, "%s", format_duration(words, value));
    } else if (json_number(j, server, "lag_bytes", &value)) {
        text_add(out, "%s", format_bytes(words, value));
    } else {
        text_add(out, "-");
    }
}

static void add_number(const struct json *j, const struct json_node *n, const char *key,
                       struct table *t)
{
    double value;
    if (json_number(j, n, key, &value)) {
        table_add(t, COLOUR_PLAIN, "%.0f", value);
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
}

/* 0 is "none": there is no cap. */
static void add_cap(const struct json *j, const struct json_node *n, const char *key,
                    struct table *t)
{
    if (json_number_or(j, n, key, 0) > 0) {
        add_number(j, n, key, t);
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
}

/* Servers ----------------------------------------------------------------------------------- */

/* What an operator said of it stands before what it says itself. */
static const char *state_of(const struct json *j, const struct json_node *s)
{
    const char *admin = json_string(j, s, "admin", "ready");
    return strcmp(admin, "ready") != 0 ? admin : json_string(j, s, "state", "-");
}

static void add_server(const struct json *j, const char *backend, const struct json_node *s,
                       struct table *t)
{
    struct text lag = {0};
    char latency[FORMAT_MAX] = "-";
    double us;
    const char *role = json_string(j, s, "role", "-");
    const char *state = state_of(j, s);
    const char *access = json_string(j, s, "access", "-");
    if (json_number(j, s, "latency_us", &us) && json_number_or(j, s, "failures", 0) == 0) {
        format_duration(latency, us / 1000);
    }
    view_lag(j, s, &lag);
    if (backend != NULL) {
        table_add(t, COLOUR_PLAIN, "%s", backend);
    }
    table_add(t, COLOUR_PLAIN, "%s", json_string(j, s, "name", "?"));
    table_add(t, view_role_colour(role), "%s", role);
    table_add(t, view_state_colour(state), "%s", state);
    table_add(t, view_state_colour(access), "%s", access);
    add_number(j, s, "sessions", t);
    add_cap(j, s, "max_connections", t);
    add_number(j, s, "weight", t);
    table_add(t, COLOUR_PLAIN, "%s", lag.data);
    table_add(t, COLOUR_PLAIN, "%s", latency);
    table_add(t, COLOUR_PLAIN, "%s", json_string(j, s, "address", "-"));
    table_add(t, COLOUR_DIM, "%s", json_string(j, s, "reason", "-"));
    text_free(&lag);
}

static const char server_titles[] =
    "SERVER ROLE STATE ACCESS >SESSIONS >MAX >WEIGHT >LAG >PROBE ADDRESS WHY";

bool view_servers(const struct view *v, struct text *out)
{
    const struct json *j = v->j;
    struct table t;
    struct text titles = {0};
    text_add(&titles, "BACKEND %s", server_titles);
    table_begin(&t, titles.data);
    for (const struct json_node *b = view_list(j, "backends"); b != NULL; b = json_next(j, b)) {
        const char *name = json_string(j, b, "name", "?");
        const struct json_node *s = json_first(j, json_member(j, b, "servers"));
        for (; s != NULL; s = json_next(j, s)) {
            if (view_wanted(v->only, name, json_string(j, s, "name", "?"))) {
                add_server(j, name, s, &t);
            }
        }
    }
    bool any = table_rows(&t) > 0 || v->only == NULL;
    table_print(&t, v->colours, "", out);
    table_free(&t);
    text_free(&titles);
    return any;
}

/* Frontends --------------------------------------------------------------------------------- */

static void add_binds(const struct json *j, const struct json_node *frontend, struct text *out)
{
    const struct json_node *bind = json_first(j, json_member(j, frontend, "binds"));
    text_add(out, "%s", bind == NULL ? "-" : "");
    for (; bind != NULL; bind = json_next(j, bind)) {
        if (bind->kind == JSON_STRING) {
            text_add(out, "%s%s", out->len > 0 ? " " : "", bind->text);
        }
    }
}

static double sum_of_refused(const struct json *j, const struct json_node *frontend)
{
    double sum = json_number_or(j, frontend, "denied", 0);
    const struct json_node *n = json_first(j, frontend);
    for (; n != NULL; n = json_next(j, n)) {
        if (strncmp(n->key, "refused_", 8) == 0) {
            sum += json_number_or(j, frontend, n->key, 0);
        }
    }
    return sum;
}

bool view_frontends(const struct view *v, struct text *out)
{
    const struct json *j = v->j;
    struct table t;
    table_begin(&t, "FRONTEND BACKEND ROUTE SERVER >SESSIONS >MAX >TOTAL >REFUSED BINDS");
    for (const struct json_node *f = view_list(j, "frontends"); f != NULL; f = json_next(j, f)) {
        struct text binds = {0};
        const char *name = json_string(j, f, "name", "?");
        bool served = json_is_true(j, f, "has_server");
        if (!view_wanted(v->only, name, NULL)) {
            continue;
        }
        add_binds(j, f, &binds);
        table_add(&t, COLOUR_PLAIN, "%s", name);
        table_add(&t, COLOUR_PLAIN, "%s", json_string(j, f, "backend", "-"));
        table_add(&t, COLOUR_PLAIN, "%s", json_string(j, f, "route", "-"));
        if (json_is_true(j, f, "disabled")) {
            table_add(&t, COLOUR_WARN, "disabled");
        } else {
            table_add(&t, served ? COLOUR_GOOD : COLOUR_BAD, "%s", served ? "yes" : "none");
        }
        add_number(j, f, "sessions", &t);
        add_cap(j, f, "max_sessions", &t);
        add_number(j, f, "sessions_total", &t);
        table_add(&t, COLOUR_PLAIN, "%.0f", sum_of_refused(j, f));
        table_add(&t, COLOUR_PLAIN, "%s", binds.data);
        text_free(&binds);
    }
    bool any = table_rows(&t) > 0 || v->only == NULL;
    table_print(&t, v->colours, "", out);
    table_free(&t);
    return any;
}

/* Status ------------------------------------------------------------------------------------ */

static void add_backend(const struct view *v, const struct json_node *b, struct text *out)
{
    const struct json *j = v->j;
    const char *reason = json_string(j, b, "reason", "");
    struct text words = {0};
    struct table t;
    table_begin(&t, server_titles);
    enum colour colour = view_backend_words(j, b, &words);
    text_add(out, "\n");
    term_paint(out, v->colours, colour, words.data);
    text_add(out, "\n  ");
    term_clean(out, reason, strlen(reason), false);
    text_add(out, "\n");
    const struct json_node *s = json_first(j, json_member(j, b, "servers"));
    for (; s != NULL; s = json_next(j, s)) {
        add_server(j, NULL, s, &t);
    }
    table_print(&t, v->colours, "  ", out);
    table_free(&t);
    text_free(&words);
}

bool view_status(const struct view *v, struct text *out)
{
    const struct json *j = v->j;
    bool any = v->only == NULL;
    if (v->only == NULL) {
        struct text words = {0};
        view_headline(j, &words);
        term_paint(out, v->colours, COLOUR_BOLD, words.data);
        text_add(out, "\n\n");
        view_frontends(v, out);
        text_free(&words);
    }
    for (const struct json_node *b = view_list(j, "backends"); b != NULL; b = json_next(j, b)) {
        if (view_wanted(v->only, json_string(j, b, "name", "?"), NULL)) {
            add_backend(v, b, out);
            any = true;
        }
    }
    return any;
}
