/* What the files of the configuration share; nobody else includes this.
 *
 * The way of a file: config_file.c reads it, config_read.c makes lines of it, config.c puts each
 * value through config_expand.c and its type's parser (option_*.c) into the member that options.def
 * names, config_check*.c look at the whole. Each
 * adds to one list of errors and goes on, so that one run tells everything. config_origin keeps
 * where each value came from; it lives as long as the config. */
#ifndef ROUTER_MODEL_CONFIG_INTERNAL_H
#define ROUTER_MODEL_CONFIG_INTERNAL_H

#include "base/macros.h"
#include "base/nearest.h"
#include "base/text.h"
#include "model/config.h"

#define CONFIG_BYTES_MAX (1024 * 1024) /* of the file */
#define CONFIG_LINE_MAX  4096
#define CONFIG_LIST_MAX  1024 /* items of one list, sections of the file */
#define CONFIG_NAME_MAX  63

/* Errors and words (config_errors.c) -------------------------------------------------------- */

struct config_error {
    unsigned line; /* 0 = the file as a whole */
    size_t order;
    char *words; /* owned */
};

struct config_errors {
    const char *path; /* borrowed */
    struct config_error *items;
    size_t count;
    size_t left_out; /* a file that is no configuration has thousands */
};

void config_error(struct config_errors *errors, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Adds them to `out` by line, as "FILE:LINE: words". */
void config_errors_tell(const struct config_errors *errors, struct text *out);
void config_errors_release(struct config_errors *errors);

/* A text from outside as messages show it: at most so long, printable ASCII. Returns out. */
#define SHOWN_MAX 160
const char *config_shown(const char *text, char out[SHOWN_MAX]);

/* The table (config_table.c) ---------------------------------------------------------------- */

enum section_kind { SECTION_ROUTER, SECTION_FRONTEND, SECTION_BACKEND, SECTION_KINDS };

enum option_flag {
    OPTION_REQUIRED = 1,
    OPTION_REPEAT = 2,
    OPTION_ROLES = 4,
    OPTION_PROBED = 8,
    OPTION_REPLICA = 16,
    OPTION_ASKED = 32,
    OPTION_REDIS = 64,
    OPTION_MYSQL = 128,
    OPTION_PGSQL = 256,
    OPTION_TLS = 512,
    OPTION_HTTP = 1024,
    OPTION_SENTINEL = 2048,
    OPTION_AUTO = 4096,
    OPTION_VERIFY = 8192,
    OPTION_GALERA = 16384,
    OPTION_LAG = 32768,
    OPTION_TERMINATED = 65536,
    OPTION_EDGE = 131072,
    OPTION_PATRONI = 262144,
    OPTION_ADMIN = 524288,
    OPTION_PASSWORD = 1048576,
    OPTION_POOLED = 2097152,
    OPTION_SPLIT = 4194304,
    OPTION_START = 1 << 24,
    OPTION_ANEW = 1 << 25,
};

struct parse;

struct option_type {
    const char *words; /* "@" = the range goes here */
    bool (*parse)(struct parse *p, void *member);
    void (*print)(struct text *out, const void *member, size_t item);
    void (*release)(void *member); /* NULL = nothing to release */
    bool secret;
    enum { FILES_NONE, FILES_ONE, FILES_MANY } files; /* it names files that are read again */
};

struct option {
    enum section_kind kind;
    const char *key;
    const struct option_type *type;
    size_t offset; /* of the member in its section's struct */
    const char *default_;
    uint64_t min;
    uint64_t max;
    unsigned flags;
    const char *example;
    const char *help;
    bool shared; /* another key owns the member */
};

extern const struct option config_options[];
extern const size_t config_option_count;
extern const char *const section_words[SECTION_KINDS]; /* "router", ... */

const struct option *config_find_option(enum section_kind kind, const char *key); /* or NULL */
void *config_member(const struct config *c, const struct option *o, size_t index);

/* One value on its way into its member. A parser that fails has said why and returns false; a
 * list's parser adds an item. */
struct parse {
    struct config_errors *errors;
    unsigned line;
    const struct option *option;
    char *value; /* trimmed, expanded, not empty; the parser may cut it up */
};

/* The member of a list is printed item by item; others have item 0 only. */
#define OPTION_TYPE(name, ctype, storage, words)                                                   \
    bool parse_##name(struct parse *p, ctype *out);                                                \
    void print_##name(struct text *out, ctype const *value, size_t item);                          \
    storage(name, ctype)
#define PLAIN(name, ctype)
#define OWNED(name, ctype) void release_##name(ctype *value);
#include "model/option_types.def"
#undef OPTION_TYPE
#undef PLAIN
#undef OWNED

/* What the option takes, with its range in the place of the type's "@". */
void option_words(struct text *out, const struct option *o);
/* 'bad value "text" for "key": words'. `text` is p->value or a part of it. */
void parse_error(struct parse *p, const char *text, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same, with what the option takes. */
void parse_expected(struct parse *p, const char *text);
/* Digits only, min to max. 0, -EINVAL or -ERANGE. */
int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* An address; says what is wrong with it. */
bool parse_address(struct parse *p, const char *text, struct address *out);
/* A numeric address, or a name to look up (`host`, owned) and its port; says what is wrong. */
struct place {
    struct address address;
    char *host;
    unsigned port;
};

bool parse_place(struct parse *p, const char *text, struct place *out);
/* Room for one more item of `size` bytes in the list that `items` points to; false if it is full.
 */
bool parse_grow(struct parse *p, void *items, size_t count, size_t size);
/* The next word of a value that is cut up on the way; NULL at its end. */
char *parse_next_word(char **rest);
/* [A-Za-z0-9_.-]+, at most CONFIG_NAME_MAX bytes. */
bool config_name_valid(const char *name);

/* Lines (config_read.c) --------------------------------------------------------------------- */

enum line_kind {
    LINE_PAIR,
    LINE_BAD_PAIR, /* told what is wrong; `name` is the key that it was probably meant to be */
    LINE_SECTION,
    LINE_BAD_SECTION, /* told; has no name */
};

struct config_line {
    enum line_kind kind;
    unsigned number;
    char *name;  /* owned: the key, or what stands between [ and ] */
    char *value; /* owned, wiped: of LINE_PAIR only */
};

struct config_lines {
    struct config_line *items;
    size_t count;
};

void config_read(const char *data, size_t len, struct config_lines *out,
                 struct config_errors *errors);
void config_lines_release(struct config_lines *lines);

/* Files (config_file.c) --------------------------------------------------------------------- */

/* The whole file in *data (owned by the caller, wipe it), NUL behind it. 0, -EFBIG if it has more
 * than `max` bytes, or what open(2) and read(2) said. */
int config_read_file(const char *path, size_t max, char **data, size_t *len);

/* The environment (config_expand.c) --------------------------------------------------------- */

/* A copy of `value` with each ${NAME} and ${NAME:-default} replaced, once; NULL if that was not
 * possible: then the error was told. *used says whether there was one. */
char *config_expand(const char *value, bool *used, struct config_errors *errors, unsigned line);

/* Where values came from (config_origin.c) -------------------------------------------------- */

struct origin_section {
    enum section_kind kind;
    size_t index;
    unsigned line;
    bool repeated; /* of a name that was there before: only its values are checked */
};

struct origin_setting {
    size_t section; /* index in config_origin.sections */
    const struct option *option;
    unsigned line;
    bool environment;
    bool ok;    /* it has a value now; false: that it is wrong was told, or it is empty */
    bool guess; /* not ok; the line was probably meant to set this option */
};

struct config_origin {
    char *path;                       /* owned */
    const struct config_maker *maker; /* borrowed; NULL: it is from the file */
    struct origin_section *sections;
    size_t section_count;
    struct origin_setting *settings;
    size_t setting_count;
    bool skipped; /* the file has sections that are not among these */
};

/* The section of that kind and index, NULL if the file has none ([router] may be missing). */
const struct origin_section *origin_section(const struct config_origin *o, enum section_kind kind,
                                            size_t index);
/* The first line that sets the key in this section, NULL if there is none. */
struct origin_setting *origin_find(const struct config_origin *o, enum section_kind kind,
                                   size_t index, const char *key);
/* The line that filled item `item` of the list in which `option` keeps its values. */
const struct origin_setting *origin_item(const struct config_origin *o, const struct option *option,
                                         size_t index, size_t item);
/* The line of item `item` of the list that `key` fills. */
unsigned origin_item_line(const struct config_origin *o, enum section_kind kind, size_t index,
                          const char *key, size_t item);
void origin_free(struct config_origin *o);

/* Effects (config_effect.c) ----------------------------------------------------------------- */

/* Whether an option has an effect where it stands; if not, `why` says with what it has none
 * ("probe = off"). */
#define EFFECT_WHY_MAX 64
bool config_has_effect(const struct config *c, const struct option *o, size_t index,
                       char why[EFFECT_WHY_MAX]);
/* Every option that the file sets has an effect. */
void config_check_effects(const struct config *c, struct config_errors *errors);
/* Whether the key was left out or has a good value. */
bool config_sound(const struct config *c, enum section_kind kind, size_t index, const char *key);
extern const char *const config_route_words[ROUTE_COUNT];
extern const char *const config_probe_words[];
extern const char *const config_pool_words[POOL_COUNT];

/* The whole (config_check*.c) ---------------------------------------------------------------- */

/* Finds backends, reads secrets, resolves auto, numbers servers, and adds what is wrong. */
void config_check(struct config *c, struct config_errors *errors);
/* What clients must say before their session begins: names, TLS, PROXY headers. `found`: the
 * frontend's own backend was. */
void config_check_edge(const struct config *c, struct frontend_config *f, bool found,
                       struct config_errors *errors);
/* Pool modes, and what they want of the backends that the frontend leads to. After
 * config_check_edge(); `found` as there. */
void config_check_pool(const struct config *c, const struct frontend_config *f, bool found,
                       struct config_errors *errors);
/* The most connections that a server of the backend may get, where `said` is its
 * server_max_connections; 0 = no cap. */
unsigned config_server_cap(const struct config *c, const struct backend_config *b, unsigned said);
/* Writes it into the servers of a whole configuration, whenever it is a new one. */
void config_cap_servers(struct config *c);
void config_check_admin(struct config *c, struct config_errors *errors);
/* The keys of one account. */
struct account {
    const char *user;
    const char *password;
    const char *file;
    bool needs_password; /* with a user */
};
/* Reads the password's file, if there is one, into *password. */
void config_check_password(const struct config *c, enum section_kind kind, size_t index,
                           const struct account *keys, char **password,
                           struct config_errors *errors);
void config_check_backends(struct config *c, struct config_errors *errors);
bool config_find_backend(const struct config *c, const char *name, size_t *index);
void config_tell_no_backend(const struct config *c, const char *name, unsigned line,
                            struct config_errors *errors);
/* What the route of `f` means for this backend; one that has no sense there is told. `line` is for
 * what is wrong when the file says auto. */
enum route config_resolve_route(const struct config *c, const struct frontend_config *f,
                                const struct backend_config *b, unsigned line,
                                struct config_errors *errors);
bool backend_roles_known(const struct backend_config *b);

#endif
