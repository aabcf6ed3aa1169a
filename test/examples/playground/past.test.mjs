// The past that world.mjs and past.mjs make for the demo: recorded through the API alone, it is what the world says it was, and
// breaks no guarantee.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { checksOf, dataOf, recordPast } from '../../../examples/playground/past.mjs';
import { createWorld, organisations, types, viewers } from '../../../examples/playground/world.mjs';
import { startStack } from '../../rest/stack.mjs';

const day = 86_400_000;
const dayOf = (at) => new Date(at).toISOString().slice(0, 10);

test('the same moment and seed make the same world, another seed another one', () => {
  const now = Date.parse('2026-03-02T10:20:00Z');
  const first = (settings) => {
    const world = createWorld({ now, ...settings });
    return JSON.stringify(world.pairs.slice(0, 12).map((pair) => [...checksOf(world, pair, 24)]));
  };
  assert.equal(first({ seed: 7 }), first({ seed: 7 }));
  assert.notEqual(first({ seed: 7 }), first({ seed: 8 }));
});

for (const [what, moment] of [['on a Sunday at midnight', '2026-03-01T00:00:00Z'], ['in maintenance', '2026-03-01T02:10:00Z'], ['on a leap day', '2028-02-29T23:59:59Z']]) {
  test(`checks are in the order of time, none is ahead, and a steady pair has 96 in the last day: ${what}`, () => {
    const world = createWorld({ now: Date.parse(moment) });
    assert.equal(world.pairs.length, organisations.flatMap((each) => each.types).length);
    for (const pair of world.pairs) {
      const times = [...checksOf(world, pair, 6)].map((check) => Date.parse(check.checked_at));
      assert.ok(times.every((at, i) => i === 0 || at > times[i - 1]), 'in order');
      assert.ok(times.at(-1) <= world.now, 'none ahead');
      if (pair.integration_type === 'xledger') assert.equal(times.filter((at) => at > world.now - day).length, 96);
    }
  });
}

