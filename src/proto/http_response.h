/* Reads one HTTP/1.x response (RFC 9112) from a stream in whatever pieces it comes, for the sake of
 * its status: the body is thrown away. Zeroed memory, but for `head_only`, is a new one; nothing
 * to release. */
#ifndef ROUTER_PROTO_HTTP_RESPONSE_H
#define ROUTER_PROTO_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192  /* of all heads, interim ones and trailers too */
#define HTTP_BODY_MAX 65536 /* of a body that is read to its end */

enum http_read {
    HTTP_READ_MORE,   /* all bytes are taken, the response is not over */
    HTTP_READ_DONE,   /* it is; `keep` says whether the connection may serve another one */
    HTTP_READ_BROKEN, /* no HTTP, or a head beyond bounds */
};

enum http_state {
    HTTP_STATUS,        /* the status line */
    HTTP_FIELD,         /* a field line, or the empty one */
    HTTP_FIELD_END,     /* the first byte behind one: a space would continue it */
    HTTP_BODY,          /* `left` bytes */
    HTTP_CHUNK,         /* a chunk's size line */
    HTTP_CHUNK_DATA,    /* `left` bytes */
    HTTP_CHUNK_END,     /* the line end behind them */
    HTTP_TRAILER,       /* trailer lines up to the empty one */
    HTTP_RESPONSE_DONE, /* nothing */
};

struct http_response {
    bool head_only;  /* set it first: it answers a HEAD */
    unsigned status; /* 0 until it is known */
    bool keep;
    enum http_state state;
    bool old; /* HTTP/1.0 */
    bool has_length;
    bool has_coding; /* Transfer-Encoding */
    bool chunked;    /* it ends in "chunked" */
    bool close;
    bool keep_alive;
    uint64_t length;
    uint64_t left;
    size_t heads; /* bytes of heads so far */
    size_t body;  /* bytes of the body so far, or announced */
    size_t line_len;
    char line[HTTP_HEAD_MAX + 1];
};

/* Takes bytes off the front of data/len until the response is over. A body that ends with the
 * connection, or is longer than HTTP_BODY_MAX, is not waited for: DONE without `keep`. */
enum http_read http_response_read(struct http_response *r, const char **data, size_t *len);

#endif
