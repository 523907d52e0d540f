/* What router.ini says, checked and whole. Immutable once loaded; one config is shared by all
 * threads and freed after the last of them has let go of it.
 *
 * A list is an array of `count` items; all memory belongs to the config, unless its `owner` says
 * that it is another one's: a configuration that follows another one shares what has not changed,
 * and keeps what is gone for as long as sessions use it (model/config_follow.h). Positions in
 * `frontends`, `backends` and `servers` stay what they are over all of them. */
#ifndef ROUTER_MODEL_CONFIG_H
#define ROUTER_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "base/log.h"
#include "router_proto.h"

enum log_sessions { LOG_SESSIONS_NO, LOG_SESSIONS_ERRORS, LOG_SESSIONS_ALL };
/* A frontend's route may be split; a session that asks for a server says which side it wants. */
enum route { ROUTE_AUTO, ROUTE_PRIMARY, ROUTE_REPLICA, ROUTE_ANY, ROUTE_SPLIT, ROUTE_COUNT };
enum pool_mode { POOL_NONE, POOL_SESSION, POOL_TRANSACTION, POOL_COUNT };
enum fallback { FALLBACK_PRIMARY, FALLBACK_NONE };
enum balance {
    BALANCE_ROUND_ROBIN,
    BALANCE_LEAST_CONNECTIONS,
    BALANCE_IP_HASH,
    BALANCE_RANDOM,
    BALANCE_FIRST
};
enum conflict { CONFLICT_KEEP, CONFLICT_REFUSE };
enum probe_kind { PROBE_AUTO, PROBE_CONNECT, PROBE_OFF };
enum probe_tls { PROBE_TLS_NO, PROBE_TLS_YES, PROBE_TLS_AUTO }; /* once loaded, no or yes */
enum tls_mode { TLS_MODE_NO, TLS_MODE_YES, TLS_MODE_REQUIRED };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum send_proxy { SEND_PROXY_NO, SEND_PROXY_V1, SEND_PROXY_V2 };

/* What who connects to a control socket may do; each may do what the ones before it may. */
enum control_level { CONTROL_USER, CONTROL_OPERATOR, CONTROL_ADMIN };

struct demotion {
    uint64_t drain_ms; /* 0 = close */
};

struct read_your_writes {
    uint64_t ms; /* 0 with offset */
    bool offset; /* until the replica has caught up */
};

struct lag_bound {
    uint64_t ms;    /* 0 = no bound in time */
    uint64_t bytes; /* 0 = no bound in bytes */
};

struct bind_config {
    struct address address;
    char *text; /* as written */
};

struct bind_list {
    struct bind_config *items;
    size_t count;
};

struct access_rule {
    struct cidr range;
    bool allow;
};

struct access_list {
    struct access_rule *items;
    size_t count;
};

struct rename_rule {
    char *name; /* upper case */
    char *alias;
};

struct rename_list {
    struct rename_rule *items;
    size_t count;
};

struct sentinel_config {
    struct address address; /* not set while the name is not resolved */
    char *text;             /* for people: the address, or as written while there is none */
    char *host;             /* the name that is looked up; NULL: the address is numeric */
    unsigned port;
    size_t line; /* which of the file's it comes from: a name with several addresses is several */
};

struct sentinel_list {
    struct sentinel_config *items;
    size_t count;
};

struct control_config {
    struct address address; /* of a unix socket */
    char *path;
    unsigned mode; /* of the file, see chmod(2) */
    enum control_level level;
};

struct control_list {
    struct control_config *items;
    size_t count;
};

struct text_list {
    char **items;
    size_t count;
};

/* Which backend a name goes to: see model/sni.h. */
struct sni_rule {
    char *host; /* in lower case; of a wildcard what stands behind "*." */
    bool wildcard;
    char *backend_name;
    size_t backend;   /* index in config.backends */
    enum route route; /* never ROUTE_AUTO: the frontend's, as it is meant for this backend */
};

struct sni_list {
    struct sni_rule *items; /* in the order of the file */
    size_t count;
    uint16_t *sorted; /* the indexes of all, by host, for sni_find() */
};

struct server_config {
    char *name;             /* unique in its backend */
    struct address address; /* not set while the name is not resolved: never connected to */
    char *address_text;     /* for people: the address, or as written while there is none */
    char *host;             /* the name that is looked up for it; NULL: it is numeric */
    unsigned port;          /* of a host */
    size_t discovered; /* 1 + which of the backend's discovers found it; 0: a line of its own */
    unsigned weight;   /* 1..256, by the operator's word also 0 */
    unsigned weight_in_file;  /* where the operator has set another one; else 0 */
    unsigned max_connections; /* never more; 0 = no cap: what is said, and what its pool may have */
    unsigned said_max_connections; /* server_max_connections of its line, or else the backend's; 0 =
                                    * none */
    bool own_max_connections;      /* the line has one */
    bool backup;
    size_t id;            /* over all backends, 0..config.server_count-1 */
    size_t rank;          /* its place in the file, among the servers of its backend */
    bool gone;            /* removed: nobody new comes, and nobody sees it */
    struct config *owner; /* ref: of the memory behind name and address_text; NULL = this one */
};

struct server_list {
    struct server_config *items;
    size_t count;
};

/* Each address that the name has becomes a server (model/discovery.h). */
struct discover_config {
    char *host;
    char *text; /* as written */
    unsigned port;
    unsigned weight; /* these as in server_config, for each of its servers */
    unsigned max_connections;
    bool own_max_connections;
    bool backup;
};

