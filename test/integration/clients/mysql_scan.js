// Arguments: folder of node_modules, host, port, user, password. Says much to a server of MySQL's
// and prints, for each text, what it was told: error, warnings and insert id, where it knows.
const [, , modules, host, port, user, password] = process.argv;
const mysql = require(modules + "/mysql2/promise");

async function told(asked) {
  try {
    const [result] = await asked;
    const one = Array.isArray(result) ? null : result;
    return [0, one && one.warningStatus, one && one.insertId];
  } catch (error) {
    return [error.errno, null, null];
  }
}

(async () => {
  const link = await mysql.createConnection({ host, port: Number(port), user, password,
    database: "test", multipleStatements: true });
  const answers = [];
  for (const text of ["SELECT 1", "SELECT id, v FROM t", "INSERT INTO t (v) VALUES ('js')",
    "nonsense", "SELECT 1/0", "SELECT id FROM t WHERE 0", "UPDATE t SET u = u + 0 WHERE id = 1",
    "CALL begins()", "ROLLBACK", "CALL several()", "CALL cursed()", "SELECT 1; DO 1; SELECT 2",
    "SELECT 1; nonsense", "USE test", "SELECT REPEAT('x', 300000)"])
    answers.push(await told(link.query(text)));
  for (const text of ["SELECT id, v FROM t WHERE id > ?", "INSERT INTO t (u) VALUES (?)",
    "SELECT id FROM t WHERE id = f() + ? - 1", "DO ?"])
    for (let i = 0; i < 2; i++) await told(link.execute(text, [1]));
  await told(link.execute("CALL several()"));
  await told(link.execute("CALL cursed()"));
  await link.ping();
  await link.beginTransaction();
  await link.rollback();
  // Many at once: they wait in the client.
  await Promise.all([1, 2, 3, 4, 5].map((n) => told(link.query("SELECT ?", [n]))));
  await link.end();
  console.log(JSON.stringify(answers));
})();
