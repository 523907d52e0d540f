/* The options as mdoc(7), for router.ini(5). */
#include <string.h>

#include "base/manual.h"
#include "model/config_internal.h"

static const char *const headings[SECTION_KINDS] = {
    [SECTION_ROUTER] = "The section [router]",
    [SECTION_FRONTEND] = "A section [frontend NAME]",
    [SECTION_BACKEND] = "A section [backend NAME]",
};

/* Where the option has an effect, by its flags. */
static const struct {
    enum option_flag flag;
    const char *words;
} conditions[] = {
    {OPTION_REDIS, "Only with\n.Ql protocol = redis .\n"},
    {OPTION_MYSQL, "Only with\n.Ql protocol = mysql .\n"},
    {OPTION_PGSQL, "Only with\n.Ql protocol = pgsql .\n"},
    {OPTION_ROLES, "Only where roles are probed: with a protocol that knows roles and\n"
                   ".Ql probe = auto .\n"},
    {OPTION_ASKED, "Only where roles are probed, or with\n.Ic http_check .\n"},
    {OPTION_PROBED, "Not with\n.Ql probe = off .\n"},
    {OPTION_GALERA, "Not with\n.Ql mysql_topology = replication\nor\n.Ql group_replication .\n"},
    {OPTION_LAG, "Not with\n.Ql mysql_topology = galera\nor\n.Ql group_replication .\n"},
    {OPTION_AUTO, "Only with\n.Ql probe = auto .\n"},
    {OPTION_TLS, "Only with\n.Ic tls , probe_tls , sentinel_tls\nor\n.Ic patroni_tls .\n"},
    {OPTION_VERIFY, "Only with\n.Ql tls_verify = yes .\n"},
    {OPTION_HTTP, "Only with\n.Ic http_check .\n"},
    {OPTION_SENTINEL, "Only with\n.Ic sentinel .\n"},
    {OPTION_PATRONI, "Only with\n.Ic patroni .\n"},
    {OPTION_REPLICA, "Only with\n.Ql route = replica\nor\n.Ql split .\n"},
    {OPTION_SPLIT, "Only with\n.Ql route = split .\n"},
    {OPTION_POOLED, "Only with\n.Ic pool_mode\nof a frontend that leads to this backend.\n"},
    {OPTION_TERMINATED, "Not with\n.Ql tls = no .\n"},
    {OPTION_EDGE, "Only with\n.Ic accept_proxy ,\n.Ic tls\nor\n.Ic sni .\n"},
};

static void put_conditions(const struct option *o, FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        if ((o->flags & conditions[i].flag) != 0) {
            fputs(conditions[i].words, out);
        }
    }
}

static void put_option(const struct option *o, FILE *out)
{
    struct text words = {0};
    option_words(&words, o);
    fprintf(out, ".It Ic %s No = ", o->key);
    const char *value = o->default_[0] != '\0' ? o->default_ : o->example;
    manual_text(value, strlen(value), out);
    fputc('\n', out);
    manual_sentences(o->help, out);
    fputs(".Pp\n", out);
    fputs("Takes ", out);
    manual_text(words.data, words.len, out);
    if ((o->flags & OPTION_REQUIRED) != 0) {
        fputs("; required", out);
    } else {
        fprintf(out, "; %s by default", o->default_[0] != '\0' ? o->default_ : "empty");
    }
    fputs((o->flags & OPTION_REPEAT) != 0 ? ".\nMay be repeated.\n" : ".\n", out);
    if (o->default_[0] != '\0' && o->example[0] != '\0') {
        fprintf(out, "Example: %s.\n", o->example);
    }
    put_conditions(o, out);
    text_free(&words);
}

void config_manual(FILE *out)
{
    for (size_t kind = 0; kind < SECTION_KINDS; kind++) {
        fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", headings[kind]);
        for (size_t i = 0; i < config_option_count; i++) {
            if (config_options[i].kind == kind) {
                put_option(&config_options[i], out);
            }
        }
        fputs(".El\n", out);
    }
}
