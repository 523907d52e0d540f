/* What is true of every login dialogue, whatever both sides send in whatever pieces. The input is a
 * list of pieces: a byte that says whose it is and how long, and the piece. */
#ifndef ROUTER_FUZZ_LOGIN_WALK_H
#define ROUTER_FUZZ_LOGIN_WALK_H

#include <assert.h>
#include <stdint.h>

#include "../unit/login_fixture.h"

#define FROM_SERVER 0x80
#define LENGTH      0x7f

struct login_walk {
    const uint8_t *data;
    size_t size;
};

/* The next piece; false at the end. */
static inline bool login_piece(struct login_walk *w, bool *from_server, const uint8_t **piece,
                               size_t *len)
{
    if (w->size < 2) {
        return false;
    }
    *from_server = (w->data[0] & FROM_SERVER) != 0;
    *len = w->data[0] & LENGTH;
    *len = *len < w->size - 1 ? *len : w->size - 1;
    *piece = w->data + 1;
    w->data += 1 + *len;
    w->size -= 1 + *len;
    return true;
}

static inline void login_check(const struct login_fixture *f)
{
    const char *key = NULL;
    size_t len = f->dialogue->key != NULL ? f->dialogue->key(f->state, &key) : 0;
    assert(f->step != LOGIN_BAD || f->why[0] != '\0');
    assert(len == 0 || (len >= 8 && len <= 260) || f->step == LOGIN_SERVER);
    if (f->step == LOGIN_CANCEL) {
        struct login_out out;
        f->dialogue->request(f->state, &out);
        assert(out.len == 8 + len && out.len <= sizeof out.data);
    }
}

/* All that can still happen to a login that is not over. */
static inline void login_try_ends(struct login_fixture *f, const uint8_t *data, size_t size)
{
    struct login_out out;
    void *state = login_copy(f->state, f->dialogue->state_size);
    for (int why = REFUSED_SESSIONS; why <= REFUSED_LOGIN; why++) {
        struct login_fixture copy = *f;
        copy.state = login_copy(state, f->dialogue->state_size);
        login_refuse(&copy, (enum refusal)why, "words", &out);
        free(copy.state);
    }
    size_t heard = 0;
    bool over = false;
    while (f->dialogue->finish != NULL && !over) {
        size_t len = heard == 0 ? 0 : 1 + heard % 7;
        len = len < size - heard ? len : size - heard;
        char *copy = login_copy(data + heard, len);
        over = f->dialogue->finish(state, copy, len, &out);
        assert(out.len <= sizeof out.data);
        free(copy);
        over = over || heard == size;
        heard += heard == 0 && len == 0 && size > 0 ? 1 : len;
    }
    free(state);
}

static inline void login_walk(const struct login_dialogue *dialogue, const uint8_t *data,
                              size_t size)
{
    struct login_walk walk = {data, size};
    struct login_fixture *f = login_fixture_new(dialogue);
    const uint8_t *piece;
    size_t len;
    bool from_server;
    while (f->step < LOGIN_OVER && login_piece(&walk, &from_server, &piece, &len)) {
        if (!from_server && f->kept_len + f->passed_len + len > KEPT_MAX) {
            break;
        }
        if (from_server && len > 0) {
            login_server(f, piece, len);
        } else if (!from_server) {
            login_client(f, piece, len);
        }
        login_check(f);
    }
    if (f->step < LOGIN_OVER) {
        login_try_ends(f, walk.data, walk.size);
        login_try_ends(f, data, size < 300 ? size : 300);
    }
    login_fixture_free(f);
}

#endif
