/* The lines `bind`: addresses, TLS, the PROXY header. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "import/fronts.h"
#include "import/global.h"
#include "import/rule.h"

#define PORTS_MAX 256  /* of a range */
#define BINDS_MAX 8192 /* of the whole file */
#define CERTS_MAX 256  /* of a directory */

struct word bind_place(struct source *s, const struct address_word *a, unsigned port, bool six_only)
{
    struct address_word at = *a;
    if (at.path.len == 0 && at.any && at.six) {
        at.host = word_of(s, six_only ? "[::]" : "");
        at.six = false;
    } else if (at.path.len == 0 && at.any) {
        at.host = word_of(s, "0.0.0.0");
    } else if (word_is(&at.host, "localhost")) {
        at.host = word_of(s, "127.0.0.1");
    }
    return address_word_write(s, &at, port);
}

/* Addresses ---------------------------------------------------------------------------------------
 */

/* A name where clients connect: HAProxy looks it up once, router takes numbers only. */
static bool is_name(const struct address_word *a)
{
    return a->path.len == 0 && !a->any && !place_is_number(a) && a->host.reference_count == 0 &&
           !word_is(&a->host, "localhost");
}

static void write_address(struct plan *plan, struct plan_section *section, struct line *l,
                          const struct word *w, bool six_only)
{
    struct source *s = plan->source;
    struct address_word at;
    address_word_read(s, w, &at);
    const char *why = at.other != NULL                  ? "router listens at no such address"
                      : is_name(&at)                    ? "router listens at numeric addresses"
                      : place_lacks_port(&at)           ? "router needs a port"
                      : at.last - at.first >= PORTS_MAX ? "too many ports"
                                                        : NULL;
    if (why != NULL) {
        line_mark(s, l, VERDICT_LOST, "%s: %s", w->text, why);
        return;
    }
    for (unsigned port = at.first; port <= at.last; port++) {
        unsigned written = at.first == at.last ? 0 : port;
        if (plan->binds++ >= BINDS_MAX) {
            line_mark(s, l, VERDICT_LOST, "%s: too many addresses", w->text);
            return;
        }
        plan_add_once(plan, section, "bind", bind_place(s, &at, written, six_only), l);
    }
}

/* "a:80,b:80" are several. */
static void write_addresses(struct plan *plan, struct plan_section *section, struct line *l,
                            const struct parameters *words)
{
    const struct word *w = line_argument(l, 0);
    bool six_only = parameters_find(words, "v6only") != NULL;
    for (size_t at = 0; at < w->len;) {
        size_t len = strcspn(w->text + at, ",");
        struct word one = word_slice(plan->source, w, at, len);
        write_address(plan, section, l, &one, six_only);
        at += len + 1;
    }
}

/* TLS ---------------------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_certificate(const char *name)
{
    static const char *const beside[] = {".key", ".ocsp", ".sctl", ".issuer", ".dh"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        size_t end = strlen(beside[i]);
        if (len > end && strcmp(name + len - end, beside[i]) == 0) {
            return false;
        }
    }
    return name[0] != '.';
}

static void write_folder(struct plan *plan, struct plan_section *section, struct line *l,
                         const struct word *folder, DIR *dir)
{
    struct arena *a = &plan->source->arena;
    const char *names[CERTS_MAX] = {NULL};
    size_t count = 0;
    for (struct dirent *e; count < CERTS_MAX && (e = readdir(dir)) != NULL;) {
        if (is_certificate(e->d_name)) {
            names[count++] = arena_copy(a, e->d_name, strlen(e->d_name));
        }
    }
    qsort(names, count, sizeof names[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        struct word name = word_of(plan->source, names[i]);
        bool slash = folder->len > 0 && folder->text[folder->len - 1] == '/';
        plan_add(plan, section, "tls_cert",
                 word_join(plan->source, folder, slash ? "" : "/", &name), l);
    }
    line_mark(plan->source, l, count > 0 ? VERDICT_DIFFERENCE : VERDICT_LOST, "crt: %s",
              count > 0 ? "the files that are in the directory now"
                        : "the directory has no certificate");
}

static void write_certificate(struct plan *plan, struct plan_section *section, struct line *l,
                              const struct word *w)
{
    struct word path = global_file(plan->source, w, "crt-base");
    DIR *dir = opendir(path.text);
    if (dir == NULL) {
        plan_add_once(plan, section, "tls_cert", path, l);
        return;
    }
    write_folder(plan, section, l, &path, dir);
    closedir(dir);
}

/* Each line of a crt-list: "FILE [options] names ...". */
static void write_list(struct plan *plan, struct plan_section *section, struct line *l,
                       const struct word *w)
{
    struct word *files = NULL;
    struct word *rests = NULL;
    size_t count = 0;
    if (!condition_file(plan->source, w->text, &files, &rests, &count) || count == 0) {
        line_mark(plan->source, l, VERDICT_LOST, "crt-list: it cannot be read");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        plan_add_once(plan, section, "tls_cert", global_file(plan->source, &files[i], "crt-base"),
                      l);
        if (rests[i].len > 0) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE,
                      "crt-list: a certificate is shown for the names in it, without options");
        }
    }
}

