/* HTTP: relayed as it is; what a client is refused with is a response. */
#include <stdio.h>
#include <string.h>

#include "proto/proto.h"

/* RFC 9110, section 15.6.4. Sent before the request was read, so the connection ends with it. */
static size_t http_refuse(enum refusal why, const char *words, char *out, size_t size)
{
    (void)why; /* all of them pass: 503 says so */
    int len = snprintf(out, size,
                       "HTTP/1.1 503 Service Unavailable\r\n"
                       "Content-Type: text/plain\r\n"
                       "Content-Length: %zu\r\n"
                       "Cache-Control: no-store\r\n"
                       "Connection: close\r\n\r\n"
                       "router: %s\n",
                       strlen("router: ") + strlen(words) + 1, words);
    return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

const struct proto proto_http = {
    .name = "http",
    .refuse = http_refuse,
};
