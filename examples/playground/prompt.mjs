// prompt.mjs: a small psql for the playground: SQL as whichever of the people you like.
import { createInterface } from 'node:readline';
import { orgs, people } from './people.mjs';
import { paint, print, printTable } from './report.mjs';

// What is typed, who that is, the role, and its claims; the owner needs none.
const callers = {
  '\\a': ['a member of org A', 'member_of_a', people.memberOfA],
  '\\b': ['a member of org B', 'member_of_b', people.memberOfB],
  '\\admin': ['a global admin', 'global_admin', people.globalAdmin],
  '\\writer': ['service_role, as which the monitor writes', 'service_role', people.service],
  '\\anon': ['anon, who has not signed in', 'anon', people.anon],
  '\\owner': ['postgres, who has run the migration', 'postgres', { role: 'postgres' }],
};

const help = `
SQL, each statement up to its semicolon, is run as whoever you are. You begin as a member of org A:

  SELECT integration_type, status, error FROM integration_health_status;
  SELECT checked_at, status, latency_ms FROM get_health_trend('${orgs.A}', 'payroll') LIMIT 5;

${Object.entries(callers).map(([command, [who]]) => `  ${command.padEnd(8)} become ${who}`).join('\n')}
  \\probe   run the health monitor once more
  \\?       this text
  \\q       leave; everything is gone then
`;

function text(value) {
  if (value === null) return '';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function printResult({ command, affectedRows, fields, rows }) {
  if (fields.length === 0) {
    print(`  ${command}${/^(INSERT|UPDATE|DELETE|MERGE)/.test(command) ? ` ${affectedRows}` : ''}`);
    return;
  }
  const isNumber = ({ dataTypeID }) => [20, 21, 23, 700, 701, 1700].includes(dataTypeID);
  printTable(fields.map((field, i) => [field.name, (row) => text(row[i]), undefined, isNumber(field)]), rows);
  print(paint('dim', `  (${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`));
}

// prompt(db, probe): reads and runs what is typed until there is no more.
export async function prompt(db, probe) {
  let name;
  async function become(command) {
    const [, prompted, claims] = callers[command];
    name = prompted;
    await db.query("SELECT set_config('role', $1, false), set_config('request.jwt.claims', $2, false)", [claims.role, JSON.stringify(claims)]);
  }

  async function run(line) {
    if (line.startsWith('\\') && db.isInTransaction()) {
      await db.exec('ROLLBACK');
      print('  the transaction is rolled back');
    }
    if (line === '\\?') print(help);
    else if (line === '\\probe') await probe();
    else if (Object.hasOwn(callers, line)) await become(line);
    else if (line.startsWith('\\')) print(`  ${line} is no command; \\? lists them`);
    else (await db.exec(line, { rowMode: 'array' })).forEach(printResult);
  }

  await become('\\a');
  print(help);
  const lines = createInterface({ input: process.stdin, output: process.stdin.isTTY ? process.stdout : undefined });
  lines.on('SIGINT', () => lines.close());
  let statement = '';
  const ask = () => {
    lines.setPrompt(`${name}${statement ? '->' : db.isInTransaction() ? '*=>' : '=>'} `);
    if (process.stdin.isTTY) lines.prompt();
  };
  ask();
  for await (const line of lines) {
    if (line.trim() === '\\q') break;
    statement = `${statement}${line}\n`;
    // up to a semicolon at the end of a line that is not within $$
    if (statement.trim() === '') statement = '';
    else if (statement.startsWith('\\') || (/;\s*$/.test(line) && statement.split('$$').length % 2 === 1)) {
      const whole = statement.trim();
      statement = '';
      await run(whole).catch(({ code, message, hint }) => print(`  ${paint('unhealthy', `${code ?? 'ERROR'}: ${message}`)}${hint ? `\n  ${paint('dim', hint)}` : ''}`));
    }
    ask();
  }
  lines.close();
}
