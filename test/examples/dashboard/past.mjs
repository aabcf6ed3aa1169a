// past.mjs: 90 days of an organisation and its neighbours for the dashboard's tests and screenshots, written through the
// public functions; only that a schedule is older than it is takes the database's owner. The same each time but for the hour
// of day: the times count back from now.
import { granted, people } from '../../rest/suite.mjs';

const minute = 60_000, hour = 60 * minute, day = 24 * hour;

export const home = '5b0c7a52-0f7d-4f0e-9a55-0d6f0f2a1c01';
export const names = { [home]: 'Nordlys Bygg AS' };
const neighbours = Array.from({ length: 24 }, (_, n) => `7e1d${String(n).padStart(4, '0')}-3c2b-4a19-8f6e-5d4c3b2a1908`);
['Fjordkraft Verft', 'Havstein Sjømat', 'Lind & Berg', 'Granås Tre', 'Kystlaks', 'Solberg Rør', 'Elvebakken Elektro', 'Bryn Transport', 'Tindved Foods', 'Skogly Hage', 'Ravn Arkitekter',
  'Vestfold Glass', 'Nordhav Shipping', 'Myhre Maskin', 'Askeladden IT', 'Birkeland Bad', 'Dalen Mek', 'Ekeberg Eiendom', 'Furulund Fisk', 'Grønli Gartneri', 'Holmen Hotell', 'Isfjell Is', 'Jotun Bil', 'Kvist Kontor']
  .forEach((name, n) => { names[neighbours[n]] = `${name} AS`; });

// types: how each fares with the organisation: latency, and what went wrong, in hours ago (the last undefined: until now).
const refused = { status: 'unhealthy', http_status: 401, error: 'HTTP 401: the access token has been revoked' };
const broken = { status: 'unhealthy', http_status: 503, error: 'HTTP 503: Service Unavailable' };
const late = { status: 'unhealthy', cause: 'timeout', error: 'no answer in time' };
const slow = (ms) => ({ status: 'degraded', http_status: 200, latency_ms: ms, error: `slow: ${ms} ms` });
const types = [
  { integration_type: 'xledger', latency: 140, bad: [[1310, 1304, broken], [530, 527, broken], [3.4, undefined, refused]] },
  { integration_type: 'dynamics', latency: 310, bad: [[1720, 1701, late], [812, 806, slow(2900)], [266, 262, slow(2400)], [1.1, undefined, slow(2612)]] },
  { integration_type: 'bank', display_name: 'Bank feed', latency: 95, bad: [[1000, 994, broken]] },
  { integration_type: 'crm', display_name: 'CRM', latency: 210, bad: [[1450, 1446, slow(2100)]], since: 61 * 24 },
  { integration_type: 'invoicing', display_name: 'E-invoicing', latency: 180, bad: [[18, 16.5, late], [655, 652, broken]] },
  { integration_type: 'payroll', display_name: 'Payroll', latency: 60, bad: [] },
  { integration_type: 'timesheets', display_name: 'Timesheets', latency: 120, bad: [], until: 26 },
  { integration_type: 'warehouse', display_name: 'Warehouse', latency: 80, bad: [[1130, 1129, broken], [340, 331, { status: 'unknown', error: 'the monitor was being replaced' }]] },
  { integration_type: 'webshop', display_name: 'Webshop', latency: 45, bad: [[0.3, undefined, { status: 'degraded', http_status: 429, retry_after: 5400, error: 'HTTP 429: rate limited, retry after 5400 s' }]] },
  { integration_type: 'zoning', display_name: 'Land registry', latency: 400, bad: [[820, 815, broken]] },
  { integration_type: 'customs', display_name: 'Customs', never: true },
];

// random(seed): numbers from 0 to 1, the same for the same seed (mulberry32).
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// checksOf(type, n, now): every three hours of 90 days, every quarter of an hour of the last day, and while something is wrong.
function checksOf({ integration_type, latency, bad, since = 90 * 24, until = 0 }, n, now) {
  const next = random(n + 1);
  const hours = new Set();
  for (let at = since; at > 24; at -= 3) hours.add(at);
  for (let at = 24 - 0.05; at > 0; at -= 0.25) hours.add(Math.round(at * 1000) / 1000);
  for (const [from, to = 0] of bad) for (let at = from; at >= Math.max(to, 24.1); at -= 0.25) hours.add(at);
  return [...hours].filter((at) => at >= until).sort((a, b) => b - a).map((at) => {
    const wrong = bad.find(([from, to = -1]) => at <= from && at > to);
    const wave = 1 + 0.25 * Math.sin(at / 90) + 0.2 * Math.sin((at / 24) * 2 * Math.PI);
    const latency_ms = Math.round(latency * wave * (0.8 + 0.5 * next() ** 3 + (next() > 0.97 ? 1.6 : 0)));
    return {
      org_id: home, integration_type, checked_at: new Date(now - at * hour).toISOString(), status: 'healthy', http_status: 200, latency_ms,
      ...wrong?.[2], ...(wrong && !wrong[2].latency_ms && { latency_ms: wrong[2].cause ? null : latency_ms }),
    };
  });
}

const keys = ['org_id', 'integration_type', 'checked_at', 'status', 'http_status', 'latency_ms', 'error', 'cause', 'retry_after'];

