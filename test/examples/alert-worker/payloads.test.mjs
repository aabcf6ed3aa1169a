// docs/alerts.md shows a payload of each kind of alert, as the database makes it: the same keys, and values of the same kind.
// SHOW=1 prints what the database makes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { startStack } from '../../rest/stack.mjs';
import { granted } from '../../rest/suite.mjs';
import { service } from '../../rest/tokens.mjs';
import { kinds } from '../../../examples/alert-worker/config.mjs';

let stack;
let supabase;

before(async () => {
  stack = await startStack({ database: 'alert_payloads' });
  supabase = stack.client(service);
});
after(() => stack?.stop());

const call = async (name, args) => granted(await supabase.rpc(name, args));
const watch = () => call('integration_health_watch');
const record = (orgs, check) => call('record_health_checks', { checks: orgs.map((org_id) => ({ org_id, integration_type: 'xledger', ...check })) });
const down = { status: 'unhealthy', http_status: 503, error: 'HTTP 503' };

// schedule(n): n hourly syncs whose period came an hour and a half ago, so that one is missed.
async function schedule(n, changed) {
  const anchor = new Date(Date.now() - 90 * 60_000).toISOString();
  const rows = Array.from({ length: n }, () => ({ org_id: randomUUID(), integration_type: 'xledger', every: '1 hour', anchor, ...changed }));
  granted(await supabase.from('integration_sync_schedules').insert(rows));
  await stack.sql('UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor');
  return rows.map(({ org_id }) => ({ org_id, integration_type: 'xledger', scheduled_for: anchor }));
}

// Each makes alerts; in the order in which they may follow one another.
const causes = {
  async incident() {
    const [org_id] = [randomUUID()];
    await record([org_id], down);
    await record([org_id], down);
    // Nobody has acknowledged it in a day; a worker has told of it.
    await stack.sql("UPDATE integration_incidents SET alerted_at = now() - interval '25 hours'; UPDATE integration_alerts SET due_at = now()");
    await watch();
    await call('claim_alerts');
    await record([org_id], { status: 'healthy', http_status: 200 });
  },
  async 'incident of a type'() {
    const orgs = Array.from({ length: 12 }, () => randomUUID());
    await record(orgs, down);
    await record(orgs, down);
    await watch();
    await call('claim_alerts');
    await record(orgs, { status: 'healthy', http_status: 200 });
    await watch();
  },
  async 'sync that is late'() {
    const [run] = await schedule(1);
    await call('claim_sync_run', { ...run, cold_start: true });
    granted(await supabase.from('integration_sync_schedules').delete().eq('org_id', run.org_id));
  },
  async 'sync that is given up'() {
    const [run] = await schedule(1, { max_attempts: 1 });
    await call('claim_sync_run', run);
    await call('finish_sync_run', { ...run, attempt: 1, outcome: 'failed', error: 'HTTP 500' });
    granted(await supabase.from('integration_sync_schedules').delete().eq('org_id', run.org_id));
  },
  async 'sync that nobody runs'() {
    const [run] = await schedule(1);
    await watch();
    granted(await supabase.from('integration_sync_schedules').delete().eq('org_id', run.org_id));
  },
  async 'worker that does not run'() {
    await schedule(20);
    await watch();
    await stack.sql('DELETE FROM integration_sync_schedules');
  },
  async 'rate limit'() {
    await record([randomUUID()], { status: 'degraded', http_status: 429, retry_after: 600 });
    await call('resume_active_monitoring', { integration_type: 'xledger' });
  },
  async 'monitor that is silent'() {
    await call('set_monitor', { org_id: randomUUID(), integration_type: 'xledger' });
    await stack.sql("UPDATE integration_monitors SET due_at = now() - interval '1 hour'");
    await watch();
    await stack.sql('DELETE FROM integration_monitors');
  },
  async 'credential that expires'() {
    const credential_expires_at = new Date(Date.now() + 6 * 86_400_000).toISOString();
    granted(await supabase.from('integration_monitors').insert({ org_id: randomUUID(), integration_type: 'xledger', credential_expires_at }));
    await watch();
  },
};

// shapeOf(payload): its keys, and what kind of value each has; the kinds of alerts as they are.
function shapeOf(payload) {
  const kindOf = (key, value) => {
    if (value === null || typeof value !== 'string') return Array.isArray(value) ? 'list' : `${value === null ? null : typeof value}`;
    if (/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(value)) return 'uuid';
    if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) return 'time';
    return key === 'kind' ? value : 'text';
  };
  return JSON.stringify(Object.keys(payload).sort().map((key) => `${key}: ${kindOf(key, payload[key])}`));
}

test('each payload is one that the documentation shows, and it shows no other', async () => {
  const page = readFileSync(new URL('../../../docs/alerts.md', import.meta.url), 'utf8');
  const shown = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => JSON.parse(text)).filter(({ kind }) => kind);
  const shapes = new Map();
  for (const [name, make] of Object.entries(causes)) {
    await stack.sql('DELETE FROM integration_alerts');
    await make();
    const made = granted(await supabase.from('integration_alerts').select('kind, org_id, integration_type, alert_id, payload').order('created_at'));
    assert.ok(made.length > 0, name);
    for (const { payload, ...columns } of made) {
      if (process.env.SHOW) console.log(JSON.stringify(payload, null, 2));
      const { kind, org_id, integration_type, alert_id } = payload;
      assert.deepEqual({ kind, org_id, integration_type, alert_id }, columns);
      shapes.set(shapeOf(payload), `${name}: ${JSON.stringify(payload)}`);
    }
  }
  assert.deepEqual([...new Set([...shapes.keys()].map((shape) => /kind: (\w+)/.exec(shape)[1]))].sort(), [...kinds].sort());
  const documented = new Set(shown.map(shapeOf));
  for (const [shape, example] of shapes) assert.ok(documented.has(shape), `not shown: ${example}`);
  for (const shape of documented) assert.ok(shapes.has(shape), `never made: ${shape}`);
});
