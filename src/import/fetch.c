/* What HAProxy can look at. Names that are built alike are kept in parts: "sc1_conn_cur" is "sc1_"
 * and "conn_cur". The names are those of HAProxy's configuration manuals 2.4 to 3.3, chapter 7.3.
 */
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

static const struct family {
    const char *heads; /* each of them, ... */
    const char *tails; /* ... with each of these behind it */
} families[] = {
    {"", /* alone */
     "51d.all accept_date acl act_conn always_false always_true avg_queue base base32 base32+src "
     "baseq bc.timer.connect bc_be_queue bc_dst bc_dst_port bc_err bc_err_name bc_err_str "
     "bc_glitches bc_http_major bc_nb_streams bc_reused bc_rtt bc_rttvar bc_setting_streams_limit "
     "bc_settings_streams_limit bc_src bc_src_port bc_srv_queue be_conn be_conn_free "
     "be_connect_timeout be_id be_max_retries be_name be_queue_timeout be_server_timeout "
     "be_sess_rate be_tarpit_timeout be_tunnel_timeout bin bool bs.aborted bs.debug_str bs.id "
     "bs.rst_code bytes_in bytes_out capture.req.hdr capture.req.method capture.req.uri "
     "capture.req.ver capture.res.hdr capture.res.ver connslots cook cook_cnt cook_val cookie "
     "cpu_calls cpu_ns_avg cpu_ns_tot cpu_usage_grp cpu_usage_proc cpu_usage_thr "
     "cur_client_timeout cur_connect_timeout cur_max_retries cur_queue_timeout cur_server_timeout "
     "cur_tarpit_timeout cur_tunnel_timeout da-csv-fetch date date_us distcc_body distcc_param "
     "dst dst_conn dst_is_local dst_port dump_all_vars env fc.timer.handshake fc.timer.total "
     "fc_dst fc_dst_is_local fc_dst_port fc_err fc_err_name fc_err_str fc_fackets fc_glitches "
     "fc_http_major fc_lost fc_nb_streams fc_pp_authority fc_pp_tlv fc_pp_unique_id fc_rcvd_proxy "
     "fc_reordering fc_retrans fc_rtt fc_rttvar fc_sacked fc_saved_syn fc_settings_streams_limit "
     "fc_src fc_src_is_local fc_src_port fc_unacked fcgi.docroot fcgi.index fe_client_timeout "
     "fe_conn fe_defbe fe_id fe_name fe_req_rate fe_sess_rate fe_tarpit_timeout fs.aborted "
     "fs.debug_str fs.id fs.rst_code hdr hdr_cnt hdr_ip hdr_val hostname http_auth "
     "http_auth_bearer http_auth_group http_auth_pass http_auth_type http_auth_user "
     "http_first_req int ipv4 ipv6 last_entity last_rule_file last_rule_line lat_ns_avg "
     "lat_ns_tot meth method nbproc nbsrv path pathq payload payload_lv pid prio_class "
     "prio_offset proc query queue quic_enabled rand rdp_cookie rdp_cookie_cnt rep_ssl_hello_type "
     "req.body req.body_len req.body_param req.body_size req.bytes_in req.bytes_out req.cook "
     "req.cook_cnt req.cook_names req.cook_val req.fhdr req.fhdr_cnt req.hdr req.hdr_cnt "
     "req.hdr_ip req.hdr_names req.hdr_val req.hdrs req.hdrs_bin req.len req.payload "
     "req.payload_lv req.proto_http req.rdp_cookie req.rdp_cookie_cnt req.ssl_alpn "
     "req.ssl_cipherlist req.ssl_ec_ext req.ssl_hello_type req.ssl_keyshare_groups "
     "req.ssl_sigalgs req.ssl_sni req.ssl_st_ext req.ssl_supported_groups req.ssl_ver "
     "req.timer.hdr req.timer.idle req.timer.queue req.timer.tq req.ver req_len req_proto_http "
     "req_rdp_cookie req_rdp_cookie_cnt req_ssl_hello_type req_ssl_sni req_ssl_ver req_ver "
     "request_date res.body res.body_len res.body_size res.bytes_in res.bytes_out res.cache_hit "
     "res.cache_name res.comp res.comp_algo res.cook res.cook_cnt res.cook_names res.cook_val "
     "res.fhdr res.fhdr_cnt res.hdr res.hdr_cnt res.hdr_ip res.hdr_names res.hdr_val res.hdrs "
     "res.hdrs_bin res.len res.payload res.payload_lv res.ssl_hello_type res.timer.data "
     "res.timer.hdr res.ver resp_ver scook scook_cnt scook_val server_status set-cookie shdr "
     "shdr_cnt shdr_ip shdr_val so_id so_name spoe.engine-id src src_is_local src_port srv_conn "
     "srv_conn_free srv_id srv_is_up srv_iweight srv_name srv_queue srv_sess_rate srv_uweight "
     "srv_weight ssl_bc ssl_fc ssl_ocsp_certid ssl_ocsp_certname ssl_ocsp_fail_cnt "
     "ssl_ocsp_status ssl_ocsp_status_str ssl_ocsp_success_cnt status stopping str table_avl "
     "table_cnt term_events tgroup thread txn.conn_retries txn.id32 txn.redispatched "
     "txn.sess_term_state txn.status txn.timer.total txn.timer.user unique-id uptime url url32 "
     "url32+src url_ip url_param url_port urlp urlp_val uuid var wait_end waiting_entity wurfl- "
     "get wurfl-get-all"},
    {"sc_ sc0_ sc1_ sc2_ src_",
     "bytes_in_rate bytes_out_rate clr_gpc clr_gpc0 clr_gpc1 conn_cnt conn_cur conn_rate get_gpc "
     "get_gpc0 get_gpc1 get_gpt get_gpt0 glitch_cnt glitch_rate gpc0_rate gpc1_rate gpc_rate "
     "http_err_cnt http_err_rate http_fail_cnt http_fail_rate http_req_cnt http_req_rate inc_gpc "
     "inc_gpc0 inc_gpc1 kbytes_in kbytes_out key sess_cnt sess_rate tracked trackers "
     "updt_conn_cnt"},
    {"base_ cook_ hdr_ path_ scook_ shdr_ url_ urlp_", "beg dir dom end len reg sub"},
    {"ssl_c_",
     "ca_err ca_err_depth chain_der der err i_dn key_alg notafter notbefore policies r_dn s_dn "
     "san serial sha1 sig_alg used verify version"},
    {"ssl_bc_",
     "alg_keysize alpn cipher client_early_traffic_secret client_handshake_traffic_secret "
     "client_random client_traffic_secret_0 curve early_exporter_secret err err_str "
     "exporter_secret is_resumed npn protocol server_handshake_traffic_secret server_random "
     "server_traffic_secret_0 session_id session_key sni unique_id use_keysize"},
    {"ssl_f_", "der i_dn key_alg notafter notbefore s_dn serial sha1 sig_alg version"},
    {"ssl_fc_",
     "alg_keysize alpn cipher cipherlist_bin cipherlist_hex cipherlist_str cipherlist_xxh "
     "client_early_traffic_secret client_handshake_traffic_secret client_random "
     "client_traffic_secret_0 crtname curve early_exporter_secret early_rcvd ecformats_bin "
     "ech_outer_sni ech_status eclist_bin err err_str exporter_secret extlist_bin has_crt "
     "has_early has_sni is_resumed npn protocol protocol_hello_id server_handshake_traffic_secret "
     "server_random server_traffic_secret_0 session_id session_key sigalgs_bin sni sni_end "
     "sni_reg supported_versions_bin unique_id use_keysize"},
    {"ssl_s_", "chain_der der i_dn key_alg notafter notbefore s_dn serial sha1 sig_alg version"},
};

