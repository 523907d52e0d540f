#include "ctl/answer.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "ctl/control.h"
#include "ctl/page.h"
#include "ctl/stats.h"
#include "ctl/stats_csv.h"
#include "ctl/stats_view.h"
#include "proto/http_request.h"

struct answer {
    int status;
    const char *type;
    bool is_page;     /* needs the headers that make a browser careful */
    bool for_page;    /* asked for by the page, again and again: the browser must not ask for a
                       * password each time, so it is challenged by a scheme that none knows */
    struct text body; /* owned */
};

static const char plain_text[] = "text/plain; charset=utf-8";

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

static bool query_is(const struct http_request *r, const char *word)
{
    return r->query != NULL && r->query_len == strlen(word) &&
           memcmp(r->query, word, r->query_len) == 0;
}

/* The paths --------------------------------------------------------------------------------- */

static void write_page(const struct control *c, const struct http_request *r, struct answer *a)
{
    (void)c;
    (void)r;
    size_t len;
    const char *html = page_html(&len);
    a->type = "text/html; charset=utf-8";
    a->is_page = true;
    text_add_bytes(&a->body, html, len);
}

static void write_json(const struct control *c, const struct http_request *r, struct answer *a)
{
    (void)r;
    a->type = "application/json";
    stats_json(c, &a->body);
}

static void write_metrics(const struct control *c, const struct http_request *r, struct answer *a)
{
    (void)r;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    stats_prometheus(c, &a->body);
}

static void write_csv(const struct control *c, const struct http_request *r, struct answer *a)
{
    (void)r;
    stats_csv(c, &a->body);
}

static void write_healthz(const struct control *c, const struct http_request *r, struct answer *a)
{
    (void)c;
    (void)r;
    text_add(&a->body, "ok\n");
}

static void write_backends_ready(const struct control *c, struct answer *a)
{
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        size_t missing;
        if (view_shows_frontend(c, i) && !view_frontend_has_server(c, i, &missing)) {
            struct backend_view backend = view_backend(c, missing);
            text_add(&a->body, "%s has no server: %s: %s\n", c->config->frontends[i].name,
                     backend.config->name, backend.reason);
            a->status = 503;
        }
    }
    if (a->status == 200) {
        text_add(&a->body, "ready\n");
    }
}

static void write_readyz(const struct control *c, const struct http_request *r, struct answer *a)
{
    if (query_is(r, "backends")) {
        write_backends_ready(c, a);
        return;
    }
    bool ready = control_ready(c);
    a->status = ready ? 200 : 503;
    text_add(&a->body, "%s\n",
             ready         ? "ready"
             : c->draining ? "the router is draining"
                           : "the first election round is not over");
}

/* Orchestrators and load balancers know no password. */
static bool always(const struct control *c)
{
    (void)c;
    return true;
}

static bool metrics_open(const struct control *c)
{
    return c->config->router.metrics_open;
}

struct path {
    const char *path;
    void (*write)(const struct control *c, const struct http_request *r, struct answer *a);
    bool (*open)(const struct control *c); /* NULL = never */
};

static const struct path paths[] = {
    {"/", write_page, NULL},
    {"/stats.json", write_json, NULL},
    {"/metrics", write_metrics, metrics_open},
    {"/;csv", write_csv, NULL},
    {"/stats;csv", write_csv, NULL},
    {"/healthz", write_healthz, always},
    {"/readyz", write_readyz, always},
};

/* NULL if there is no such path. */
static const struct path *find_path(const struct http_request *r)
{
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (strlen(paths[i].path) == r->path_len &&
            memcmp(paths[i].path, r->path, r->path_len) == 0) {
            return &paths[i];
        }
    }
    return NULL;
}

static void write_path(const struct control *c, const struct http_request *r, struct answer *a)
{
    const struct path *path = find_path(r);
    if (path != NULL) {
        path->write(c, r, a);
        return;
    }
    a->status = 404;
    text_add(&a->body, "nothing here; try / /stats.json /metrics /healthz /readyz\n");
}

bool answer_is_open(const struct control *c, const struct http_request *r)
{
    if (r->method == HTTP_METHOD_OTHER) {
        return true; /* it is refused to all alike */
    }
    const struct path *path = find_path(r);
    return path != NULL && path->open != NULL && path->open(c);
}

/* The head ---------------------------------------------------------------------------------- */

/* RFC 9110, section 5.6.7: always in English, whatever the locale. */
static void add_date(struct text *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    text_add(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[utc.tm_wday], utc.tm_mday,
             months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static void add_head(const struct answer *a, bool keep_alive, struct text *out)
{
    text_add(out, "HTTP/1.1 %d %s\r\n", a->status, phrase(a->status));
    add_date(out);
    text_add(out,
             "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
             "X-Content-Type-Options: nosniff\r\nConnection: %s\r\n",
             a->type, a->body.len, keep_alive ? "keep-alive" : "close");
    if (a->status == 405) {
        text_add(out, "Allow: GET, HEAD\r\n");
    }
    if (a->status == 401) { /* RFC 7617, section 2 */
        text_add(out, "WWW-Authenticate: %s realm=\"router\", charset=\"UTF-8\"\r\n",
                 a->for_page ? "Page" : "Basic");
    }
    if (a->status == 429) {
        text_add(out, "Retry-After: 1\r\n");
    }
    if (a->is_page) {
        char policy[PAGE_POLICY_MAX];
        page_policy(policy);
        text_add(out, "Content-Security-Policy: %s\r\nReferrer-Policy: no-referrer\r\n", policy);
    }
    text_add(out, "\r\n");
}

void answer_request(const struct control *c, const struct http_request *r, int refusal,
                    struct text *out)
{
    struct answer a = {.status = 200, .type = plain_text};
    if (refusal != 0) {
        a.status = refusal;
        a.for_page = query_is(r, "page");
        text_add(&a.body, "%s\n", refusal == 401 ? "user and password, please" : "not so fast");
    } else if (r->method == HTTP_METHOD_OTHER) {
        a.status = 405;
        text_add(&a.body, "only GET and HEAD\n");
    } else {
        write_path(c, r, &a);
    }
    add_head(&a, r->keep_alive, out);
    if (r->method != HTTP_METHOD_HEAD) {
        text_add_bytes(out, a.body.data, a.body.len);
    }
    text_free(&a.body);
}

void answer_refusal(int status, struct text *out)
{
    struct answer a = {.status = status, .type = plain_text};
    text_add(&a.body, "%d %s\n", status, phrase(status));
    add_head(&a, false, out);
    text_add_bytes(out, a.body.data, a.body.len);
    text_free(&a.body);
}
