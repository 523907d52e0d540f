/* Every TLS context of the configuration: one for each frontend that ends TLS, one for each backend
 * whose servers or probes speak it. They are made at the start, where a file that cannot be used is
 * the end of it, and again when one of their files has changed. What is on the disk must be whole
 * then; if it is not, like a new certificate beside its old key, the old context stays in use, that
 * is told, and it is tried again.
 *
 * It owns one reference to each current context; workers and sessions have theirs. Once the router
 * runs it belongs to the control thread. */
#ifndef ROUTER_CTL_CERTIFICATES_H
#define ROUTER_CTL_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/file_stamp.h"
#include "model/config.h"
#include "net/tls.h"

#define CERTIFICATES_WHY_MAX    512
#define CERTIFICATE_PROBLEM_MAX (TLS_WHY_MAX + 80)
#define CREDENTIAL_PROBLEM_MAX  (2 * CERTIFICATES_WHY_MAX + 64)

/* How a certificate stands in time. */
enum validity {
    VALIDITY_GOOD,
    VALIDITY_SOON, /* less is left than two weeks, and than a fifth of its life */
    VALIDITY_EXPIRED,
    VALIDITY_FUTURE,
};

struct credential_file {
    const char *path;        /* borrowed from the configuration */
    struct file_stamp stamp; /* as it was when the current context was made */
};

/* What was told of a certificate, and when. */
struct credential_told {
    enum validity validity;
    time_t at;
};

/* The TLS of one section: the files, and the context that was made of them. */
struct credential {
    const struct frontend_config *frontend; /* borrowed; one of both */
    const struct backend_config *backend;
    struct tls_context *context;   /* owned (ref), the current one; NULL: no TLS, all is empty */
    struct credential_file *files; /* owned */
    size_t file_count;
    struct credential_told *told; /* owned; for each certificate */
    time_t read_at;
    char unread[CERTIFICATES_WHY_MAX]; /* why what the files hold now is not in use; "" = it is */
    char uncovered[CERTIFICATES_WHY_MAX]; /* names of `sni` without a certificate; "" = none */
};

struct certificates {
    size_t frontend_count;
    size_t backend_count;
    struct credential *frontends; /* owned, by index, like all that follow */
    struct credential *backends;
    /* The current contexts, borrowed from those: whom they are for. NULL = in the clear. */
    struct tls_context **frontend_tls; /* clients */
    struct tls_context **backend_tls;  /* sessions' connections to servers */
    struct tls_context **probe_tls;    /* probes' */
    struct tls_context **word_tls;     /* those to Sentinels and Patroni */
};

/* Reads all files. 0, or UV_EINVAL with one line in `why`: section, file and cause. In both cases
 * certificates_release() follows. */
int certificates_init(struct certificates *c, const struct config *config,
                      char why[CERTIFICATES_WHY_MAX]);
/* `config` shares its files' names with the one before (model/config_follow.h): what was read stays
 * in use. */
void certificates_adopt(struct certificates *c, const struct config *config);
void certificates_release(struct certificates *c);

/* Logs what somebody should know: at the start (`first`), which files will not be seen to change,
 * and which names have no certificate; what has expired or soon will, once a day. */
void certificates_tell(struct certificates *c, time_t now, bool first);

/* Looks at the files. `on_new` is called when another context took its place in frontend_tls or
 * backend_tls. */
void certificates_look(struct certificates *c, time_t now,
                       void (*on_new)(void *receiver, bool frontend, size_t index), void *receiver);

enum validity certificate_validity(const struct tls_certificate *certificate, time_t now);
/* Whole days; below zero: it has expired. */
long certificate_days_left(const struct tls_certificate *certificate, time_t now);
/* For people: what is wrong with a certificate now; "" = nothing. */
void certificate_problem(const struct tls_certificate *certificate, time_t now,
                         char out[CERTIFICATE_PROBLEM_MAX]);
/* For people: what is wrong with the section; "" = nothing. */
void credential_problem(const struct credential *c, char out[CREDENTIAL_PROBLEM_MAX]);

#endif
