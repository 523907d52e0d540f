/* One login under watch, for the tests of the login dialogues: what the client sends is kept and
 * shown until it is taken, as core/login.c does. Every buffer is as long as its bytes, so that a
 * sanitizer sees who reads behind them. */
#ifndef ROUTER_TEST_LOGIN_FIXTURE_H
#define ROUTER_TEST_LOGIN_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "router_proto.h"

#define KEPT_MAX 16384

struct login_fixture {
    const struct login_dialogue *dialogue;
    void *state;
    enum login_step step;
    const char *why;
    size_t kept_len;
    size_t passed_len;
    char kept[KEPT_MAX];   /* of the client */
    char passed[KEPT_MAX]; /* to the server */
};

static inline struct login_fixture *login_fixture_new(const struct login_dialogue *dialogue)
{
    struct login_fixture *f = calloc(1, sizeof *f);
    f->dialogue = dialogue;
    f->state = calloc(1, dialogue->state_size);
    f->step = LOGIN_SERVER;
    f->why = "";
    return f;
}

static inline void login_fixture_free(struct login_fixture *f)
{
    free(f->state);
    free(f);
}

static inline void *login_copy(const void *data, size_t len)
{
    void *copy = malloc(len > 0 ? len : 1);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

static inline void login_take(struct login_fixture *f, size_t len)
{
    memcpy(f->passed + f->passed_len, f->kept, len);
    f->passed_len += len;
    f->kept_len -= len;
    memmove(f->kept, f->kept + len, f->kept_len);
}

static inline void login_show(struct login_fixture *f)
{
    size_t pass = 1;
    while (f->kept_len > 0 && pass > 0) {
        char *copy = login_copy(f->kept, f->kept_len);
        f->step = f->dialogue->client(f->state, copy, f->kept_len, &pass, &f->why);
        free(copy);
        if (pass > f->kept_len) {
            abort();
        }
        login_take(f, pass);
    }
}

static inline enum login_step login_client(struct login_fixture *f, const void *data, size_t len)
{
    memcpy(f->kept + f->kept_len, data, len);
    f->kept_len += len;
    login_show(f);
    return f->step;
}

static inline enum login_step login_server(struct login_fixture *f, const void *data, size_t len)
{
    char *copy = login_copy(data, len);
    f->step = f->dialogue->server(f->state, copy, len);
    free(copy);
    if (f->step == LOGIN_CLIENT) {
        login_show(f);
    }
    return f->step;
}

static inline enum refuse_step login_refuse(struct login_fixture *f, enum refusal why,
                                            const char *words, struct login_out *out)
{
    const struct refusal_words refusal = {why, words};
    size_t used;
    char *copy = login_copy(f->kept, f->kept_len);
    enum refuse_step step = f->dialogue->refuse(f->state, &refusal, copy, f->kept_len, &used, out);
    free(copy);
    if (used > f->kept_len || out->len > sizeof out->data) {
        abort();
    }
    f->kept_len -= used;
    memmove(f->kept, f->kept + used, f->kept_len);
    return step;
}

#endif