struct discover_list {
    struct discover_config *items;
    size_t count;
};

/* One struct a section, its members from options.def. */
#define OPTION_TYPE(name, ctype, storage, words) typedef ctype option_type_##name;
#include "model/option_types.def"
#undef OPTION_TYPE

#define OPTION_SHARED(...)
#define OPTION(section, key, type, member, default_, min, max, flags, example, help)               \
    section(type, member)

#define MEMBER(type, member) option_type_##type member;
#define NO_MEMBER(type, member)

struct router_config {
#define ROUTER   MEMBER
#define FRONTEND NO_MEMBER
#define BACKEND  NO_MEMBER
#include "model/options.def"
#undef ROUTER
#undef FRONTEND
#undef BACKEND
    bool admin_written; /* the file names the admin address */
};

struct frontend_config {
    char *name;
    size_t index;
    bool gone;            /* removed: it does not listen any more */
    struct config *owner; /* ref: of the memory behind all of this; NULL = this one */
    size_t backend;       /* index in config.backends */
    bool route_auto;      /* the file says auto, or nothing; `route` is what it means here */
#define ROUTER   NO_MEMBER
#define FRONTEND MEMBER
#define BACKEND  NO_MEMBER
#include "model/options.def"
#undef ROUTER
#undef FRONTEND
#undef BACKEND
};

struct backend_config {
    char *name;
    size_t index;
    bool gone;            /* removed: no frontend leads to it any more */
    struct config *owner; /* ref: of all but the array of servers; NULL = this one */
    bool probe_tls_auto;  /* the file says auto, or nothing; `probe_tls` is what it means here */
    /* probe_password and sentinel_password hold the secrets wherever they came from. */
#define ROUTER   NO_MEMBER
#define FRONTEND NO_MEMBER
#define BACKEND  MEMBER
#include "model/options.def"
#undef ROUTER
#undef FRONTEND
#undef BACKEND
};

#undef MEMBER
#undef NO_MEMBER
#undef OPTION
#undef OPTION_SHARED

struct config {
    struct router_config router;
    struct frontend_config *frontends;
    size_t frontend_count;
    struct backend_config *backends;
    size_t backend_count;
    size_t server_count;          /* the ids of all backends' servers are below it */
    struct config *owner;         /* ref: of the memory behind `router`; NULL = this one */
    unsigned references;          /* of the control thread, or who else runs before it */
    struct config_origin *origin; /* owned: where each value came from; for config*.c only */
};

/* Reads and checks the file. On success *out is a whole config, to be freed with config_free().
 * On failure *out is NULL and `errors` (release with text_free()) holds every error found, a line
 * "FILE:LINE: words" each. Returns 0, or -EINVAL, or the errno of open/read as -errno. */
struct text;
int config_load(const char *path, struct config **out, struct text *errors);
/* The same for what is in memory already; `path` is what messages call it. Files that it names
 * (probe_password_file) are read. */
int config_load_text(const char *path, const char *data, size_t len, struct config **out,
                     struct text *errors);
/* Who makes a configuration that is in no file of its own; a reload asks again. Borrowed by each
 * configuration that it made. */
struct config_maker {
    int (*make)(const struct config_maker *maker, struct config **out, struct text *errors);
    const char *const *paths; /* what it reads for that */
    size_t path_count;
};

/* What config_load_text() made is the maker's work. */
void config_set_maker(struct config *config, const struct config_maker *maker);
const struct config_maker *config_maker(const struct config *config); /* NULL: there is none */
/* The file that it was read from, borrowed; NULL if none was. */
const char *config_path(const struct config *config);
/* What a server calls a command, by probe_command: `renames` is a struct rename_list. */
const char *config_renamed(const void *renames, const char *command);
struct config *config_ref(struct config *config);
/* Gives back one reference; config_load() brought the first one. Secrets are wiped; NULL is fine.
 */
void config_free(struct config *config);

/* Where the clients of a frontend may go: `backend`, and by `sni` the others. */
struct frontend_way {
    size_t backend;
    enum route route;
};

size_t
config_way_count(const struct frontend_config *f); /* a backend may be there more than once */
struct frontend_way config_way(const struct frontend_config *f, size_t i); /* 0: who names none */
/* Whether clients of the frontend may be served by this backend, be it for a name they ask for. */
bool config_uses_backend(const struct frontend_config *f, size_t backend);
bool config_pools_backend(const struct config *c, size_t backend); /* some frontend of it does */
/* ... and lends whole server connections, which are all that the backend has. */
bool config_lends(const struct config *c, const struct backend_config *b);
/* Whether a frontend limits its clients by their addresses. */
bool config_limits_by_address(const struct config *c);

/* Whether a frontend listens where a server would be: it would be its own client for ever. */
bool config_listens_at(const struct config *c, const struct address *at);

/* Whether it holds a password, or names a private key. */
bool config_knows_secrets(const struct config *c);

/* Prints each option of each section with its value and source ("default", "router.ini:12",
 * "router.ini:13 (environment)"). What it prints is a configuration again, but for secrets: they
 * are comments. So are options without a value or an effect. Behind it, how many connections each
 * server may see at most. */
void config_dump(const struct config *config, FILE *out);

/* Each file that is read again while the router runs: the configuration itself, certificates, keys,
 * passwords. A config that was loaded from memory has a file only by name. */
void config_each_file(const struct config *config, void (*each)(void *context, const char *path),
                      void *context);

/* Prints the OPTIONS part of router.ini(5) in mdoc(7); used by the build only. */
void config_manual(FILE *out);

#endif
