// report.mjs: what the demo and the playground print: rounds of the health monitor, and then what each kind of caller is
// told. as(who) is a client, of supabase-js or of client.mjs, for one of the people of people.mjs.
import { createMonitor } from '../health-monitor/monitor.mjs';
import { orgs } from './people.mjs';

const rounds = 40;
const colours = { healthy: 32, degraded: 33, unhealthy: 31, unknown: 90, bold: 1, dim: 2 };
export const paint = (name, text) => (process.stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${colours[name]}m${text}\x1b[0m` : text);
export const print = (line = '') => console.log(line);
export const heading = (title, how) => print(`\n${paint('bold', title)}  ${paint('dim', how)}`);

// rowsOf(answer): the data of a call that must succeed.
function rowsOf({ data, error }) {
  if (error) throw new Error(`${error.code}: ${error.message}`);
  return data;
}

// printTable(columns, rows): columns are [title, cell(row), paint name(row), align right]; widths
// are measured without colour.
export function printTable(columns, rows) {
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

// recordRounds(as, config): runs the health monitor some dozen times as service_role.
export async function recordRounds(as, config) {
  const service = as('service');
  rowsOf(await service.from('integration_types').upsert([
    { integration_type: 'payroll', display_name: 'Payroll' }, { integration_type: 'webshop', display_name: 'Webshop' },
  ], { onConflict: 'integration_type' }));
  // the first fetch of a process is a slow one; what is no HEAD the endpoints refuse and do not count
  await fetch(config.targets[0].url);
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

async function showOrg(as) {
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

async function showUptime(as) {
  heading('How available they were', "rpc('get_org_uptime', 1 day) as a member of org A: of the time that is known, some seconds of that day");
  printTable([
    ['integration', (row) => row.display_name],
    ['uptime %', (row) => row.uptime_pct?.toFixed(2), undefined, true],
    ['coverage %', (row) => row.coverage_pct?.toFixed(2), undefined, true],
    ['incidents', (row) => row.incidents, undefined, true],
    ['time to repair', (row) => row.mttr?.replace(/(\.\d)\d*$/, '$1')],
  ], rowsOf(await as('memberOfA').rpc('get_org_uptime', { org_id: orgs.A, days: 1 })));
}

async function showIsolation(as) {
  heading('The same queries, asked by different people', 'how many rows each of them gets, or the SQLSTATE that refuses them');
  const queries = [
    ["from('integration_health_status')", (client) => client.from('integration_health_status').select()],
    ["from('integration_health_history')", (client) => client.from('integration_health_history').select()],
    ["rpc('get_org_health_status', org A)", (client) => client.rpc('get_org_health_status', { org_id: orgs.A })],
    ["rpc('get_org_health_status', org B)", (client) => client.rpc('get_org_health_status', { org_id: orgs.B })],
    ["rpc('get_health_trend', org A, 'xledger')", (client) => client.rpc('get_health_trend', { org_id: orgs.A, integration_type: 'xledger' })],
    ["rpc('get_global_health_summary')", (client) => client.rpc('get_global_health_summary')],
  ];
  const callers = [['member of org A', 'memberOfA'], ['member of org B', 'memberOfB'], ['global admin', 'globalAdmin']];
  const rows = [];
  for (const [query, ask] of queries) {
    const row = { query };
    for (const [, who] of callers) {
      const { data, error } = await ask(as(who));
      row[who] = error?.code ?? data.length;
    }
    rows.push(row);
  }
  printTable([
    ['query', (row) => row.query],
    ...callers.map(([title, who]) => [title, (row) => row[who], undefined, true]),
  ], rows);
}

async function showGlobal(as) {
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

  heading('Incidents, and why', "rpc('get_global_incidents'): two failures in a row, open ones first");
  printTable([
    ['organisation', (row) => row.org_id && orgName(row.org_id)],
    ['integration', (row) => row.display_name],
    ['cause', (row) => row.cause, () => 'unhealthy'],
    ['failures', (row) => row.failures, undefined, true],
    ['started', (row) => clock(row.started_at)],
    ['resolved', (row) => clock(row.resolved_at)],
  ], rowsOf(await admin.rpc('get_global_incidents')));

  heading('Who is to be told', "rpc('get_alert_backlog'): alerts of pairs wait a minute, in case the whole type fails");
  printTable([
    ['alert', (row) => row.kind],
    ['organisation', (row) => row.org_id && orgName(row.org_id)],
    ['integration', (row) => row.integration_type],
    ['state', (row) => row.state],
    ['due at', (row) => clock(row.due_at)],
  ], rowsOf(await admin.rpc('get_alert_backlog')));
}

async function showRefusals(as, callers) {
  heading('How the summary refuses everyone else', "rpc('get_global_health_summary')");
  const rows = [];
  for (const [caller, who] of callers) rows.push({ caller, ...await as(who).rpc('get_global_health_summary') });
  printTable([
    ['caller', (row) => row.caller],
    ['HTTP', (row) => row.status],
    ['code', (row) => row.error.code],
    ['message', (row) => row.error.message],
  ], rows);
}

// report(as, more): what is recorded, as each kind of caller sees it. more are further [caller, who] that the summary refuses.
export async function report(as, more = []) {
  await showOrg(as);
  await showUptime(as);
  await showIsolation(as);
  await showGlobal(as);
  await showRefusals(as, [
    ['a member of org A', 'memberOfA'], ['a member with global_admin in user_metadata', 'pretender'],
    ['service_role', 'service'], ['the anonymous key', 'anon'], ...more,
  ]);
}
