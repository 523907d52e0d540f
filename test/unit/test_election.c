/* The election, played as tables: what is seen, and the verdict that it must lead to.
 *
 * A step's `see` is a list of observations, "SERVER STATE PROCESS HISTORY OFFSET [PARENT END]", in
 * the order in which they arrive:
 *     0 master A a 100          server 0, process A, says master, in history a at offset 100
 *     1 master B b 101 a 101    the same of server 1, whose history was branched off a at 101
 *     1 replica B a 100         a replica whose link is up; `nolink`: whose link is down
 *     0 loading A2 a 0          says master, but is loading
 *     0 silent | refused | denied
 *     + 500                     so many milliseconds pass
 *     alone                     nobody else is asked in this step
 * An election runs after each observation, as in the router; then all other servers are asked
 * again, and one more election gives the verdict that is compared. Each table is played for every
 * order of the servers, and each verdict must come out again when nothing has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macros.h"
#include "election_fixture.h"

#define STEPS 14
#define ANY   NULL

struct step {
    const char *see;
    const char *expect; /* "primary 0", "hold 0", "contested 0", "stale 0", "nobody"; behind it
                         * " settled" or " unsettled" where that matters */
    const char *words;  /* part of the reason; ANY */
};

struct scenario {
    const char *name;
    size_t servers; /* 0 = 3 */
    enum conflict on_conflict;
    bool accounts_pauses; /* the router tells when writes have stopped; not yet */
    struct step steps[STEPS];
};

/* redis-0 is elected, the others replicate. */
#define ALL_IS_WELL                                                                                \
    {                                                                                              \
        "0 master A a 100, 1 replica B a 100, 2 replica C a 99", "primary 0 settled", "the only"   \
    }
#define TWO_ARE_WELL                                                                               \
    {                                                                                              \
        "0 master A a 100, 1 replica B a 100", "primary 0 settled", "the only"                     \
    }

