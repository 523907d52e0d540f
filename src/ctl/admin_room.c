/* The listener is watched only while there is room, or somebody who can make room: idle, or slow.
 * The others wait in the kernel's queue. */
#include "base/macros.h"
#include "ctl/admin_client.h"
#include "ctl/control.h"

/* Who takes longer may lose its place to another. A request is a packet or two. */
#define ASKING_MS  250
#define READING_MS 1000

static bool is_idle(const struct client *client)
{
    return client->state == CLIENT_READ && client->answered && client->rest == NULL &&
           !http_request_begun(&client->request);
}

/* Who waits longest for its next request; NULL if nobody is idle. */
static struct client *longest_idle(struct admin *a)
{
    struct client *found = NULL;
    LIST_EACH(it, &a->clients)
    {
        struct client *client = container_of(it, struct client, node);
        if (is_idle(client) &&
            (found == NULL || client->deadline.due_ms < found->deadline.due_ms)) {
            found = client;
        }
    }
    return found;
}

struct client *admin_slowest(struct admin *a, enum client_state state, uint64_t ms)
{
    struct client *found = NULL;
    LIST_EACH(it, &a->requests.items)
    {
        struct client *client = container_of(it, struct client, deadline.node);
        bool late =
            client->deadline.due_ms + ms <= loop_now_ms(&a->control->loop) + ADMIN_REQUEST_MS;
        if (late && found == NULL && client->state == state) {
            found = client;
        }
    }
    return found;
}

struct client *admin_who_makes_room(struct admin *a)
{
    struct client *found = longest_idle(a);
    found = found != NULL ? found : admin_slowest(a, CLIENT_READ, ASKING_MS);
    return found != NULL ? found : admin_slowest(a, CLIENT_WRITE, READING_MS);
}

void admin_watch(struct admin *a)
{
    bool rests = deadline_is_armed(&a->rest);
    bool room = a->open < ADMIN_CONNECTIONS || admin_who_makes_room(a) != NULL;
    bool wanted = !a->closing && !rests && room;
    if (room || a->closing) {
        deadline_disarm(&a->looks, &a->look);
    } else if (!deadline_is_armed(&a->look)) {
        deadline_arm(&a->looks, &a->look);
    }
    if (wanted && !a->watching) {
        listener_resume(&a->listener);
    } else if (!wanted && a->watching) {
        uv_poll_stop(&a->listener.poll);
    }
    a->watching = wanted;
}
