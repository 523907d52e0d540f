<?php
// What an application in PHP does with phpredis. Arguments: port, mark.
[, $port, $mark] = $argv;
ini_set('default_socket_timeout', '20');

function same($expected, $got, string $what): void
{
    if ($expected !== $got) {
        fwrite(STDERR, "$what: " . var_export($got, true) . ' is not ' . var_export($expected, true) . "\n");
        exit(1);
    }
}

function key_of(string $name): string
{
    global $mark;
    return "$mark:$name";
}

function open(string $user = ''): Redis
{
    global $port;
    $r = new Redis();
    same(true, $r->connect('127.0.0.1', (int) $port, 5), 'connect');
    if ($user) {
        same(true, $r->auth([$user, "of-$user"]), 'auth');
    }
    return $r;
}

/** The first word of the server's error. */
function refused(callable $act): string
{
    try {
        $act();
    } catch (RedisException $e) {
        return strtok($e->getMessage(), ' ');
    }
    return 'it was not';
}

function each_by_itself(): void
{
    for ($n = 0; $n < 50; $n++) {
        $r = open();
        same($n + 1, $r->incr(key_of('count')), 'incr');
        $r->close();
    }
}

function values(): void
{
    $r = open();
    same(true, $r->set(key_of('a'), "\0\r\n\xff"), 'set');
    same("\0\r\n\xff", $r->get(key_of('a')), 'get');
    same(false, $r->get(key_of('none')), 'get nothing');
    same(['1', false], [$r->set(key_of('b'), '1') ? $r->get(key_of('b')) : '', $r->lPush(key_of('b'), 'x')], 'wrong type');
    same(true, str_contains($r->getLastError(), 'WRONGTYPE'), 'last error');
    $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    $thing = ['list' => [1, 2.5, null], 'text' => 'x', 'flag' => true];
    same(true, $r->hSet(key_of('h'), 'thing', $thing) !== false, 'hset');
    same(['thing' => $thing], $r->hGetAll(key_of('h')), 'hgetall');
    $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
    $big = str_repeat('0123456789', 200000);
    same(true, $r->set(key_of('big'), $big), 'a big one');
    same($big, $r->get(key_of('big')), 'a big one back');
}

function persistent(): void
{
    global $port, $mark;
    for ($n = 0; $n < 5; $n++) {
        $r = new Redis();
        same(true, $r->pconnect('127.0.0.1', (int) $port, 5, $mark), 'pconnect');
        same(true, $r->select($n), 'select');
        same(true, $r->set(key_of('p'), "in $n"), 'set');
        same("in $n", $r->get(key_of('p')), 'get');
        unset($r);
    }
}

function accounts(): void
{
    same('app', open('app')->acl('WHOAMI'), 'whoami');
    $reader = open('reader');
    same('NOPERM', refused(fn () => $reader->set(key_of('no'), 'x')), 'a write of the reader');
    same('default', open()->acl('WHOAMI'), 'whoami of nobody');
    $r = open();
    same('WRONGPASS', refused(fn () => $r->auth(['app', 'wrong'])), 'a wrong password');
}

function transactions(): void
{
    [$r, $other] = [open(), open()];
    same([true, '1', 2], $r->multi()->set(key_of('m'), 1)->get(key_of('m'))->incr(key_of('m'))->exec(), 'multi');
    $r->watch(key_of('m'));
    $other->set(key_of('m'), 'theirs');
    same(false, $r->multi()->set(key_of('m'), 'mine')->exec(), 'a lost race');
    $r->multi()->set(key_of('m'), 'mine')->discard();
    same('theirs', $r->get(key_of('m')), 'after discard');
    $pipe = $r->pipeline();
    for ($n = 0; $n < 1000; $n++) {
        $pipe->set(key_of("k$n"), $n);
    }
    same(array_fill(0, 1000, true), $pipe->exec(), 'pipeline');
    same([4, 'x'], $r->eval('return {redis.call("INCRBY", KEYS[1], 4), ARGV[1]}', [key_of('e'), 'x'], 1), 'eval');
    $seen = [];
    $at = null;
    while (($keys = $r->scan($at, key_of('k*'), 100)) !== false) {
        foreach ($keys as $key) {
            $seen[$key] = true;
        }
    }
    same(1000, count($seen), 'scan');
}

function messages(): void
{
    $r = open();
    $r->setOption(Redis::OPT_READ_TIMEOUT, 10);
    same([], $r->rawCommand('BLPOP', key_of('q'), '0.05'), 'an empty queue');
    open()->rPush(key_of('q'), 'job');
    same([key_of('q'), 'job'], $r->blPop([key_of('q')], 5), 'a queue');
    $r->close();
    $heard = [];
    // Within a subscription PHP can do nothing else. The child shares no connection.
    if (pcntl_fork() == 0) {
        $publisher = open();
        while ($publisher->publish(key_of('ch'), 'hello') == 0) {
            usleep(1000);
        }
        exit(0);
    }
    $r = open();
    try {
        $r->subscribe([key_of('ch')], function ($r, $channel, $text) use (&$heard) {
            $heard[] = [$channel, $text];
            $r->close(); // there is no other way out
        });
    } catch (RedisException $e) {
        same('Connection closed', $e->getMessage(), 'the end of the subscription');
    }
    pcntl_wait($status);
    same([[key_of('ch'), 'hello']], $heard, 'subscribe');
}

foreach (['each_by_itself', 'values', 'persistent', 'accounts', 'transactions', 'messages'] as $part) {
    $part();
    echo "$part\n";
}
