/* Commands that show numbers in the forms that HAProxy's tools read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/control.h"
#include "ctl/show_stat.h"
#include "ctl/stats_row.h"
#include "ctl/tally.h"

/* show stat --------------------------------------------------------------------------------- */

static bool is_number(const char *text, int64_t *out)
{
    char *end;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *out >= -1 && *out <= INT32_MAX;
}

/* A word that stands alone; false: it is none. */
static bool take_flag(const char *word, struct stat_wanted *w)
{
    if (strcmp(word, "json") == 0) {
        w->form = STAT_JSON;
    } else if (strcmp(word, "typed") == 0) {
        w->form = STAT_TYPED;
    } else if (strcmp(word, "up") == 0) {
        w->up = true;
    } else if (strcmp(word, "no-maint") == 0) {
        w->no_maint = true;
    } else {
        return false;
    }
    return true;
}

/* "<iid or name> <type> <sid>": false: what is wrong was told. */
static bool take_part(struct command_call *call, char *const *words, struct stat_wanted *w)
{
    int64_t types;
    if (words[1] == NULL || words[2] == NULL || !is_number(words[1], &types) ||
        !is_number(words[2], &w->sid)) {
        command_fail(call, "Expected json, typed, up, no-maint, or the name or number of a proxy, "
                           "a type and the number of a server");
        return false;
    }
    if (!is_number(words[0], &w->iid)) {
        w->iid = -1;
        w->proxy = words[0];
    }
    w->types = (unsigned)types;
    return true;
}

static void run_stat(struct command_call *call)
{
    struct stat_wanted wanted = {.iid = -1, .types = ~0U, .sid = -1};
    bool part = false;
    for (size_t i = 0; i < call->count; i++) {
        if (take_flag(call->words[i], &wanted)) {
            continue;
        }
        if (part) {
            command_fail(call, "'%.64s' is one word too many", call->words[i]);
            return;
        }
        if (!take_part(call, call->words + i, &wanted)) {
            return;
        }
        part = true;
        i += 2;
    }
    show_stat(call->control, &wanted, call->out);
}

/* show servers ------------------------------------------------------------------------------ */

/* HAProxy's numbers of the words in check_status. */
static int check_number(const char *check)
{
    static const char *const words[] = {
        [1] = "INI",   [5] = "SOCKERR", [6] = "L4OK",   [7] = "L4TOUT",  [8] = "L4CON",
        [9] = "L6OK",  [10] = "L6TOUT", [11] = "L6RSP", [12] = "L7TOUT", [13] = "L7RSP",
        [15] = "L7OK", [16] = "L7OKC",  [17] = "L7STS",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (check != NULL && words[i] != NULL && strcmp(words[i], check) == 0) {
            return (int)i;
        }
    }
    return 1; /* nothing is probed */
}

/* 0 unknown, 2 failed, 3 passed, 4 passed with a reserve. */
static int check_result(int status)
{
    switch (status) {
    case 1:
        return 0;
    case 6:
    case 9:
    case 15:
        return 3;
    case 16:
        return 4;
    default:
        return 2;
    }
}

/* "127.0.0.1 6379"; what has no port, "- 0". */
static void split_address(const struct address *at, char host[ADDRESS_TEXT_MAX], unsigned *port)
{
    *port = 0;
    if (at->sa.any.sa_family == AF_INET) {
        *port = ntohs(at->sa.v4.sin_port);
    } else if (at->sa.any.sa_family == AF_INET6) {
        *port = ntohs(at->sa.v6.sin6_port);
    }
    if (*port > 0) {
        address_print_host(at, host);
    } else {
        snprintf(host, ADDRESS_TEXT_MAX, "-");
    }
}

static int64_t number_of(const struct stats_row *row, enum stats_field field)
{
    return row->at[field].known ? row->at[field].number : 0;
}

