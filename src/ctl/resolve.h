/* Names into addresses, and addresses into names, as the machine's other programs do it
 * (getaddrinfo(3), getnameinfo(3)). These block, for half a minute where nobody answers, and cannot
 * be called off. So each look-up has a thread of its own for as long as it lasts, a bounded number
 * of them at a time, and one name that nobody answers for is not in the way of another: see the
 * turns in resolve.c. The control thread's; only the answers come from elsewhere. */
#ifndef ROUTER_CTL_RESOLVE_H
#define ROUTER_CTL_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define RESOLVE_ADDRESSES_MAX 128 /* of one name; more are left out */
#define RESOLVE_THREADS_MAX   16
#define RESOLVE_WHY_MAX       96

struct loop;
struct resolver;

struct resolve_answer {
    /* What was asked: a name, or, where it is set, whom this address belongs to. */
    char name[ADDRESS_NAME_MAX];
    struct address address;
    bool found;
    char why[RESOLVE_WHY_MAX]; /* not found: what is wrong */
    uint64_t took_ms;
    /* Of a name: IPv4 before IPv6, ascending, each once, without a port. */
    size_t count;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t left_out;
    bool partial; /* whether it has addresses of IPv6 could not be found out */
    /* Of an address. */
    char owner[ADDRESS_NAME_MAX];
};

/* May call back, borrowed until its return; it may ask again. */
struct resolver_events {
    void (*on_answer)(void *context, const struct resolve_answer *answer);
};

/* Answers come by the loop's mailbox. NULL: memory. */
struct resolver *resolver_new(struct loop *l, const struct resolver_events *events, void *context);
/* Every question is answered, but after resolver_close(). `patient`: this one took long the last
 * time; the places for quick ones are not for it. 0 or UV_ENOMEM. */
int resolver_ask(struct resolver *r, const char *name, bool patient);
/* Who the address belongs to. Asked after all names. */
int resolver_ask_owner(struct resolver *r, const struct address *address);
/* What waits or is under way; for people. */
size_t resolver_busy(const struct resolver *r);
/* While the loop runs. No answer comes any more; threads that are stuck in a look-up are left to
 * themselves, and touch nothing but their own memory from then on. Frees itself later. */
void resolver_close(struct resolver *r);

#endif