static void write_version(struct plan *plan, struct plan_section *section, struct line *l,
                          const struct word *w)
{
    bool newest = word_is(w, "TLSv1.3");
    plan_set_text(plan, section, "tls_min_version", newest ? "1.3" : "1.2", l);
    if (!newest && !word_is(w, "TLSv1.2")) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "ssl-min-ver: router speaks TLS 1.2 and 1.3 only");
    }
}

static void write_alpn(struct plan *plan, struct plan_section *section, struct line *l,
                       const struct word *w)
{
    for (size_t at = 0; at < w->len;) {
        size_t len = strcspn(w->text + at, ",");
        plan_add_once(plan, section, "tls_alpn", word_slice(plan->source, w, at, len), l);
        at += len + 1;
    }
}

static void write_client_ca(struct plan *plan, struct plan_section *section, struct line *l,
                            const struct parameters *words)
{
    const struct parameter *ca = parameters_find(words, "ca-file");
    const struct parameter *verify = parameters_find(words, "verify");
    bool required = verify != NULL && word_is(&verify->arguments[0], "required");
    if (ca != NULL && required) {
        plan_set(plan, section, "tls_client_ca",
                 global_file(plan->source, &ca->arguments[0], "ca-base"), l);
    } else if (verify != NULL && word_is(&verify->arguments[0], "optional")) {
        line_mark(plan->source, l, VERDICT_LOST,
                  "verify optional: router asks for certificates of all clients or of none");
    }
}

/* "ssl-default-bind-options no-sslv3 ssl-min-ver TLSv1.3" of global. */
static void write_default_options(struct plan *plan, struct plan_section *section)
{
    struct line *l = global_find(plan->source, "ssl-default-bind-options");
    for (size_t i = 0; l != NULL && line_argument(l, i) != NULL; i++) {
        if (line_says(l, i, "ssl-min-ver") && line_argument(l, i + 1) != NULL &&
            plan_find(section, "tls_min_version") == NULL) {
            write_version(plan, section, l, line_argument(l, i + 1));
        }
    }
}

/* What one `bind` says of TLS counts for the other addresses of the frontend too. */
static void tell_of_others(struct plan *plan, const struct plan_section *section, struct line *l,
                           const struct parameters *words)
{
    static const char *const both[][2] = {{"ssl-min-ver", "tls_min_version"}, {"alpn", "tls_alpn"}};
    for (size_t i = 0; plan_find(section, "tls") != NULL && i < ARRAY_LEN(both); i++) {
        bool says = parameters_find(words, both[i][0]) != NULL;
        if (says != (plan_find(section, both[i][1]) != NULL)) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE,
                      "%s counts for all addresses of the frontend", both[i][1]);
        }
    }
}

static void write_tls(struct plan *plan, struct plan_section *section, struct line *l,
                      const struct parameters *words, const struct front *front)
{
    const char *protocol = front->part != NULL ? front->part->protocol : "tcp";
    if (strcmp(protocol, "mysql") == 0) {
        line_mark(plan->source, l, VERDICT_LOST,
                  "ssl: MySQL's TLS begins inside of the protocol; tls = yes needs pool_mode = "
                  "session in router");
        return;
    }
    if (strcmp(protocol, "pgsql") == 0) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "ssl: clients ask for TLS as PostgreSQL's do, who do not ask get none");
    }
    tell_of_others(plan, section, l, words);
    plan_set_text(plan, section, "tls", "yes", l);
    for (size_t i = 0; i < words->count; i++) {
        const struct parameter *word = &words->items[i];
        if (strcmp(word->name, "crt") == 0) {
            write_certificate(plan, section, l, &word->arguments[0]);
        } else if (strcmp(word->name, "crt-list") == 0) {
            write_list(plan, section, l, &word->arguments[0]);
        } else if (strcmp(word->name, "ssl-min-ver") == 0) {
            write_version(plan, section, l, &word->arguments[0]);
        } else if (strcmp(word->name, "alpn") == 0) {
            write_alpn(plan, section, l, &word->arguments[0]);
        }
    }
    write_client_ca(plan, section, l, words);
    write_default_options(plan, section);
}