describe('the past', () => {
  const world = createWorld({ now: Date.now() });
  const { org_id } = viewers.memberOfA;
  let stack;
  let rpc;
  let admin;
  before(async () => {
    stack = await startStack({ database: 'playground_past' });
    await recordPast(stack.client, world, { every: 6 });
    rpc = async (name, args) => dataOf(await stack.client(viewers.memberOfA.claims).rpc(name, { org_id, ...args }));
    admin = async (name, args) => dataOf(await stack.client(viewers.globalAdmin.claims).rpc(name, args));
  });
  after(() => stack?.stop());

  const uptime = async (integration_type, days) => (await rpc('get_org_uptime', { days })).find((row) => row.integration_type === integration_type);
  const daysOf = (integration_type) => rpc('get_uptime_days', { integration_type });
  // between(value, from, to): that it is a number between these.
  const between = (value, from, to) => assert.ok(typeof value === 'number' && value >= from && value <= to, `${value} is not from ${from} to ${to}`);

  test('violates no guarantee', async () => {
    const sql = (await readFile(new URL('../../fixtures/violations.sql', import.meta.url), 'utf8')).replaceAll('$1', 'false');
    assert.equal(await stack.sql(sql), '');
  });

  test('every pair of the world has a status, and nothing else has', async () => {
    const keys = (rows) => rows.map((row) => `${row.org_id} ${row.integration_type}`).sort();
    const stored = dataOf(await stack.client({ role: 'service_role' }).from('integration_health_status').select('org_id, integration_type'));
    assert.deepEqual(keys(stored), keys(world.pairs));
    assert.equal((await admin('get_global_health_summary')).reduce((sum, row) => sum + row.total, 0), world.pairs.length);
  });

  test('a solid system was up for all of the 90 days, and each day is known', async () => {
    const { uptime_pct, coverage_pct, incidents } = await uptime('xledger', 90);
    assert.deepEqual({ uptime_pct, coverage_pct, incidents }, { uptime_pct: 100, coverage_pct: 100, incidents: 0 });
    const days = await daysOf('xledger');
    assert.equal(days.length, 90);
    assert.ok(days.every((each) => each.uptime_pct === 100 && each.coverage_pct === 100 && each.worst === 'healthy'));
    assert.ok((await rpc('get_health_trend', { integration_type: 'xledger' })).length >= 94, 'a check every quarter of an hour');
  });

  test('a system that is slow in some nights is degraded for three hours of these days, and was up', async () => {
    assert.equal((await uptime('dynamics', 90)).uptime_pct, 100);
    const days = (await daysOf('dynamics')).slice(1, -1);
    const slow = days.filter((each) => each.worst === 'degraded');
    assert.ok(days.every((each) => each.uptime_pct === 100 && ['healthy', 'degraded'].includes(each.worst)));
    between(slow.length, 20, 55);
    const { degraded_s } = await uptime('dynamics', 90);
    between(degraded_s / 3600, slow.length * 3 - 1, (slow.length + 2) * 3 + 1);
  });

  test('one that flaps has many short incidents, all resolved or just begun', async () => {
    const { uptime_pct, coverage_pct, incidents } = await uptime('payroll', 90);
    between(uptime_pct, 98, 99.9);
    assert.equal(coverage_pct, 100);
    between(incidents, 2, 35);
    const found = (await rpc('get_org_incidents', { days: 90 })).filter((each) => each.integration_type === 'payroll');
    assert.ok(found.every((each) => each.cause === 'server' && Date.parse(each.resolved_at ?? world.now) - Date.parse(each.started_at) <= 2 * 3_600_000));
  });

  test('an outage of hours is an incident of that time, with its cause', async () => {
    const found = (await rpc('get_org_incidents', { days: 90 })).filter((each) => each.integration_type === 'bank' && each.cause === 'server');
    assert.equal(found.length, 1);
    const [{ started_at, confirmed_at, resolved_at }] = found;
    assert.equal(dayOf(Date.parse(started_at)), dayOf(world.now - 12 * day));
    between((Date.parse(resolved_at) - Date.parse(started_at)) / 3_600_000, 3.75, 4.25);
    assert.ok(confirmed_at > started_at && confirmed_at < resolved_at);
    between((await daysOf('bank')).at(-13).uptime_pct, 82, 84.4);
  });

  test('a refused credential is an open incident from the first failure on', async () => {
    const [open] = (await rpc('get_org_incidents')).filter((each) => each.integration_type === 'tax');
    assert.equal(open.resolved_at, null);
    assert.deepEqual([open.cause, open.confirmed_at], ['auth', open.started_at]);
    assert.equal((await uptime('tax', 1)).uptime_pct, 0);
    between((await uptime('tax', 7)).uptime_pct, 69, 70.2);
  });

  test('days on which nobody checked are grey: neither up nor down', async () => {
    const days = await daysOf('invoices');
    const grey = days.filter((each) => each.uptime_pct === null).map((each) => each.day);
    assert.deepEqual(grey, [19, 18, 17, 16].map((ago) => dayOf(world.now - ago * day)));
    assert.ok(days.filter((each) => grey.includes(each.day)).every((each) => each.coverage_pct === 0 && each.worst === 'unknown'));
  });

  test('what was connected 40 days ago has no data before', async () => {
    const days = await daysOf('crm');
    const first = dayOf(world.pairOf(organisations[0], 'crm').since + 15 * 60_000);
    assert.ok(days.every((each) => (each.day < first ? each.uptime_pct === null && each.coverage_pct === 0 : each.uptime_pct === 100)));
    between((await uptime('crm', 90)).coverage_pct, 44, 44.5);
  });

  test('a latency that grows is seen to grow', async () => {
    const days = (await rpc('get_latency_days', { integration_type: 'warehouse' })).filter((each) => each.p50_ms !== null);
    between(days.length, 89, 90);
    assert.ok(days.at(-2).p50_ms > 4 * days[0].p50_ms, `${days[0].p50_ms} to ${days.at(-2).p50_ms} ms`);
  });

  test('what failed in maintenance costs no uptime, and a whole day of it is no data', async () => {
    const { uptime_pct, planned_s, incidents } = await uptime('hours', 90);
    assert.equal(uptime_pct, 100);
    between(planned_s / 3600, 24 + 11 * 4, 24 + 13 * 4);
    assert.ok(incidents >= 11, `${incidents}`);
    const grey = (await daysOf('hours')).filter((each) => each.uptime_pct === null);
    assert.deepEqual(grey.map((each) => [each.day, each.worst]), [[dayOf(world.now - 30 * day), null]]);
  });

  test('a system that has had enough is passive, until a time that is still to come', async () => {
    const { monitoring_mode, is_stale, cause } = (await rpc('get_org_health_status')).find((row) => row.integration_type === 'webshop');
    assert.deepEqual([monitoring_mode, is_stale, cause], ['passive', false, 'rate_limited']);
    const passive = dataOf(await stack.client(viewers.memberOfB.claims).from('integration_types').select('integration_type, passive_until').eq('monitoring_mode', 'passive'));
    assert.deepEqual(passive.map((type) => type.integration_type), ['webshop']);
    between((Date.parse(passive[0].passive_until) - Date.now()) / 60_000, 30, 45);
  });

  test('a type fails for all who have it; the alerts of its pairs are withdrawn', async () => {
    const incidents = await admin('get_global_incidents', { days: 1, max_rows: 1000 });
    const [{ integration_type, resolved_at, failures }] = incidents.filter((each) => each.org_id === null);
    assert.deepEqual([integration_type, resolved_at], ['bank', null]);
    between(failures, 10, organisations.length);
    const backlog = await admin('get_alert_backlog');
    assert.deepEqual(backlog.filter((each) => each.org_id !== null && each.integration_type === 'bank' && each.kind === 'incident_opened'), []);
    assert.ok(backlog.every((each) => each.state !== 'dead'));
    assert.ok(backlog.some((each) => each.kind === 'type_passive' && each.error === 'HTTP 502'));
  });

  test('one incident is taken on by somebody', async () => {
    const taken = (await admin('get_global_incidents', { max_rows: 1000 })).filter((each) => each.acknowledged_at !== null);
    assert.deepEqual(taken.map((each) => [each.cause, each.acknowledged_by, each.resolved_at]), [['auth', 'per.vakt', null]]);
  });

  test('a member of one organisation sees all well, of another old data', async () => {
    const rowsOf = async ({ claims, org_id: of }) => dataOf(await stack.client(claims).rpc('get_org_health_status', { org_id: of })).filter((row) => row.checked_at !== null);
    const wells = await rowsOf(viewers.memberOfB);
    assert.equal(wells.length, organisations[1].types.length);
    assert.ok(wells.every((row) => ['healthy', 'degraded'].includes(row.status) && row.is_stale === false));
    assert.deepEqual((await rowsOf(viewers.memberOfC)).filter((row) => row.is_stale).map((row) => row.integration_type), ['warehouse']);
  });

  test('syncs are on time, late, cold, failed, running and given up', async () => {
    const runs = dataOf(await stack.client(viewers.memberOfA.claims).from('integration_sync_runs').select('integration_type, outcome, error'));
    assert.deepEqual(Object.fromEntries(runs.map((run) => [run.integration_type, run.outcome])), {
      xledger: 'succeeded', dynamics: 'succeeded', payroll: 'failed', warehouse: 'succeeded', hours: 'running', bank: 'failed',
    });
    assert.deepEqual((await rpc('get_sync_drift')).map((run) => run.integration_type).sort(), ['bank', 'dynamics']);
    assert.deepEqual((await rpc('get_cold_starts')).map((run) => run.integration_type).sort(), ['dynamics', 'warehouse']);
    assert.equal(await stack.sql("SELECT payload->>'given_up', delivered_at IS NOT NULL FROM integration_alerts WHERE kind = 'sync_missed' AND integration_type = 'bank'"), 'true|f');
  });

  test('all types are there', async () => {
    assert.deepEqual((await rpc('get_org_health_status')).map((row) => row.integration_type).sort(), types.map((type) => type.integration_type).sort());
  });
});
