/* Hashing that gives the same number on every machine and in every version: client addresses are
 * mapped to servers by it, so a change moves every sticky client. FNV-1a (draft-eastlake-fnv),
 * finished with the splitmix64 mixer (Steele, Lea, Flood 2014) because FNV's high bits are weak. */
#ifndef ROUTER_BASE_HASH_H
#define ROUTER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static inline uint64_t hash_bytes(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 0x100000001b3U;
    }
    return hash_mix(h);
}

#endif
