// What a global admin sees of all organisations, and that nobody else does.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { eachSchema, granted, minutesAgo, orgA, orgB, orgC, people, refused } from './suite.mjs';
import { member } from './tokens.mjs';

eachSchema('global', (stack) => {
  const summary = (who) => stack.as[who].rpc('get_global_health_summary');
  const problems = (who, args) => stack.as[who].rpc('get_global_health_problems', args);

  before(async () => {
    granted(await stack.as.service.rpc('record_health_checks', {
      checks: [
        { org_id: orgA, integration_type: 'xledger', status: 'healthy', latency_ms: 40 },
        { org_id: orgB, integration_type: 'xledger', status: 'unhealthy', error: 'HTTP 500', http_status: 500, checked_at: minutesAgo(10) },
        { org_id: orgC, integration_type: 'xledger', status: 'unhealthy', checked_at: minutesAgo(20) },
        { org_id: orgA, integration_type: 'dynamics', status: 'degraded', latency_ms: 3000, checked_at: minutesAgo(60) },
        { org_id: orgB, integration_type: 'dynamics', status: 'unknown', checked_at: minutesAgo(90) },
      ],
    }));
    granted(await stack.as.service.from('integration_types').insert({ integration_type: 'payroll', display_name: 'Payroll' }));
  });

  test('the summary: one row for every integration type, by display name, with JSON numbers', async () => {
    assert.deepEqual(granted(await summary('globalAdmin')), [
      { integration_type: 'dynamics', display_name: 'Microsoft Dynamics 365', monitoring_mode: 'active', total: 2, healthy: 0, degraded: 1, unhealthy: 0, unknown: 1, healthy_pct: 0 },
      { integration_type: 'payroll', display_name: 'Payroll', monitoring_mode: 'active', total: 0, healthy: 0, degraded: 0, unhealthy: 0, unknown: 0, healthy_pct: null },
      { integration_type: 'xledger', display_name: 'Xledger', monitoring_mode: 'active', total: 3, healthy: 1, degraded: 0, unhealthy: 2, unknown: 0, healthy_pct: 33.33 },
    ]);
  });

  test('.single() and a filter on the summary', async () => {
    const row = granted(await summary('globalAdmin').eq('integration_type', 'xledger').select('integration_type, unhealthy').single());
    assert.deepEqual(row, { integration_type: 'xledger', unhealthy: 2 });
  });

  test('the problems: worst and longest first, at most max_rows', async () => {
    const pairs = (rows) => rows.map((row) => [row.org_id, row.integration_type, row.status]);
    assert.deepEqual(pairs(granted(await problems('globalAdmin'))), [
      [orgC, 'xledger', 'unhealthy'], [orgB, 'xledger', 'unhealthy'], [orgA, 'dynamics', 'degraded'], [orgB, 'dynamics', 'unknown'],
    ]);
    assert.equal(granted(await problems('globalAdmin', { max_rows: 1 })).length, 1);
    const [second] = granted(await problems('globalAdmin').eq('org_id', orgB).limit(1));
    assert.deepEqual({ ...second, checked_at: null, status_since: null }, {
      org_id: orgB, integration_type: 'xledger', display_name: 'Xledger', status: 'unhealthy', latency_ms: null, http_status: 500,
      error: 'HTTP 500', checked_at: null, status_since: null, last_healthy_at: null, consecutive_failures: 1, cause: 'server',
    });
    for (const max_rows of [0, -5, null]) refused(await problems('globalAdmin', { max_rows }), 400, '22023', /max_rows/);
  });

  test('the summary refuses callers without global_admin: 403, and says nothing else', async () => {
    for (const who of ['memberOfA', 'memberOfB', 'memberOfBoth', 'memberOfNone', 'service']) {
      refused(await summary(who), 403, '42501', /^permission denied: role global_admin is required$/);
      refused(await problems(who), 403, '42501', /^permission denied: role global_admin is required$/);
      refused(await problems(who, { max_rows: 0 }), 403, '42501');
    }
  });

  test('the summary refuses the anonymous key and an expired or forged admin: 401', async () => {
    refused(await summary('anon'), 401, '42501');
    refused(await problems('anon'), 401, '42501');
    refused(await stack.clientWith(stack.token(people.globalAdmin, -60)).rpc('get_global_health_summary'), 401, 'PGRST301');
    const [header, claims] = stack.token(people.globalAdmin).split('.');
    refused(await stack.clientWith(`${header}.${claims}.AAAA`).rpc('get_global_health_summary'), 401, 'PGRST301');
  });

  test('a global admin may be a member too; the tables show him his own organisation only', async () => {
    const both = { ...member(orgA), app_metadata: { org_id: orgA, role: 'global_admin' } };
    const client = stack.client(both);
    assert.equal(granted(await client.rpc('get_global_health_summary')).length, 3);
    const rows = granted(await client.from('integration_health_status').select('org_id'));
    assert.deepEqual([...new Set(rows.map((row) => row.org_id))], [orgA]);
    assert.deepEqual(granted(await client.rpc('get_org_health_status', { org_id: orgB })), []);
  });

  test('a service with the global admin\'s claim may read the summary', async () => {
    granted(await stack.client({ role: 'service_role', app_metadata: { role: 'global_admin' } }).rpc('get_global_health_summary'));
  });
});
