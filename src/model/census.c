/* Three passes, so that nothing depends on the order of the servers: what each says of itself, then
 * the histories of those that claim, then those of the others, which rest on the claims only.
 *
 * An observation may be older than what is known of its source by now. A replica that was asked
 * before its source began a new history is taken to follow the one before: else the restart of a
 * primary would move its followers' votes to data that they have never seen. */
#include "model/census.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "model/discovery.h"

struct census {
    const struct election_input *in;
    struct election_memory *memory;
};

/* Where a server gets its data from: its channels from members taken together. */
struct source {
    const struct channel *channel; /* the one that tells whom it follows; NULL = none */
    int member;                    /* whom that names, or CENSUS_UNKNOWN */
    bool up;                       /* all of them run */
};

static struct census_memory *known(const struct census *c, size_t i)
{
    return &c->memory->servers[i].census;
}

static bool is_heard(const struct census *c, size_t i)
{
    return c->in->seen[i].reach == REACH_ANSWERED;
}

static bool counts(const struct census *c, size_t i)
{
    return is_heard(c, i) && c->in->seen[i].part == PART_SOURCE;
}

/* ---- whom a channel names ---- */

/* Of several the first by name; there should be one. */
static int first_by_name(const struct election_input *in, int one, size_t other)
{
    bool before = one < 0 || strcmp(in->servers[other].name, in->servers[one].name) < 0;
    return before ? (int)other : one;
}

static int member_by_id(const struct election_input *in, const struct election_memory *memory,
                        const char *id)
{
    int found = ELECTION_NOBODY;
    for (size_t i = 0; i < in->count && id[0] != '\0'; i++) {
        if (strcmp(memory->servers[i].census.id, id) == 0) {
            found = first_by_name(in, found, i);
        }
    }
    return found;
}

static int member_by_address(const struct election_input *in, const char *text)
{
    int found = ELECTION_NOBODY;
    for (size_t i = 0; i < in->count; i++) {
        if (server_is_at(&in->servers[i], text)) {
            found = first_by_name(in, found, i);
        }
    }
    return found;
}

static bool all_ids_known(const struct election_input *in, const struct election_memory *memory)
{
    for (size_t i = 0; i < in->count; i++) {
        if (!in->servers[i].gone && memory->servers[i].census.id[0] == '\0') {
            return false;
        }
    }
    return true;
}

int census_member(const struct election_input *in, const struct election_memory *memory,
                  const struct channel *channel)
{
    int member = member_by_id(in, memory, channel->source_id);
    if (member == ELECTION_NOBODY) {
        member = member_by_address(in, channel->source);
    }
    /* An address that is none of the members' proves nothing: servers have several. */
    if (member == ELECTION_NOBODY &&
        (channel->source_id[0] == '\0' || !all_ids_known(in, memory))) {
        return CENSUS_UNKNOWN;
    }
    return member;
}

/* A running channel from a member tells more than a stopped one, or one from who knows whom. */
static unsigned weight(const struct channel *channel, int member)
{
    return (member >= 0 ? 2U : 0U) + (channel->running ? 1U : 0U);
}

static struct source source_of(const struct census *c, size_t i)
{
    const struct observation *o = &c->in->seen[i];
    struct source from = {.member = ELECTION_NOBODY, .up = true};
    for (unsigned n = 0; n < o->channel_count && n < CHANNELS_MAX; n++) {
        const struct channel *channel = &o->channels[n];
        int member = census_member(c->in, c->memory, channel);
        if (member == ELECTION_NOBODY) {
            continue;
        }
        from.up = from.up && channel->running;
        if (from.channel == NULL || weight(channel, member) > weight(from.channel, from.member)) {
            from.channel = channel;
            from.member = member;
        }
    }
    from.up = from.up && from.channel != NULL;
    return from;
}

static bool claims(const struct census *c, size_t i)
{
    return counts(c, i) && c->in->seen[i].writable && source_of(c, i).channel == NULL;
}

