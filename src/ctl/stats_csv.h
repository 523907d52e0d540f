/* HAProxy's statistics as CSV: its header, every column in its order, a row for each frontend, each
 * server and, behind its servers, each backend. For /;csv and `show stat`. */
#ifndef ROUTER_CTL_STATS_CSV_H
#define ROUTER_CTL_STATS_CSV_H

struct control;
struct stats_row;
struct text;

void stats_csv(const struct control *c, struct text *out);
/* Its parts. */
void stats_csv_head(struct text *out);
void stats_csv_row(const struct stats_row *row, struct text *out);

#endif
