/* Comments, and what looks like the beginning of one. What is in an executable comment is code. */
#include <string.h>

#include "proto/mysql_statement_internal.h"

#define VERSION_LONG  6     /* digits of a comment's version */
#define VERSION_SHORT 5     /* with fewer it has none */
#define VERSION_NEW   50700 /* before that, every server that is alive carries it out */
#define DELETE        127   /* a control character too */

static const char *in_dash(struct mysql_statement *s, const char *p)
{
    bool comment = s->place == MYSQL_IN_DASH_DASH && ((unsigned char)*p <= ' ' || *p == DELETE);
    if (comment) {
        s->place = MYSQL_IN_LINE;
        return p;
    }
    if (s->place == MYSQL_IN_DASH && *p == '-') {
        s->place = MYSQL_IN_DASH_DASH;
        return p + 1;
    }
    if (s->place == MYSQL_IN_DASH_DASH && *p == '-') {
        mysql_statement_sign(s, '-'); /* the first of three is a minus */
        return p + 1;
    }
    s->place = MYSQL_IN_CODE;
    mysql_statement_sign(s, '-');
    return p;
}

static const char *in_line(struct mysql_statement *s, const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    if (newline == NULL) {
        return end;
    }
    s->place = MYSQL_IN_CODE;
    return newline + 1;
}

static const char *in_slash(struct mysql_statement *s, const char *p)
{
    if (*p == '*') {
        s->place = MYSQL_IN_BLOCK_BEGIN;
        return p + 1;
    }
    s->place = MYSQL_IN_CODE;
    mysql_statement_sign(s, '/');
    return p;
}

/* Some servers carry out what is in there, others do not; and comments within comments end where a
 * server wants. */
static void begin_code(struct mysql_statement *s, bool certain)
{
    if (!certain || s->in_code) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    s->in_code = true;
    s->place = MYSQL_IN_VERSION;
    s->version = 0;
    s->digits = 0;
}

static const char *in_block_begin(struct mysql_statement *s, const char *p)
{
    if (*p == '!') {
        begin_code(s, s->place == MYSQL_IN_BLOCK_BEGIN);
        return p + 1;
    }
    if (s->in_code) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    if (s->place == MYSQL_IN_BLOCK_BEGIN && *p == 'M') {
        s->place = MYSQL_IN_BLOCK_M;
        return p + 1;
    }
    s->place = MYSQL_IN_BLOCK;
    return p;
}

static const char *in_block(struct mysql_statement *s, const char *p, const char *end)
{
    if (s->place == MYSQL_IN_BLOCK_STAR && *p == '/') {
        s->place = MYSQL_IN_CODE;
        return p + 1;
    }
    s->place = MYSQL_IN_BLOCK;
    const char *star = memchr(p, '*', (size_t)(end - p));
    if (star == NULL) {
        return end;
    }
    s->place = MYSQL_IN_BLOCK_STAR;
    return star + 1;
}

static const char *in_version(struct mysql_statement *s, const char *p)
{
    if (*p >= '0' && *p <= '9' && s->digits < VERSION_LONG) {
        s->version = s->version * 10 + (uint32_t)(*p - '0');
        s->digits++;
        return p + 1;
    }
    if (s->digits >= VERSION_SHORT && s->version >= VERSION_NEW) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    s->place = MYSQL_IN_CODE;
    return p;
}

static const char *in_star(struct mysql_statement *s, const char *p)
{
    s->place = MYSQL_IN_CODE;
    if (*p == '/') {
        s->in_code = false;
        return p + 1;
    }
    mysql_statement_sign(s, '*');
    return p;
}

const char *mysql_comment_step(struct mysql_statement *s, const char *p, const char *end)
{
    switch ((enum mysql_place)s->place) {
    case MYSQL_IN_DASH:
    case MYSQL_IN_DASH_DASH:
        return in_dash(s, p);
    case MYSQL_IN_LINE:
        return in_line(s, p, end);
    case MYSQL_IN_SLASH:
        return in_slash(s, p);
    case MYSQL_IN_BLOCK_BEGIN:
    case MYSQL_IN_BLOCK_M:
        return in_block_begin(s, p);
    case MYSQL_IN_BLOCK:
    case MYSQL_IN_BLOCK_STAR:
        return in_block(s, p, end);
    case MYSQL_IN_VERSION:
        return in_version(s, p);
    case MYSQL_IN_STAR:
        return in_star(s, p);
    default:
        return end;
    }
}