/* ---- names ---- */

static const char outside[] = "outside:";

/* `prefix` and `text`, or a hash of it where it is too long. */
static void label(char *out, const char *prefix, const char *text)
{
    char hash[17];
    size_t len = strlen(prefix);
    if (len + strlen(text) >= REPLID_MAX) {
        snprintf(hash, sizeof(hash), "%016" PRIx64, hash_bytes(text, strlen(text)));
        text = hash;
    }
    memcpy(out, prefix, len);
    memcpy(out + len, text, strlen(text) + 1);
}

/* Stamps are never given twice: the name is unique however much of the id is cut. */
static void name_history(const struct census *c, size_t i, char *out)
{
    const struct observation *o = &c->in->seen[i];
    const char *id = o->id[0] != '\0' ? o->id : c->in->servers[i].name;
    snprintf(out, REPLID_MAX, "%.24s#%" PRIu64, id, o->answered);
}

/* The history that server `i` had last, whoever asks. */
static void last_name(const struct census *c, size_t i, char *out)
{
    const struct census_memory *m = known(c, i);
    if (m->name[0] != '\0') {
        memcpy(out, m->name, REPLID_MAX);
    } else {
        label(out, "unheard:", c->in->servers[i].name);
    }
}

/* The history of claimant `i` for somebody who was asked at `asked`. */
static void name_then(const struct census *c, size_t i, uint64_t asked, char *out)
{
    const struct census_memory *m = known(c, i);
    bool before = asked <= m->own_since && m->former[0] != '\0';
    memcpy(out, before ? m->former : m->own.id, REPLID_MAX);
}

/* The one claimant of the same system, and of timeline `term` unless that is 0; ELECTION_NOBODY if
 * there is none, or several. */
static int claimant_of_system(const struct census *c, const char *group, uint64_t term)
{
    int found = ELECTION_NOBODY;
    for (size_t i = 0; i < c->in->count && group[0] != '\0'; i++) {
        const struct observation *o = &c->in->seen[i];
        if (!claims(c, i) || strcmp(o->group, group) != 0 || (term > 0 && o->term != term)) {
            continue;
        }
        if (found != ELECTION_NOBODY) {
            return ELECTION_NOBODY;
        }
        found = (int)i;
    }
    return found;
}

/* `i`, at the end of the chain, follows somebody whom the channel does not tell. PostgreSQL shows a
 * standby's source to few, and often calls it by a host name; but a timeline has one primary. Who
 * hides the timeline, too, is taken to follow whom it did before until another one is elected. */
static int guess_source(const struct census *c, size_t i, bool followed)
{
    const struct observation *o = &c->in->seen[i];
    int member = claimant_of_system(c, o->group, o->term);
    if (member == ELECTION_NOBODY || o->term > 0 || !followed) {
        return member;
    }
    const char *id = known(c, (size_t)member)->own.id;
    return strcmp(id, c->memory->elected.id) == 0 ? member : ELECTION_NOBODY;
}

static void name_unknown(const struct census *c, size_t i, const struct channel *channel, char *out)
{
    const struct census_memory *m = known(c, i);
    /* That nobody was known to claim when it was heard first is no memory of whom it follows. */
    bool somebody = m->followed[0] != '\0' && strncmp(m->followed, outside, strlen(outside)) != 0;
    bool followed = somebody && strcmp(m->followed_source, channel->source) == 0;
    int member = guess_source(c, i, followed);
    if (member != ELECTION_NOBODY) {
        name_then(c, (size_t)member, c->in->seen[i].asked, out);
    } else if (followed) {
        memcpy(out, m->followed, REPLID_MAX);
    } else {
        label(out, outside, channel->source);
    }
}

/* Up the chain of sources of replica `i`, as far as the links are up. Every walk is bounded;
 * whoever stands on a ring follows nobody else's history. */
