/* The signals that concern us are blocked but while we wait, so that none is missed between a look
 * at a flag and the wait. What gives the terminal back calls nothing that a signal handler may not.
 */
#include "routerctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"

/* The alternate screen without a cursor and without wrapping, and back. */
static const char enter_words[] = "\033[?1049h\033[?25l\033[?7l\033[H\033[2J";
static const char leave_words[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int crashing[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct termios before;
static volatile sig_atomic_t taken; /* the terminal is ours */
static volatile sig_atomic_t ended_by;
static volatile sig_atomic_t stop_wanted;
static volatile sig_atomic_t resized;
static sigset_t while_waiting;
static unsigned char keys[64];
static size_t key_count;

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n < 0 && errno != EINTR) {
            return;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

static void enter(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    taken = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_all(enter_words, sizeof(enter_words) - 1);
}

/* Safe in a signal handler. */
static void leave(void)
{
    if (taken) {
        taken = 0;
        write_all(leave_words, sizeof(leave_words) - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
}

static void on_signal(int number)
{
    if (number == SIGWINCH) {
        resized = 1;
    } else if (number == SIGTSTP) {
        stop_wanted = 1;
    } else {
        ended_by = number;
    }
}

static void on_crash(int number)
{
    leave();
    raise(number); /* the handler is gone by now (SA_RESETHAND) */
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGWINCH);
    sigaddset(&ours, SIGTSTP);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGTSTP, &action, NULL);
    for (size_t i = 0; i < ARRAY_LEN(ending); i++) {
        sigaddset(&ours, ending[i]);
        sigaction(ending[i], &action, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(crashing); i++) {
        sigaction(crashing[i], &crash, NULL);
    }
    sigprocmask(SIG_BLOCK, &ours, &while_waiting);
}

/* Ctrl-Z: as any program does it, with its terminal given back first. */
static void stop(void)
{
    struct sigaction fall = {.sa_handler = SIG_DFL};
    struct sigaction ours;
    sigset_t one;
    stop_wanted = 0;
    leave();
    sigemptyset(&one);
    sigaddset(&one, SIGTSTP);
    sigaction(SIGTSTP, &fall, &ours);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stand still */
    sigprocmask(SIG_BLOCK, &one, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    enter();
}

bool screen_open(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    atexit(leave);
    watch_signals();
    enter();
    return true;
}

void screen_close(void)
{
    leave();
    if (ended_by != 0) {
        struct sigaction fall = {.sa_handler = SIG_DFL};
        sigaction(ended_by, &fall, NULL);
        sigprocmask(SIG_SETMASK, &while_waiting, NULL);
        raise(ended_by);
    }
}

void screen_size(size_t *rows, size_t *columns)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *rows = known && size.ws_row > 0 ? size.ws_row : 24;
    *columns = known && size.ws_col > 0 ? size.ws_col : 80;
}

static void drop_keys(size_t count)
{
    memmove(keys, keys + count, key_count - count);
    key_count -= count;
}

/* The first of the keys that were read: a byte, or one of the sequences of cursor keys. */
static int take_key(void)
{
    static const struct {
        const char *sequence;
        int key;
    } sequences[] = {{"\033[A", KEY_UP},   {"\033OA", KEY_UP},       {"\033[B", KEY_DOWN},
                     {"\033OB", KEY_DOWN}, {"\033[5~", KEY_PAGE_UP}, {"\033[6~", KEY_PAGE_DOWN}};
    for (size_t i = 0; i < ARRAY_LEN(sequences); i++) {
        size_t len = strlen(sequences[i].sequence);
        if (key_count >= len && memcmp(keys, sequences[i].sequence, len) == 0) {
            drop_keys(len);
            return sequences[i].key;
        }
    }
    int key = keys[0];
    drop_keys(1);
    return key;
}

static enum screen_event from_signals(void)
{
    if (ended_by != 0) {
        return SCREEN_END;
    } else if (stop_wanted) {
        stop();
        return SCREEN_REDRAW;
    }
    resized = 0; /* or somebody stopped us and let us go on: the terminal may be as it was before */
    enter();
    return SCREEN_REDRAW;
}

enum screen_event screen_wait(int fd, int timeout_ms, int *key)
{
    struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct timespec patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    if (ended_by != 0 || stop_wanted || resized) {
        return from_signals();
    }
    if (key_count == 0) {
        int ready = ppoll(polled, 2, &patience, &while_waiting);
        if (ready < 0) {
            return errno == EINTR ? from_signals() : SCREEN_END;
        } else if (ready == 0) {
            return SCREEN_TIMEOUT;
        } else if (polled[0].revents == 0) {
            return SCREEN_READABLE;
        }
        ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
        if (n <= 0) {
            return n < 0 && errno == EINTR ? SCREEN_REDRAW : SCREEN_END;
        }
        key_count = (size_t)n;
    }
    *key = take_key();
    return SCREEN_KEY;
}

void screen_show(const char *lines, size_t len)
{
    static const char home[] = "\033[H";
    write_all(home, sizeof(home) - 1);
    write_all(lines, len);
}