/* Takes the next of the words off; its length, 0 at the end. */
static size_t next_word(const char **words, const char **word)
{
    *word = *words + strspn(*words, " ");
    size_t len = strcspn(*word, " ");
    *words = *word + len;
    return len;
}

static bool has_word(const char *words, const char *name, size_t len)
{
    const char *word;
    for (size_t n = next_word(&words, &word); n > 0; n = next_word(&words, &word)) {
        if (n == len && memcmp(word, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool family_has(const struct family *family, const char *name, size_t len)
{
    if (family->heads[0] == '\0') {
        return has_word(family->tails, name, len);
    }
    const char *heads = family->heads;
    const char *head;
    for (size_t n = next_word(&heads, &head); n > 0; n = next_word(&heads, &head)) {
        if (n < len && memcmp(head, name, n) == 0 && has_word(family->tails, name + n, len - n)) {
            return true;
        }
    }
    return false;
}

/* Modules, Lua and builds for debugging have some of their own. */
static bool is_foreign(const char *name)
{
    static const char *const begins[] = {"lua.", "internal.", "51d", "da-", "wurfl", "debug"};
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool fetch_is_known(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (family_has(&families[i], name, len)) {
            return true;
        }
    }
    return is_foreign(name);
}

bool fetch_check(struct source *s, const struct line *l, const struct word *w)
{
    char shown[SHOWN_MAX];
    size_t len = strcspn(w->text, "(,");
    if (!fetch_is_known(w->text, len)) {
        struct word name = word_slice(s, w, 0, len);
        source_error(s, l->place, "HAProxy does not know \"%s\" to look at",
                     word_shown(&name, shown));
        return false;
    }
    if (w->text[len] == '(' && strchr(w->text, ')') == NULL) {
        source_error(s, l->place, "\"%s\": its ) is missing", word_shown(w, shown));
        return false;
    }
    return true;
}
