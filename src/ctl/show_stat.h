/* "show stat": HAProxy's statistics in its forms, of all that there is or of a part. Control thread
 * only. */
#ifndef ROUTER_CTL_SHOW_STAT_H
#define ROUTER_CTL_SHOW_STAT_H

#include <stdbool.h>
#include <stdint.h>

struct control;
struct text;

enum stat_form { STAT_CSV, STAT_TYPED, STAT_JSON };

/* Types of rows, as HAProxy adds them up. */
#define STAT_FRONTENDS 1
#define STAT_BACKENDS  2
#define STAT_SERVERS   4

struct stat_wanted {
    enum stat_form form;
    const char *proxy; /* only this frontend or backend; NULL = any */
    int64_t iid;       /* the same by its number; -1 = any */
    unsigned types;    /* STAT_* */
    int64_t sid;       /* only the server of this number; -1 = any */
    bool up;           /* only servers that are up */
    bool no_maint;     /* only servers that are not taken out */
};

void show_stat(const struct control *c, const struct stat_wanted *wanted, struct text *out);

#endif
