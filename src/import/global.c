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
    address_word_read(plan->source, w, &at);
    if (at.other != NULL) {
        return strncmp(at.other, "udp", 3) == 0
                   ? log_target(plan,
                                &(struct word){
                                    .text = strchr(w->text, '@') + 1,
                                    .len = strlen(strchr(w->text, '@') + 1),
                                })
                   : NULL;
    }
    if (at.path.len > 0) {
        return word_is(&at.path, "/dev/log") ? "syslog"
                                             : arena_print(a, "syslog:unix:%s", at.path.text);
    }
    return arena_print(a, "syslog:%s:%u", at.host.text, at.first > 0 ? at.first : 514);
}

static void write_log(struct plan *plan, struct line *l)
{
    const struct word *w = line_argument(l, 0);
    const char *target = w != NULL && !line_says(l, 0, "global") ? log_target(plan, w) : NULL;
    if (w == NULL || line_says(l, 0, "global")) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    } else if (target == NULL) {
        line_mark(plan->source, l, VERDICT_LOST, "router logs to stderr, a file or syslog");
    } else {
        plan_set_text(plan, &plan->router, "log", target, l);
        if (strcmp(target, "stderr") == 0 && strncmp(w->text, "stdout", 6) == 0) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "router logs to stderr");
        }
    }
}

static void write_log_format(struct plan *plan, struct line *l)
{
    const struct word *w = line_argument(l, 0);
    bool json = w != NULL && (strchr(w->text, '{') == w->text || strstr(w->text, "\":") != NULL);
    plan_set_text(plan, &plan->router, "log_format", json ? "json" : "haproxy", l);
    plan_set_text(plan, &plan->router, "log_sessions", "all", l);
    line_mark(plan->source, l, VERDICT_DIFFERENCE, "router has its own fields%s",
              json ? ", in JSON" : "; these are those of option tcplog");
}

static void write_proxy_logs(struct plan *plan, const struct proxy *p)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "log", &at)) != NULL;) {
        write_log(plan, l);
    }
    struct line *format = proxy_find(p, "log-format");
    if (format != NULL) {
        write_log_format(plan, format);
    }
    static const char *const options[] = {"option tcplog", "option httplog"};
    for (size_t i = 0; i < 2; i++) {
        struct line *l = proxy_find(p, options[i]);
        if (l == NULL) {
            continue;
        }
        plan_set_text(plan, &plan->router, "log_format", "haproxy", l);
        plan_set_text(plan, &plan->router, "log_sessions", "all", l);
        if (i == 1) {
            line_mark(
                plan->source, l, VERDICT_DIFFERENCE,
                "router sees connections, not requests: its lines are those of option tcplog");
        }
    }
    struct line *null = proxy_find(p, "option dontlognull");
    if (null != NULL) {
        line_mark(plan->source, null, VERDICT_DIFFERENCE,
                  "sessions without a byte are logged too (log_sessions = errors logs only what "
                  "went wrong)");
    }
}

/* Control sockets ---------------------------------------------------------------------------------
 */

static void write_control(struct plan *plan, struct line *l)
{
    struct source *s = plan->source;
    struct address_word at;
    address_word_read(s, line_argument(l, 0), &at);
    if (at.path.len == 0) {
        line_mark(s, l, VERDICT_LOST, "router's control socket is a unix socket");
        return;
    }
    struct word value = at.path;
    for (size_t i = 1; line_argument(l, i) != NULL; i++) {
        bool known = line_says(l, i, "mode") || line_says(l, i, "level");
        if (known && line_argument(l, i + 1) != NULL) {
            struct word name = word_join(s, line_argument(l, i), "=", line_argument(l, i + 1));
            value = word_join(s, &value, " ", &name);
        }
        if (line_says(l, i, "user") || line_says(l, i, "group") || line_says(l, i, "uid") ||
            line_says(l, i, "gid")) {
            line_mark(s, l, VERDICT_DIFFERENCE, "%s: the socket belongs to who runs router",
                      line_argument(l, i)->text);
        }
    }
    plan_add(plan, &plan->router, "control", value, l);
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

void global_write(struct plan *plan, const struct proxies *all)
{
    write_controls(plan);
    write_limits(plan);
    write_person(plan, "user");
    write_person(plan, "group");
    for (size_t i = 0; i < all->count; i++) {
        write_proxy_logs(plan, &all->items[i]);
    }
    struct line *l = global_find(plan->source, "daemon");
    if (l != NULL) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "router stays in the foreground, as systemd and containers want it");
    }
}
