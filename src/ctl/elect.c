/* An election from what a backend's probes have brought, and one that is only played. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/control.h"

/* What the servers have told, for an election. */
static struct observation *gather(const struct backend_control *b)
{
    size_t count = b->config->servers.count;
    struct observation *seen = xcalloc(count, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        seen[i] = b->servers[i].told;
        seen[i].probation = !b->servers[i].up;
        seen[i].barred = b->servers[i].admin != ADMIN_READY;
        authority_add_word(b, &b->servers[i], &seen[i]);
    }
    return seen;
}

static void run_election(const struct backend_control *b, struct observation *seen,
                         struct election_memory *memory, struct verdict *out)
{
    const struct control *c = b->control;
    size_t count = b->config->servers.count;
    unsigned *words = xcalloc(count, sizeof *words);
    struct election_input in = {
        .servers = b->config->servers.items,
        .seen = seen,
        .count = count,
        .authority = authority_count(b, words),
        .failback = b->config->failback,
        .chosen = b->chosen,
        .probe_fall = b->config->probe_fall,
        .now_ms = loop_now_ms(&c->loop),
        .start_timeout_ms = c->config->router.start_timeout,
        .conflict_timeout_ms = b->config->conflict_timeout,
        .on_conflict = b->config->on_conflict,
        .paused = b->paused,
    };
    election_run(&in, memory, out);
    free(words);
}

void backend_elect(struct backend_control *b, struct verdict *out)
{
    struct observation *seen = gather(b);
    run_election(b, seen, &b->memory, out);
    for (size_t i = 0; i < b->config->servers.count; i++) {
        b->servers[i].seen = seen[i];
    }
    free(seen);
}

void backend_rehearse(struct backend_control *b, size_t lost, struct verdict *out)
{
    size_t count = b->config->servers.count;
    struct election_memory memory = b->memory;
    memory.servers = xcalloc(count, sizeof *memory.servers);
    memcpy(memory.servers, b->memory.servers, count * sizeof *memory.servers);
    struct observation *seen = gather(b);
    observation_fail(&seen[lost], REACH_REFUSED, "a drill");
    seen[lost].failures = b->config->probe_fall;
    run_election(b, seen, &memory, out);
    free(seen);
    free(memory.servers);
}
