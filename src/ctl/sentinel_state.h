/* The Sentinels of a backend from within, for ctl/sentinel*.c only. */
#ifndef ROUTER_CTL_SENTINEL_STATE_H
#define ROUTER_CTL_SENTINEL_STATE_H

#include "base/address.h"
#include "ctl/events.h"
#include "ctl/sentinel.h"

#define SENTINEL_LABEL_MAX (64 + ADDRESS_TEXT_MAX + 24)
#define SENTINEL_TOLD_MAX  10 /* events about one Sentinel at once */
#define NO_SERVER          (-1)

struct sentinel {
    size_t line; /* in backend_config.sentinels */
    struct address address;
    char text[ADDRESS_TEXT_MAX];  /* for people: as written, or the address that a name has */
    struct probe *probe;          /* owned; NULL = stopped, or memory */
    struct sentinel_watch *watch; /* owned; the same */
    char label[SENTINEL_LABEL_MAX];
    /* What it answered last. */
    uint64_t answered_ms;
    char names[PEER_TEXT_MAX]; /* "host:port"; empty = nobody, or nothing was answered */
    int server;                /* which server of the backend that is, or NO_SERVER */
    int promotes;              /* whom it told that it promotes, or NO_SERVER */
    uint64_t promotes_ms;      /* when it told so last */
    unsigned members;          /* how many Sentinels it knows; 0 = it does not say */
    uint64_t members_since_ms;
    /* How the last probe went. */
    unsigned failures;
    char why[WHY_MAX];
    /* What became an event. */
    char told[EVENT_TEXT_MAX];
    unsigned told_members;
    unsigned may_tell;
    uint64_t refilled_ms;
};

/* A line with a name: how many Sentinels it stood for lately. */
struct sentinel_line {
    size_t most;
    uint64_t most_ms;
};

struct sentinels {
    struct sentinels_setup setup;
    bool started;
    bool fast;
    struct sentinel **items; /* owned; NULL where one was: a probe knows its place by number */
    size_t count;
    struct sentinel_line *lines; /* owned; one for each of the configuration's */
    unsigned *promoting;         /* owned; for sentinels_promoting() */
};

/* Its last word counts. */
bool sentinel_is_heard(const struct sentinels *s, const struct sentinel *one);
/* One comes, and is asked from now on; one goes. */
void sentinel_add(struct sentinels *s, size_t line, const struct address *at, const char *text);
void sentinel_remove(struct sentinels *s, size_t i);

/* sentinel_names.c: how many are missing of those that the line stands for. */
size_t sentinels_absent(const struct sentinels *s, size_t line);

/* sentinel_tell.c: events, at most a few about each. */
void sentinel_tell_word(const struct sentinels *s, struct sentinel *one, bool heard);
void sentinel_tell_census(const struct sentinels *s, struct sentinel *one);

#endif
