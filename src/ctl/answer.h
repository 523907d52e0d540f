/* What the admin address answers to a request: a pure function of the request and of the control
 * thread's state. Control thread only. */
#ifndef ROUTER_CTL_ANSWER_H
#define ROUTER_CTL_ANSWER_H

#include <stdbool.h>

struct control;
struct http_request;
struct text;

/* Whether the answer is for everybody, also where there is a password. */
bool answer_is_open(const struct control *c, const struct http_request *r);
/* A request that was read whole. Adds the answer's head and, unless it was HEAD, its body.
 * `refusal`: 0, or 401 or 429 for who must not see it. */
void answer_request(const struct control *c, const struct http_request *r, int refusal,
                    struct text *out);
/* A request that cannot be answered; the connection ends with it. */
void answer_refusal(int status, struct text *out);

#endif