static void resolve(const struct census *c, size_t i, char *out)
{
    uint64_t asked = c->in->seen[i].asked;
    size_t at = i;
    for (size_t step = 0; step <= c->in->count; step++) {
        struct source from = source_of(c, at);
        if (claims(c, at)) {
            name_then(c, at, asked, out);
            return;
        }
        if (!counts(c, at) || !from.up) {
            last_name(c, at, out);
            return;
        }
        if (from.member == CENSUS_UNKNOWN) {
            name_unknown(c, at, from.channel, out);
            return;
        }
        at = (size_t)from.member;
    }
    label(out, "ring:", c->in->servers[i].name);
}

/* ---- what is written into the observations ---- */

/* What an offset means here: PostgreSQL's position, or how many transactions. 0 would mean that
 * nothing was received yet, which nobody who tells no position can be accused of. */
static int64_t offset_of(const struct observation *o)
{
    uint64_t count = gtid_count(&o->gtids);
    if (o->position > 0) {
        return o->position;
    }
    if (count > INT64_MAX) {
        return INT64_MAX;
    }
    return count > 0 ? (int64_t)count : 1;
}

static void begin_history(const struct census *c, size_t i)
{
    const struct observation *o = &c->in->seen[i];
    struct census_memory *m = known(c, i);
    bool promoted = m->followed[0] != '\0' && strcmp(m->followed_identity, o->identity) == 0;
    if (strcmp(m->name, m->own.id) != 0) {
        memcpy(m->inherited, m->name, REPLID_MAX);
    }
    memcpy(m->former, m->name, REPLID_MAX);
    m->own = (struct lineage){.previous_end = -1};
    name_history(c, i, m->own.id);
    if (promoted) {
        memcpy(m->own.previous_id, m->followed, REPLID_MAX);
        m->own.previous_end = m->followed_end;
    }
    memcpy(m->own_identity, o->identity, REPLID_MAX);
    memcpy(m->name, m->own.id, REPLID_MAX);
    m->own_since = o->answered;
    m->subordinate = false;
    m->followed[0] = '\0';
}

static void take_claim(const struct census *c, size_t i)
{
    struct observation *o = &c->in->seen[i];
    const struct census_memory *m = known(c, i);
    if (m->own.id[0] == '\0' || m->subordinate || strcmp(m->own_identity, o->identity) != 0) {
        begin_history(c, i);
    }
    o->claim = CLAIM_PRIMARY;
    o->usable = !o->probation;
    o->link_up = false;
    o->follows[0] = '\0';
    o->lineage = m->own;
    o->lineage.offset = offset_of(o);
}

static void remember_followed(const struct census *c, size_t i)
{
    const struct observation *o = &c->in->seen[i];
    struct census_memory *m = known(c, i);
    struct source from = source_of(c, i);
    if (from.channel == NULL) {
        return;
    }
    m->subordinate = true;
    if (from.up) {
        memcpy(m->followed, o->lineage.id, REPLID_MAX);
        memcpy(m->followed_identity, o->identity, REPLID_MAX);
        memcpy(m->followed_source, from.channel->source, PEER_TEXT_MAX);
    }
    m->followed_end = o->lineage.offset < INT64_MAX ? o->lineage.offset + 1 : INT64_MAX;
}

/* Its sources, or theirs, replicate from itself, whether the links are up or not. */
static bool is_on_ring(const struct census *c, size_t i)
{
    int at = source_of(c, i).member;
    for (size_t step = 0; step < c->in->count && at >= 0 && counts(c, (size_t)at); step++) {
        if (at == (int)i) {
            return true;
        }
        at = source_of(c, (size_t)at).member;
    }
    return false;
}

