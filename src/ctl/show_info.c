#include "ctl/show_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "ctl/control_socket.h"
#include "ctl/names.h"
#include "ctl/stats_view.h"
#include "ctl/typed_field.h"
#include "router.h"

/* Values ------------------------------------------------------------------------------------ */

static uint64_t uptime_s(const struct control *c)
{
    return (loop_now_ms(&c->loop) - c->started_ms) / 1000;
}

static void add_name(const struct control *c, struct text *out)
{
    (void)c;
    text_add(out, "router");
}

static void add_version(const struct control *c, struct text *out)
{
    (void)c;
    text_add(out, "%s", ROUTER_VERSION);
}

static void add_uptime(const struct control *c, struct text *out)
{
    uint64_t s = uptime_s(c);
    text_add(out, "%" PRIu64 "d %uh%02um%02us", s / 86400, (unsigned)(s / 3600 % 24),
             (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static void add_node(const struct control *c, struct text *out)
{
    char name[256] = "";
    (void)c;
    gethostname(name, sizeof(name) - 1);
    text_add(out, "%s", name);
}

static void add_zero(const struct control *c, struct text *out)
{
    (void)c;
    text_add(out, "0");
}

static uint64_t one(const struct control *c)
{
    (void)c;
    return 1;
}

static uint64_t threads(const struct control *c)
{
    return c->worker_count;
}

static uint64_t pid(const struct control *c)
{
    (void)c;
    return (uint64_t)getpid();
}

static uint64_t descriptors(const struct control *c)
{
    struct rlimit limit = {0};
    (void)c;
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static uint64_t max_sessions(const struct control *c)
{
    return c->shared->max_sessions;
}

static uint64_t sessions(const struct control *c)
{
    return atomic_load_explicit(&c->shared->router->sessions, memory_order_relaxed);
}

static uint64_t over_servers(const struct control *c, enum server_metric m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->config->server_count; i++) {
        sum += tally_server_metric(c, i, m);
    }
    return sum;
}

static uint64_t sessions_total(const struct control *c)
{
    return tally_whole(c, FRONTEND_SESSIONS_TOTAL);
}

static uint64_t connections_total(const struct control *c)
{
    return tally_whole(c, FRONTEND_CONNECTIONS_TOTAL);
}

static uint64_t tls_total(const struct control *c)
{
    return tally_whole(c, FRONTEND_TLS_HANDSHAKES) + over_servers(c, SERVER_TLS_HANDSHAKES);
}

static uint64_t tls_reuse_percent(const struct control *c)
{
    uint64_t all = tally_whole(c, FRONTEND_TLS_HANDSHAKES);
    return all > 0 ? tally_whole(c, FRONTEND_TLS_RESUMED) * 100 / all : 0;
}

static uint64_t stopping(const struct control *c)
{
    return c->draining;
}

static uint64_t listeners(const struct control *c)
{
    uint64_t count = control_sockets_count(c->sockets) + (c->admin != NULL);
    for (size_t i = 0; i < c->config->frontend_count && !c->draining; i++) {
        count += c->config->frontends[i].gone ? 0 : c->config->frontends[i].binds.count;
    }
    return count;
}

static uint64_t jobs(const struct control *c)
{
    return sessions(c) + listeners(c);
}

static uint64_t bytes_out(const struct control *c)
{
    return tally_whole(c, FRONTEND_BYTES_OUT);
}

static uint64_t started(const struct control *c)
{
    return c->started_unix;
}

static uint64_t conn_rate(const struct control *c)
{
    return c->tally.connections.now;
}

static uint64_t max_conn_rate(const struct control *c)
{
    return c->tally.connections.max;
}

static uint64_t sess_rate(const struct control *c)
{
    return c->tally.sessions.now;
}

static uint64_t max_sess_rate(const struct control *c)
{
    return c->tally.sessions.max;
}

static uint64_t bytes_out_rate(const struct control *c)
{
    return c->tally.bytes_out.now;
}

static uint64_t idle(const struct control *c)
{
    return c->tally.idle_percent;
}

static uint64_t lines_lost(const struct control *c)
{
    (void)c;
    return log_dropped();
}

static uint64_t failed_lookups(const struct control *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; c->names != NULL && i < names_count(c->names); i++) {
        struct name_view v;
        names_view(c->names, i, &v);
        sum += v.failures;
    }
    return sum;
}

/* The table --------------------------------------------------------------------------------- */

/* What HAProxy's typed forms say of a value: its origin, nature and scope, a letter each. */
struct info {
    unsigned position; /* HAProxy leaves some out, too */
    const char *name;
    const char *tags;
    const char *type;
    uint64_t (*number)(const struct control *c);
    void (*text)(const struct control *c, struct text *out); /* with neither it is 0 */
    const char *help;
};

/* clang-format off */
static const struct info infos[] = {
    {0, "Name", "POS", "str", NULL, add_name, "name of the program"},
    {1, "Version", "POS", "str", NULL, add_version, "its version"},
    {2, "Release_date", "POS", "str", NULL, add_zero, "always 0"},
    {3, "Nbthread", "CGS", "u32", threads, NULL, "threads that carry sessions"},
    {4, "Nbproc", "CGS", "u32", one, NULL, "always 1"},
    {5, "Process_num", "KGP", "u32", one, NULL, "always 1"},
    {6, "Pid", "SGP", "u32", pid, NULL, "process id"},
    {7, "Uptime", "MDP", "str", NULL, add_uptime, "time since the start"},
    {8, "Uptime_sec", "MDP", "u32", uptime_s, NULL, "the same in seconds"},
    {9, "Memmax_MB", "CLP", "u32", NULL, NULL, "always 0: no limit of its own"},
    {10, "PoolAlloc_MB", "MGP", "u32", NULL, NULL, "always 0: no pools of memory"},
    {11, "PoolUsed_MB", "MGP", "u32", NULL, NULL, "always 0"},
    {12, "PoolFailed", "MCP", "u32", NULL, NULL, "always 0"},
    {13, "Ulimit-n", "CLP", "u32", descriptors, NULL, "limit on file descriptors"},
    {14, "Maxsock", "CLP", "u32", descriptors, NULL, "the same"},
    {15, "Maxconn", "CLP", "u32", max_sessions, NULL, "limit on sessions, max_sessions"},
    {16, "Hard_maxconn", "CLP", "u32", max_sessions, NULL, "the same"},
    {17, "CurrConns", "MGP", "u32", sessions, NULL, "sessions now"},
    {18, "CumConns", "MCP", "u32", connections_total, NULL, "connections of clients so far"},
    {19, "CumReq", "MCP", "u32", sessions_total, NULL, "sessions so far"},
    {20, "MaxSslConns", "MMP", "u32", NULL, NULL, "always 0: no limit of its own"},
    {21, "CurrSslConns", "MGP", "u32", NULL, NULL, "always 0: not counted"},
    {22, "CumSslConns", "MCP", "u32", tls_total, NULL, "TLS handshakes so far, on both sides"},
    {23, "Maxpipes", "CLP", "u32", NULL, NULL, "always 0: nothing is spliced"},
    {24, "PipesUsed", "MGP", "u32", NULL, NULL, "always 0"},
    {25, "PipesFree", "MGP", "u32", NULL, NULL, "always 0"},
    {26, "ConnRate", "MRP", "u32", conn_rate, NULL, "new connections in the last second"},
    {27, "ConnRateLimit", "CLP", "u32", NULL, NULL, "always 0: the limits are the frontends'"},
    {28, "MaxConnRate", "MMP", "u32", max_conn_rate, NULL, "highest ConnRate so far"},
    {29, "SessRate", "MRP", "u32", sess_rate, NULL, "new sessions in the last second"},
    {30, "SessRateLimit", "CLP", "u32", NULL, NULL, "always 0: the limits are the frontends'"},
    {31, "MaxSessRate", "MRP", "u32", max_sess_rate, NULL, "highest SessRate so far"},
    {32, "SslRate", "MRP", "u32", NULL, NULL, "always 0: not measured"},
    {33, "SslRateLimit", "CLP", "u32", NULL, NULL, "always 0"},
    {34, "MaxSslRate", "MMP", "u32", NULL, NULL, "always 0"},
    {35, "SslFrontendKeyRate", "MGP", "u32", NULL, NULL, "always 0: not counted"},
    {36, "SslFrontendMaxKeyRate", "MMP", "u32", NULL, NULL, "always 0"},
    {37, "SslFrontendSessionReuse_pct", "MGP", "u32", tls_reuse_percent, NULL,
     "percent of the clients' TLS handshakes that resumed a session"},
    {38, "SslBackendKeyRate", "MRP", "u32", NULL, NULL, "always 0: not counted"},
    {39, "SslBackendMaxKeyRate", "MMP", "u32", NULL, NULL, "always 0"},
    {40, "SslCacheLookups", "MCP", "u32", NULL, NULL, "always 0: sessions are kept in tickets"},
    {41, "SslCacheMisses", "MCP", "u32", NULL, NULL, "always 0"},
    {42, "CompressBpsIn", "MRP", "u32", NULL, NULL, "always 0: nothing is compressed"},
    {43, "CompressBpsOut", "MRP", "u32", NULL, NULL, "always 0"},
    {44, "CompressBpsRateLim", "CLP", "u32", NULL, NULL, "always 0"},
    {47, "Tasks", "MGP", "u32", jobs, NULL, "sessions and listeners"},
    {48, "Run_queue", "MGP", "u32", NULL, NULL, "always 0: not counted"},
    {49, "Idle_pct", "MaP", "u32", idle, NULL, "percent of the time that nothing was to do"},
    {50, "node", "COS", "str", NULL, add_node, "name of the machine"},
    {52, "Stopping", "MGP", "u32", stopping, NULL, "1 while it drains"},
    {53, "Jobs", "MGP", "u32", jobs, NULL, "sessions and listeners"},
    {54, "Unstoppable Jobs", "MGP", "u32", NULL, NULL, "always 0"},
    {55, "Listeners", "MGP", "u32", listeners, NULL, "addresses that are listened on"},
    {56, "ActivePeers", "MGP", "u32", NULL, NULL, "always 0: there are no peers"},
    {57, "ConnectedPeers", "MGP", "u32", NULL, NULL, "always 0"},
    {58, "DroppedLogs", "MGP", "u32", lines_lost, NULL, "lines of the log that were lost"},
    {59, "BusyPolling", "MGP", "u32", NULL, NULL, "always 0"},
    {60, "FailedResolutions", "MGP", "u32", failed_lookups, NULL, "look-ups of names that failed"},
    {61, "TotalBytesOut", "MGP", "u64", bytes_out, NULL, "bytes from servers to clients so far"},
    {62, "TotalSplicdedBytesOut", "MGP", "u64", NULL, NULL, "always 0 (HAProxy writes it so)"},
    {63, "BytesOutRate", "MRP", "u64", bytes_out_rate, NULL, "TotalBytesOut of the last second"},
    {64, "DebugCommandsIssued", "MGP", "u32", NULL, NULL, "always 0"},
    {65, "CumRecvLogs", "MCP", "u32", NULL, NULL, "always 0: no logs are received"},
    {66, "Build info", "POS", "str", NULL, add_version, "the version"},
    {67, "Memmax_bytes", "CLP", "u32", NULL, NULL, "always 0"},
    {68, "PoolAlloc_bytes", "MGP", "u64", NULL, NULL, "always 0"},
    {69, "PoolUsed_bytes", "MGP", "u64", NULL, NULL, "always 0"},
    {70, "Start_time_sec", "MDP", "u32", started, NULL, "when it was started, in Unix time"},
    {71, "Tainted", "SGP", "str", NULL, add_zero, "always 0"},
};
/* clang-format on */

/* Forms ------------------------------------------------------------------------------------- */

static void add_value(const struct control *c, const struct info *info, struct text *out)
{
    if (info->text != NULL) {
        info->text(c, out);
    } else {
        text_add(out, "%" PRIu64, info->number != NULL ? info->number(c) : 0);
    }
}

static void add_line(const struct control *c, const struct info *info, enum info_form form,
                     struct text *out)
{
    struct typed_field f = {info->position, info->name, info->tags, info->type};
    struct text value = {0};
    text_add(&value, "%s", "");
    add_value(c, info, &value);
    if (form == INFO_TYPED) {
        typed_field_line(&f, value.data, out);
    } else if (form == INFO_JSON) {
        text_add(out, "%s{", info == infos ? "[" : ",");
        typed_field_json(&f, value.data, out);
        text_add(out, "}");
    } else {
        text_add(out, "%s: %s", info->name, value.data);
        if (form == INFO_DESC) {
            text_add(out, ":\"%s\"", info->help);
        }
        text_add(out, "\n");
    }
    text_free(&value);
}

void show_info(const struct control *c, enum info_form form, struct text *out)
{
    for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
        add_line(c, &infos[i], form, out);
    }
    text_add(out, "%s", form == INFO_JSON ? "]\n" : "");
}