static const struct scenario scenarios[] = {
    {.name = "01 killed primary, promotion, the old one back empty",
     .steps = {ALL_IS_WELL,
               {"0 refused", "hold 0 unsettled", "redis-0 cannot be reached; writes wait"},
               {"1 master B b 100 a 101", "primary 1 settled",
                "redis-1: promoted from redis-0's history at offset 101"},
               {"0 master A2 n 0", "primary 1 settled", "redis-0 still claims, fenced"},
               {"2 replica C b 120, 1 master B b 120 a 101", "primary 1 settled", ANY}}},
    {.name = "01 the old one is back empty before the promotion is seen",
     .steps = {ALL_IS_WELL,
               {"0 master A2 n 0, alone", "hold 0 unsettled", "redis-0 was restarted"},
               {"1 master B b 100 a 101", "primary 1", ANY}}},
    {.name = "02 the old one back from an RDB",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 nolink B a 100, 2 nolink C a 99", "hold 0", ANY},
               {"1 master B b 130 a 101", "primary 1", ANY},
               {"0 loading A2 n 0", "primary 1 unsettled", ANY},
               {"0 master A2 n 90 a 91", "primary 1 settled", "redis-0 still claims, fenced"}}},
    {.name = "03 a replica restarts without its replicaof while the primary lives",
     .steps = {ALL_IS_WELL,
               {"1 refused", "primary 0 unsettled", ANY},
               {"1 master B2 r 100 a 101", "primary 0 settled", "redis-1 still claims, fenced"},
               {"+ 60000", "primary 0 settled", ANY},
               {"0 silent", "hold 0", "redis-1 claims, but is no promotion from its history"},
               {"0 refused, 2 nolink C a 99", "hold 0", ANY},
               {"0 master A a 100, 1 master B2 r 900 a 101", "primary 0", ANY}}},
    {.name = "03 and it is empty, and there is no third server",
     .servers = 2,
     .steps = {TWO_ARE_WELL, {"1 master B2 r 0", "primary 0 settled", ANY}}},
    {.name = "03 and its followers came back to it",
     .steps = {ALL_IS_WELL,
               {"1 master B2 r 100 a 101, 2 replica C r 100", "primary 0",
                "redis-2 follows another primary"}}},
    {.name = "04 stopped primary, promotion, the old one continues and has written since",
     .steps = {ALL_IS_WELL,
               {"0 silent", "hold 0", "redis-0 does not answer; writes wait"},
               {"1 master B b 140 a 101", "primary 1", ANY},
               {"0 master A a 105", "primary 1 settled", "redis-0 still claims, fenced"},
               {"+ 9000", "primary 1 settled", ANY}}},
    {.name = "04 the returning one had been a replica itself, and a follower still hangs on it",
     .steps = {{"0 master A a 50, 1 replica B a 50, 2 replica C a 50", "primary 0", ANY},
               {"0 refused, 1 master B b 100 a 51, 2 replica C b 100", "primary 1", ANY},
               {"1 silent", "hold 1", ANY},
               {"0 replica A2 b 100", "hold 1", ANY},
               {"0 master A2 a2 130 b 101", "primary 0", ANY},
               {"1 master B b 150 a 51", "primary 0 settled", "redis-1 still claims, fenced"}}},
    {.name = "05 a second promotion on top, all three claim, the middle one is invisible",
     .steps = {ALL_IS_WELL,
               {"0 silent, 1 master B b 120 a 101", "primary 1", ANY},
               {"2 replica C b 120", "primary 1", ANY},
               {"1 silent, 2 master C c 140 b 121", "primary 2", "redis-1's history at offset 121"},
               {"0 master A a 100", "primary 2", "redis-0 still claims, fenced"},
               {"1 master B b 125 a 101", "primary 2 settled",
                "redis-0 and redis-1 still claim, fenced"}}},
    {.name = "05 the first one is the incumbent: the edges lead over the middle one",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, alone", "contested 0", "the other servers"},
               {"1 silent, 2 master C c 99 b 100, alone", "contested 0", ANY},
               {"1 silent, 0 master A a 99", "primary 2", "redis-0's history at offset 100"}}},
    {.name = "05 and the way over the middle one is as narrow as its narrowest part",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, alone", "contested 0", ANY},
               {"1 silent, 2 master C c 99 a 100, alone", "contested 0", ANY},
               {"1 silent, 0 master A a 100", "contested 0", "redis-2's promotion lacks writes"}}},
    {.name = "06 promoted by mistake while the primary goes on: contested, then kept",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0 unsettled",
                "redis-0 and redis-1 both claim; redis-1's promotion lacks writes of redis-0"},
               {"+ 1999", "contested 0", ANY},
               {"+ 1", "primary 0 settled", "redis-0: kept"},
               {"+ 3600000", "primary 0 settled", "redis-1 still claims, fenced"},
               {"0 silent", "hold 0 unsettled", "redis-1 claims, but lost an election to it"},
               {"0 refused, 2 nolink C a 105", "hold 0", ANY},
               {"+ 3600000", "hold 0", ANY},
               {"0 loading A2 a 0", "hold 0", ANY},
               {"0 master A a 106", "primary 0", ANY}}},
    {.name = "06 the same with on_conflict = refuse",
     .on_conflict = CONFLICT_REFUSE,
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "nobody unsettled", "undecided in time, so no primary"},
               {"+ 60000", "nobody", ANY},
               {"1 replica B a 105", "primary 0 settled", ANY}}},
    {.name = "06 the mistake is undone in time",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 1900", "contested 0", ANY},
               {"1 nolink B b 100 a 101", "primary 0 settled", ANY},
               {"1 replica B a 106", "primary 0", ANY},
               {"1 master B b2 106 a 107, 0 master A a 108", "contested 0", ANY},
               {"+ 1900", "contested 0", "lacks writes"}}},
    {.name = "06 the loser becomes a replica again and is then promoted for good",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", "kept"},
               {"1 replica B a 120", "primary 0", ANY},
               {"0 silent", "hold 0", ANY},
               {"1 master B b2 120 a 121", "primary 1", ANY}}},
    {.name = "06 the loser turned replica but never synchronised: its promotion lost already",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", ANY},
               {"1 nolink B b 100 a 101", "primary 0", ANY},
               {"0 silent", "hold 0", ANY},
               {"1 master B b2 100 b 101", "hold 0", "lost an election"}}},
    {.name = "07 two replicas promoted, one after the other: the first one that was elected stays",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 master B b 100 a 101", "primary 1", ANY},
               {"2 master C c 130 a 101", "primary 1 settled", "redis-2 still claims, fenced"},
               {"1 silent", "hold 1", "redis-2 claims, but is no promotion"},
               {"1 refused", "hold 1", ANY}}},
    {.name = "07 both at once, from the same offset: nobody, until one follows the other",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 nolink B a 100, 2 nolink C a 100", "hold 0", ANY},
               {"1 master B b 100 a 101, alone", "contested 0",
                "the other servers are being asked"},
               {"2 master C c 100 a 101", "contested 0 unsettled",
                "redis-0 cannot be reached; redis-1 and redis-2 both claim; none is known"},
               {"+ 60000", "contested 0", ANY},
               {"2 nolink C c 100 a 101", "primary 1", ANY}}},
    {.name = "07 both at once, and one has all that the other has",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 master B b 100 a 101, alone", "contested 0", ANY},
               {"2 master C c 99 a 100", "primary 1", ANY},
               {"2 master C c 130 a 100", "primary 1 settled", "redis-2 still claims, fenced"}}},
    {.name = "07 both at once, and the shorter one has written since",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 master B b 100 a 101, alone", "contested 0", ANY},
               {"2 master C c 100 a 100", "contested 0", ANY},
               {"0 master A a 99", "contested 0", "redis-0, redis-1 and redis-2 claim; none is"},
               {"+ 2000", "primary 0", "redis-1 and redis-2 still claim, fenced"}}},
    {.name = "08 09 the primary restarts, from AOF or RDB, and nobody was promoted",
     .steps = {ALL_IS_WELL,
               {"0 refused, 1 nolink B a 100, 2 nolink C a 99", "hold 0", ANY},
               {"0 loading A2 n 0", "hold 0 unsettled", "redis-0 claims, but can take no writes"},
               {"0 master A2 n 0, alone", "hold 0", "redis-0 was restarted; writes wait"},
               {"1 nolink B a 100, 2 nolink C a 99", "primary 0 settled", "it was restarted"},
               {"1 replica B n 10, 2 replica C n 10", "primary 0 settled", ANY},
               {"0 refused, 1 master B b 20 n 15", "primary 1", ANY}}},
    {.name = "08 it restarts after a promotion was accepted: a reboot is no reason to go back",
     .steps = {ALL_IS_WELL,
               {"0 silent, 1 master B b 120 a 101", "primary 1", ANY},
               {"1 refused, 0 master A2 n 100 a 101", "hold 1",
                "redis-0 claims, but is no promotion"},
               {"1 master B2 m 0", "primary 1", "it was restarted"}}},
    {.name = "10 a cascade: the last of the chain is promoted",
     .steps = {ALL_IS_WELL,
               {"0 refused", "hold 0", ANY},
               {"2 master C c 99 a 100", "primary 2", ANY},
               {"1 replica B c 120, 2 master C c 120 a 100", "primary 2", ANY}}},
    {.name = "11 a stale claimant, and the true primary is stopped for three seconds",
     .steps = {{"0 replica A a 100, 1 master B a 100, 2 replica C a 100", "primary 1", ANY},
               {"0 master A2 x 50 a 51", "primary 1", ANY},
               {"1 silent", "hold 1", ANY},
               {"+ 500", "hold 1", ANY},
               {"+ 2500", "hold 1", ANY},
               {"1 master B a 100", "primary 1", ANY}}},
    {.name = "12 the same at the router's start",
     .steps = {{"0 master A x 50 a 51, 1 silent, 2 replica C a 100", "nobody unsettled",
                "waiting, because redis-1 does not answer"},
               {"+ 3000", "nobody", ANY},
               {"+ 60000", "nobody", "redis-2 follows another primary"},
               {"1 master B a 100", "primary 1 settled", "more replicas follow it"}}},
    {.name = "12 with nobody to speak for the stopped one: it is waited for",
     .servers = 2,
     .steps = {{"0 master A x 50 a 51, 1 silent", "nobody", ANY},
               {"+ 3000", "nobody", "redis-1 does not answer"},
               {"1 master B a 100", "nobody", "redis-0 and redis-1 both claim; nothing decides"},
               {"0 nolink A x 50", "primary 1", ANY}}},

    {.name = "first election: not before every server was asked, or failed often enough",
     .steps = {{"0 master A a 100, alone", "nobody unsettled", "redis-1 was not asked yet"},
               {"1 replica B a 100, alone", "nobody", "redis-2 was not asked yet"},
               {"2 refused, alone", "nobody", "redis-2 cannot be reached"},
               {"2 refused, alone", "primary 0 settled", ANY}}},
    {.name = "first election: a silent server delays it for start_timeout",
     .servers = 2,
     .steps = {{"0 master A a 100, 1 silent", "nobody", ANY},
               {"+ 4999", "nobody", ANY},
               {"+ 1", "primary 0 settled", ANY}}},
    {.name = "first election: a refused question delays nothing",
     .servers = 2,
     .steps = {{"0 master A a 100, 1 denied", "primary 0", ANY}}},
    {.name = "first election: one that is loading may be the primary",
     .servers = 2,
     .steps = {{"0 master A a 100, 1 loading B b 0", "nobody", "redis-1 claims, but can take no"},
               {"+ 60000", "nobody", ANY},
               {"1 nolink B a 80", "primary 0", ANY}}},
    {.name = "first election: nobody claims",
     .steps = {{"0 replica A x 9, 1 nolink B a 9, 2 denied", "nobody",
                "no server claims to be the primary: redis-0 is a replica of"}}},
    {.name = "first election: the followers decide between two claims",
     .steps = {{"0 master A a 100, 1 master B b 100 a 90, 2 nolink C b 100", "nobody",
                "redis-0 and redis-1 both claim; nothing decides between them"},
               {"2 replica C b 100", "primary 1 settled", "more replicas follow it"}}},
    {.name = "first election: as many followers here as there decide nothing",
     .servers = 4,
     .steps = {{"0 master A a 9, 1 master B b 9, 2 replica C a 9, 3 replica D b 9", "nobody",
                ANY}}},
    {.name = "first election: a promotion that was watched contains the other claim",
     .servers = 2,
     .steps = {{"0 silent, 1 replica B a 100", "nobody", ANY},
               {"1 master B b 100 a 101, alone", "nobody", "redis-0 does not answer"},
               {"0 master A a 100", "primary 1 settled", "its history contains"}}},

    {.name = "a promotion that contains the primary wins at once",
     .servers = 2,
     .steps = {TWO_ARE_WELL,
               {"1 master B b 100 a 101, alone", "contested 0", "is being asked"},
               {"0 master A a 100, alone", "primary 1 settled", "redis-0 still claims, fenced"}}},
    {.name = "and not before the primary was read behind the last write that was let through",
     .servers = 2,
     .accounts_pauses = true,
     .steps = {TWO_ARE_WELL,
               {"1 master B b 100 a 101", "contested 0", "is being asked"},
               {"+ 500", "contested 0", "is being asked"},
               {"+ 1500", "primary 0", "kept"}}},
    {.name = "its first offset of its own is where the promotion ends",
     .servers = 2,
     .steps = {TWO_ARE_WELL,
               {"1 master B b 100 a 101, 0 master A a 101", "contested 0", "lacks writes"}}},
    {.name = "a contest is decided by the primary's silence",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"0 silent", "primary 1", ANY}}},
    {.name = "a contest is decided by the primary's demotion",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"0 nolink A a 105", "primary 1", ANY}}},
    {.name = "a contest is decided by followers that have moved",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"2 replica C b 100", "primary 1", "more replicas follow it"},
               {"+ 60000", "primary 1 settled", ANY}}},
    {.name = "one of two followers has moved: that decides nothing",
     .servers = 4,
     .steps = {{"0 master A a 9, 1 replica B a 9, 2 replica C a 9, 3 replica D a 9", "primary 0",
                ANY},
               {"1 master B b 9 a 10, 0 master A a 15", "contested 0", ANY},
               {"2 replica C b 9", "contested 0", ANY},
               {"3 replica D b 9", "primary 1", ANY}}},
    {.name = "a forced failover: kept at first, then the old one is demoted",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", "kept"},
               {"0 nolink A a 150", "primary 1", "redis-0 stepped down"}}},
    {.name = "followers move to a promotion that lost: that is a decision of somebody",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", "kept"},
               {"2 replica C b 100", "primary 1", ANY}}},
    {.name = "but not against a primary that is only silent",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", "kept"},
               {"0 silent, 2 replica C b 100", "hold 0", "lost an election"}}},
    {.name = "what is branched off a loser has lost, too",
     .steps = {ALL_IS_WELL,
               {"1 master B b 100 a 101, 0 master A a 105", "contested 0", ANY},
               {"+ 2000", "primary 0", "kept"},
               {"1 silent, 2 nolink C a 100", "primary 0", ANY},
               {"0 silent", "hold 0", ANY},
               {"2 replica C b 110", "hold 0", ANY},
               {"2 master C c 110 b 111", "hold 0", "redis-2 claims, but lost"}}},
    {.name = "a history of other origin is no promotion, whoever presents it",
     .steps = {ALL_IS_WELL,
               {"2 replica C x 100", "primary 0", "redis-2 follows another primary"},
               {"0 silent, 2 master C y 100 x 101", "hold 0",
                "redis-2 claims, but is no promotion"}}},
    {.name = "a replica whose link never came up in this process is no promotion",
     .steps = {ALL_IS_WELL,
               {"1 nolink B2 a 50", "primary 0", ANY},
               {"0 silent, 1 master B2 b 50 a 51", "hold 0", ANY}}},
    {.name = "a promotion is not elected against followers of one that is not heard",
     .steps = {ALL_IS_WELL,
               {"0 silent, 2 replica C d 120", "hold 0", ANY},
               {"1 master B b 100 a 101", "contested 0", "redis-2 follows another primary"},
               {"2 nolink C d 120", "primary 1", ANY}}},
    {.name = "a follower that hangs on the dead primary's line speaks against nobody",
     .steps = {ALL_IS_WELL, {"0 refused, 1 master B b 100 a 101", "primary 1", ANY}}},

    {.name = "I am a replica now: at once nobody, and then whom it follows",
     .servers = 2,
     .steps = {TWO_ARE_WELL,
               {"0 nolink A a 100", "nobody unsettled",
                "redis-0 says it is a replica now, of 10.0.0.9:6379; no server claims"},
               {"1 master B b 100 a 101", "primary 1", ANY}}},
    {.name = "a server that the old primary itself has taken over is elected, however it began",
     .servers = 2,
     .steps = {TWO_ARE_WELL,
               {"1 master B2 r 50 a 51", "primary 0", ANY},
               {"0 nolink A a 100", "nobody",
                "redis-1 claims, but nothing shows who has its writes"},
               {"0 replica A r 60", "primary 1", "more replicas follow it"}}},
    {.name = "other followers are not enough for a server that restarted with old data",
     .steps = {ALL_IS_WELL,
               {"1 master B2 r 50 a 51, 2 replica C r 50", "primary 0", ANY},
               {"0 nolink A a 100", "nobody", ANY}}},
    {.name = "its last word was replica: silence does not take that back",
     .servers = 2,
     .steps = {TWO_ARE_WELL,
               {"0 nolink A a 100", "nobody", ANY},
               {"0 silent", "nobody",
                "redis-0 does not answer and said before that it is a replica"},
               {"0 denied", "nobody", ANY},
               {"0 master A a2 100 a 101", "primary 0", ANY}}},

    {.name = "cannot be asked is not down: the role is kept, stale",
     .steps = {ALL_IS_WELL,
               {"0 denied", "stale 0", "redis-0 cannot be asked; it keeps its role"},
               {"+ 500", "stale 0 settled", ANY},
               {"1 master B2 r 100 a 101", "stale 0", "redis-1 still claims, fenced"},
               {"0 master A a 130", "primary 0 settled", ANY}}},
    {.name = "stale, and a promotion claims: contested, kept if nobody follows it",
     .steps = {ALL_IS_WELL,
               {"0 denied", "stale 0", ANY},
               {"1 master B b 100 a 101", "contested 0",
                "redis-0 cannot be asked; redis-1 claims; whether redis-1 has all its writes"},
               {"+ 2000", "stale 0", ANY},
               {"+ 60000", "stale 0 settled", ANY},
               {"0 silent", "hold 0", "lost an election"}}},
    {.name = "stale, a promotion claims and the followers move: elected",
     .steps = {ALL_IS_WELL,
               {"0 denied", "stale 0", ANY},
               {"1 master B b 100 a 101, 2 replica C b 100", "primary 1", ANY}}},
    {.name = "stale, and refused in the end",
     .on_conflict = CONFLICT_REFUSE,
     .steps = {ALL_IS_WELL,
               {"0 denied, 1 master B b 100 a 101", "contested 0", ANY},
               {"+ 2000", "nobody", ANY}}},
    {.name = "stale, and all followers have left: nothing is known of it any more",
     .steps = {ALL_IS_WELL,
               {"0 denied", "stale 0", ANY},
               {"1 replica B d 120, 2 replica C d 120", "hold 0",
                "redis-1 follows another primary"}}},

    {.name = "silence holds, and ends as it began",
     .steps = {ALL_IS_WELL,
               {"0 silent", "hold 0 unsettled", "redis-0 does not answer"},
               {"+ 3600000", "hold 0 unsettled", ANY},
               {"0 master A a 100", "primary 0 settled", "the only server"}}},
    {.name = "a promotion beats a restarted primary that was not accepted yet",
     .steps = {ALL_IS_WELL,
               {"0 refused", "hold 0", ANY},
               {"1 master B b 100 a 101, 0 master A2 n 100 a 101", "primary 1", ANY}}},
    {.name = "an accepted restart is the primary: a promotion of the former history comes too late",
     .steps = {ALL_IS_WELL,
               {"0 master A2 n 100 a 101", "primary 0", "it was restarted"},
               {"1 master B b 100 a 101", "primary 0 settled", "redis-1 still claims, fenced"},
               {"0 replica A2 b 100", "primary 1", ANY}}},
    {.name = "the same process under a new history is no restart (the backlog was given up)",
     .servers = 2,
     .steps = {{"0 master A a 100, 1 nolink B a 90", "primary 0", ANY},
               {"0 master A a2 100, alone", "primary 0 settled", ANY},
               {"1 replica B a2 100", "primary 0", ANY},
               {"0 silent, 1 master B b 100 a2 101", "primary 1", ANY}}},
    {.name = "one server is enough",
     .servers = 1,
     .steps = {{"0 master A a 1", "primary 0 settled", ANY},
               {"0 refused", "hold 0", ANY},
               {"0 master A2 n 0", "primary 0 settled", "it was restarted"}}},
    {.name = "dead replicas do not keep the probes fast",
     .steps = {ALL_IS_WELL,
               {"1 refused, 2 silent", "primary 0 unsettled", ANY},
               {"+ 50", "primary 0 settled", ANY}}},
};

