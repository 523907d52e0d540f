/* Promise: whatever is wrong with a file is told at once, each with its line, in words that say
 * what to write instead; one mistake is one message; no message shows a password. */
#include "config_fixture.h"

#include <errno.h>

#include "base/macros.h"
#include "model/config_internal.h"

static void unknown_words_come_with_a_suggestion(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("", "blance = first\n"),
         "r.ini:7: unknown key \"blance\", did you mean \"balance\"?\n"},
        {FILE_WITH("", "Balance = first\n"),
         "r.ini:7: unknown key \"Balance\", did you mean \"balance\"?\n"},
        {FILE_WITH("", "queue-limit = 1\n"),
         "r.ini:7: unknown key \"queue-limit\", did you mean \"queue_limit\"?\n"},
        {FILE_WITH("", "mirror_to = other\n"), "r.ini:7: unknown key \"mirror_to\"\n"},
        {FILE_WITH("", "pool_mode = session\n"),
         "r.ini:7: unknown key \"pool_mode\" in a [backend] section, it belongs in a [frontend] "
         "section\n"},
        {FILE_WITH("balance = first\n", ""), "r.ini:4: unknown key \"balance\" in a [frontend] "
                                             "section, it belongs in a [backend] section\n"},
        {FILE_WITH("", "balance = frist\n"),
         "r.ini:7: bad value \"frist\" for \"balance\", did you mean \"first\"?\n"},
        {FILE_WITH("", "probe = fof\n"),
         "r.ini:7: bad value \"fof\" for \"probe\", did you mean \"off\"?\n"},
        {FILE_WITH("", "server = two 10.0.0.1:1 wieght=2\n"),
         "r.ini:7: bad value \"wieght=2\" for \"server\", did you mean \"weight\"?\n"},
        {FILE_WITH("", "probe_command = INF=X\n"),
         "r.ini:7: bad value \"INF\" for \"probe_command\": the router asks nothing by that name, "
         "did you mean \"INFO\"?\n"},
        {"[frontend f]\nbind = :1\nbackend = reddis\n"
         "[backend redis]\nprotocol = tcp\nserver = a 10.0.0.1:1\n",
         "r.ini:3: there is no [backend reddis], did you mean \"redis\"?\n"},
        {"[fronted f]\nbind = :1\nbackend = b\n[backend b]\nprotocol = tcp\nserver = a "
         "10.0.0.1:1\n",
         "r.ini:1: unknown section \"fronted\", did you mean \"frontend\"?\n"},
        {SHORTEST "[hub x]\nanything = 1\n",
         "r.ini:7: unknown section \"hub\": there are [router], "
         "[frontend NAME] and [backend NAME]\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void bad_values_come_with_what_is_expected(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("", "balance = fastest\n"),
         "r.ini:7: bad value \"fastest\" for \"balance\": expected round_robin, least_connections, "
         "ip_hash, random or first\n"},
        {FILE_WITH("", "protocol = redis\n"),
         "r.ini:7: \"protocol\" is set twice, first in line 5\n"},
        /* The guess gives way to the real one, which then is the first. */
        {"[frontend f]\nbind = :1\nbackend\nbackend = b\nbackend = b\n"
         "[backend b]\nprotocol = tcp\nserver = a 10.0.0.1:1\n",
         "r.ini:3: expected \"=\" after \"backend\"\n"
         "r.ini:5: \"backend\" is set twice, first in line 4\n"},
        {FILE_WITH("", "probe_keep = true\n"),
         "r.ini:7: bad value \"true\" for \"probe_keep\": expected yes or no\n"},
        {FILE_WITH("route = both\n", ""),
         "r.ini:4: bad value \"both\" for \"route\": expected auto, primary, replica, any or "
         "split\n"},
        {FILE_WITH("allow = 10.0.0.1/8\n", ""), "r.ini:4: bad value \"10.0.0.1/8\" for \"allow\": "
                                                "it has bits behind its mask, did you mean "
                                                "\"10.0.0.0/8\"?\n"},
        {FILE_WITH("", "on_demotion = drain\n"),
         "r.ini:7: bad value \"drain\" for \"on_demotion\": expected close, or drain and a "
         "duration "
         "from 1ms to 1d (like drain 5s)\n"},
        {FILE_WITH("", "probe_command = INFO\n"),
         "r.ini:7: bad value \"INFO\" for \"probe_command\": "
         "expected NAME=WHAT_THE_SERVER_CALLS_IT\n"},
        {FILE_WITH("", "probe_command = info=A\nprobe_command = INFO=B\n"),
         "r.ini:8: INFO is renamed twice\n"},
        {FILE_WITH("", "balance = \"\"\n"), "r.ini:7: the value of \"balance\" is empty\n"},
        {FILE_WITH("", "probe_user = a\tb\x1b[0m\nprobe_password = x\n"),
         "r.ini:7: bad value \"a\\x09b\\x1b[0m\" for \"probe_user\": it has a control byte\n"},
        {"[frontend f]\nbind = :1\nbackend = b\n[backend b]\nprotocol = memcached\n"
         "server = a 10.0.0.1:1\n",
         "r.ini:5: bad value \"memcached\" for \"protocol\": expected tcp, redis, "
         "mysql, pgsql or http\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

/* Below, at and above each bound, no number, and what would overflow. */
static void numbers_are_checked_with_their_range(void **state)
{
    static const char *const values[] = {"0",
                                         "257",
                                         "-1",
                                         "+1",
                                         "1.5",
                                         "0x10",
                                         "1 2",
                                         "many",
                                         "4294967297",
                                         "18446744073709551617",
                                         "99999999999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char file[512];
        char expected[256];
        snprintf(file, sizeof(file), "[router]\nworkers = %s\n%s", values[i], SHORTEST);
        snprintf(expected, sizeof(expected),
                 "r.ini:2: bad value \"%s\" for \"workers\": expected a number from 1 to 256, or "
                 "auto\n",
                 values[i]);
        assert_errors(file, expected);
    }
    config_free(load("[router]\nworkers = 256\n" SHORTEST));
}

static void durations_are_checked_with_their_range(void **state)
{
    static const char *const values[] = {"5 parsecs",
                                         "99ms",
                                         "601s",
                                         "none",
                                         "-5s",
                                         "5S",
                                         "0.5s",
                                         "1h30m",
                                         "s",
                                         "5 s",
                                         "213503982334601d",
                                         "18446744073709551617ms",
                                         "999999999999999999999999999999s"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char file[512];
        char expected[256];
        snprintf(file, sizeof(file), FILE_WITH("", "connect_timeout = %s\n"), values[i]);
        snprintf(
            expected, sizeof(expected),
            "r.ini:7: bad value \"%s\" for \"connect_timeout\": expected a duration from 100ms "
            "to 10m (like 250ms, 5s, 10m, 1h)\n",
            values[i]);
        assert_errors(file, expected);
    }
    assert_errors(FILE_WITH("", "connect_timeout = 5\n"),
                  "r.ini:7: bad value \"5\" for \"connect_timeout\": it has no unit, write 5s or "
                  "5ms\n");
}

static void a_lag_says_whether_it_is_time_or_bytes(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("", "max_lag = 10m\n"),
         "r.ini:7: bad value \"10m\" for \"max_lag\": write 10min "
         "for minutes or 10mb for megabytes\n"},
        {FILE_WITH("", "max_lag = 10\n"), "r.ini:7: bad value \"10\" for \"max_lag\": it has no "
                                          "unit, write 10s for seconds or 10b for bytes\n"},
        {FILE_WITH("", "max_lag = 2d\n"), "r.ini:7: bad value \"2d\" for \"max_lag\": expected a "
                                          "duration from 1ms to 1d (like 10s), "
                                          "a size from 1b to 1024gb (like 64k or 1mb), or none\n"},
        {FILE_WITH("", "max_lag = 17179869185gb\n"),
         "r.ini:7: bad value \"17179869185gb\" for \"max_lag\": expected a duration from 1ms to 1d "
         "(like 10s), a size from 1b to 1024gb (like 64k or 1mb), or none\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void addresses_say_what_they_lack(void **state)
{
    static const char *const cases[][2] = {
        {"example..com:1", "example..com is neither an IP address nor a host name"},
        {"-x.example:6379", "-x.example is neither an IP address nor a host name"},
        {"ex/ample:6379", "ex/ample is neither an IP address nor a host name"},
        {"example.com", "expected host:port, [host]:port or unix:/path"},
        {"example.com:0", "the port is a number from 1 to 65535"},
        {"10.0.0.1", "it has no port"},
        {"[::1]", "it has no port"},
        {"10.0.0.1:0", "the port is a number from 1 to 65535"},
        {"10.0.0.1:65536", "the port is a number from 1 to 65535"},
        {"10.0.0.1:http", "the port is a number from 1 to 65535"},
        {"10.0.0.300:1", "10.0.0.300 is no IP address"},
        {"::1:6379", "an IPv6 address stands in brackets: [::1]:6379"},
        {"[::g]:1", "what stands in the brackets is no IPv6 address"},
        {"unix:r.sock", "the path of a unix socket begins with a slash"},
        {"redis", "expected host:port, [host]:port or unix:/path"},
        {":6379", "a server needs a host"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char file[512];
        char expected[256];
        snprintf(file, sizeof(file), FILE_WITH("", "server = two %s\n"), cases[i][0]);
        snprintf(expected, sizeof(expected), "r.ini:7: bad value \"%s\" for \"server\": %s\n",
                 cases[i][0], cases[i][1]);
        assert_errors(file, expected);
    }
}

static void who_listens_needs_an_address(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("bind = localhost:1\n", ""),
         "r.ini:4: bad value \"localhost:1\" for \"bind\": an address to listen on is numeric, "
         "write 127.0.0.1 or [::1]\n"},
        {FILE_WITH("bind = a.example:1\n", ""),
         "r.ini:4: bad value \"a.example:1\" for \"bind\": a.example is a host name; an address to "
         "listen on is numeric\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void servers_are_checked_word_by_word(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("", "server = 10.0.0.1:1 two\n"),
         "r.ini:7: bad value \"10.0.0.1:1\" for \"server\": a name comes first, then the address\n"
         "r.ini:7: bad value \"two\" for \"server\": expected host:port, [host]:port or "
         "unix:/path\n"},
        {FILE_WITH("", "server = two\n"),
         "r.ini:7: bad value \"two\" for \"server\": expected NAME ADDRESS [weight=N] "
         "[server_max_connections=N] [backup]\n"},
        {FILE_WITH("", "server = two 10.0.0.1:1 weight=0 server_max_connections=x\n"),
         "r.ini:7: bad value \"weight=0\" for \"server\": expected a number from 1 to 256\n"
         "r.ini:7: bad value \"server_max_connections=x\" for \"server\": expected a number from 1 "
         "to 10000000\n"},
        {FILE_WITH("", "server = one 127.0.0.1:2\n"),
         "r.ini:7: there is another server \"one\" in [backend b], in line 6\n"},
        {FILE_WITH("", "server = two 127.0.0.1:7001\n"),
         "r.ini:7: server \"two\" has the address of server \"one\" in line 6\n"},
        {FILE_WITH("", "server = two 127.0.0.1:7000\n"),
         "r.ini:7: the address of server \"two\" is where this router listens (line 2)\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void two_binds_of_one_address_are_told(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("bind = 127.0.0.1:7000\n", ""),
         "r.ini:4: 127.0.0.1:7000 is bound twice, first in line 2\n"},
        {FILE_WITH("bind = :7000\n", ""),
         "r.ini:4: :7000 overlaps with 127.0.0.1:7000 of line 2\n"},
        {FILE_WITH("bind = unix:/a\nbind = unix:/a\n", ""),
         "r.ini:5: unix:/a is bound twice, first in line 4\n"},
        {SHORTEST "[frontend g]\nbind = 0.0.0.0:7000\nbackend = b\n",
         "r.ini:8: 0.0.0.0:7000 overlaps with 127.0.0.1:7000 of line 2\n"},
        {SHORTEST "[router]\nadmin = 127.0.0.1:7000\n",
         "r.ini:2: 127.0.0.1:7000 is bound twice, first in line 8\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(FILE_WITH("bind = [::1]:7000\nbind = 127.0.0.2:7000\nbind = :7002\n", "")));
}

/* The file as a whole ----------------------------------------------------------------------- */

static void what_is_required_is_asked_for(void **state)
{
    static const struct mistake cases[] = {
        {"", "r.ini: there is no [frontend NAME], so nobody could connect\n"},
        {"[frontend f]\n[backend b]\n",
         "r.ini:1: this [frontend] needs \"bind\", for example: bind = 127.0.0.1:6379\n"
         "r.ini:1: this [frontend] needs \"backend\", for example: backend = redis\n"
         "r.ini:2: this [backend] needs \"protocol\", for example: protocol = redis\n"
         "r.ini:2: this [backend] needs \"server\" or \"discover\", for example: server = redis-0 "
         "10.0.0.2:6379 weight=1 server_max_connections=256\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void lines_that_are_neither_section_nor_pair_are_told(void **state)
{
    static const struct mistake cases[] = {
        {"workers = 1\n" SHORTEST, "r.ini:1: \"workers\" stands before the first [section]\n"},
        {FILE_WITH("", "balance first\n"), "r.ini:7: expected \"=\" after \"balance\"\n"},
        {FILE_WITH("", "balance: first\n"), "r.ini:7: expected \"=\" after \"balance\"\n"},
        {FILE_WITH("", "balance # = first\n"), "r.ini:7: expected \"=\" after \"balance\"\n"},
        {FILE_WITH("", "= first\n"), "r.ini:7: expected \"key = value\" or \"[section]\"\n"},
        {FILE_WITH("", "balance =\n"), "r.ini:7: \"balance\" has no value\n"},
        {FILE_WITH("", "balance = # first\n"), "r.ini:7: \"balance\" has no value\n"},
        {FILE_WITH("", "balance = \"first\n"),
         "r.ini:7: a value that begins with a quote needs one at its end\n"},
        {FILE_WITH("", "balance = \"first\" one\n"),
         "r.ini:7: there is text behind the closing quote\n"},
        {SHORTEST "[router\n", "r.ini:7: expected \"]\" at the end of \"[router\"\n"},
        {SHORTEST "[router\nfoo = 1\nbalance first\n",
         "r.ini:7: expected \"]\" at the end of \"[router\"\n"
         "r.ini:9: expected \"=\" after \"balance\"\n"},
        {SHORTEST "[router] x\n", "r.ini:7: expected \"]\" at the end of \"[router] x\"\n"},
        {SHORTEST "[router x]\n", "r.ini:7: [router] has no name, found \"x\"\n"},
        {SHORTEST "[backend]\n", "r.ini:7: [backend] needs a name: [backend NAME]\n"},
        {SHORTEST "[backend a/b]\n", "r.ini:7: bad name \"a/b\": it has letters, digits, \"_\", "
                                     "\".\" and \"-\", at most 63 of them\n"},
        {SHORTEST "[backend b]\n",
         "r.ini:7: the section [backend b] is there twice, first in line 4\n"},
        {SHORTEST "[router]\n[router]\n",
         "r.ini:8: the section [router] is there twice, first in line 7\n"},
        {"\xff\xfe[\0", "r.ini:1: the file is in UTF-16, save it as UTF-8\n"
                        "r.ini: there is no [frontend NAME], so nobody could connect\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void lines_too_long_and_nul_bytes_are_told(void **state)
{
    static const char nul[] = SHORTEST "balance = fi\0rst\nblance = first\n";
    static char file[sizeof(SHORTEST) + CONFIG_LINE_MAX + 64];
    (void)state;
    char *errors = errors_of_bytes(nul, sizeof(nul) - 1);
    assert_string_equal(errors, "r.ini:7: the line has a NUL byte\n"
                                "r.ini:8: unknown key \"blance\", did you mean \"balance\"?\n");
    free(errors);
    memset(file, 'x', sizeof(file) - 1);
    memcpy(file, SHORTEST, strlen(SHORTEST));
    file[strlen(SHORTEST) + CONFIG_LINE_MAX + 1] = '\n';
    file[strlen(SHORTEST) + CONFIG_LINE_MAX + 2] = '\0';
    assert_errors(file, "r.ini:7: the line is too long: 4097 bytes, at most 4096 may be\n");
}

static void one_mistake_is_one_message(void **state)
{
    static const struct mistake cases[] = {
        {"[frontend f]\nbnd = :1\nbackend : b\n[backend b]\nprotocol = \nserver = a\n",
         "r.ini:2: unknown key \"bnd\", did you mean \"bind\"?\n"
         "r.ini:3: expected \"=\" after \"backend\"\n"
         "r.ini:5: \"protocol\" has no value\n"
         "r.ini:6: bad value \"a\" for \"server\": expected NAME ADDRESS [weight=N] "
         "[server_max_connections=N] [backup]\n"},
        {FILE_WITH("route = rplica\nfallback = none\n", "probe = of\nmax_lag = 1s\n"),
         "r.ini:4: bad value \"rplica\" for \"route\", did you mean \"replica\"?\n"
         "r.ini:9: bad value \"of\" for \"probe\", did you mean \"off\"?\n"},
        {FILE_WITH("", "blance = first\nbalance = first\n"),
         "r.ini:7: unknown key \"blance\", did you mean \"balance\"?\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void a_file_that_is_no_configuration_does_not_fill_the_screen(void **state)
{
    static char junk[30000];
    (void)state;
    for (size_t i = 0; i < sizeof(junk) - 1; i++) {
        junk[i] = i % 3 == 2 ? '\n' : 'x';
    }
    char *errors = errors_of(junk);
    assert_true(strlen(errors) < 10000);
    assert_non_null(strstr(errors, "r.ini: and 99"));
    free(errors);
}

static void a_file_that_cannot_be_read_is_one_line(void **state)
{
    struct config *c;
    struct text errors = {0};
    (void)state;
    assert_int_equal(config_load("/not/there.ini", &c, &errors), -ENOENT);
    assert_string_equal(errors.data, "/not/there.ini: No such file or directory\n");
    assert_null(c);
    text_free(&errors);
    assert_int_equal(config_load("/", &c, &errors), -EISDIR);
    assert_string_equal(errors.data, "/: Is a directory\n");
    text_free(&errors);
    assert_int_equal(config_load("/dev/zero", &c, &errors), -EFBIG);
    assert_string_equal(errors.data, "/dev/zero: the file is too large, at most 1048576 bytes may "
                                     "be\n");
    text_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_words_come_with_a_suggestion),
        cmocka_unit_test(bad_values_come_with_what_is_expected),
        cmocka_unit_test(numbers_are_checked_with_their_range),
        cmocka_unit_test(durations_are_checked_with_their_range),
        cmocka_unit_test(a_lag_says_whether_it_is_time_or_bytes),
        cmocka_unit_test(addresses_say_what_they_lack),
        cmocka_unit_test(who_listens_needs_an_address),
        cmocka_unit_test(servers_are_checked_word_by_word),
        cmocka_unit_test(two_binds_of_one_address_are_told),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(lines_that_are_neither_section_nor_pair_are_told),
        cmocka_unit_test(lines_too_long_and_nul_bytes_are_told),
        cmocka_unit_test(one_mistake_is_one_message),
        cmocka_unit_test(a_file_that_is_no_configuration_does_not_fill_the_screen),
        cmocka_unit_test(a_file_that_cannot_be_read_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
