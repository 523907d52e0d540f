/* `option external-check`: what its script asks, by its words and its name. It is read, bounded,
 * and never run. */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/check_internal.h"

#define SCRIPT_MAX  65536
#define FOLDERS_MAX 16

static struct line *find(const struct proxy *p, const char *what)
{
    struct line *found = NULL;
    for (size_t i = 0; i < p->count; i++) {
        struct line *l = p->lines[i];
        if (l->count > 2 && word_is(&l->words[0], "external-check") &&
            word_is(&l->words[1], what)) {
            found = l;
        }
    }
    return found;
}

/* Returns what is in the file, "" if it cannot be read; a part of it if it is long. */
static const char *read_file(struct source *s, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return "";
    }
    char *bytes = arena_take(&s->arena, SCRIPT_MAX + 1);
    ssize_t len = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        len = read(fd, bytes, SCRIPT_MAX);
    }
    close(fd);
    for (ssize_t i = 0; i < len; i++) {
        /* A program is no text, but may be looked at as one. */
        bytes[i] = bytes[i] == '\0' ? ' ' : bytes[i];
    }
    return bytes;
}

/* As the shell would find it, in `external-check path`. */
static const char *read_command(struct understanding *u, const char *command)
{
    struct line *path = find(u->p, "path");
    if (strchr(command, '/') != NULL || path == NULL) {
        return read_file(u->s, command);
    }
    const char *at = path->words[2].text;
    for (int i = 0; *at != '\0' && i < FOLDERS_MAX; i++) {
        int len = (int)strcspn(at, ":");
        const char *script =
            read_file(u->s, arena_print(&u->s->arena, "%.*s/%s", len, at, command));
        if (*script != '\0') {
            return script;
        }
        at += len + (at[len] == ':');
    }
    return "";
}

static bool has(const char *text, const char *word)
{
    return strcasestr(text, word) != NULL;
}

struct reading {
    const char *word; /* in the script, or in its name */
    enum check_kind kind;
    const char *topology;
};

static const struct reading readings[] = {
    {"wsrep", CHECK_MYSQL_ROLE, "galera"},
    {"replication_group_members", CHECK_MYSQL_ROLE, "group_replication"},
    {"group_replication", CHECK_MYSQL_ROLE, "group_replication"},
    {"pg_is_in_recovery", CHECK_PGSQL_LOGIN, NULL},
    {"read_only", CHECK_MYSQL_ROLE, "replication"},
    {"slave status", CHECK_MYSQL_ROLE, "replication"},
    {"replica status", CHECK_MYSQL_ROLE, "replication"},
    {"role:master", CHECK_REDIS_ROLE, NULL},
    {"role:slave", CHECK_REDIS_ROLE, NULL},
    {"redis-cli", CHECK_REDIS_PING, NULL},
    {"valkey-cli", CHECK_REDIS_PING, NULL},
    {"mysql", CHECK_MYSQL_ROLE, NULL},
    {"mariadb", CHECK_MYSQL_ROLE, NULL},
    {"psql", CHECK_PGSQL_LOGIN, NULL},
    {"pg_isready", CHECK_PGSQL_LOGIN, NULL},
};

static const struct reading names[] = {
    {"pxc", CHECK_MYSQL_ROLE, "galera"},   {"galera", CHECK_MYSQL_ROLE, "galera"},
    {"wsrep", CHECK_MYSQL_ROLE, "galera"}, {"clustercheck", CHECK_MYSQL_ROLE, "galera"},
    {"mysql", CHECK_MYSQL_ROLE, NULL},     {"maria", CHECK_MYSQL_ROLE, NULL},
    {"postgres", CHECK_PGSQL_LOGIN, NULL}, {"pgsql", CHECK_PGSQL_LOGIN, NULL},
    {"redis", CHECK_REDIS_ROLE, NULL},     {"valkey", CHECK_REDIS_ROLE, NULL},
};

static const struct reading *find_reading(const char *text, const struct reading *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (has(text, all[i].word)) {
            return &all[i];
        }
    }
    return NULL;
}

/* By what the servers are, where neither the script nor its name tells. */
static const struct reading *by_surroundings(const struct surroundings *around)
{
    static const struct reading mysql = {"", CHECK_MYSQL_ROLE, NULL};
    static const struct reading pgsql = {"", CHECK_PGSQL_LOGIN, NULL};
    static const struct reading redis = {"", CHECK_REDIS_ROLE, NULL};
    return around->mysql ? &mysql : around->pgsql ? &pgsql : around->redis ? &redis : NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The name of the script counts before that of the backend, and what it looks for comes last. */
static enum check_wants role_of(const struct understanding *u, const char *name, const char *script,
                                const struct reading *r)
{
    /* A script that is called after read_only asks for it: that is no word for readers. */
    bool variable = has(name, "read_only") || has(name, "readonly") || has(name, "read-only");
    enum check_wants wants = variable ? CHECK_WANTS_ANY : check_words(name);
    if (wants == CHECK_WANTS_ANY) {
        wants = check_words(u->p->section->name);
    }
    if (wants == CHECK_WANTS_ANY && r->kind == CHECK_REDIS_ROLE) {
        wants = has(script, "role:master")  ? CHECK_WANTS_PRIMARY
                : has(script, "role:slave") ? CHECK_WANTS_REPLICA
                                            : CHECK_WANTS_ANY;
    }
    /* A check that asks for read_only and has no other name looks for the primary. */
    bool asks = r->topology != NULL && strcmp(r->topology, "galera") != 0;
    return wants == CHECK_WANTS_ANY && asks ? CHECK_WANTS_PRIMARY : wants;
}

static void mark(struct understanding *u, struct line *option, enum verdict verdict,
                 const char *words)
{
    struct line *lines[] = {option, find(u->p, "command"), find(u->p, "path")};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (lines[i] != NULL) {
            line_mark(u->s, lines[i], verdict, words != NULL ? "%s" : NULL, words);
        }
    }
}

void check_external(struct understanding *u, struct line *option)
{
    struct line *command = find(u->p, "command");
    if (command == NULL) {
        u->out->kind = CHECK_UNKNOWN;
        mark(u, option, VERDICT_LOST, "no script: only the connect is checked");
        return;
    }
    const char *path = command->words[2].text;
    const char *name = last_part(path);
    const char *script = read_command(u, path);
    const struct reading *r = find_reading(script, readings, ARRAY_LEN(readings));
    r = r != NULL ? r : find_reading(name, names, ARRAY_LEN(names));
    r = r != NULL ? r : by_surroundings(&u->around);
    if (r == NULL || (r->kind == CHECK_REDIS_PING && *script == '\0')) {
        u->out->kind = CHECK_UNKNOWN;
        mark(u, option, VERDICT_LOST,
             "router runs no scripts, and does not know what this one asks: only the connect is "
             "checked");
        return;
    }
    u->out->kind = r->kind;
    u->out->topology = r->topology;
    u->out->wants = role_of(u, name, script, r);
    bool guessed = *script == '\0';
    mark(u, option, guessed ? VERDICT_DIFFERENCE : VERDICT_KEPT,
         guessed ? "the script cannot be read: what it asks is guessed by names and ports" : NULL);
}