static void explain_replica(const struct census *c, size_t i, const struct source *from)
{
    struct observation *o = &c->in->seen[i];
    if (from->channel == NULL && o->why[0] == '\0') {
        snprintf(o->why, WHY_MAX, "is read-only");
    } else if (o->writable && o->why[0] == '\0' && is_on_ring(c, i)) {
        snprintf(o->why, WHY_MAX, "takes writes, but replicates from %.80s, a member here",
                 c->in->servers[from->member].name);
    } else if (o->writable && from->member == CENSUS_UNKNOWN) {
        snprintf(o->why, WHY_MAX, "has a %s channel from %.80s, which may be a member",
                 from->channel->running ? "running" : "stopped", from->channel->source);
    }
}

/* Without a link a replica has what it had. */
static void take_replica(const struct census *c, size_t i)
{
    struct observation *o = &c->in->seen[i];
    struct source from = source_of(c, i);
    o->claim = CLAIM_REPLICA;
    o->usable = false;
    o->link_up = from.up;
    o->lineage = (struct lineage){.previous_end = -1, .offset = offset_of(o)};
    snprintf(o->follows, PEER_TEXT_MAX, "%s", from.channel ? from.channel->source : "");
    resolve(c, i, o->lineage.id);
    explain_replica(c, i, &from);
}

/* Not before all names are worked out: none must rest on what is remembered of another since. */
static void remember(const struct census *c, size_t i)
{
    const struct observation *o = &c->in->seen[i];
    memcpy(known(c, i)->name, o->lineage.id, REPLID_MAX);
    if (o->claim == CLAIM_REPLICA) {
        remember_followed(c, i);
    }
}

static void take_group(const struct census *c, size_t i)
{
    struct observation *o = &c->in->seen[i];
    if (o->part == PART_GROUP || o->part == PART_GALERA) {
        o->lineage = (struct lineage){.previous_end = -1, .offset = offset_of(o)};
        label(o->lineage.id, "group:", o->group);
    }
}

/* Of a claim that is the server's own word; take_claim() heeds it for the others. */
static void take_probation(const struct census *c, size_t i)
{
    struct observation *o = &c->in->seen[i];
    if (o->claim == CLAIM_PRIMARY && o->usable && o->probation) {
        o->usable = false;
        snprintf(o->why, WHY_MAX, "is not up yet (probe_rise)");
    }
}

static void take_self(const struct census *c, size_t i)
{
    const struct observation *o = &c->in->seen[i];
    struct census_memory *m = known(c, i);
    m->part = o->part;
    if (o->id[0] != '\0') {
        memcpy(m->id, o->id, REPLID_MAX);
    }
}

/* Who has another system identifier or group name than the elected server has none of its data. */
static void explain_stranger(const struct census *c, size_t i)
{
    static const char *const what[] = {
        [PART_LINEAGE] = "history",
        [PART_SOURCE] = "system identifier",
        [PART_GROUP] = "group",
        [PART_GALERA] = "cluster",
    };
    struct observation *o = &c->in->seen[i];
    const char *elected = c->memory->elected_group;
    bool joins =
        o->part == PART_GALERA && o->claim == CLAIM_NONE; /* it has no cluster's data yet */
    if (!joins && elected[0] != '\0' && o->group[0] != '\0' && strcmp(o->group, elected) != 0) {
        snprintf(o->why, WHY_MAX, "has another %s than the elected primary, so none of its data",
                 what[o->part]);
    }
}

void census_take(const struct election_input *in, struct election_memory *memory)
{
    const struct census c = {.in = in, .memory = memory};
    for (size_t i = 0; i < in->count; i++) {
        if (is_heard(&c, i)) {
            take_self(&c, i);
            take_group(&c, i);
            take_probation(&c, i);
            explain_stranger(&c, i);
        }
    }
    for (size_t i = 0; i < in->count; i++) {
        if (claims(&c, i)) {
            take_claim(&c, i);
        }
    }
    for (size_t i = 0; i < in->count; i++) {
        if (counts(&c, i) && !claims(&c, i)) {
            take_replica(&c, i);
        }
    }
    for (size_t i = 0; i < in->count; i++) {
        if (counts(&c, i)) {
            remember(&c, i);
        }
    }
}
