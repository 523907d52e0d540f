#include "model/balance.h"

#include <assert.h>
#include <stdbool.h>

#include "base/hash.h"

/* Everybody gains their weight, the richest is taken and pays what all gained: the picks of a heavy
 * server are spread out instead of coming in a row. */
size_t balance_round_robin(const struct candidate *c, size_t count, int64_t *current)
{
    assert(count > 0);
    int64_t gained = 0;
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t gain = (int64_t)c[i].weight * BALANCE_UNIT;
        gained += gain;
        current[c[i].server] += gain;
        if (current[c[i].server] > current[c[best].server]) {
            best = i;
        }
    }
    current[c[best].server] -= gained;
    return best;
}

static bool less_loaded(const struct candidate *a, const struct candidate *b)
{
    return (a->connections + UINT64_C(1)) * b->weight < (b->connections + UINT64_C(1)) * a->weight;
}

size_t balance_least_connections(const struct candidate *c, size_t count)
{
    assert(count > 0);
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (less_loaded(&c[i], &c[best])) {
            best = i;
        }
    }
    return best;
}

uint64_t balance_random_next(uint64_t *random_state)
{
    uint64_t now = *random_state;
    *random_state += 0x9e3779b97f4a7c15U;
    return hash_mix(now);
}

/* A position drawn by weight, never `without` (pass count to leave out none). */
static size_t draw(const struct candidate *c, size_t count, size_t without, uint64_t *random_state)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += i == without ? 0 : c[i].weight;
    }
    /* At most 2^16 servers of weight 2^8: the product fits, and the bias is below 2^-8 of 1 %. */
    uint64_t point = (balance_random_next(random_state) >> 32) * total >> 32;
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == without) {
            continue;
        }
        last = i;
        if (point < c[i].weight) {
            break;
        }
        point -= c[i].weight;
    }
    return last;
}

size_t balance_random(const struct candidate *c, size_t count, uint64_t *random_state)
{
    assert(count > 0);
    size_t one = draw(c, count, count, random_state);
    if (count == 1) {
        return one;
    }
    size_t other = draw(c, count, one, random_state);
    return less_loaded(&c[other], &c[one]) ? other : one;
}

/* -log2(h / 2^64) as a number of 2^-32, at least 1, for h > 0. Digit by digit: squaring a number in
 * [1,2) doubles its logarithm, whose integer part is then the next binary digit. Integers only, so
 * that every machine gets the same. */
static uint64_t minus_log2(uint64_t h)
{
    unsigned shift = (unsigned)__builtin_clzll(h);
    uint64_t x = h << shift >> 32; /* in [2^31, 2^32): 31 binary digits behind the point */
    uint64_t log = 63 - shift;
    for (int i = 0; i < 32; i++) {
        x = x * x >> 31;
        uint64_t digit = x >> 32;
        log = log << 1 | digit;
        x >>= digit;
    }
    return (UINT64_C(64) << 32) - log;
}

/* Each server draws -log(u)/weight, with u from the hash of client and server: exponentially
 * distributed times, of which the smallest belongs to a server with a probability proportional to
 * its weight. A server's draw depends on nobody else, so only its own clients move when it goes. */
size_t balance_ip_hash(const struct candidate *c, size_t count, uint64_t client_hash)
{
    assert(count > 0);
    size_t best = 0;
    uint64_t best_time = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t time = minus_log2(hash_mix(client_hash ^ c[i].name_hash) | 1);
        uint64_t mine = time * c[best].weight; /* at most 2^38 * 2^8 */
        uint64_t its = best_time * c[i].weight;
        bool tie = mine == its && c[i].name_hash < c[best].name_hash;
        if (i == 0 || mine < its || tie) {
            best = i;
            best_time = time;
        }
    }
    return best;
}