static void add_server_state(const struct control *c, size_t backend, size_t server,
                             struct text *out)
{
    struct stats_row row;
    char host[ADDRESS_TEXT_MAX];
    unsigned port;
    stats_row_server(c, backend, server, &row);
    const struct backend_config *b = row.view.backend;
    enum admin_state admin = c->backends[backend]->servers[server].admin;
    bool up = strcmp(row.view.state, "up") == 0 || strcmp(row.view.state, "stale") == 0;
    int check = check_number(row.check);
    split_address(&row.view.config->address, host, &port);
    text_add(out, "%" PRId64 " %s %" PRId64 " %s %s %d %d ", number_of(&row, STATS_IID), b->name,
             number_of(&row, STATS_SID), row.view.config->name, host, up ? 2 : 0,
             admin == ADMIN_MAINT   ? 1
             : admin == ADMIN_DRAIN ? 8
                                    : 0);
    const struct server_config *s = row.view.config;
    text_add(out, "%u %u %" PRId64 " ", s->weight,
             s->weight_in_file > 0 ? s->weight_in_file : s->weight, number_of(&row, STATS_LASTCHG));
    text_add(out, "%d %d %" PRId64 " %d 0 0 0 %s %u - %d %u - - 0\n", check, check_result(check),
             number_of(&row, STATS_CHECK_HEALTH), b->probe == PROBE_OFF ? 0 : 6,
             row.view.config->host != NULL ? row.view.config->host : "-", port, b->tls,
             b->probe_port);
}

static void add_server_conn(const struct control *c, size_t backend, size_t server,
                            struct text *out)
{
    struct stats_row row;
    char host[ADDRESS_TEXT_MAX];
    unsigned port;
    stats_row_server(c, backend, server, &row);
    split_address(&row.view.config->address, host, &port);
    int64_t idle = number_of(&row, STATS_SRV_ICUR);
    text_add(out, "%s/%s %" PRId64 "/%" PRId64 " %s %u - ", row.proxy, row.server,
             number_of(&row, STATS_IID), number_of(&row, STATS_SID), host, port);
    text_add(out, "%" PRIu64 " %" PRId64 " %" PRId64 " 0 0 %" PRId64 " -1 %" PRId64,
             config_pools_backend(c->config, backend) ? row.view.backend->pool_idle_timeout : 0,
             number_of(&row, STATS_USED_CONN_CUR), number_of(&row, STATS_SMAX), idle, idle);
    for (unsigned i = 0; i < c->worker_count; i++) {
        const struct metrics *m = &c->workers[i].metrics;
        text_add(out, " %" PRIu64,
                 metric_read(&m->servers[row.view.config->id]->at[SERVER_LINKS_IDLE]));
    }
    text_add(out, "\n");
}

static void each_server(struct command_call *call, size_t only,
                        void (*add)(const struct control *c, size_t backend, size_t server,
                                    struct text *out))
{
    const struct config *config = call->control->config;
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct backend_config *b = &config->backends[i];
        for (size_t j = 0; j < b->servers.count; j++) {
            if (!b->gone && !b->servers.items[j].gone && (only == SIZE_MAX || only == i)) {
                add(call->control, i, j, call->out);
            }
        }
    }
}

static void run_servers_state(struct command_call *call)
{
    size_t only;
    if (command_only_backend(call, &only)) {
        text_add(call->out,
                 "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state "
                 "srv_uweight srv_iweight srv_time_since_last_change srv_check_status "
                 "srv_check_result srv_check_health srv_check_state srv_agent_state "
                 "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl "
                 "srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n");
        each_server(call, only, add_server_state);
    }
}

static void run_servers_conn(struct command_call *call)
{
    size_t only;
    if (command_only_backend(call, &only)) {
        text_add(call->out,
                 "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est "
                 "unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[%u]\n",
                 call->control->worker_count);
        each_server(call, only, add_server_conn);
    }
}

/* show errors ------------------------------------------------------------------------------- */

