/* The router.ini that comes out: sections of settings, each with the line that it comes from. */
#ifndef ROUTER_IMPORT_PLAN_H
#define ROUTER_IMPORT_PLAN_H

#include "import/source.h"

enum plan_kind { PLAN_ROUTER, PLAN_FRONTEND, PLAN_BACKEND };

struct setting {
    const char *key;
    struct word value;
    struct line *line; /* NULL: none says it by itself */
    const char *note;  /* for the comment behind it; NULL: none */
    long long number;  /* of plan_lower() */
    bool off;          /* written as a comment: a server that is disabled */
};

struct plan_section {
    enum plan_kind kind;
    const char *name;
    struct setting *settings;
    size_t count;
    /* What became of the lines in these is told in it. */
    struct section **sources;
    size_t source_count;
};

struct plan {
    struct source *source;
    struct plan_section router;
    struct plan_section **frontends;
    size_t frontend_count;
    struct plan_section **backends;
    size_t backend_count;
    size_t binds;       /* addresses to listen at, written or not */
    bool wants_account; /* a probe logs in as somebody whom HAProxy does not know */
};

void plan_make(struct source *s, struct plan *out);
/* The name with "-" for what router.ini's names cannot have. */
const char *plan_legal_name(struct plan *p, const char *name);
/* `name` is made legal and unique among those of its kind. */
struct plan_section *plan_add_section(struct plan *p, enum plan_kind kind, const char *name);
/* Takes back the section that was added last: nothing can be said in it. */
void plan_drop_section(struct plan *p, struct plan_section *section);
void plan_add_source(struct plan *p, struct plan_section *section, struct section *source);

/* A key that stands once: the first value counts, and a line that says another one is marked as a
 * difference. The line is marked as kept. */
void plan_set(struct plan *p, struct plan_section *section, const char *key, struct word value,
              struct line *l);
void plan_set_text(struct plan *p, struct plan_section *section, const char *key, const char *value,
                   struct line *l);
/* A key that is repeated: one more. Returns it, for its note; it stays where it is until the next
 * one is added. */
struct setting *plan_add(struct plan *p, struct plan_section *section, const char *key,
                         struct word value, struct line *l);
/* The same, unless the key has this value already. */
void plan_add_once(struct plan *p, struct plan_section *section, const char *key, struct word value,
                   struct line *l);
const struct setting *plan_find(const struct plan_section *section, const char *key);

/* A duration or a number, brought within the bounds of the option, which is a difference. */
void plan_set_duration(struct plan *p, struct plan_section *section, const char *key, long long ms,
                       struct line *l);
void plan_set_number(struct plan *p, struct plan_section *section, const char *key, long long n,
                     struct line *l);
/* The same; of several values the smallest counts. */
void plan_lower(struct plan *p, struct plan_section *section, const char *key, long long n,
                bool duration, struct line *l);
/* What router does anyway: it need not be written. */
bool plan_is_default(const struct plan_section *section, const struct setting *setting);

/* As router.ini, with comments; and the end of it all for people and for tools: write.c, report.c.
 */
void plan_write(const struct plan *p, struct text *out);

#endif
