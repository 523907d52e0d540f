/* A hash for what strangers choose: who does not know the seed cannot choose what meets in one
 * bucket. SipHash-2-4 (Aumasson, Bernstein 2012). */
#ifndef ROUTER_BASE_SIP_HASH_H
#define ROUTER_BASE_SIP_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t sip_hash(const uint64_t seed[2], const void *data, size_t len);

#endif
