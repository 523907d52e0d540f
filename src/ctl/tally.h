/* What the control thread measures beside the workers' counters: rates, when the last session came,
 * how long somebody was down, how often probes failed, elections. And what is left out of the
 * counters, because they were cleared or belong to who had the slot before. Looked at once a
 * second; grows with the configuration by itself. Control thread only. */
#ifndef ROUTER_CTL_TALLY_H
#define ROUTER_CTL_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/metrics.h"

struct backend_control;
struct control;
struct server_control;

/* Of a counter, in a second. */
struct rate {
    uint64_t total; /* at the last look */
    uint64_t now;
    uint64_t max;
    uint64_t last_ms; /* loop time of the look that saw more than the one before; 0 = never */
};

/* Whether it is up, and since when. */
struct spell {
    bool up;
    uint64_t changed_ms; /* loop time; 0 = never changed since the start */
    uint64_t down_ms;    /* until then, all times together */
    uint64_t falls;      /* from up to down */
};

struct tally_frontend {
    struct rate sessions;
    struct rate connections;
    uint64_t without[FRONTEND_METRIC_COUNT];
};

struct tally_backend {
    struct rate sessions;
    struct spell spell; /* up: some server takes sessions */
    uint64_t elections; /* another primary was published */
    uint64_t fences;    /* no worker wrote to the old one any more */
    uint64_t without[BACKEND_METRIC_COUNT];
    uint64_t gone[SERVER_METRIC_COUNT]; /* counted by servers that it has no more */
};

struct tally_server {
    struct rate sessions;
    struct spell spell;
    uint64_t failed_probes;
    uint64_t without[SERVER_METRIC_COUNT];
};

struct tally {
    struct tally_frontend **frontends; /* owned, like the next two; by index */
    struct tally_backend **backends;
    struct tally_server **servers; /* by server id */
    size_t frontend_count;
    size_t backend_count;
    size_t server_count;
    uint64_t gone[FRONTEND_METRIC_COUNT]; /* counted by frontends that are no more */
    struct rate sessions;                 /* of all frontends */
    struct rate connections;
    struct rate bytes_out;
    uint64_t looked_ns; /* at the last look; 0 = there was none */
    uint64_t cpu_ns;    /* of the process, at the last look */
    unsigned idle_percent;
};

void tally_release(struct tally *t);
/* Once a second. */
void tally_look(struct control *c);
/* Its probe said so. */
void tally_server_up(struct backend_control *b, const struct server_control *s, bool up);
void tally_failed_probe(struct backend_control *b, const struct server_control *s);
/* A topology was published. */
void tally_published(struct control *c);
void tally_elected(struct backend_control *b);
void tally_fenced(struct backend_control *b);

/* Forgets the maxima, or all that was counted. */
void tally_clear(struct control *c, bool all);
/* The slot is to be somebody else's: what was counted in it is not. Of a server it stays part of
 * what its backend has counted. */
void tally_forget_frontend(struct control *c, size_t frontend);
void tally_forget_backend(struct control *c, size_t backend);
void tally_forget_server(struct control *c, size_t backend, size_t id);

/* For those who print. */
const struct tally_frontend *tally_of_frontend(const struct control *c, size_t frontend);
const struct tally_backend *tally_of_backend(const struct control *c, size_t backend);
const struct tally_server *tally_of_server(const struct control *c, size_t id);

/* Sums over all workers, of a peak the greatest, of an average the whole. */
uint64_t tally_frontend_metric(const struct control *c, size_t frontend, enum frontend_metric m);
uint64_t tally_backend_metric(const struct control *c, size_t backend, enum backend_metric m);
uint64_t tally_server_metric(const struct control *c, size_t id, enum server_metric m);
/* A counter of all frontends that there are and were. */
uint64_t tally_whole(const struct control *c, enum frontend_metric m);
/* A counter of all servers that the backend has and had. */
uint64_t tally_backend_sum(const struct control *c, size_t backend, enum server_metric m);

#endif
