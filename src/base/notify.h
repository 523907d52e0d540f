/* What the process tells the service manager that started it: systemd's notify protocol
 * (sd_notify(3) says it in full), datagrams of lines to the unix socket that $NOTIFY_SOCKET names.
 * Without one all of this does nothing. Control thread only; nothing blocks, and what cannot be
 * sent is lost. */
#ifndef ROUTER_BASE_NOTIFY_H
#define ROUTER_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"

/* Reads the environment; false if nobody listens. A second call has no effect. */
bool notify_begin(void);
void notify_end(void);
/* How often to call notify_alive(), in ms: half of what the manager waits for. 0 = never. */
uint64_t notify_watchdog_ms(void);

/* Started, or a reload is over, well or badly. The status is for people. */
void notify_ready(const char *status);
/* A reload begins. */
void notify_reloading(void);
/* The end begins, and takes at most so long. */
void notify_stopping(uint64_t ms);
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
void notify_alive(void);
/* Another process is the service from now on: the new binary of an upgrade. */
void notify_main_process(pid_t pid);

#endif
