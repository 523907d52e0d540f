/* What the servers' lines and the names say of a backend. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "import/check_internal.h"
#include "import/place.h"

struct look {
    const struct proxy *p;
    struct surroundings *out;
    unsigned default_port; /* of default-server */
    bool default_checked;
    bool several_ports;
    bool several_check_ports;
};

static bool names(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasestr(text, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void look_at_name(struct surroundings *out, const char *text)
{
    static const char *const redis[] = {"redis", "valkey", "keydb", "sentinel", "dragonfly"};
    static const char *const mysql[] = {"mysql", "maria", "galera", "pxc", "percona"};
    static const char *const pgsql[] = {"postgres", "pgsql", "patroni", "pg-", "pg_"};
    out->redis = out->redis || names(text, redis, ARRAY_LEN(redis));
    out->mysql = out->mysql || names(text, mysql, ARRAY_LEN(mysql));
    out->pgsql = out->pgsql || names(text, pgsql, ARRAY_LEN(pgsql)) || strcmp(text, "pg") == 0;
}

static void look_at_port(struct surroundings *out, unsigned port)
{
    out->redis = out->redis || (port >= 6379 && port <= 6389) || port == 26379;
    out->mysql = out->mysql || (port >= 3306 && port <= 3309) || port == 33060 || port == 33062;
    out->pgsql = out->pgsql || (port >= 5432 && port <= 5435) || port == 6432;
}

/* The parameters of a line: its `port` and whether it has `check`. */
static void read_parameters(const struct line *l, size_t at, unsigned *port, bool *checked)
{
    for (size_t i = at; i < l->count; i++) {
        if (word_is(&l->words[i], "port") && i + 1 < l->count) {
            long long n = word_number(&l->words[++i], 1, 65535);
            *port = n > 0 ? (unsigned)n : *port;
        } else if (word_is(&l->words[i], "check")) {
            *checked = true;
        } else if (word_is(&l->words[i], "no-check")) {
            *checked = false;
        }
    }
}

static void note(unsigned *port, bool *several, unsigned found)
{
    *several = *several || (*port != 0 && found != *port);
    *port = found != 0 && *port == 0 ? found : *port;
}

static void look_at_server(struct look *look, const struct line *l, size_t at)
{
    struct address_word address;
    address_word_read(look->p->source, &l->words[at], &address);
    unsigned check_port = look->default_port;
    bool checked = look->default_checked;
    read_parameters(l, at + 1, &check_port, &checked);
    look_at_name(look->out, l->words[1].text);
    look_at_port(look->out, address.first);
    look->out->checked = look->out->checked || checked;
    note(&look->out->port, &look->several_ports, address.first);
    note(&look->out->check_port, &look->several_check_ports,
         check_port != 0 ? check_port : address.first);
}

void surroundings_look(const struct proxy *p, struct surroundings *out)
{
    struct look look = {.p = p, .out = out};
    *out = (struct surroundings){0};
    look_at_name(out, p->section->name);
    for (size_t i = 0; i < p->count; i++) {
        const struct line *l = p->lines[i];
        if (l->count > 2 && word_is(&l->words[0], "server")) {
            look_at_server(&look, l, 2);
        } else if (l->count > 3 && word_is(&l->words[0], "server-template")) {
            look_at_server(&look, l, 3);
        } else if (l->count > 1 && word_is(&l->words[0], "default-server")) {
            read_parameters(l, 1, &look.default_port, &look.default_checked);
        }
    }
    out->port = look.several_ports ? 0 : out->port;
    out->check_port = look.several_check_ports ? 0 : out->check_port;
}

static bool is_one_of(const char *word, size_t len, const char *const *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(all[i]) == len && strncasecmp(all[i], word, len) == 0) {
            return true;
        }
    }
    return false;
}

enum check_wants check_words(const char *text)
{
    static const char *const primary[] = {"primary", "master", "leader", "write",   "writer",
                                          "writes",  "rw",     "main",   "writable"};
    static const char *const replica[] = {
        "replica", "replicas", "slave",  "slaves",  "secondary", "standby",  "secondaries",
        "read",    "reads",    "reader", "readers", "ro",        "readonly", "follower"};
    enum check_wants wants = CHECK_WANTS_ANY;
    while (*text != '\0') {
        size_t len = 0;
        while (isalpha((unsigned char)text[len])) {
            len++;
        }
        if (is_one_of(text, len, primary, ARRAY_LEN(primary))) {
            return CHECK_WANTS_PRIMARY;
        }
        if (is_one_of(text, len, replica, ARRAY_LEN(replica))) {
            wants = CHECK_WANTS_REPLICA;
        }
        text += len > 0 ? len : 1;
    }
    return wants;
}