/* -------------------------------------------------------------------------------------------------
 */

static const char *const taken[] = {"accept-proxy", "alpn",    "ca-file", "crt",
                                    "crt-list",     "maxconn", "ssl",     "ssl-min-ver",
                                    "v4v6",         "v6only",  "verify"};

/* Whose file a unix socket is. */
static bool is_permission(const char *name)
{
    static const char *const all[] = {"mode", "user", "group", "uid", "gid"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void mark_words(struct plan *plan, struct line *l, const struct parameters *words)
{
    parameters_mark(plan->source, l, words);
    for (size_t i = 0; i < words->count; i++) {
        bool known = words->items[i].verdict != VERDICT_NONE;
        for (size_t k = 0; !known && k < sizeof taken / sizeof taken[0]; k++) {
            known = strcmp(words->items[i].name, taken[k]) == 0;
        }
        if (!known && is_permission(words->items[i].name)) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE,
                      "%s: the socket is of who runs router, as its umask has it",
                      words->items[i].name);
        } else if (!known) {
            line_mark(plan->source, l, VERDICT_LOST, "%s: router has no such word",
                      words->items[i].name);
        }
    }
}

static void write_proxy_header(struct plan *plan, struct plan_section *section, struct line *l)
{
    const struct setting *bind = plan_find(section, "bind");
    bool unix_only = bind != NULL && strncmp(bind->value.text, "unix:", 5) == 0;
    plan_set_text(plan, section, "accept_proxy", "yes", l);
    if (!unix_only && plan_find(section, "allow") == NULL) {
        const char *note = "narrow this: who may speak for clients";
        plan_add(plan, section, "allow", word_of(plan->source, "0.0.0.0/0"), NULL)->note = note;
        plan_add(plan, section, "allow", word_of(plan->source, "::/0"), NULL)->note = note;
        line_mark(
            plan->source, l, VERDICT_DIFFERENCE,
            "accept-proxy: allow says who may send PROXY headers; HAProxy believes everybody");
    }
}

static void write_line(struct plan *plan, struct plan_section *section, const struct front *front,
                       struct line *l)
{
    struct parameters words;
    parameters_read(plan->source, l, 1, &words);
    write_addresses(plan, section, l, &words);
    mark_words(plan, l, &words);
    if (parameters_find(&words, "ssl") != NULL) {
        write_tls(plan, section, l, &words, front);
    }
    if (parameters_find(&words, "accept-proxy") != NULL) {
        write_proxy_header(plan, section, l);
    }
    const struct parameter *maxconn = parameters_find(&words, "maxconn");
    if (maxconn != NULL) {
        plan_set_number(plan, section, "max_sessions",
                        word_number(&maxconn->arguments[0], 0, 100000000), l);
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "maxconn: who comes beyond it is refused, not left waiting");
    }
}

static bool asks_for_certificates(const struct parameters *words)
{
    const struct parameter *verify = parameters_find(words, "verify");
    return parameters_find(words, "ssl") != NULL && verify != NULL &&
           word_is(&verify->arguments[0], "required");
}

unsigned bind_kind(struct source *s, const struct line *l)
{
    struct parameters words;
    parameters_read(s, l, 1, &words);
    return (parameters_find(&words, "ssl") != NULL ? BIND_TLS : 0) |
           (parameters_find(&words, "accept-proxy") != NULL ? BIND_PROXIED : 0) |
           (asks_for_certificates(&words) ? BIND_CERTS : 0);
}

void bind_write(struct plan *plan, struct plan_section *section, const struct front *front,
                unsigned kind)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(front->proxy, "bind", &at)) != NULL;) {
        if (bind_kind(plan->source, l) == kind) {
            write_line(plan, section, front, l);
        }
    }
}
