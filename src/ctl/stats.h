/* What the admin address and the tests read: numbers and reasons, as JSON and for Prometheus. Sums
 * the workers' counters while they run. Control thread only. */
#ifndef ROUTER_CTL_STATS_H
#define ROUTER_CTL_STATS_H

struct control;
struct text;

/* Keys are added, and never renamed or given another meaning: then the version would change. */
#define STATS_JSON_VERSION 1

void stats_json(const struct control *c, struct text *out);       /* RFC 8259 */
void stats_prometheus(const struct control *c, struct text *out); /* text format 0.0.4 */

#endif
