"""What one Redis client says, at random from a seed: commands of all kinds on keys of its own, each
with the number of replies that a server owes for it. Left out is what two servers with the same
data answer in different ways: times, random choices, the order of a hash table."""
import collections
import hashlib

from lib.resp import encode

# loose: that there is a reply of this type is all that can be said.
Command = collections.namedtuple("Command", "data replies loose", defaults=(1, False))

DATABASES = 4
LONG = 20000  # bytes: more than a router keeps of a client's commands
TYPES = ("string", "integer", "double", "null", "array", "set", "map", "bignum", "true", "false",
         "verbatim")
SCRIPTS = (
    "return redis.call('GET', KEYS[1])",
    "redis.call('SET', KEYS[1], ARGV[1]); return {1, ARGV[1], {2, false}}",
    "return redis.call('INCR', KEYS[1])",
    "return redis.pcall('LPUSH', KEYS[1], ARGV[1])",
    "return redis.error_reply('ERR ' .. ARGV[1])",
    "redis.setresp(3); return {double = 1.5}",
    "redis.call('SELECT', '1'); return redis.call('GET', KEYS[1])",
    "return not a script",
)


def inline(*words):
    return b" ".join(w if isinstance(w, bytes) else str(w).encode() for w in words) + b"\r\n"


def quoted(data):
    return b'"' + b"".join(b"\\x%02x" % byte if byte < 33 or byte > 126 or byte in b'"\\'
                           else bytes([byte]) for byte in data) + b'"'


