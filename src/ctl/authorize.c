#include "ctl/authorize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/config.h"
#include "proto/http_request.h"

/* What is asked for ------------------------------------------------------------------------- */

static char *copy_of(const char *s)
{
    return s != NULL ? xstrdup(s) : NULL;
}

static void forget_words(struct authorizer *a)
{
    live_secret_release(&a->secret);
    if (a->password != NULL) {
        wipe(a->password, strlen(a->password));
    }
    free(a->password);
    free(a->user);
    free(a->path);
    a->password = NULL;
    a->user = NULL;
    a->path = NULL;
}

void authorizer_set(struct authorizer *a, const struct router_config *config)
{
    forget_words(a);
    if (config->admin_password == NULL) {
        return;
    }
    a->user = copy_of(config->admin_user);
    a->password = copy_of(config->admin_password);
    a->path = copy_of(config->admin_password_file);
    live_secret_init(&a->secret, a->path, a->password);
}

void authorizer_release(struct authorizer *a)
{
    forget_words(a);
}

void authorizer_look(struct authorizer *a)
{
    live_secret_refresh(&a->secret, "admin");
}

/* Who guesses ------------------------------------------------------------------------------- */

/* Where `from` is kept, or may be: in the place of whoever is forgiven first. */
static struct guesser *place_of(struct authorizer *a, const struct client_key *who)
{
    struct guesser *place = &a->guessers[0];
    for (size_t i = 0; i < GUESSERS_MAX; i++) {
        struct guesser *g = &a->guessers[i];
        if (g->free_at_ms != 0 && g->who.high == who->high && g->who.low == who->low) {
            return g;
        }
        if (g->free_at_ms < place->free_at_ms) {
            place = g;
        }
    }
    *place = (struct guesser){.who = *who};
    return place;
}

static bool must_wait(struct authorizer *a, const struct client_key *who, uint64_t now_ms)
{
    const struct guesser *g = place_of(a, who);
    return g->free_at_ms > now_ms + (uint64_t)(GUESSES_BURST - 1) * GUESSES_EVERY_MS;
}

static void note_guess(struct authorizer *a, const struct address *from,
                       const struct client_key *who, uint64_t now_ms)
{
    static struct log_gate gate;
    char text[ADDRESS_TEXT_MAX];
    struct guesser *g = place_of(a, who);
    g->free_at_ms = (g->free_at_ms > now_ms ? g->free_at_ms : now_ms) + GUESSES_EVERY_MS;
    log_limited(&gate, 1, LOG_LEVEL_INFO, "admin: a wrong user or password from %s",
                address_print_host(from, text));
}

/* What was said ----------------------------------------------------------------------------- */

/* The value of a digit, or -1. */
static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

long base64_decode(const char *s, size_t len, char *out)
{
    if (len % 4 != 0 || len == 0) {
        return -EINVAL;
    }
    size_t padding = (size_t)(s[len - 1] == '=') + (size_t)(s[len - 1] == '=' && s[len - 2] == '=');
    long used = 0;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t bits = 0;
        size_t digits = i + 4 == len ? 4 - padding : 4;
        for (size_t j = 0; j < 4; j++) {
            int value = j < digits ? digit(s[i + j]) : 0;
            if (value < 0) {
                return -EINVAL;
            }
            bits = bits << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j < digits - 1; j++) {
            out[used++] = (char)(bits >> (16 - 8 * j));
        }
    }
    return used;
}

/* Takes as long for any `said` of one length, right or wrong. */
static bool equal(const char *said, size_t len, const char *secret)
{
    size_t secret_len = strlen(secret);
    size_t room = secret_len > 0 ? secret_len : 1;
    volatile unsigned differs = len != secret_len;
    for (size_t i = 0; i < len; i++) {
        differs |= (unsigned char)(said[i] ^ secret[i % room]);
    }
    return differs == 0;
}

static bool is_right(const struct authorizer *a, const char *said, size_t len)
{
    const char *colon = memchr(said, ':', len);
    if (colon == NULL) {
        return false;
    }
    bool user = equal(said, (size_t)(colon - said), a->user);
    bool password = equal(colon + 1, len - (size_t)(colon - said) - 1, a->secret.value);
    return user & password;
}

/* Authorization: Basic BASE64(user ":" password) */
static bool proves(const struct authorizer *a, const struct http_request *r)
{
    static const char scheme[] = "Basic ";
    char said[HTTP_REQUEST_MAX];
    const char *s = r->authorization;
    size_t skip = sizeof scheme - 1;
    if (r->authorization_len <= skip || strncasecmp(s, scheme, skip) != 0) {
        return false;
    }
    while (skip < r->authorization_len && s[skip] == ' ') {
        skip++;
    }
    long len = base64_decode(s + skip, r->authorization_len - skip, said);
    bool right = len > 0 && is_right(a, said, (size_t)len);
    wipe(said, sizeof said);
    return right;
}

int authorizer_check(struct authorizer *a, const struct http_request *r, const struct address *from,
                     bool trusted, uint64_t now_ms)
{
    if (a->user == NULL) {
        return 0;
    }
    if (r->authorization == NULL) {
        return 401;
    }
    struct client_key who = address_client_key(from);
    if (!trusted && must_wait(a, &who, now_ms)) {
        return 429;
    }
    if (proves(a, r)) {
        return 0;
    }
    note_guess(a, from, &who, now_ms);
    return 401;
}
