#include "core/flights.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16

static bool grow(struct flights *f)
{
    uint32_t room = f->room > 0 ? f->room * 2 : FIRST_ROOM;
    struct flight *ring = malloc(room * sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        ring[i] = *flights_at(f, i);
    }
    free(f->ring);
    f->ring = ring;
    f->first = 0;
    f->room = room;
    return true;
}

struct flight *flights_add(struct flights *f)
{
    if (f->count == f->room && !grow(f)) {
        return NULL;
    }
    return &f->ring[(f->first + f->count++) & (f->room - 1)];
}

void flights_release(struct flights *f)
{
    free(f->ring);
    *f = (struct flights){0};
}
