/* One turn of a recorded dialogue: what the server accepted of the probe's login, and answered. */
#ifndef TEST_MYSQL_TURN_H
#define TEST_MYSQL_TURN_H

#include <stddef.h>

struct turn {
    size_t sent_len; /* 0: a question, or what is different each time */
    const char *sent;
    size_t answer_len;
    const char *answer;
};

#endif
