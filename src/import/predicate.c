/* A recursive descent: or -> and -> term -> "(" or ")". Everything is read and judged at once: what
 * does not count any more is still read. */
#include "import/predicate.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/opensslv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX     1024 /* as HAProxy: of brackets, and of operators in a row */
#define ARGUMENT_MAX  4096
#define ARGUMENTS_MAX 2

struct judge {
    const char *at;
    const struct environment *environment;
    const char *what; /* what is wrong; NULL: nothing */
};

struct call {
    char arguments[ARGUMENTS_MAX][ARGUMENT_MAX];
};

/* Four numbers of a version, and behind them what is later than "-dev" and that: "2.4-dev19". */
struct version {
    long numbers[4];
};

static int fail(struct judge *j, const char *words)
{
    j->what = words;
    return -EINVAL;
}

static void skip_blanks(struct judge *j)
{
    j->at += strspn(j->at, " \t");
}

/* "2.4-dev19" is before "2.4.0"; what is missing is zero. */
static bool version_read(const char *text, struct version *out)
{
    *out = (struct version){.numbers = {0}};
    char *end = (char *)text;
    for (size_t i = 0; i < 3 && isdigit((unsigned char)*end); i++) {
        out->numbers[i] = strtol(end, &end, 10);
        end += *end == '.' && i < 2 ? 1 : 0;
    }
    out->numbers[3] = 1000000;
    if (strncmp(end, "-dev", 4) == 0) {
        out->numbers[3] = strtol(end + 4, &end, 10);
    }
    return end != text;
}

/* Below 0 if it is older than the one that is assumed, 0 the same, above newer. */
static int version_compare(const char *text, const char *assumed)
{
    struct version a;
    struct version b;
    version_read(text, &a);
    version_read(assumed, &b);
    for (size_t i = 0; i < ARRAY_LEN(a.numbers); i++) {
        if (a.numbers[i] != b.numbers[i]) {
            return a.numbers[i] < b.numbers[i] ? -1 : 1;
        }
    }
    return 0;
}

static bool among(const char *const *list, const char *name)
{
    while (*list != NULL && strcmp(*list, name) != 0) {
        list++;
    }
    return *list != NULL;
}

static int is_defined(struct judge *j, const struct call *c)
{
    return environment_find(j->environment, c->arguments[0]).kind != VARIABLE_NONE;
}

static int has_feature(struct judge *j, const struct call *c)
{
    (void)j;
    static const char *const there[] = {
        "ACCEPT4",     "BACKTRACE", "CPU_AFFINITY", "CRYPT_H",     "DL",           "EPOLL",
        "GETADDRINFO", "LIBATOMIC", "LIBCRYPT",     "LINUX_CAP",   "LINUX_SPLICE", "LINUX_TPROXY",
        "LUA",         "NETFILTER", "MATH",         "NS",          "OPENSSL",      "PCRE2",
        "PCRE2_JIT",   "POLL",      "PRCTL",        "PROMEX",      "RT",           "SLZ",
        "SSL",         "TFO",       "THREAD",       "THREAD_DUMP", "TPROXY",       NULL};
    return among(there, c->arguments[0]);
}

static int is_enabled(struct judge *j, const struct call *c)
{
    (void)j;
    static const char *const on[] = {"POLL",      "EPOLL",        "SPLICE", "GETADDRINFO",
                                     "REUSEPORT", "FAST-FORWARD", NULL};
    return among(on, c->arguments[0]);
}

static int is_equal(struct judge *j, const struct call *c)
{
    (void)j;
    return strcmp(c->arguments[0], c->arguments[1]) == 0;
}

static int is_different(struct judge *j, const struct call *c)
{
    return !is_equal(j, c);
}

static int has_part(struct judge *j, const struct call *c)
{
    (void)j;
    return strstr(c->arguments[0], c->arguments[1]) != NULL;
}

static int is_atleast(struct judge *j, const struct call *c)
{
    (void)j;
    return version_compare(c->arguments[0], ASSUMED_VERSION) <= 0;
}

static int is_before(struct judge *j, const struct call *c)
{
    return !is_atleast(j, c);
}

static int openssl_atleast(struct judge *j, const struct call *c)
{
    char here[64];
    snprintf(here, sizeof here, "%d.%d.%d", OPENSSL_VERSION_MAJOR, OPENSSL_VERSION_MINOR,
             OPENSSL_VERSION_PATCH);
    struct version v;
    if (!version_read(c->arguments[0], &v)) {
        return fail(j, "the argument is no version");
    }
    return version_compare(c->arguments[0], here) <= 0;
}

static int openssl_before(struct judge *j, const struct call *c)
{
    int rc = openssl_atleast(j, c);
    return rc < 0 ? rc : !rc;
}

static int library_starts(struct judge *j, const struct call *c)
{
    (void)j;
    return strncmp("OpenSSL", c->arguments[0], strlen(c->arguments[0])) == 0;
}

/* There is no AWS-LC: HAProxy cannot tell its version either. */
static int no_awslc(struct judge *j, const struct call *c)
{
    (void)c;
    return fail(j, "this is no AWS-LC");
}

static int never(struct judge *j, const struct call *c)
{
    (void)j;
    (void)c;
    return 0;
}