/* ---- reading a table ---- */

static void see_process(struct observation *o, const char *process, const char *id, long offset)
{
    snprintf(o->identity, sizeof(o->identity), "%s", process);
    snprintf(o->lineage.id, sizeof(o->lineage.id), "%s", id);
    o->lineage.offset = offset;
    o->lineage.previous_end = -1;
}

static void see_state(struct observation *o, const char *state)
{
    o->reach = strcmp(state, "silent") == 0    ? REACH_SILENT
               : strcmp(state, "refused") == 0 ? REACH_REFUSED
               : strcmp(state, "denied") == 0  ? REACH_DENIED
                                               : REACH_ANSWERED;
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    o->usable = strcmp(state, "master") == 0;
    o->link_up = strcmp(state, "replica") == 0;
    o->claim = CLAIM_REPLICA;
    if (o->usable || strcmp(state, "loading") == 0) {
        o->claim = CLAIM_PRIMARY;
    } else {
        snprintf(o->follows, sizeof(o->follows), "10.0.0.9:6379");
        assert_true(o->link_up || strcmp(state, "nolink") == 0);
    }
}

/* One observation of a step; returns the server's number. */
static size_t see(struct electorate *e, const char *text)
{
    size_t server = 0;
    char state[16] = "";
    char process[16] = "";
    char id[16] = "";
    char parent[16] = "";
    long offset = 0;
    long end = -1;
    int words = sscanf(text, " %zu %15s %15s %15s %ld %15s %ld", &server, state, process, id,
                       &offset, parent, &end);
    struct observation o = {0};
    see_state(&o, state);
    assert_true(words == 2 || words == 5 || words == 7);
    assert_true(server < e->count);
    see_process(&o, process, id, offset);
    if (words == 7) {
        snprintf(o.lineage.previous_id, sizeof(o.lineage.previous_id), "%s", parent);
        o.lineage.previous_end = end;
    }
    electorate_observe(e, server, o);
    return server;
}