class Talk:
    """One client's. `name` is in each of its keys and values."""

    def __init__(self, rng, name, users=None):
        self.rng = rng
        self.name = name
        self.mark = b"<%s>" % name.encode()
        self.users = users or []  # (name, password, whether it may do everything)
        self.unseen = False  # a router cannot look any more at what is answered
        self.begun = False   # a pipeline
        self.begin()

    def begin(self):
        """As a connection is when it is new, and after RESET."""
        self.protocol = 2
        self.channels, self.patterns = set(), set()
        self.free = not self.users  # may do everything
        self.known = not self.users

    @property
    def deaf(self):
        """Nothing but subscriptions is allowed."""
        return self.protocol == 2 and bool(self.channels or self.patterns)

    # Words.

    def key(self, kind):
        return b"%s:%s:%d" % (self.mark, kind.encode(), self.rng.randrange(3))

    def value(self, most=40):
        rng = self.rng
        text = self.mark + rng.choice((b"", b"\r\n", b"\0\xff", b"$5\r\nhello\r\n", b"*1\r\n",
                                       b"-ERR"))
        return text + rng.randbytes(rng.randrange(most)) if rng.random() < 0.5 else text

    def long_value(self):
        return self.mark * (self.rng.randrange(LONG // 4, LONG * 3) // len(self.mark))

    def channel(self):
        return b"%s:ch%d" % (self.mark, self.rng.randrange(3))

    # Phrases: commands that belong together.

    def speech(self):
        """What it says in one go. Several phrases are a pipeline."""
        if not self.known:
            return self.log_in()
        count = self.rng.choice((1, 1, 1, 2, 3, 5, 20)) if self.rng.random() < 0.99 else 400
        said = []
        for _ in range(count):
            self.begun = bool(said)
            said += self.phrase()
        return said

    def phrase(self):
        rng = self.rng
        if not self.known:
            return self.log_in()
        if self.deaf:
            return self.subscriptions() if rng.random() < 0.5 else [self.one()]
        chosen = rng.random()
        for share, phrase in ((0.10, self.transaction), (0.14, self.watch), (0.19, self.manner),
                              (0.23, self.subscriptions), (0.26, self.waiting),
                              (0.27, self.tracking), (0.28, self.reset), (0.33, self.script),
                              (0.335, self.mute), (0.34, self.debug)):
            if chosen < share:
                return phrase()
        if self.users and chosen < 0.36:
            return self.log_in()
        return [self.one()]

    def one(self):
        """One command with one reply, which changes nothing but data."""
        return Command(self.wrong()) if self.rng.random() < 0.07 else self.right()

    def right(self):
        rng = self.rng
        args = rng.choice(FAMILIES)(self, rng)
        if rng.random() < 0.93 or any(len(a) > 500 for a in args if isinstance(a, bytes)):
            return Command(encode(*args))
        words = [quoted(a) if isinstance(a, bytes) else a for a in args]
        before = rng.choice((b"", b"\r\n", b"\n", b"*0\r\n", b"*-1\r\n"))
        return Command(before + inline(*words))

    def wrong(self):
        rng = self.rng
        return rng.choice((
            lambda: encode("NO" + self.name, self.value()),
            lambda: encode(b"", b"x"),
            lambda: encode("GET"), lambda: encode("EXEC"), lambda: encode("DISCARD"),
            lambda: encode("SET", self.key("s")),
            lambda: encode("LPUSH", self.key("s"), self.value()),
            lambda: encode("HGET", self.key("l"), "f"),
            lambda: encode("CLIENT", "NOSUCH"),
            lambda: encode("CLIENT"),
            lambda: encode("OBJECT", "FREQ", self.key("s")),
            lambda: encode("SELECT", rng.choice(("99", "x", "-1", ""))),
            lambda: encode("EXEC", "x"),
            lambda: encode("SUBSCRIBE"),
            lambda: encode("NO" + self.name * 30, *[self.value(200)] * 9),
            lambda: inline("set", self.mark),
            lambda: encode("INCR", self.key("h")),
            lambda: encode("EVALSHA", "0" * 40, "0"),
            lambda: encode("XADD", self.key("x"), "0-0", "f", "v"),
            lambda: encode("RESTORE", self.key("s"), "0", self.value()),
        ))()

    def transaction(self, moves=True):
        """Until EXEC the server only notes what is asked of it; what changes the connection has its
        effect then, and has none if anything was refused."""
        rng = self.rng
        moves = moves and self.free and rng.random() < 0.3
        parts, after = [], []
        for _ in range(rng.choice((0, 1, 2, 5, 30))):
            if moves:
                parts.append(self.moving(after) if rng.random() < 0.3 else self.right())
            elif rng.random() < 0.05:
                parts.append(Command(encode(rng.choice(("MULTI", "WATCH")))))
            else:
                parts.append(self.one())
        end = rng.choice(("EXEC", "EXEC", "EXEC", "exec", "DISCARD"))
        if end.upper() == "EXEC":
            for change in after:
                change()
        return [Command(encode("MULTI")), *parts, Command(encode(end))]

    def moving(self, after):
        """Within a transaction: what changes the connection at its EXEC."""
        rng = self.rng
        what = rng.randrange(7)
        if what < 3:
            return Command(encode("SELECT", rng.randrange(DATABASES)))
        if what < 5:
            return Command(encode("CLIENT", "SETNAME", self.name))
        if what == 5:
            version = rng.choice((2, 3))
            after.append(lambda: setattr(self, "protocol", version))
            self.unseen = True
            return Command(encode("HELLO", version))
        channel = self.channel()
        self.unseen = True
        after.append(lambda: self.channels.add(channel))
        return Command(encode("SUBSCRIBE", channel))

    def watch(self):
        rng = self.rng
        parts = [Command(encode("WATCH", self.key("s"), self.key("l")))]
        if rng.random() < 0.5:
            parts.append(self.one())
        if rng.random() < 0.3:
            return [*parts, Command(encode("UNWATCH"))]
        return [*parts, *self.transaction(moves=False)]

    def manner(self):
        """What a connection is: its database, name, protocol."""
        rng = self.rng
        what = rng.randrange(9)
        if what < 3:
            return [Command(encode("SELECT", rng.randrange(DATABASES)))]
        if what == 3:
            named = rng.choice((self.name, "", "a b", self.name + "x"))
            return [Command(encode("CLIENT", "SETNAME", named))]
        if what in (4, 5) and self.unseen:
            return [Command(encode("CLIENT", "GETREDIR"))]
        if what == 4:
            return [Command(encode("CLIENT", "GETNAME"))]
        if what == 5:
            return [Command(encode("CLIENT", "ID"), loose=True)]
        if what == 6:
            return [Command(encode("CLIENT", "SETINFO", rng.choice(("LIB-NAME", "LIB-VER", "X")),
                                   self.name))]
        if what == 7:
            # Redis 8.0 and Valkey 8.1 crash when NO-TOUCH is on and a push serves who waits for it.
            on, between = rng.choice((("NO-EVICT", [self.one()]), ("NO-TOUCH", [])))
            return [Command(encode("CLIENT", on, "ON")), *between,
                    Command(encode("CLIENT", on, "OFF"))]
        return [self.hello()]

    def hello(self):
        rng = self.rng
        version = rng.choice((2, 3))
        args = ["HELLO", version]
        if rng.random() < 0.1:
            return Command(encode("HELLO", rng.choice(("9", "x", "1", ""))))
        if self.users and rng.random() < 0.3:
            return Command(encode("HELLO", version, "AUTH", self.users[0][0], "wrong"))
        if rng.random() < 0.3:
            args += ["SETNAME", self.name]
        self.protocol = version
        return Command(encode(*args))

    def log_in(self):
        """As one of the users, or as nobody. What fails leaves things as they are."""
        rng = self.rng
        name, password, free = rng.choice(self.users)
        if rng.random() < 0.2:
            return [Command(encode("AUTH", name, "wrong")), Command(encode("GET", self.key("s")))]
        self.known, self.free = True, free
        if rng.random() < 0.3:
            self.protocol = 3
            return [Command(encode("HELLO", 3, "AUTH", name, password))]
        return [Command(encode("AUTH", name, password))]

    def reset(self):
        """And MULTI before it, which it ends. Who is nobody then must not have much to read yet: a
        server closes such a connection."""
        if self.users and self.begun:
            return [self.one()]
        parts = [Command(encode("MULTI")), self.one()] if self.rng.random() < 0.5 else []
        self.begin()
        return [*parts, Command(encode("RESET"))]

    def subscriptions(self):
        """The order in which a server ends all subscriptions at once is not known, so of more than
        one each is named."""
        rng = self.rng
        pattern = rng.random() < 0.3
        held = self.patterns if pattern else self.channels
        word = "P" if pattern else ""
        if held and rng.random() < 0.6:
            if len(held) == 1 and rng.random() < 0.5:
                held.clear()
                return [Command(encode(word + "UNSUBSCRIBE"))]
            gone = sorted(held)[:rng.randrange(1, 4)]
            held.difference_update(gone)
            return [Command(encode(word + "UNSUBSCRIBE", *gone), len(gone))]
        if not held and rng.random() < 0.1:
            return [Command(encode(word + "UNSUBSCRIBE"))]
        names = [self.channel() + (b"*" if pattern else b"") for _ in range(rng.randrange(1, 4))]
        held.update(names)
        return [Command(encode(word + "SUBSCRIBE", *names), len(names))]

    def waiting(self):
        rng = self.rng
        seconds = rng.choice(("0.01", "0.02", "0.03"))
        return [Command(encode(*rng.choice((
            ("BLPOP", self.key("q"), self.key("r"), seconds),
            ("BRPOP", self.key("l"), seconds),
            ("BLMOVE", self.key("l"), self.key("q"), "LEFT", "RIGHT", seconds),
            ("BZPOPMIN", self.key("z"), seconds),
            ("BLMPOP", seconds, 2, self.key("l"), self.key("q"), "LEFT"),
            ("XREAD", "BLOCK", 10, "STREAMS", self.key("x"), "$"),
            ("XREAD", "BLOCK", 10, "COUNT", 2, "STREAMS", self.key("x"), "0"),
            ("WAIT", 0, 10), ("WAIT", 1, 10),
            ("BLPOP", self.key("s"), "0.01"), ("BLPOP", self.key("q"), "-1"),
        ))))]

    def tracking(self):
        """RESP3: that a key was changed is pushed after the reply to what changed it."""
        if self.protocol == 2:
            return [Command(encode("CLIENT", "TRACKING", "ON")),  # the server takes it
                    Command(encode("CLIENT", "TRACKINGINFO")),
                    Command(encode("CLIENT", "TRACKING", "OFF"))]
        key = self.key("t")
        push = 1 if self.free else 0
        return [Command(encode("CLIENT", "TRACKING", "ON")), Command(encode("GET", key)),
                Command(encode("CLIENT", "GETREDIR")),
                Command(encode("SET", key, self.value()), 1 + push),
                Command(encode("CLIENT", "TRACKING", "OFF"))]

    def mute(self):
        self.unseen = True
        if self.rng.random() < 0.5:
            return [Command(encode("CLIENT", "REPLY", "SKIP"), 0), Command(encode("PING"), 0)]
        return [Command(encode("CLIENT", "REPLY", "OFF"), 0),
                Command(encode("SET", self.key("s"), self.value()), 0),
                Command(encode("CLIENT", "REPLY", "ON"))]

    def script(self):
        rng = self.rng
        script, value = rng.choice(SCRIPTS), self.value()
        way = rng.randrange(4)
        if way == 0:
            script = f"local _ = '{self.name}'; " + script
            digest = hashlib.sha1(script.encode()).hexdigest()
            return [Command(encode("EVALSHA", digest, 1, self.key("s"), value)),
                    Command(encode("SCRIPT", "LOAD", script)),
                    Command(encode("EVALSHA", digest, 1, self.key("s"), value)),
                    Command(encode("SCRIPT", "EXISTS", digest))]
        if way == 1:
            return [Command(encode("EVAL_RO", SCRIPTS[0], 1, self.key("s")))]
        return [Command(encode("EVAL", script, 1, self.key("s"), value))]

    def debug(self):
        """Replies of every type there is."""
        kind = self.rng.choice(TYPES)
        return [Command(encode("DEBUG", "PROTOCOL", kind))]


# One command of a family. str and int are words that may stand in an inline command as they are.

def strings(t, rng):
    key = t.key("s")
    return rng.choice((
        lambda: ("SET", key, t.value()), lambda: ("SET", key, t.value()), lambda: ("GET", key),
        lambda: ("GET", key), lambda: ("SET", key, t.long_value()),
        lambda: ("SET", key, t.value(), "NX"), lambda: ("SET", key, t.value(), "XX", "GET"),
        lambda: ("GETSET", key, t.value()), lambda: ("APPEND", key, t.value()),
        lambda: ("STRLEN", key), lambda: ("GETRANGE", key, 1, rng.randrange(60)),
        lambda: ("SETRANGE", key, rng.randrange(50), t.mark), lambda: ("GETDEL", key),
        lambda: ("MSET", key, t.value(), t.key("s"), t.value()),
        lambda: ("MGET", key, t.key("s"), t.key("none"), t.key("h")),
        lambda: ("INCR", t.key("n")), lambda: ("DECRBY", t.key("n"), 7),
        lambda: ("INCRBYFLOAT", t.key("n"), "1"), lambda: ("SETBIT", t.key("b"), 77, 1),
        lambda: ("BITCOUNT", t.key("b")), lambda: ("BITFIELD", t.key("b"), "INCRBY", "u8", 0, 9),
        lambda: ("PFADD", t.key("p"), t.value()), lambda: ("PFCOUNT", t.key("p")),
    ))()


def hashes(t, rng):
    """Short values: a long one makes a table of it, whose order nobody knows."""
    key, field = t.key("h"), f"f{rng.randrange(6)}"
    return rng.choice((
        lambda: ("HSET", key, field, t.value(20)), lambda: ("HSET", key, "a", t.mark, "b", 2),
        lambda: ("HGET", key, field), lambda: ("HGETALL", key), lambda: ("HDEL", key, field),
        lambda: ("HMGET", key, field, "none", "a"), lambda: ("HKEYS", key), lambda: ("HLEN", key),
        lambda: ("HINCRBY", key, "count", 1), lambda: ("HEXISTS", key, field),
        lambda: ("HVALS", key), lambda: ("HSETNX", key, field, t.mark),
    ))()


def lists(t, rng):
    key = t.key("l")
    return rng.choice((
        lambda: ("RPUSH", key, t.value(), t.value()), lambda: ("LPUSH", key, t.value()),
        lambda: ("LPUSH", key, rng.choice(("message", "subscribe", "unsubscribe"))),
        lambda: ("LPOP", key), lambda: ("RPOP", key, 2), lambda: ("LLEN", key),
        lambda: ("LRANGE", key, 0, rng.randrange(-1, 30)), lambda: ("LTRIM", key, 0, 40),
        lambda: ("LINDEX", key, -1), lambda: ("LSET", key, 0, t.value()),
        lambda: ("LINSERT", key, "BEFORE", t.mark, t.value()), lambda: ("LREM", key, 1, t.mark),
        lambda: ("LMOVE", key, t.key("l"), "LEFT", "RIGHT"), lambda: ("LPOS", key, t.mark),
    ))()


def sets(t, rng):
    key = t.key("e")
    return rng.choice((
        lambda: ("SADD", key, t.mark + b"%d" % rng.randrange(9), t.mark),
        lambda: ("SISMEMBER", key, t.mark),
        lambda: ("SREM", key, t.mark), lambda: ("SCARD", key),
        lambda: ("SORT", key, "ALPHA", "LIMIT", 0, 5), lambda: ("SMISMEMBER", key, t.mark, "x"),
        lambda: ("SADD", t.key("i"), rng.randrange(30)), lambda: ("SMEMBERS", t.key("i")),
        lambda: ("SINTERCARD", 2, key, t.key("e")), lambda: ("SUNIONSTORE", t.key("e"), key),
    ))()


def sorted_sets(t, rng):
    key, score = t.key("z"), rng.choice((1, 2, 3, "1.5", "-inf", "1e300"))
    return rng.choice((
        lambda: ("ZADD", key, score, t.value(20)), lambda: ("ZADD", key, score, t.mark),
        lambda: ("ZRANGE", key, 0, -1, "WITHSCORES"), lambda: ("ZSCORE", key, t.mark),
        lambda: ("ZPOPMIN", key), lambda: ("ZINCRBY", key, score, t.mark),
        lambda: ("ZRANK", key, t.mark), lambda: ("ZRANGEBYSCORE", key, "(1", "+inf"),
        lambda: ("ZMSCORE", key, t.mark, "none"), lambda: ("ZUNION", 2, key, t.key("z")),
        lambda: ("GEOADD", t.key("g"), "13.361389", "38.115556", t.mark),
        lambda: ("GEOPOS", t.key("g"), t.mark, "none"),
    ))()


def streams(t, rng):
    key = t.key("x")
    return rng.choice((
        lambda: ("XADD", key, f"{rng.randrange(1, 9)}-*", "f", t.value()),
        lambda: ("XADD", key, "MAXLEN", 20, f"{rng.randrange(9, 12)}-*", "f", t.value()),
        lambda: ("XRANGE", key, "-", "+", "COUNT", 5), lambda: ("XLEN", key),
        lambda: ("XREAD", "COUNT", 3, "STREAMS", key, t.key("x"), 0, 0),
        lambda: ("XGROUP", "CREATE", key, "g", 0), lambda: ("XPENDING", key, "g"),
        lambda: ("XREADGROUP", "GROUP", "g", t.name, "COUNT", 2, "STREAMS", key, ">"),
        lambda: ("XACK", key, "g", "1-0"), lambda: ("XDEL", key, "2-0"),
        lambda: ("XREVRANGE", key, "+", "-", "COUNT", 2), lambda: ("XINFO", "STREAM", t.key("y")),
    ))()


def whole_keys(t, rng):
    key = t.key(rng.choice("shlzxq"))
    return rng.choice((
        lambda: ("DEL", key), lambda: ("EXISTS", key, key), lambda: ("TYPE", key),
        lambda: ("UNLINK", key), lambda: ("COPY", t.key("s"), t.key("s"), "REPLACE"),
        lambda: ("RENAME", t.key("l"), t.key("l")), lambda: ("OBJECT", "ENCODING", t.key("n")),
        lambda: ("EXPIREAT", key, 33177117420), lambda: ("EXPIRETIME", key),
        lambda: ("PERSIST", key), lambda: ("MOVE", key, rng.randrange(DATABASES)),
        lambda: ("TOUCH", key), lambda: ("DUMP", t.key("l")),
    ))()


def about_nothing(t, rng):
    return rng.choice((
        lambda: ("PING",), lambda: ("PING", t.mark), lambda: ("ping", t.value()),
        lambda: ("ECHO", t.value()), lambda: ("EcHo", t.mark), lambda: ("ECHO", t.long_value()),
        lambda: ("PUBLISH", t.mark + b"nobody", t.value()), lambda: ("OBJECT", "HELP"),
        lambda: ("CONFIG", "GET", "maxmemory"), lambda: ("COMMAND", "COUNT"),
        lambda: ("COMMAND", "INFO", "get", "nosuch"), lambda: ("ACL", "WHOAMI"),
        lambda: ("COMMAND", "GETKEYS", "MSET", "a", "b", "c", "d"), lambda: ("UNWATCH",),
        lambda: ("READONLY",),
    ))()


FAMILIES = (strings, strings, hashes, lists, sets, sorted_sets, streams, whole_keys, about_nothing)
