#include "import/global.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>

struct line *global_find(const struct source *s, const char *keyword)
{
    for (size_t i = s->section_count; i > 0; i--) {
        const struct section *section = s->sections[i - 1];
        for (size_t k = section->count; section->kind == SECTION_GLOBAL && k > 0; k--) {
            struct line *l = section->lines[k - 1];
            if (l->keyword != NULL && strcmp(l->keyword->name, keyword) == 0) {
                return l->negated ? NULL : l;
            }
        }
    }
    return NULL;
}

struct word global_file(struct source *s, const struct word *w, const char *base)
{
    struct line *l = w->text[0] != '/' ? global_find(s, base) : NULL;
    const struct word *folder = l != NULL ? line_argument(l, 0) : NULL;
    if (folder == NULL) {
        return *w;
    }
    line_mark(s, l, VERDICT_KEPT, NULL);
    return word_join(s, folder, "/", w);
}

/* Logs --------------------------------------------------------------------------------------------
 */

/* Where a `log` line sends to, as router's option has it; NULL: nowhere that router can. */
static const char *log_target(struct plan *plan, const struct word *w)
{
    struct arena *a = &plan->source->arena;
    struct address_word at;
    if (word_is(w, "stdout") || word_is(w, "stderr") || strncmp(w->text, "fd@", 3) == 0) {
        return "stderr";
    }
    size_t prefix = strncmp(w->text, "udp@", 4) == 0                                         ? 4
                    : strncmp(w->text, "udp4@", 5) == 0 || strncmp(w->text, "udp6@", 5) == 0 ? 5
                                                                                             : 0;
    struct word plain = word_slice(plan->source, w, prefix, w->len - prefix);
    address_word_read(plan->source, &plain, &at);
    if (at.other != NULL) {
        return NULL;
    }
    if (at.path.len > 0) {
        return word_is(&at.path, "/dev/log") ? "syslog"
                                             : arena_print(a, "syslog:unix:%s", at.path.text);
    }
    if (word_is(&at.host, "localhost")) {
        at.host = word_of(plan->source, "127.0.0.1");
    }
    struct word place = address_word_write(plan->source, &at, at.first > 0 ? at.first : 514);
    return place_is_number(&at) ? arena_print(a, "syslog:%s", place.text) : NULL;
}

static void write_log(struct plan *plan, struct line *l)
{
    const struct word *w = line_argument(l, 0);
    const char *target = w != NULL && !line_says(l, 0, "global") ? log_target(plan, w) : NULL;
    if (w == NULL || line_says(l, 0, "global")) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    } else if (target == NULL) {
        line_mark(plan->source, l, VERDICT_LOST,
                  "router logs to stderr, a file, or syslog at a numeric address");
    } else {
        plan_set_text(plan, &plan->router, "log", target, l);
        if (strcmp(target, "stderr") == 0 && strncmp(w->text, "stdout", 6) == 0) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "router logs to stderr");
        }
    }
}

static bool looks_like_json(const struct line *l)
{
    const struct word *w = line_argument(l, 0);
    return w != NULL && (w->text[0] == '{' || strstr(w->text, "\":") != NULL);
}

/* Lines of sessions, as HAProxy writes them: all, or those that did not go well. */
static void write_session_logs(struct plan *plan, const struct proxy *p)
{
    static const char *const formats[] = {"option tcplog", "option httplog", "log-format"};
    struct line *normal = proxy_find(p, "option dontlog-normal");
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct line *l = proxy_find(p, formats[i]);
        if (l == NULL) {
            continue;
        }
        const char *format = i == 2 && looks_like_json(l) ? "json" : "haproxy";
        plan_set_text(plan, &plan->router, "log_format", format, l);
        plan_set_text(plan, &plan->router, "log_sessions", normal != NULL ? "errors" : "all",
                      normal != NULL ? normal : l);
        if (i > 0) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "%s",
                      i == 1 ? "router sees connections, not requests: its lines are those of "
                               "option tcplog"
                             : "router has its own fields");
        }
    }
    if (normal != NULL && plan_find(&plan->router, "log_sessions") == NULL) {
        line_mark(plan->source, normal, VERDICT_KEPT, NULL);
    }
}

static void write_proxy_logs(struct plan *plan, const struct proxy *p)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "log", &at)) != NULL;) {
        write_log(plan, l);
    }
    write_session_logs(plan, p);
    struct line *empty = proxy_find(p, "option dontlognull");
    if (empty != NULL) {
        line_mark(plan->source, empty, VERDICT_DIFFERENCE,
                  "sessions without a byte are logged too (log_sessions = errors logs only what "
                  "went wrong)");
    }
}

/* Control sockets ---------------------------------------------------------------------------------
 */

/* HAProxy's default level is operator, router's is admin. */
static struct word with_level(struct source *s, const struct word *path, const struct word *level)
{
    struct word text = level != NULL ? *level : word_of(s, "operator");
    struct word none = word_of(s, "");
    return word_is(&text, "admin") ? word_join(s, path, "", &none)
                                   : word_join(s, path, " level=", &text);
}

