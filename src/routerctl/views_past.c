/* What was: changes of the primary and events. And all of it as JSON. */
#include <string.h>

#include "routerctl/format.h"
#include "routerctl/views.h"

static void add_time(const struct json *j, const struct json_node *c, const char *key,
                     struct table *t)
{
    char words[FORMAT_MAX];
    double ms;
    if (json_number(j, c, key, &ms)) {
        table_add(t, COLOUR_PLAIN, "%s", format_duration(words, ms));
    } else {
        table_add(t, COLOUR_DIM, "-");
    }
}

bool view_changes(const struct view *v, struct text *out)
{
    const struct json *j = v->j;
    struct table t;
    table_begin(&t,
                "AT BACKEND FROM TO >ELECTED >FENCED >PUBLISHED >WRITTEN >HELD >CLOSED EVIDENCE");
    for (const struct json_node *c = view_list(j, "changes"); c != NULL; c = json_next(j, c)) {
        const char *backend = json_string(j, c, "backend", "-");
        if (!view_wanted(v->only, backend, NULL)) {
            continue;
        }
        table_add(&t, COLOUR_PLAIN, "%s", json_string(j, c, "at", "-"));
        table_add(&t, COLOUR_PLAIN, "%s", backend);
        table_add(&t, COLOUR_PLAIN, "%s", json_string(j, c, "from", "-"));
        table_add(&t, COLOUR_BOLD, "%s", json_string(j, c, "to", "-"));
        add_time(j, c, "elected_ms", &t);
        add_time(j, c, "fenced_ms", &t);
        add_time(j, c, "published_ms", &t);
        add_time(j, c, "written_ms", &t);
        table_add(&t, COLOUR_PLAIN, "%.0f", json_number_or(j, c, "held", 0));
        table_add(&t, COLOUR_PLAIN, "%.0f", json_number_or(j, c, "closed", 0));
        table_add(&t, COLOUR_DIM, "%s", json_string(j, c, "evidence", ""));
    }
    table_print(&t, v->colours, "", out);
    table_free(&t);
    return true;
}

static void add_event(const struct view *v, const struct json_node *e, struct text *out)
{
    const struct json *j = v->j;
    if (v->as_json) {
        json_write(j, e, out);
        text_add(out, "\n");
        return;
    }
    struct text words = {0};
    const char *at = json_string(j, e, "at", "-");
    const char *backend = json_string(j, e, "backend", "");
    const char *kind = json_string(j, e, "kind", "-");
    term_clean(&words, at, strlen(at), false);
    term_paint(out, v->colours, COLOUR_DIM, words.data);
    words.len = 0;
    text_add(&words, "  ");
    term_clean(&words, backend[0] != '\0' ? backend : "-",
               strlen(backend[0] != '\0' ? backend : "-"), false);
    text_add(&words, "  ");
    term_clean(&words, kind, strlen(kind), false);
    term_paint(out, v->colours, COLOUR_BOLD, words.data);
    words.len = 0;
    text_add(&words, "  ");
    const char *text = json_string(j, e, "text", "");
    term_clean(&words, text, strlen(text), false);
    text_add(out, "%s\n", words.data);
    text_free(&words);
}

static bool wants_event(const struct view *v, const struct json_node *e)
{
    return json_number_or(v->j, e, "number", 0) > v->after &&
           view_wanted(v->only, json_string(v->j, e, "backend", ""), NULL);
}

/* They come newest first, and are shown like a log. */
double view_events(const struct view *v, struct text *out)
{
    const struct json_node *wanted[1000];
    size_t count = 0;
    size_t most = v->lines > 0 && v->lines < ARRAY_LEN(wanted) ? v->lines : ARRAY_LEN(wanted);
    double newest = v->after;
    const struct json_node *e = view_list(v->j, "events");
    for (; e != NULL && count < most; e = json_next(v->j, e)) {
        double number = json_number_or(v->j, e, "number", 0);
        newest = number > newest ? number : newest;
        if (wants_event(v, e)) {
            wanted[count++] = e;
        }
    }
    while (count > 0) {
        add_event(v, wanted[--count], out);
    }
    return newest;
}

/* JSON -------------------------------------------------------------------------------------- */

/* {"backend":"b", and then what it has itself */
static void write_server(const struct json *j, const char *backend, const struct json_node *server,
                         struct text *out)
{
    text_add(out, "{\"backend\":");
    text_add_json(out, backend);
    for (const struct json_node *n = json_first(j, server); n != NULL; n = json_next(j, n)) {
        text_add(out, ",");
        text_add_json(out, n->key);
        text_add(out, ":");
        json_write(j, n, out);
    }
    text_add(out, "}");
}

static void write_servers(const struct view *v, const struct json_node *b, const char **comma,
                          struct text *out)
{
    const struct json *j = v->j;
    const char *name = json_string(j, b, "name", "?");
    const struct json_node *s = json_first(j, json_member(j, b, "servers"));
    for (; s != NULL; s = json_next(j, s)) {
        if (s->kind == JSON_OBJECT && view_wanted(v->only, name, json_string(j, s, "name", "?"))) {
            text_add(out, "%s", *comma);
            write_server(j, name, s, out);
            *comma = ",\n";
        }
    }
}

bool view_json(const struct view *v, const char *what, struct text *out)
{
    const struct json *j = v->j;
    bool servers = strcmp(what, "servers") == 0;
    bool sections = strcmp(what, "backends") == 0 || strcmp(what, "frontends") == 0;
    const char *comma = "";
    text_add(out, "[");
    const struct json_node *n = view_list(j, servers ? "backends" : what);
    for (; n != NULL; n = json_next(j, n)) {
        if (servers) {
            write_servers(v, n, &comma, out);
        } else if (view_wanted(v->only, json_string(j, n, sections ? "name" : "backend", ""),
                               NULL)) {
            text_add(out, "%s", comma);
            json_write(j, n, out);
            comma = ",\n";
        }
    }
    text_add(out, "]\n");
    return v->only == NULL || comma[0] != '\0';
}
