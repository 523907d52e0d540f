/* A terminal that is taken over: the alternate screen, keys without waiting for a line, its size,
 * the signals of job control. There is one; whatever ends the program gives it back as it was. */
#ifndef ROUTER_ROUTERCTL_SCREEN_H
#define ROUTER_ROUTERCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum screen_event {
    SCREEN_TIMEOUT,
    SCREEN_READABLE, /* the descriptor that was waited for */
    SCREEN_KEY,
    SCREEN_REDRAW, /* another size, or back in the foreground */
    SCREEN_END,    /* a signal that ends us, or the terminal is gone */
};

enum screen_key { KEY_UP = 256, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN };

/* False: input and output are no terminal. */
bool screen_open(void);
/* May be called again. Ends the program by the signal that ended us, if one did. */
void screen_close(void);
void screen_size(size_t *rows, size_t *columns);
/* The next thing that happens within timeout_ms; fd may be -1. */
enum screen_event screen_wait(int fd, int timeout_ms, int *key);
/* All of it at once, from the top left. Lines beyond the last row must not be there. */
void screen_show(const char *lines, size_t len);

#endif