// record(service, checks): all of them, in the order of their times.
export async function record(service, checks) {
  const whole = checks.map((check) => Object.fromEntries(keys.map((key) => [key, check[key] ?? null])));
  whole.sort((a, b) => (a.checked_at < b.checked_at ? -1 : 1));
  for (let first = 0; first < whole.length; first += 2000) {
    granted(await service.rpc('record_health_checks', { checks: whole.slice(first, first + 2000) }));
  }
}

// deliver(service): every alert that is due.
async function deliver(service) {
  for (;;) {
    const alerts = granted(await service.rpc('claim_alerts', { max_rows: 1000 }));
    if (alerts.length === 0) return;
    for (const { alert_id, attempt } of alerts) granted(await service.rpc('finish_alert', { alert_id, attempt, delivered: true }));
  }
}

// fill(stack): writes it all, into the database of a stack of test/rest/stack.mjs.
export async function fill(stack) {
  const [service, admin] = [stack.client(people.service), stack.client(people.globalAdmin)];
  const now = Date.now();
  const ago = (hours) => new Date(now - hours * hour).toISOString();
  granted(await service.from('integration_types').upsert(types.filter((type) => type.display_name)
    .map(({ integration_type, display_name }) => ({ integration_type, display_name })), { ignoreDuplicates: true }));
  for (const { integration_type } of types) granted(await service.rpc('set_monitor', { org_id: home, integration_type, enabled: true }));

  // what is not of today first, so that its alerts can be delivered
  const checks = types.flatMap((type, n) => (type.never ? [] : checksOf(type, n, now)));
  await record(service, checks.filter((check) => check.checked_at < ago(4)));
  await deliver(service);
  await record(service, checks.filter((check) => check.checked_at >= ago(4)));

  // the others: healthy for months, but for a bank that fails for many, and a few more
  const others = [];
  neighbours.forEach((org_id, n) => types.forEach(({ integration_type, never }, k) => {
    if (never || integration_type === 'webshop' || (n + k) % 4 === 3) return;
    others.push({ org_id, integration_type, checked_at: ago(80 * 24 - n), status: 'healthy', http_status: 200, latency_ms: 100 + n });
    if (integration_type === 'bank') for (const minutes of [47, 32, 17]) others.push({ org_id, integration_type, ...late, checked_at: ago((minutes - n / 10) / 60) });
    else if ((n * 7 + k * 3) % 53 === 5) others.push({ org_id, integration_type, ...(k % 2 ? slow(1900 + n * 7) : refused), checked_at: ago(5 + n) }, { org_id, integration_type, ...(k % 2 ? slow(1900 + n * 7) : refused), checked_at: ago(0.2) });
    else others.push({ org_id, integration_type, checked_at: ago(0.1), status: 'healthy', http_status: 200, latency_ms: 100 + n });
  }));
  await record(service, others);
  granted(await service.rpc('integration_health_watch'));

  await syncs(service, now);
  await stack.sql(`UPDATE "${stack.schema}".integration_sync_schedules SET planned_since = '${ago(3.4)}' WHERE integration_type = 'xledger'`);
  granted(await admin.rpc('set_maintenance', {
    org_id: home, integration_type: 'payroll', starts_at: ago(-20), ends_at: ago(-22), reason: 'Payroll moves to a new data centre',
  }));
  // one delivery that failed
  const [alert] = granted(await service.rpc('claim_alerts', { max_rows: 1 }));
  if (alert) granted(await service.rpc('finish_alert', { alert_id: alert.alert_id, attempt: alert.attempt, delivered: false, error: 'on-call: HTTP 503: maintenance' }));
}

// syncs(service, now): one that fails, and was missed; late and cold; on time; running; one that never ran; one switched off.
async function syncs(service, now) {
  const schedule = (integration_type, every, minutes, more) => service.rpc('set_sync_schedule', {
    org_id: home, integration_type, every, anchor: new Date(now - minutes * minute - 2 * day).toISOString(), max_attempts: 1, ...more,
  });
  const run = async (integration_type, minutes, { cold_start = false, outcome, error } = {}) => {
    const of = { org_id: home, integration_type, scheduled_for: new Date(now - minutes * minute).toISOString() };
    const claimed = granted(await service.rpc('claim_sync_run', { ...of, cold_start }));
    if (outcome) granted(await service.rpc('finish_sync_run', { ...of, attempt: (claimed[0] ?? claimed).attempt, outcome, error }));
  };
  granted(await schedule('xledger', '1 hour', 1));
  await run('xledger', 61, { outcome: 'failed', error: 'HTTP 401: the access token has been revoked' });
  await run('xledger', 1, { outcome: 'failed', error: 'HTTP 401: the access token has been revoked' });
  granted(await schedule('dynamics', '30 minutes', 14));
  await run('dynamics', 14, { cold_start: true, outcome: 'succeeded' });
  granted(await schedule('bank', '1 day', 2));
  await run('bank', 2, { outcome: 'succeeded' });
  granted(await schedule('invoicing', '15 minutes', 3));
  await run('invoicing', 3);
  granted(await schedule('payroll', '1 mon', 0, { anchor: new Date(now + 3 * day).toISOString() }));
  granted(await schedule('crm', '1 day', 5, { enabled: false }));
}
