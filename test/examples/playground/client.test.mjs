// What client.mjs of the playground answers, on PGlite, is what supabase-js answers with a real PostgREST and server: the
// same calls in the same order, made to both.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from '../../../examples/playground/client.mjs';
import { openDatabase } from '../../../examples/playground/database.mjs';
import { orgs, people } from '../../../examples/playground/people.mjs';
import { startStack } from '../../rest/stack.mjs';

const check = (org_id, minute, status, more) => ({ org_id, integration_type: 'xledger', status, checked_at: `2026-01-01T00:${minute}:00.000123+00:00`, ...more });
const checks = [
  check(orgs.A, '01', 'healthy', { latency_ms: 80, http_status: 200 }), check(orgs.A, '02', 'unhealthy', { error: 'HTTP 401 "\\', http_status: 401 }),
  check(orgs.B, '01', 'degraded', { http_status: 429, retry_after: 60 }),
];
const pairs = [{ org_id: orgs.A, integration_type: 'xledger' }, { org_id: orgs.B, integration_type: 'xledger' }];
const ignoring = { onConflict: 'org_id,integration_type', ignoreDuplicates: true };

// Who asks, what, and the HTTP status that must come of it.
const calls = [
  ['service', 'types are upserted', (c) => c.from('integration_types').upsert([{ integration_type: 'payroll', display_name: 'Payroll' }], { onConflict: 'integration_type' }), 201],
  ['service', 'and updated by that', (c) => c.from('integration_types').upsert([
    { integration_type: 'payroll', display_name: 'Pay' }, { integration_type: 'webshop', display_name: 'Webshop' },
  ], { onConflict: 'integration_type' }), 201],
  ['service', 'types are read', (c) => c.from('integration_types').select('integration_type, display_name, monitoring_mode, passive_until'), 200],
  ['service', 'a type is refused', (c) => c.from('integration_types').upsert([{ integration_type: 'Pay roll', display_name: 'x' }], { onConflict: 'integration_type' }), 400],
  ['service', 'monitors are registered', (c) => c.from('integration_monitors').upsert(pairs, ignoring), 201],
  ['service', 'again, which changes nothing', (c) => c.from('integration_monitors').upsert(pairs, ignoring), 201],
  ['service', 'a type that is not there', (c) => c.from('integration_monitors').upsert([{ org_id: orgs.A, integration_type: 'none' }], ignoring), 409],
  ['service', 'nothing is due', (c) => c.rpc('claim_due_health_checks', { max_rows: 10 }), 200],
  ['service', 'an argument is refused', (c) => c.rpc('claim_due_health_checks', { max_rows: 0 }), 400],
  ['service', 'checks are recorded', (c) => c.rpc('record_health_checks', { checks }).abortSignal(AbortSignal.timeout(10_000)), 200],
  ['service', 'checks are refused', (c) => c.rpc('record_health_checks', { checks: [{ ...checks[0], status: 'ill' }] }), 400],
  ['service', 'a check is looked for', (c) => c.from('integration_health_history').select('check_no').match({ org_id: orgs.A, integration_type: 'xledger', checked_at: checks[1].checked_at }).limit(1), 200],
  ['service', 'and not found', (c) => c.from('integration_health_history').select('check_no').match({ org_id: orgs.C }).limit(1), 200],
  ['service', 'no report for the writer', (c) => c.rpc('get_global_health_summary'), 403],
  ['memberOfA', 'the status', (c) => c.rpc('get_org_health_status', { org_id: orgs.A }), 200],
  ['memberOfA', 'a trend', (c) => c.rpc('get_health_trend', { org_id: orgs.A, integration_type: 'xledger', hours: 720 }), 200],
  ['memberOfA', 'the whole table', (c) => c.from('integration_health_status').select().eq('integration_type', 'xledger'), 200],
  ['memberOfA', 'one row of the history', (c) => c.from('integration_health_history').select().eq('check_no', 2), 200],
  ['memberOfA', 'may not write', (c) => c.rpc('record_health_checks', { checks }), 403],
  ['memberOfA', 'the uptime', (c) => c.rpc('get_org_uptime', { org_id: orgs.A, days: 1 }), 200],
  ['memberOfA', 'no incidents for members', (c) => c.rpc('get_global_incidents'), 403],
  ['memberOfB', 'the status of another organisation', (c) => c.rpc('get_org_health_status', { org_id: orgs.A }), 200],
  ['memberOfB', 'the whole table', (c) => c.from('integration_health_status').select(), 200],
  ['memberOfA', 'the overview of one type', (c) => c.rpc('get_org_overview', { org_id: orgs.A, time_zone: 'Europe/Oslo' }).eq('integration_type', 'xledger'), 200],
  ['memberOfA', 'what is open', (c) => c.rpc('get_org_incidents', { org_id: orgs.A }).is('resolved_at', null).eq('integration_type', 'xledger').select('cause, resolved_at, integration_type'), 200],
  ['memberOfA', 'syncs', (c) => c.rpc('get_org_syncs', { org_id: orgs.A }), 200],
  ['memberOfA', 'the active types, by name', (c) => c.from('integration_types').select('integration_type, display_name').eq('monitoring_mode', 'active').order('display_name', { ascending: false }), 200],
  ['globalAdmin', 'incidents of types', (c) => c.rpc('get_global_incidents', { days: 7 }).is('org_id', null), 200],
  ['globalAdmin', 'the summary', (c) => c.rpc('get_global_health_summary'), 200],
  ['globalAdmin', 'the problems', (c) => c.rpc('get_global_health_problems'), 200],
  ['globalAdmin', 'the incidents', (c) => c.rpc('get_global_incidents'), 200],
  ['globalAdmin', 'the backlog', (c) => c.rpc('get_alert_backlog'), 200],
  ['pretender', 'the summary', (c) => c.rpc('get_global_health_summary'), 403],
  ['anon', 'the summary', (c) => c.rpc('get_global_health_summary'), 401],
  ['anon', 'the table', (c) => c.from('integration_health_status').select(), 401],
];

describe('the client of the playground', () => {
  let stack;
  let db;
  before(async () => {
    stack = await startStack({ database: 'playground_client' });
    db = await openDatabase();
  });
  after(async () => {
    await db?.close();
    await stack?.stop();
  });

  // What depends on when it was asked, or on chance, is left out; whether it is there is compared.
  const changing = ['recorded_at', 'passive_until', 'incident_id', 'alert_id', 'created_at', 'due_at'];
  const timeless = (row) => (row && typeof row === 'object'
    ? { ...row, ...Object.fromEntries(changing.filter((key) => row[key]).map((key) => [key, 'then'])) } : row);
  const answerOf = ({ data, error, status }) => ({
    status,
    data: Array.isArray(data) ? data.map(timeless) : data,
    error: error && { code: error.code, message: error.message, details: error.details?.replace(/\d{4}-[-+: \d.]+/g, 'then') ?? null, hint: error.hint },
  });

  for (const [who, what, call, status] of calls) {
    test(`${who}: ${what}`, async () => {
      const [answer, expected] = (await Promise.all([createClient(db, people[who]), stack.client(people[who])].map(call))).map(answerOf);
      assert.deepEqual(answer, expected);
      assert.equal(answer.status, status);
    });
  }
});
