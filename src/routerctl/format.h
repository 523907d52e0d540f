/* Numbers in the words of people, short. Each returns its buffer. */
#ifndef ROUTER_ROUTERCTL_FORMAT_H
#define ROUTER_ROUTERCTL_FORMAT_H

#define FORMAT_MAX 32

char *format_count(char out[FORMAT_MAX], double count); /* 950, 12.3k, 4.5M */
char *format_bytes(char out[FORMAT_MAX], double bytes); /* 950 B, 12.3 kB, 4.5 MB: powers of 1000 */
char *format_duration(char out[FORMAT_MAX],
                      double ms); /* 400 us, 1.2 ms, 1.2 s, 3m 5s, 4h 2m, 9d 1h */

#endif