static void ask_others(struct electorate *e, const bool *asked)
{
    for (size_t i = 0; i < e->count; i++) {
        if (!asked[i] && electorate_seen(e, i)->reach != REACH_UNASKED) {
            electorate_observe(e, i, *electorate_seen(e, i));
        }
    }
}

/* Plays what a step shows; an election follows each part. */
static struct verdict play_step(struct electorate *e, const char *text)
{
    bool asked[FIXTURE_SERVERS] = {false};
    bool alone = false;
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        part += strspn(part, " ");
        if (strcmp(part, "alone") == 0) {
            alone = true;
        } else if (part[0] == '+') {
            e->in.now_ms += strtoul(part + 1, NULL, 10);
        } else {
            asked[see(e, part)] = true;
            electorate_run(e);
        }
    }
    if (!alone) {
        ask_others(e, asked);
    }
    return electorate_run(e);
}

static void check_step(const struct verdict *v, const struct step *step, size_t number)
{
    char got[64];
    size_t len = (size_t)snprintf(got, sizeof(got), "%s", verdict_word(v));
    if (v->kind != VERDICT_NOBODY) {
        len += (size_t)snprintf(got + len, sizeof(got) - len, " %d", v->primary);
    }
    snprintf(got + len, sizeof(got) - len, v->settled ? " settled" : " unsettled");
    size_t compare = strlen(step->expect);
    bool right = strncmp(got, step->expect, compare) == 0 && (got[compare] == ' ' || !got[compare]);
    bool said = step->words == NULL || strstr(v->reason, step->words) != NULL;
    if (!right || !said) {
        fail_msg("step %zu, after \"%s\": expected %s (%s), got %s: %s", number, step->see,
                 step->expect, step->words ? step->words : "any words", got, v->reason);
    }
}

