// What an application on Node.js does with ioredis. Arguments: port, mark, folder of node_modules.
const assert = require("assert");
const [port, mark, modules] = process.argv.slice(2);
const Redis = require(modules + "/ioredis");

const open = (options) => {
  const client = new Redis({ host: "127.0.0.1", port: Number(port), ...options });
  client.on("error", (error) => console.error("event", error.message));
  opened.push(client);
  return client;
};
const opened = [];
const key = (name) => `${mark}:${name}`;
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, (...a) => resolve(a)));

async function values() {
  const r = open();
  assert.strictEqual(await r.set(key("a"), "1"), "OK");
  assert.strictEqual(await r.get(key("a")), "1");
  assert.deepStrictEqual(await r.mget(key("a"), key("none")), ["1", null]);
  const bytes = Buffer.from([0, 13, 10, 255, 36]);
  await r.set(key("bytes"), bytes);
  assert.ok((await r.getBuffer(key("bytes"))).equals(bytes));
  await assert.rejects(r.lpush(key("a"), "x"), /WRONGTYPE/);
  const big = "x".repeat(3 << 20);
  await r.set(key("big"), big);
  assert.strictEqual(await r.get(key("big")), big);
}

async function pipelines() {
  const r = open({ enableAutoPipelining: true });
  const numbers = [...Array(2000).keys()];
  await Promise.all(numbers.map((n) => r.set(key(`n${n}`), n)));
  const got = await Promise.all(numbers.map((n) => r.get(key(`n${n}`))));
  assert.deepStrictEqual(got, numbers.map(String));
  const plain = await r.pipeline().incr(key("i")).get(key("i")).lpush(key("i"), 1).exec();
  assert.deepStrictEqual(plain.slice(0, 2), [[null, 1], [null, "1"]]);
  assert.match(plain[2][0].message, /WRONGTYPE/);
  assert.deepStrictEqual(await r.multi().incr(key("i")).get(key("i")).exec(),
    [[null, 2], [null, "2"]]);
  const seen = new Set();
  for await (const keys of r.scanStream({ match: key("n*"), count: 100 }))
    keys.forEach((k) => seen.add(k));
  assert.strictEqual(seen.size, numbers.length);
}

async function transactions() {
  const [r, other] = [open(), open()];
  await r.watch(key("w"));
  await other.set(key("w"), "theirs");
  assert.strictEqual(await r.multi().set(key("w"), "mine").exec(), null);
  assert.strictEqual(await r.get(key("w")), "theirs");
  await r.multi({ pipeline: false });
  assert.strictEqual(await r.set(key("w"), "mine"), "QUEUED");
  assert.deepStrictEqual(await r.exec(), [[null, "OK"]]);
  r.defineCommand("twice", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], 2)" });
  assert.strictEqual(await r.twice(key("t")), 2);
  await other.script("FLUSH");
  assert.strictEqual(await r.twice(key("t")), 4);
}

async function messages() {
  const [listener, r] = [open(), open()];
  assert.strictEqual(await listener.subscribe(key("ch"), key("ch2")), 2);
  assert.strictEqual(await listener.psubscribe(key("p*")), 3);
  let heard = event(listener, "message");
  assert.strictEqual(await r.publish(key("ch2"), "hello"), 1);
  assert.deepStrictEqual(await heard, [key("ch2"), "hello"]);
  heard = event(listener, "pmessage");
  await r.publish(key("p1"), "pattern");
  assert.deepStrictEqual(await heard, [key("p*"), key("p1"), "pattern"]);
  await listener.unsubscribe(key("ch"), key("ch2"));
  await listener.punsubscribe(key("p*"));
  assert.strictEqual(await r.publish(key("ch"), "nobody"), 0);
  assert.strictEqual(await listener.get(key("none")), null);
}

async function waiting() {
  const [waiter, r] = [open(), open()];
  const served = waiter.blpop(key("q"), 10);
  await r.rpush(key("q"), "job");
  assert.deepStrictEqual(await served, [key("q"), "job"]);
  assert.strictEqual(await waiter.blpop(key("q"), 0.05), null);
  await r.xadd(key("x"), "1-1", "f", "v");
  assert.deepStrictEqual(await waiter.xread("BLOCK", 50, "STREAMS", key("x"), "0"),
    [[key("x"), [["1-1", ["f", "v"]]]]]);
}

async function manners() {
  const r = open({ db: 3, connectionName: mark, keyPrefix: mark + ":" });
  await r.set("db", "three");
  assert.strictEqual(await r.client("GETNAME"), mark);
  await r.select(4);
  assert.strictEqual(await r.get("db"), null);
  await r.select(3);
  assert.strictEqual(await r.get("db"), "three");
  assert.strictEqual(await open({ db: 4 }).get(key("db")), null);
}

async function reconnects() {
  const [r, listener] = [open({ db: 5, connectionName: mark }), open()];
  await r.set(key("kept"), "1");
  await listener.subscribe(key("again"));
  for (const client of [r, listener]) {
    const ready = event(client, "ready");
    client.stream.destroy();
    await ready;
  }
  assert.strictEqual(await r.get(key("kept")), "1");
  assert.strictEqual(await r.client("GETNAME"), mark);
  const heard = event(listener, "message");
  while (await r.publish(key("again"), "x") === 0);
  assert.deepStrictEqual(await heard, [key("again"), "x"]);
}

(async () => {
  for (const part of [values, pipelines, transactions, messages, waiting, manners, reconnects]) {
    await part();
    console.log(part.name);
    await Promise.all(opened.splice(0).map((client) => client.quit()));
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
