/* Between the parts of access_read(). */
#ifndef ROUTER_IMPORT_ACCESS_INTERNAL_H
#define ROUTER_IMPORT_ACCESS_INTERNAL_H

#include "import/access.h"
#include "import/rule.h"

/* Each is gone through by itself, and all must let a client in. */
enum access_layer { LAYER_CONNECTION, LAYER_SESSION, LAYER_CONTENT, LAYER_HTTP, LAYERS };

struct access_rule {
    struct line *line;
    enum access_layer layer;
    bool accepts;
    struct condition condition;
    enum verdict verdict; /* the worst so far */
    const char *words;
};

/* What all tests of a conjunction mean together. */
enum access_shape {
    SHAPE_ALWAYS,
    SHAPE_NEVER,
    SHAPE_SRC,       /* src is in `in` */
    SHAPE_NOT_SRC,   /* src is in none of `out` */
    SHAPE_SRC_BUT,   /* in `in`, and in none of `out` */
    SHAPE_HELLO,     /* the client speaks TLS */
    SHAPE_NOT_HELLO, /* it does not */
    SHAPE_LIMIT,     /* there is more than `limit` allows */
    SHAPE_OTHER
};

struct access_meaning {
    enum access_shape shape;
    const struct test *in;
    const struct test *limit;
    const struct conjunction *tests;
};

void access_mean(const struct conjunction *c, struct access_meaning *out);

struct track {
    struct line *line;
    bool by_src;
    const char *table; /* "" = the proxy's own */
    bool used;
};

struct access_reader {
    const struct proxy *p;
    struct source *s;
    struct access *out;
    bool sni;
    struct track tracks[3];
    size_t limits; /* how many were looked at */
};

/* Notes a `track-sc` rule. Returns whether it is one. */
bool access_track(struct access_reader *r, struct line *l);
/* A rule that refuses who comes too often, or too many times. */
void access_limit(struct access_reader *r, struct access_rule *rule,
                  const struct access_meaning *m);
void access_settle_tracks(struct access_reader *r);

void access_say(struct access_rule *rule, enum verdict verdict, const char *words);

#endif