static const enum frontend_metric frontend_errors[] = {
    FRONTEND_DENIED,        FRONTEND_INTERNAL_ERRORS, FRONTEND_REFUSED_SESSIONS,
    FRONTEND_REFUSED_RATE,  FRONTEND_REFUSED_QUEUE,   FRONTEND_REFUSED_CONNECT,
    FRONTEND_REFUSED_LOGIN, FRONTEND_LEFT_WAITING,    FRONTEND_PROXY_REFUSED,
    FRONTEND_HELLO_REFUSED, FRONTEND_TLS_FAILED,      FRONTEND_REFUSED_DISABLED,
};

static const enum server_metric server_errors[] = {SERVER_CONNECT_ERRORS, SERVER_GIVEN_UP,
                                                   SERVER_FENCED, SERVER_ROLE_ERRORS};

/* " key=value" for what is not zero. */
static uint64_t add_count(const char *key, uint64_t value, struct text *out)
{
    if (value > 0) {
        text_add(out, " %s=%" PRIu64, key, value);
    }
    return value;
}

static uint64_t add_frontend_errors(const struct control *c, size_t frontend, struct text *out)
{
    struct text line = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(frontend_errors); i++) {
        enum frontend_metric m = frontend_errors[i];
        sum +=
            add_count(frontend_metric_words[m].json, tally_frontend_metric(c, frontend, m), &line);
    }
    if (sum > 0) {
        text_add(out, "frontend %s:%s\n", c->config->frontends[frontend].name, line.data);
    }
    text_free(&line);
    return sum;
}

static uint64_t add_server_errors(const struct control *c, const struct backend_config *b,
                                  const struct server_config *s, struct text *out)
{
    struct text line = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(server_errors); i++) {
        enum server_metric m = server_errors[i];
        sum += add_count(server_metric_words[m].json, tally_server_metric(c, s->id, m), &line);
    }
    if (sum > 0) {
        text_add(out, "server %s/%s:%s\n", b->name, s->name, line.data);
    }
    text_free(&line);
    return sum;
}

static uint64_t add_backend_errors(const struct control *c, const struct backend_config *b,
                                   struct text *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < b->servers.count; i++) {
        sum += b->servers.items[i].gone ? 0 : add_server_errors(c, b, &b->servers.items[i], out);
    }
    return sum;
}

static void run_errors(struct command_call *call)
{
    const struct control *c = call->control;
    struct text lines = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        sum += c->config->frontends[i].gone ? 0 : add_frontend_errors(c, i, &lines);
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_config *b = &c->config->backends[i];
        sum += b->gone ? 0 : add_backend_errors(c, b, &lines);
    }
    struct timespec now;
    struct tm local;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(stamp, sizeof(stamp), "%d/%b/%Y:%H:%M:%S", &local);
    text_add(call->out, "Total events captured on [%s.%03ld] : %" PRIu64 "\n", stamp,
             now.tv_nsec / 1000000, sum);
    text_add(call->out, "%s", lines.data != NULL ? lines.data : "");
    text_free(&lines);
}

/* clang-format off */
const struct command command_stat[] = {
    {"show errors", "", CONTROL_OPERATOR, false,
     "report what clients were refused and servers failed in",
     "How often since the start, of each frontend and server where it happened; what was said is "
     "not kept.",
     run_errors},
    {"show servers conn", "[<backend>]", CONTROL_OPERATOR, false,
     "dump server connections status (all or for a single backend)",
     "With HAProxy's columns; those that are idle are kept by a pool for who needs one alone.",
     run_servers_conn},
    {"show servers state", "[<backend>]", CONTROL_OPERATOR, false,
     "dump volatile server information (all or for a single backend)",
     "With HAProxy's columns, in version 1.", run_servers_state},
    {"show stat", "[json|typed|up|no-maint|<proxy> <type> <sid>]*", CONTROL_USER, false,
     "report counters for each proxy and server",
     "As CSV with HAProxy's header, or typed, or as JSON. A proxy is named or numbered (iid), -1 "
     "is any; the type is a sum of 1 for frontends, 2 for backends, 4 for servers, -1 for all; sid "
     "is the number of a server, -1 any. With up only servers that are up are shown, with no-maint "
     "those that are not taken out.",
     run_stat},
    {0},
};
/* clang-format on */
