/* libFuzzer: the relay of a client's proof, between a client and a server that send anything.
 *
 * The first byte chooses the legs and whether we have a key to show. Then a list of packets: a byte
 * that says whose each is, two that say its length, and its payload; a flag of the first makes its
 * sequence number wrong, another lets the client go. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_key.h"
#include "proto/mysql_prove.h"

#define FROM_SERVER 0x80
#define WRONG       0x40
#define LEAVES      0x20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    struct mysql_prove p;
    enum mysql_prove_step step;
    const char *why;
    unsigned char *client; /* what either is sent */
    unsigned char *server;
    unsigned char client_sequence;
    unsigned char server_sequence;
    unsigned server_packets;
    bool gone;
};

static struct mysql_writer room(unsigned char **bytes, size_t len)
{
    free(*bytes);
    size_t size = len + MYSQL_KEY_MAX;
    *bytes = malloc(size);
    return (struct mysql_writer){.data = *bytes, .size = size};
}

/* At most one whole packet of the right number. */
static void check_written(const struct mysql_writer *w, unsigned char *sequence)
{
    assert(!w->full);
    if (w->len > 0) {
        size_t len = w->data[0] | (size_t)w->data[1] << 8 | (size_t)w->data[2] << 16;
        assert(w->len == MYSQL_HEADER + len && w->data[3] == *sequence);
        ++*sequence;
    }
}

static void check(struct walk *w, const struct mysql_writer *client,
                  const struct mysql_writer *server)
{
    if (w->step == MYSQL_PROVE_BAD) {
        assert((w->gone || w->why != NULL) && client->len + server->len == 0);
        assert(w->p.secret_len == 0);
    }
    assert(w->step != MYSQL_PROVE_OK || w->server_packets > 1); /* something was asked */
    if (w->step == MYSQL_PROVE_OK || w->step == MYSQL_PROVE_DENIED) {
        assert(server->len == 0 && (w->gone || client->len > 0));
        assert(w->p.secret_len == 0 && w->p.secret[0] == 0);
    }
    assert(!w->gone || (client->len == 0 && w->p.secret_len == 0));
    assert(!w->gone || w->step != MYSQL_PROVE_CLIENT);
    check_written(client, &w->client_sequence);
    check_written(server, &w->server_sequence);
}

static void take(struct walk *w, unsigned how, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1); /* a sanitizer sees its ends */
    struct mysql_writer client = room(&w->client, len);
    struct mysql_writer server = room(&w->server, len);
    bool from_server = (how & FROM_SERVER) != 0 || w->gone;
    unsigned char *sequence = from_server ? &w->server_sequence : &w->client_sequence;
    unsigned char number = *sequence + ((how & WRONG) != 0 ? 1 : 0);
    ++*sequence;
    memcpy(copy, data, len);
    w->why = NULL;
    if (w->gone) {
        w->step = mysql_prove_abandoned(&w->p, number, copy, len, &server);
    } else if (from_server) {
        w->step = mysql_prove_server(&w->p, number, copy, len, &client, &server, &w->why);
    } else {
        w->step = mysql_prove_client(&w->p, number, copy, len, &client, &server, &w->why);
    }
    free(copy);
    w->server_packets += from_server;
    check(w, &client, &server);
    assert(w->step > MYSQL_PROVE_CLIENT || w->server_packets <= MYSQL_PROVE_ROUNDS);
}

static void leave(struct walk *w)
{
    struct mysql_writer client = room(&w->client, 0);
    struct mysql_writer server = room(&w->server, 0);
    w->gone = true;
    w->step = mysql_prove_abandoned(&w->p, 0, NULL, 0, &server);
    assert(w->step == MYSQL_PROVE_SERVER);
    check(w, &client, &server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum mysql_leg legs[] = {MYSQL_LEG_OPEN, MYSQL_LEG_TLS, MYSQL_LEG_SOCKET};
    if (size < 1) {
        return 0;
    }
    struct walk w = {.client_sequence = 2, .server_sequence = 1};
    const struct mysql_key *key = data[0] < 128 ? mysql_key_shared() : NULL;
    mysql_prove_begin(&w.p, 2, 1, legs[data[0] % 3], legs[data[0] / 3 % 3], key);
    data++;
    size--;
    while (w.step < MYSQL_PROVE_OK && size >= 3) {
        unsigned how = data[0];
        size_t len = data[1] | (size_t)data[2] << 8;
        len = len < size - 3 ? len : size - 3;
        if ((how & LEAVES) != 0 && !w.gone) {
            leave(&w);
        }
        take(&w, how, data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    mysql_prove_forget(&w.p);
    assert(w.p.secret[0] == 0);
    free(w.client);
    free(w.server);
    return 0;
}
