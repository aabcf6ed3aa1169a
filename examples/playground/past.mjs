// past.mjs: records what was in a world of world.mjs up to its moment, through the functions that applications call, and no
// others. Checks take their time along. What the database stamps with its own clock cannot lie in the past: the runs of syncs
// and the alerts begin now.
import { interval, types, viewers } from './world.mjs';

const hour = 3_600_000;
const day = 24 * hour;

// dataOf(answer): what a call that must succeed returned.
export function dataOf({ data, error }) {
  if (error) throw new Error(`${error.code}: ${error.message}${error.details ? ` (${error.details})` : ''}`);
  return data;
}

// inTurn(n, things, work): calls work with each, n at a time.
async function inTurn(n, things, work) {
  const left = things.values();
  await Promise.all(Array.from({ length: n }, async () => { for (const thing of left) await work(thing); }));
}

// checksOf(world, pair, every): yields the checks of a pair, oldest first: one every so many hours, all around a change of the status,
// and in the last 24 hours all. Of what fails then, fewer, because a monitor waits for its backoff.
export function* checksOf(world, pair, every = 1) {
  const { find, stateOf, now } = world;
  const first = Math.ceil((pair.since - pair.phase) / interval) * interval + pair.phase;
  let failures = 0;
  let waitsUntil = 0;
  let before;
  let state = stateOf(pair, first);
  for (let at = first, n = 0; at <= now; at += interval, n++) {
    const next = stateOf(pair, at + interval);
    const isMade = at > now - day ? at >= waitsUntil : n % (4 * every) === 0 || state !== before || state !== next;
    if (state && isMade) {
      const check = find(pair, at);
      yield check;
      failures = check.status === 'unhealthy' ? failures + 1 : 0;
      waitsUntil = at + (failures > 1 ? Math.min(hour, interval * 2 ** (failures - 1)) : 0);
    } else if (!state && before && !pair.silences.some(({ to }) => to === Infinity)) {
      yield silenceOf(pair, at - interval);
      failures = 0;
      waitsUntil = 0;
    }
    before = state;
    state = next;
  }
}

// silenceOf(pair, last): what mark_stale_health records when two intervals have passed since the last check.
const silenceOf = ({ org_id, integration_type }, last) => ({
  org_id,
  integration_type,
  status: 'unknown',
  checked_at: new Date(last + 2 * interval + 60_000).toISOString(),
  error: `no check since ${new Date(last).toISOString().slice(0, 19)}Z`,
});

// batches(world, every, length): yields arrays of checks, each of length milliseconds of all pairs. Short ones keep the versions
// of a row few that a transaction makes.
export function* batches(world, every, length = day) {
  const series = world.pairs.map((pair) => checksOf(world, pair, every));
  const heads = series.map((checks) => checks.next().value);
  for (let end = world.begins + length; heads.some(Boolean); end += length) {
    const batch = [];
    heads.forEach((head, i) => {
      for (; heads[i] && Date.parse(heads[i].checked_at) < end; heads[i] = series[i].next().value) batch.push(heads[i]);
    });
    if (batch.length > 0) yield batch;
  }
}

// recordPast(as, world, { every, progress }): as(claims) is a client, of supabase-js or of client.mjs; every is the number of
// hours between checks longer than a day ago. Returns how many checks were recorded.
export async function recordPast(as, world, { every = 1, progress = () => {} } = {}) {
  const service = as({ role: 'service_role' });
  const call = async (name, args) => dataOf(await service.rpc(name, args));
  dataOf(await service.from('integration_types').upsert(types, { onConflict: 'integration_type' }));

  let recorded = 0;
  for (const checks of batches(world, every)) {
    recorded += await call('record_health_checks', { checks });
    progress(Math.min(1, (Date.parse(checks.at(-1).checked_at) - world.begins) / (world.now - world.begins)), recorded);
  }

  const iso = (at) => new Date(at).toISOString();
  for (const { from, to, reason } of world.maintenance) {
    await call('set_maintenance', { org_id: null, integration_type: 'hours', starts_at: iso(from), ends_at: iso(to), reason });
  }
  await inTurn(4, world.pairs.filter((pair) => world.find(pair, world.now)), ({ org_id, integration_type }) => call('set_monitor', { org_id, integration_type }));
  await recordPresent(as, call, world);
  return recorded;
}

// recordPresent(as, call, world): what there is besides checks, at its moment.
async function recordPresent(as, call, world) {
  const { org_id } = viewers.memberOfA;
  // A system that has had enough. It was asked once: an older answer like that would have put it into passive mode, too.
  await call('record_health_check', { org_id, integration_type: 'webshop', status: 'degraded', http_status: 429, latency_ms: 31, error: 'HTTP 429: rate limited, retry after 2700 s', retry_after: 2700 });
  // The bank fails everywhere, which is an incident of the type.
  await call('integration_health_watch');
  // One incident is taken on; its alert has reached nobody.
  const [open] = dataOf(await as(viewers.globalAdmin.claims).rpc('get_global_incidents', {})).filter((each) => each.resolved_at === null && each.cause === 'auth' && each.org_id !== org_id);
  dataOf(await as(viewers.globalAdmin.claims).rpc('acknowledge_incident', { incident_id: open.incident_id, note: 'the customer orders a new client secret' }));
  const alerts = await call('claim_alerts', { max_rows: 10 });
  for (const { alert_id, attempt, kind } of alerts) {
    await call('finish_alert', { alert_id, attempt, delivered: kind !== 'type_passive', error: kind === 'type_passive' ? 'HTTP 502' : null });
  }
  await recordSyncs(call, org_id);
}

// The schedules of syncs, whose first period lies seconds ago, or minutes where it is late: [type, every, seconds, how it ends].
const syncs = [
  ['xledger', '1 hour', 2, 'succeeded'],
  ['dynamics', '1 day', 720, 'succeeded', { cold_start: true }],
  ['payroll', '1 hour', 200, 'failed', { error: 'HTTP 503: Service Unavailable' }],
  ['warehouse', '6 hours', 60, 'succeeded', { cold_start: true }],
  ['hours', '1 hour', 30],
  ['bank', '4 hours', 420, 'failed', { error: 'no answer within 10000 ms', max_attempts: 1 }],
];

async function recordSyncs(call, org_id) {
  for (const [integration_type, every, ago, outcome, { cold_start = false, error = null, max_attempts = null } = {}] of syncs) {
    const anchor = new Date(Math.floor(Date.now() / 1000 - ago) * 1000).toISOString();
    await call('set_sync_schedule', { org_id, integration_type, every, anchor, max_attempts, retry_backoff: '5 minutes' });
    const { attempt } = [await call('claim_sync_run', { org_id, integration_type, scheduled_for: anchor, cold_start, lease: '1 hour' })].flat()[0];
    if (outcome) await call('finish_sync_run', { org_id, integration_type, scheduled_for: anchor, attempt, outcome, error });
  }
  // Nobody runs this one: a worker that was never deployed.
  await call('set_sync_schedule', { org_id, integration_type: 'crm', every: '1 hour', anchor: new Date(Math.ceil(Date.now() / 60_000) * 60_000).toISOString() });
}
