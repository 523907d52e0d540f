/* The head of one HTTP/1.x request (RFC 9112), fed in any split. The struct is all the memory there
 * is: the head is kept in it, and method, path and query point into it until the next
 * http_request_init(). Bodies are not taken: a request that announces one is refused. */
#ifndef ROUTER_PROTO_HTTP_REQUEST_H
#define ROUTER_PROTO_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_REQUEST_MAX 8192 /* bytes of a head, with its empty line */

enum http_step {
    HTTP_STEP_MORE, /* the head is not complete */
    HTTP_STEP_DONE, /* the request is whole; what was not used belongs to the next one */
    HTTP_STEP_BAD,  /* `status` says how to refuse it; nothing after it can be understood */
};

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_OTHER, /* well-formed, but not for us */
};

struct http_request {
    enum http_method method;
    const char *path; /* no NUL at its end; begins with '/' unless the method is OTHER */
    size_t path_len;
    const char *query; /* behind the '?'; NULL if there is none */
    size_t query_len;
    const char *authorization; /* the value of that field, a secret; NULL if there is none */
    size_t authorization_len;
    bool keep_alive; /* the client may send another request on this connection */
    int status;      /* HTTP_STEP_BAD: 400, 413, 431 or 505 */

    /* The parser's own. */
    enum http_step step;
    bool has_line; /* the request line was read */
    bool http_1_0; /* the request says HTTP/1.0 */
    bool connection_close;
    bool connection_keep;
    unsigned hosts;  /* Host fields */
    bool has_length; /* a Content-Length (of 0) was read */
    size_t line;     /* where the line begins that is being read */
    size_t len;      /* bytes in `head` */
    char head[HTTP_REQUEST_MAX];
};

void http_request_init(struct http_request *r);
/* Takes at most `len` bytes and says in *used how many. After DONE or BAD, call
 * http_request_init() before the next one. */
enum http_step http_request_feed(struct http_request *r, const char *data, size_t len,
                                 size_t *used);
/* Whether a byte of a request was taken; empty lines before it do not count. */
bool http_request_begun(const struct http_request *r);
/* Wipes what was read: there may have been a password in it. */
void http_request_forget(struct http_request *r);

#endif
