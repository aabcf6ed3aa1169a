// demo-show.mjs: the demo itself, a client and nothing more. Runs the health monitor for some dozen
// rounds as service_role, then shows what each kind of caller is told. Its argument is the file that
// demo-servers.mjs wrote; with --keep it ends by telling how to go on.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createMonitor } from '../examples/health-monitor/monitor.mjs';
import { connect } from '../test/rest/stack.mjs';

const file = process.argv[2];
const { url, psql, orgs, tokens, monitor: config } = JSON.parse(await readFile(file, 'utf8'));
const as = (who) => connect({ url, anonKey: tokens.anon, key: tokens[who] });

const rounds = 40;
const colours = { healthy: 32, degraded: 33, unhealthy: 31, unknown: 90, bold: 1, dim: 2 };
const paint = (name, text) => (process.stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${colours[name]}m${text}\x1b[0m` : text);
const print = (line = '') => console.log(line);
const heading = (title, how) => print(`\n${paint('bold', title)}  ${paint('dim', how)}`);

// rowsOf(answer): the data of a call that must succeed.
function rowsOf({ data, error }) {
  if (error) throw new Error(`${error.code}: ${error.message}`);
  return data;
}

// printTable(columns, rows): columns are [title, cell(row), paint name(row), align right]; widths
// are measured without colour.
function printTable(columns, rows) {
  const cells = rows.map((row) => columns.map(([, cell]) => String(cell(row) ?? '-')));
  const widths = columns.map(([title], i) => Math.max(title.length, ...cells.map((line) => line[i].length)));
  const pad = (text, i) => (columns[i][3] ? text.padStart(widths[i]) : text.padEnd(widths[i]));
  print(`  ${paint('dim', columns.map(([title], i) => pad(title, i)).join('  ').trimEnd())}`);
  cells.forEach((line, r) => {
    const painted = line.map((text, i) => {
      const colour = columns[i][2]?.(rows[r]);
      return colour ? paint(colour, pad(text, i)) : pad(text, i);
    });
    print(`  ${painted.join('  ').trimEnd()}`);
  });
}

const byStatus = (row) => row.status;
const ms = (row) => (row.latency_ms === null ? null : `${row.latency_ms} ms`);
const clock = (time) => time && new Date(time).toTimeString().slice(0, 8);
const ago = (time) => `${Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000))} s`;
const since = (row) => row.status_since && `${clock(row.status_since)} (${ago(row.status_since)})`;
const orgName = (id) => `org ${Object.keys(orgs).find((name) => orgs[name] === id) ?? id}`;

// sparkline(checks): oldest first; the height is the latency, from nothing to the highest of them.
function sparkline(checks) {
  const blocks = '▁▂▃▄▅▆▇█';
  const highest = Math.max(1, ...checks.map((check) => check.latency_ms ?? 0));
  return [...checks].reverse().map((check) => {
    if (check.status === 'unhealthy') return paint('unhealthy', '×');
    if (check.http_status === 429) return paint('degraded', '!');
    return paint(check.status, blocks[Math.min(7, Math.floor((8 * (check.latency_ms ?? 0)) / (highest + 1)))]);
  }).join('');
}

async function probeRounds() {
  const service = as('service');
  rowsOf(await service.from('integration_types').upsert([
    { integration_type: 'payroll', display_name: 'Payroll' }, { integration_type: 'webshop', display_name: 'Webshop' },
  ]));
  let line;
  const monitor = createMonitor({ supabase: service, config, log: (text) => { line = text; } });
  const started = Date.now();
  let checks = 0;
  for (let round = 1; round <= rounds; round++) {
    checks += (await monitor.run()).recorded;
    if (process.stdout.isTTY) process.stdout.write(`\r  round ${round} of ${rounds}, ${checks} checks recorded`);
  }
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  print(`  ${checks} checks in ${((Date.now() - started) / 1000).toFixed(1)} s. The monitor's line of the last round:`);
  print(`  ${paint('dim', line)}`);
}

async function showOrg() {
  const member = as('memberOfA');
  heading('What the dashboard of org A shows', "rpc('get_org_health_status') as a member of org A");
  const rows = rowsOf(await member.rpc('get_org_health_status', { org_id: orgs.A }));
  printTable([
    ['integration', (row) => row.display_name],
    ['status', byStatus, byStatus],
    ['since', since],
    ['latency', ms, undefined, true],
    ['HTTP', (row) => row.http_status, undefined, true],
    ['last healthy', (row) => clock(row.last_healthy_at)],
    ['mode', (row) => row.monitoring_mode],
    ['error', (row) => row.error ?? ''],
  ], rows);

  heading('The trend', "rpc('get_health_trend'), oldest to newest: height is latency, × failed, ! rate limited");
  const width = Math.max(...rows.map((row) => row.display_name.length));
  for (const { integration_type, display_name } of rows) {
    const checks = rowsOf(await member.rpc('get_health_trend', { org_id: orgs.A, integration_type }));
    const highest = Math.max(0, ...checks.map((check) => check.latency_ms ?? 0));
    const padding = ' '.repeat(rounds - checks.length);
    print(`  ${display_name.padEnd(width)}  ${sparkline(checks)}${padding}  ${paint('dim', `${String(checks.length).padStart(2)} checks, up to ${highest} ms`)}`);
  }
}