static const struct predicate {
    const char *name;
    size_t arguments;
    int (*judge)(struct judge *j, const struct call *c);
} predicates[] = {{"defined", 1, is_defined},
                  {"feature", 1, has_feature},
                  {"streq", 2, is_equal},
                  {"strneq", 2, is_different},
                  {"strstr", 2, has_part},
                  {"version_atleast", 1, is_atleast},
                  {"version_before", 1, is_before},
                  {"openssl_version_atleast", 1, openssl_atleast},
                  {"openssl_version_before", 1, openssl_before},
                  {"ssllib_name_startswith", 1, library_starts},
                  {"awslc_api_atleast", 1, no_awslc},
                  {"awslc_api_before", 1, no_awslc},
                  {"enabled", 1, is_enabled},
                  {"fips_mode", 0, never}};

/* One argument up to the comma or bracket; quotes and backslashes as in lines, without variables
 * and numbers. */
static int read_argument(struct judge *j, char *out)
{
    char quote = 0;
    size_t len = 0;
    for (; *j->at != '\0'; j->at++) {
        char c = *j->at;
        if (quote == 0 && (c == ',' || c == ')')) {
            break;
        }
        if ((c == '"' || c == '\'') && (quote == 0 || quote == c)) {
            quote = quote == 0 ? c : 0;
            continue;
        }
        if (c == '\\' && quote != '\'') {
            static const char letters[] = "\\ \"'rnt";
            static const char meanings[] = "\\ \"'\r\n\t";
            const char *found = j->at[1] != '\0' ? strchr(letters, j->at[1]) : NULL;
            if (j->at[1] == '\0') {
                return fail(j, "nothing behind the backslash");
            }
            c = found != NULL ? meanings[found - letters] : c;
            j->at += found != NULL ? 1 : 0;
        }
        if (len == ARGUMENT_MAX - 1) {
            return fail(j, "argument too long");
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return 0;
}

static int read_call(struct judge *j, const struct predicate *p)
{
    struct call c;
    c.arguments[0][0] = '\0'; /* for those that need none */
    j->at += strlen(p->name);
    if (*j->at != '(') {
        /* Nothing is one empty argument. */
        return p->arguments <= 1 ? p->judge(j, &c) : fail(j, "missing arguments");
    }
    j->at += p->arguments == 0 ? 1 : 0;
    for (size_t i = 0; i < p->arguments; i++) {
        if (*j->at == '\0' || *j->at == ')') {
            return fail(j, "missing arguments");
        }
        j->at++;
        int rc = read_argument(j, c.arguments[i]);
        if (rc != 0) {
            return rc;
        }
    }
    if (*j->at != ')') {
        return fail(j, *j->at == ',' ? "too many arguments" : "expected ')'");
    }
    j->at++;
    return p->judge(j, &c);
}

static int judge_any(struct judge *j, int depth);

static int read_bracket(struct judge *j, int depth)
{
    j->at++;
    skip_blanks(j);
    int rc = judge_any(j, depth);
    if (rc < 0) {
        return rc;
    }
    skip_blanks(j);
    if (*j->at != ')') {
        return fail(j, "expected ')'");
    }
    j->at++;
    return rc;
}

static int judge_plain(struct judge *j, int depth)
{
    char *end;
    long number = strtol(j->at, &end, 0);
    if (end != j->at) {
        j->at = end;
        return number != 0;
    }
    if (*j->at == '(') {
        return read_bracket(j, depth);
    }
    size_t len = strcspn(j->at, " (");
    for (size_t i = 0; i < ARRAY_LEN(predicates); i++) {
        const struct predicate *p = &predicates[i];
        if (strlen(p->name) == len && memcmp(p->name, j->at, len) == 0) {
            return read_call(j, p);
        }
    }
    return fail(j, "unparsable conditional expression");
}

static int judge_term(struct judge *j, int depth)
{
    bool negated = false;
    skip_blanks(j);
    if (depth == 0) {
        return fail(j, "too long a conditional expression");
    }
    while (*j->at == '!') {
        negated = !negated;
        j->at++;
        skip_blanks(j);
    }
    int rc = judge_plain(j, depth - 1);
    return rc < 0 ? rc : rc != negated;
}

static bool take(struct judge *j, const char *operator)
{
    skip_blanks(j);
    if (strncmp(j->at, operator, 2) != 0) {
        return false;
    }
    j->at += 2;
    return true;
}

/* What is reached with a depth of 0 or less is not read. */
static int judge_all(struct judge *j, int depth)
{
    int all = 1;
    do {
        int rc = judge_term(j, depth > 0 ? --depth : 0);
        if (rc < 0) {
            return rc;
        }
        all = all && rc;
    } while (take(j, "&&"));
    return all;
}

static int judge_any(struct judge *j, int depth)
{
    int any = 0;
    do {
        int rc = judge_all(j, depth > 0 ? --depth : 0);
        if (rc < 0) {
            return rc;
        }
        any = any || rc;
    } while (take(j, "||"));
    return any;
}

int predicate_judge(const char *expression, const struct environment *e, const char **what,
                    const char **where)
{
    struct judge j = {.at = expression, .environment = e};
    if (*expression == '\0') {
        return 0;
    }
    int rc = judge_any(&j, DEPTH_MAX);
    if (rc >= 0 && *j.at != '\0') {
        rc = fail(&j, "unexpected end of conditional expression");
    }
    *what = j.what;
    *where = j.at;
    return rc;
}
