/* A thread that writes the file of the log, for log_target.c. A disk may take its time, for seconds
 * while it is frozen for a snapshot, and nobody who logs may wait for it: lines go through a pipe,
 * which takes each of them whole or not at all. What the disk does not take is counted, and told in
 * the file once it takes something again.
 *
 * A writer ends and goes when its pipe is closed and what was in it is written. */
#ifndef ROUTER_BASE_LOG_WRITER_H
#define ROUTER_BASE_LOG_WRITER_H

#include <stdint.h>

/* Starts a writer for this file, which becomes its own, and returns the pipe's end to write to; or
 * a negative errno. `lost` is told of lines, on the writer's thread. */
int log_writer_start(int file, void (*lost)(uint64_t lines));
/* Waits until all that were told to end have ended, but not for longer than a second. */
void log_writers_wait(void);

#endif