async function showOtherOrg() {
  heading('What a member of org B sees of org A', 'the same calls with another token');
  const member = as('memberOfB');
  const count = async (what, query) => print(`  ${what.padEnd(58)}  ${rowsOf(await query).length} rows`);
  await count("rpc('get_org_health_status', org A)", member.rpc('get_org_health_status', { org_id: orgs.A }));
  await count("rpc('get_health_trend', org A, 'xledger')", member.rpc('get_health_trend', { org_id: orgs.A, integration_type: 'xledger' }));
  await count("from('integration_health_status').eq('org_id', org A)", member.from('integration_health_status').select().eq('org_id', orgs.A));
  await count("from('integration_health_history'), any but org B's", member.from('integration_health_history').select().neq('org_id', orgs.B));
}

async function showGlobal() {
  heading('What a global admin sees', "rpc('get_global_health_summary')");
  const admin = as('globalAdmin');
  const number = (name) => [name, (row) => row[name], (row) => (row[name] > 0 && name in colours ? name : undefined), true];
  printTable([
    ['integration', (row) => row.display_name],
    number('total'), number('healthy'), number('degraded'), number('unhealthy'), number('unknown'),
    ['healthy %', (row) => row.healthy_pct, undefined, true],
  ], rowsOf(await admin.rpc('get_global_health_summary')));

  heading('What needs looking at', "rpc('get_global_health_problems'), worst and longest first");
  printTable([
    ['organisation', (row) => orgName(row.org_id)],
    ['integration', (row) => row.display_name],
    ['status', byStatus, byStatus],
    ['since', since],
    ['failures', (row) => row.consecutive_failures, undefined, true],
    ['error', (row) => row.error],
  ], rowsOf(await admin.rpc('get_global_health_problems')));
}

async function showRefusals() {
  heading('How the summary refuses everyone else', "rpc('get_global_health_summary')");
  const callers = [
    ['a member of org A', 'memberOfA'], ['a member with global_admin in user_metadata', 'pretender'],
    ['service_role', 'service'], ['the anonymous key', 'anon'], ['a global admin, token expired', 'expired'],
  ];
  const rows = [];
  for (const [caller, who] of callers) rows.push({ caller, ...await as(who).rpc('get_global_health_summary') });
  printTable([
    ['caller', (row) => row.caller],
    ['HTTP', (row) => row.status],
    ['code', (row) => row.error.code],
    ['message', (row) => row.error.message],
  ], rows);
}

async function showHowToGoOn() {
  const dir = file.replace(/\/[^/]*$/, '');
  const path = (name) => fileURLToPath(new URL(name, import.meta.url));
  await writeFile(`${dir}/monitor.json`, JSON.stringify(config, null, 2));
  heading('Left running', `until: ${path('demo')} --stop ${dir}`);
  print(`  psql        ${psql}`);
  print(`  Supabase    ${url}  (REST at ${url}/rest/v1)`);
  print(`  one round   SUPABASE_URL=${url} SUPABASE_SERVICE_ROLE_KEY=$SERVICE \\\n              node ${path('../examples/health-monitor/main.mjs')} ${dir}/monitor.json`);
  print('\n  Tokens, good for a week, to paste into a shell:');
  for (const [name, who] of [['ANON', 'anon'], ['SERVICE', 'service'], ['MEMBER_A', 'memberOfA'], ['MEMBER_B', 'memberOfB'], ['ADMIN', 'globalAdmin']]) {
    print(`${name}=${tokens[who]}`);
  }
  const curl = (call, token, body) => print(`curl -s ${url}/rest/v1/rpc/${call} -H "apikey: $ANON" -H "Authorization: Bearer $${token}" \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`);
  print('\n  And to try with curl:');
  curl('get_org_health_status', 'MEMBER_A', { org_id: orgs.A });
  curl('get_health_trend', 'MEMBER_A', { org_id: orgs.A, integration_type: 'xledger', hours: 1 });
  curl('get_global_health_summary', 'ADMIN', {});
}

print(`${paint('bold', 'integration_health')}: ${rounds} rounds of HEAD requests to local endpoints, recorded as service_role through`);
print('health monitor -> supabase-js -> PostgREST -> record_health_checks');
await probeRounds();
await showOrg();
await showOtherOrg();
await showGlobal();
await showRefusals();
if (process.argv[3] === '--keep') await showHowToGoOn();
print();
