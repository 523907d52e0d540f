/* A command, and what the catalog says of it. */
#ifndef TEST_REDIS_JUDGE_H
#define TEST_REDIS_JUDGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/redis_catalog.h"
#include "proto/redis_request.h"

struct composed {
    struct redis_request request;
    char data[2048];
    size_t len;
};

static inline void scan(struct composed *c)
{
    size_t used = 0;
    const char *why = NULL;
    redis_request_feed(&c->request, c->data, c->len, &used, &why);
}

/* As it is, of it the first `cut` bytes. */
static inline struct composed compose_line(const char *line, size_t cut)
{
    struct composed c = {.len = strnlen(line, cut)};
    memcpy(c.data, line, c.len);
    scan(&c);
    return c;
}

/* Words with one space between them, as RESP; of it the first `cut` bytes. */
static inline struct composed compose_cut(const char *words, size_t cut)
{
    struct composed c = {.len = 0};
    char text[1024];
    size_t argc = 1;
    snprintf(text, sizeof(text), "%s", words);
    for (const char *p = text; *p != '\0'; p++) {
        argc += *p == ' ';
    }
    c.len = (size_t)snprintf(c.data, sizeof(c.data), "*%zu\r\n", argc);
    char *rest = NULL;
    for (char *w = strtok_r(text, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        c.len += (size_t)snprintf(c.data + c.len, sizeof(c.data) - c.len, "$%zu\r\n%s\r\n",
                                  strlen(w), w);
    }
    c.len = cut < c.len ? cut : c.len;
    scan(&c);
    return c;
}

static inline struct composed compose(const char *words)
{
    return compose_cut(words, SIZE_MAX);
}

/* The catalog is given the first `given` bytes, in memory of their own. */
static inline struct redis_verdict judge_given(const struct redis_catalog *c,
                                               const struct composed *command, size_t given)
{
    char *part = malloc(given);
    memcpy(part, command->data, given);
    struct redis_verdict v = redis_catalog_judge(c, &command->request, part, given);
    free(part);
    return v;
}

static inline struct redis_verdict judge_cut(const struct redis_catalog *c, const char *words,
                                             size_t cut)
{
    struct composed command = compose_cut(words, cut);
    return judge_given(c, &command, command.len);
}

static inline struct redis_verdict judge(const struct redis_catalog *c, const char *words)
{
    return judge_cut(c, words, SIZE_MAX);
}

#endif
