#include "base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NOTICE_MAX 1024

static struct {
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_ms;
} manager = {.fd = -1};

/* A path, or with '@' a name in the abstract namespace, which is neither ended nor shown by a NUL
 * (unix(7)). */
static bool take_address(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len < 2 || len >= sizeof manager.to.sun_path || (name[0] != '/' && name[0] != '@')) {
        return false;
    }
    manager.to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(manager.to.sun_path, name, len);
    bool abstract = name[0] == '@';
    if (abstract) {
        manager.to.sun_path[0] = '\0';
    }
    manager.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return true;
}

/* WATCHDOG_PID names the process that is meant, so that it is not taken for a child's: what takes
 * over in an upgrade is meant as well, and must not see it. */
static uint64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    bool mine = pid == NULL || strtoimax(pid, NULL, 10) == (intmax_t)getpid();
    uint64_t ms = usec != NULL && mine ? strtoumax(usec, NULL, 10) / 1000 / 2 : 0;
    if (mine) {
        unsetenv("WATCHDOG_PID");
    }
    return ms;
}

bool notify_begin(void)
{
    if (manager.fd >= 0) {
        return true;
    }
    if (!take_address(getenv("NOTIFY_SOCKET"))) {
        return false;
    }
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    manager.watchdog_ms = watchdog_ms();
    return manager.fd >= 0;
}

void notify_end(void)
{
    if (manager.fd >= 0) {
        close(manager.fd);
        manager.fd = -1;
    }
}

uint64_t notify_watchdog_ms(void)
{
    return manager.fd >= 0 ? manager.watchdog_ms : 0;
}

static void tell(const char *notice)
{
    if (manager.fd >= 0) {
        (void)sendto(manager.fd, notice, strlen(notice), MSG_NOSIGNAL,
                     (const struct sockaddr *)&manager.to, manager.to_len);
    }
}

void notify_ready(const char *status)
{
    char notice[NOTICE_MAX];
    snprintf(notice, sizeof notice, "READY=1\nSTATUS=%s", status);
    tell(notice);
}

void notify_reloading(void)
{
    char notice[NOTICE_MAX];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(notice, sizeof notice, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(notice);
}

void notify_stopping(uint64_t ms)
{
    char notice[NOTICE_MAX];
    snprintf(notice, sizeof notice, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, ms * 1000);
    tell(notice);
}

void notify_status(const char *fmt, ...)
{
    char notice[NOTICE_MAX] = "STATUS=";
    size_t used = strlen(notice);
    va_list args;
    va_start(args, fmt);
    vsnprintf(notice + used, sizeof notice - used, fmt, args);
    va_end(args);
    tell(notice);
}

void notify_alive(void)
{
    tell("WATCHDOG=1");
}

void notify_main_process(pid_t pid)
{
    char notice[NOTICE_MAX];
    snprintf(notice, sizeof notice, "MAINPID=%ld", (long)pid);
    tell(notice);
}