static void play(const struct scenario *s, const size_t *place, size_t count)
{
    struct electorate e;
    electorate_init(&e, count, place);
    e.in.on_conflict = s->on_conflict;
    e.in.paused = s->accounts_pauses ? UINT64_MAX : 0;
    for (size_t i = 0; i < STEPS && s->steps[i].see; i++) {
        struct verdict v = play_step(&e, s->steps[i].see);
        check_step(&v, &s->steps[i], i);
        struct verdict again = electorate_run(&e);
        if (verdict_differs(&v, &again)) {
            fail_msg("step %zu: \"%s\" becomes \"%s\" without cause", i, v.reason, again.reason);
        }
    }
}

/* All orders of `count` servers, by counting in the factorial system. */
static void permutation(size_t number, size_t count, size_t *place)
{
    for (size_t i = 0; i < count; i++) {
        place[i] = i;
    }
    for (size_t i = count; i > 1; i--) {
        size_t with = number % i;
        size_t kept = place[i - 1];
        number /= i;
        place[i - 1] = place[with];
        place[with] = kept;
    }
}

static void test_scenario(void **state)
{
    const struct scenario *s = *state;
    size_t count = s->servers ? s->servers : 3;
    size_t orders = 1;
    for (size_t i = 2; i <= count; i++) {
        orders *= i;
    }
    for (size_t i = 0; i < orders; i++) {
        size_t place[FIXTURE_SERVERS];
        permutation(i, count, place);
        play(s, place, count);
    }
}

int main(void)
{
    static struct CMUnitTest tests[ARRAY_LEN(scenarios)];
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        tests[i] = (struct CMUnitTest){
            .name = scenarios[i].name,
            .test_func = test_scenario,
            .initial_state = (void *)&scenarios[i],
        };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
