/* Rules that choose a backend by the name in the TLS hello. */
#ifndef ROUTER_IMPORT_SNI_H
#define ROUTER_IMPORT_SNI_H

#include "import/proxy.h"

struct sni_entry {
    struct word host;    /* "*.x.y" too */
    const char *backend; /* HAProxy's name of it */
    struct line *line;
};

struct sni {
    struct sni_entry *entries; /* no host is there twice */
    size_t count;
    const char *otherwise;  /* the backend for all other names, by a map; NULL: default_backend */
    long long handshake_ms; /* inspect-delay; 0: none */
    struct line *handshake_line;
};

/* Marks the `use_backend` rules that are about nothing but the name, their acls, and inspect-delay.
 * Other rules are left alone. */
void sni_read(const struct proxy *p, struct sni *out);

#endif