static void write_control(struct plan *plan, struct line *l)
{
    struct source *s = plan->source;
    struct address_word at;
    const struct word *level = NULL;
    address_word_read(s, line_argument(l, 0), &at);
    if (at.path.len == 0) {
        line_mark(s, l, VERDICT_LOST, "router's control socket is a unix socket");
        return;
    }
    struct word value = at.path;
    for (size_t i = 1; line_argument(l, i) != NULL; i++) {
        const struct word *next = line_argument(l, i + 1);
        if (line_says(l, i, "mode") && next != NULL) {
            value = word_join(s, &value, " mode=", next);
            i++;
        } else if (line_says(l, i, "level") && next != NULL) {
            level = next;
            i++;
        } else if (line_says(l, i, "user") || line_says(l, i, "group") || line_says(l, i, "uid") ||
                   line_says(l, i, "gid")) {
            line_mark(s, l, VERDICT_DIFFERENCE, "%s: the socket belongs to who runs router",
                      line_argument(l, i)->text);
        }
    }
    plan_add(plan, &plan->router, "control", with_level(s, &value, level), l);
}

static void write_controls(struct plan *plan)
{
    for (size_t i = 0; i < plan->source->section_count; i++) {
        struct section *section = plan->source->sections[i];
        for (size_t k = 0; section->kind == SECTION_GLOBAL && k < section->count; k++) {
            struct line *l = section->lines[k];
            if (l->keyword != NULL && strcmp(l->keyword->name, "stats socket") == 0 &&
                line_argument(l, 0) != NULL) {
                write_control(plan, l);
            } else if (l->keyword != NULL && strcmp(l->keyword->name, "log") == 0) {
                write_log(plan, l);
            }
        }
    }
}

/* Who it runs as ----------------------------------------------------------------------------------
 */

static void write_person(struct plan *plan, const char *key)
{
    struct line *l = global_find(plan->source, key);
    const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
    bool user = strcmp(key, "user") == 0;
    if (w == NULL) {
        return;
    }
    if (user ? getpwnam(w->text) != NULL : getgrnam(w->text) != NULL) {
        plan_set(plan, &plan->router, key, *w, l);
    } else {
        line_mark(plan->source, l, VERDICT_DIFFERENCE, "there is no such %s here: not written",
                  key);
    }
}

static void write_limits(struct plan *plan)
{
    struct plan_section *r = &plan->router;
    struct line *l = global_find(plan->source, "maxconn");
    long long n = l != NULL && line_argument(l, 0) != NULL
                      ? word_number(line_argument(l, 0), 0, 100000000)
                      : -1;
    if (n > 0) {
        plan_set_number(plan, r, "max_sessions", n, l);
    } else if (l != NULL) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    }
    l = global_find(plan->source, "hard-stop-after");
    long long ms = l != NULL && line_argument(l, 0) != NULL
                       ? word_milliseconds(line_argument(l, 0), 1000)
                       : -1;
    if (ms >= 0) {
        plan_set_duration(plan, r, "drain_timeout", ms, l);
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "SIGTERM drains here; in HAProxy it ends at once");
    }
    l = global_find(plan->source, "pidfile");
    if (l != NULL && line_argument(l, 0) != NULL) {
        plan_set(plan, r, "pid_file", *line_argument(l, 0), l);
    }
}

/* What router's TLS does anyway, and what it has no words for. */
static void mark_tls_options(struct plan *plan, const char *keyword)
{
    static const char *const old[] = {"no-sslv3", "no-tlsv10", "no-tlsv11", "no-tls-tickets"};
    struct line *l = global_find(plan->source, keyword);
    for (size_t i = 0; l != NULL && line_argument(l, i) != NULL; i++) {
        const struct word *w = line_argument(l, i);
        bool known = word_is(w, "prefer-client-ciphers");
        for (size_t k = 0; k < sizeof old / sizeof old[0]; k++) {
            known = known || word_is(w, old[k]);
        }
        if (word_is(w, "ssl-min-ver") || word_is(w, "ssl-max-ver")) {
            known = word_is(w, "ssl-min-ver");
            i++;
        }
        line_mark(plan->source, l, known ? VERDICT_KEPT : VERDICT_DIFFERENCE, "%s%s",
                  known ? "" : w->text, known ? "" : ": router has no such word");
    }
}

/* Folders of files, where no file is looked for below them. */
static void mark_folders(struct plan *plan)
{
    static const char *const keywords[] = {"ca-base", "crt-base", "key-base"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        struct line *l = global_find(plan->source, keywords[i]);
        if (l != NULL && l->verdict == VERDICT_NONE) {
            line_mark(plan->source, l, VERDICT_NOT_NEEDED, "no file is named below it");
        }
    }
}

void global_write(struct plan *plan, const struct proxies *all)
{
    write_controls(plan);
    write_limits(plan);
    write_person(plan, "user");
    write_person(plan, "group");
    for (size_t i = 0; i < all->count; i++) {
        write_proxy_logs(plan, &all->items[i]);
    }
    mark_folders(plan);
    mark_tls_options(plan, "ssl-default-bind-options");
    mark_tls_options(plan, "ssl-default-server-options");
    struct line *l = global_find(plan->source, "daemon");
    if (l != NULL) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "router stays in the foreground, as systemd and containers want it");
    }
}
