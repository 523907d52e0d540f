/* The document of `show json` for people: one function for each of what routerctl shows of it.
 * A member that is missing, or of another kind than it should be, is shown as "-". */
#ifndef ROUTER_ROUTERCTL_VIEWS_H
#define ROUTER_ROUTERCTL_VIEWS_H

#include <stdbool.h>

#include "base/text.h"
#include "routerctl/json.h"
#include "routerctl/table.h"

struct view {
    const struct json *j; /* borrowed */
    const char *only;     /* a backend, or backend/server; NULL = all */
    bool colours;
    unsigned lines; /* events: the newest so many; 0 = all */
    double after;   /* events: only those of a higher number */
    bool as_json;   /* events: each a line of JSON */
};

/* False: there is nothing of the name `only`. */
bool view_status(const struct view *v, struct text *out);
bool view_servers(const struct view *v, struct text *out);
bool view_frontends(const struct view *v, struct text *out);
bool view_changes(const struct view *v, struct text *out);
/* Of another document, `show pool json`. */
void view_pools(const struct view *v, struct text *out);
/* The number of the newest event that was there. */
double view_events(const struct view *v, struct text *out);
/* The same parts as JSON: `what` is a member of the document; servers are gathered from all
 * backends, each with its backend's name. */
bool view_json(const struct view *v, const char *what, struct text *out);

/* For top as well. */
const struct json_node *view_list(const struct json *j, const char *what);
bool view_wanted(const char *only, const char *backend, const char *server);
enum colour view_state_colour(const char *state);
enum colour view_role_colour(const char *role);
/* "redis (redis): primary r1, 3 waiting", and whether all is well with it. */
enum colour view_backend_words(const struct json *j, const struct json_node *backend,
                               struct text *out);
/* How far a replica is behind, "-" if that is not known. */
void view_lag(const struct json *j, const struct json_node *server, struct text *out);
/* "router 0.1.0, pid 12, up 3m 4s, ..." */
void view_headline(const struct json *j, struct text *out);

#endif
