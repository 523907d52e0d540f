/* A parser of JSON (RFC 8259) for answers of the control socket. It owns its nodes; the strings lie
 * in the bytes that were parsed, decoded in place, so those live as long as the document. Whatever
 * the bytes are, it neither crashes nor takes more than JSON_NODES_MAX nodes. */
#ifndef ROUTER_ROUTERCTL_JSON_H
#define ROUTER_ROUTERCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define JSON_DEPTH_MAX 32
#define JSON_NODES_MAX (2U << 20)

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_LIST,
    JSON_OBJECT
};

struct json_node {
    enum json_kind kind;
    uint32_t child;   /* of a list or an object: its first; 0 = none */
    uint32_t next;    /* the sibling behind it; 0 = none */
    uint32_t len;     /* of `text` */
    const char *key;  /* borrowed from the bytes, ends in NUL; NULL outside of objects */
    const char *text; /* a string's, ends in NUL; a number's, does not */
};

struct json {
    struct json_node *nodes; /* owned; the first is the document's value */
    uint32_t count;
    uint32_t capacity;
    size_t wrong_at; /* where the parser stopped, if it did */
};

/* Parses all of data[0..len), and changes it. data[len] must be there, and is overwritten.
 * UV_EINVAL: it is no JSON; UV_E2BIG: too deep or too much of it. Either way json_free() it. */
int json_parse(struct json *j, char *data, size_t len);
void json_free(struct json *j);

/* A NULL node is allowed everywhere: it has nothing. */
const struct json_node *json_root(const struct json *j);
const struct json_node *json_first(const struct json *j, const struct json_node *node);
const struct json_node *json_next(const struct json *j, const struct json_node *node);
/* The first member of that name; NULL: no object, or no such member. */
const struct json_node *json_member(const struct json *j, const struct json_node *object,
                                    const char *key);
/* Members as values; `otherwise` if it is not there, or of another kind. */
const char *json_string(const struct json *j, const struct json_node *object, const char *key,
                        const char *otherwise);
bool json_is_true(const struct json *j, const struct json_node *object, const char *key);
/* False: it is no number (null, for one). */
bool json_number(const struct json *j, const struct json_node *object, const char *key,
                 double *value);
double json_number_or(const struct json *j, const struct json_node *object, const char *key,
                      double otherwise);

/* The node and all below it as JSON again. */
void json_write(const struct json *j, const struct json_node *node, struct text *out);

#endif
