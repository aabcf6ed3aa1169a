// What an organisation's dashboard reads as authenticated: functions and tables, filters, embeds.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { eachSchema, granted, orgA, orgB, refused } from './suite.mjs';

eachSchema('dashboard', (stack) => {
  const orgStatus = (who, org_id = orgA) => stack.as[who].rpc('get_org_health_status', { org_id });
  const trend = (who, args) => stack.as[who].rpc('get_health_trend', { org_id: orgA, integration_type: 'xledger', ...args });

  before(async () => {
    // one clock for all of them: the differences are compared to the millisecond
    const now = Date.now();
    const ago = (minutes) => new Date(now - minutes * 60_000).toISOString();
    const xledger = { org_id: orgA, integration_type: 'xledger', http_status: 200 };
    granted(await stack.as.service.rpc('record_health_checks', {
      checks: [
        { ...xledger, status: 'healthy', latency_ms: 100, checked_at: ago(30 * 60) },
        { ...xledger, status: 'healthy', latency_ms: 110, checked_at: ago(90) },
        { ...xledger, status: 'unhealthy', latency_ms: 120, http_status: 500, error: 'HTTP 500', checked_at: ago(45) },
        { ...xledger, status: 'unhealthy', latency_ms: 130, http_status: 502, error: 'HTTP 502', checked_at: ago(40) },
        { org_id: orgB, integration_type: 'dynamics', status: 'healthy' },
      ],
    }));
  });

  test('org status returns that org\'s rows: one for every integration type, by display name', async () => {
    const rows = granted(await orgStatus('memberOfA'));
    assert.deepEqual(rows.map((row) => row.display_name), ['Microsoft Dynamics 365', 'Xledger']);
    const [dynamics, xledger] = rows;
    assert.deepEqual(dynamics, {
      integration_type: 'dynamics', display_name: 'Microsoft Dynamics 365', status: 'unknown', latency_ms: null, http_status: null,
      error: null, checked_at: null, status_since: null, last_healthy_at: null, consecutive_failures: 0, is_stale: null,
      monitoring_mode: 'active', cause: null,
    });
    const { checked_at, status_since, last_healthy_at, ...rest } = xledger;
    assert.deepEqual(rest, {
      integration_type: 'xledger', display_name: 'Xledger', status: 'unhealthy', latency_ms: 130, http_status: 502,
      error: 'HTTP 502', consecutive_failures: 2, is_stale: true, monitoring_mode: 'active', cause: 'server',
    });
    assert.equal(Date.parse(checked_at) - Date.parse(status_since), 5 * 60_000);
    assert.equal(Date.parse(status_since) - Date.parse(last_healthy_at), 45 * 60_000);
  });

  test('filters, order, columns and .single() on what a function returns', async () => {
    const xledger = () => orgStatus('memberOfA').eq('integration_type', 'xledger');
    assert.equal(granted(await xledger().single()).latency_ms, 130);
    const one = granted(await xledger().select('integration_type, status').single());
    assert.deepEqual(one, { integration_type: 'xledger', status: 'unhealthy' });
    const names = granted(await orgStatus('memberOfA').select('display_name').order('display_name', { ascending: false }));
    assert.deepEqual(names.map((row) => row.display_name), ['Xledger', 'Microsoft Dynamics 365']);
    assert.deepEqual(granted(await orgStatus('memberOfA').in('status', ['healthy', 'degraded'])), []);
    assert.equal(granted(await trend('memberOfA').limit(1)).length, 1);
    refused(await orgStatus('memberOfA').single(), 406, 'PGRST116');
    assert.equal(granted(await orgStatus('memberOfA').eq('status', 'healthy').maybeSingle()), null);
  });

  test('a count of what a function returns', async () => {
    const answer = await stack.as.memberOfA.rpc('get_org_health_status', { org_id: orgA }, { count: 'exact' });
    assert.equal(granted(answer, 200).length, 2);
    assert.equal(answer.count, 2);
  });

  test('the functions answer to GET too, in the read-only transaction that PostgREST gives them', async () => {
    const answer = await stack.as.memberOfA.rpc('get_health_trend', { org_id: orgA, integration_type: 'xledger', hours: 2 }, { get: true });
    assert.equal(granted(answer, 200).length, 3);
    granted(await stack.as.globalAdmin.rpc('get_global_health_summary', {}, { get: true }), 200);
    refused(await stack.as.service.rpc('mark_stale_health', {}, { get: true }), 405, '25006');
  });

  test('trend respects hours and is newest first', async () => {
    const numbers = async (args) => granted(await trend('memberOfA', args)).map((row) => row.check_no);
    assert.deepEqual(await numbers({}), [4, 3, 2]);
    assert.deepEqual(await numbers({ hours: 1 }), [4, 3]);
    assert.deepEqual(await numbers({ hours: 48 }), [4, 3, 2, 1]);
    assert.deepEqual(await numbers({ hours: 720 }), [4, 3, 2, 1]);
    const [newest] = granted(await trend('memberOfA'));
    assert.deepEqual(Object.keys(newest), ['checked_at', 'status', 'latency_ms', 'http_status', 'error', 'check_no', 'cause']);
  });

  test('hours outside 1 to 720, or null: 400 22023, also where there is nothing to see', async () => {
    for (const hours of [0, -1, 721, null]) {
      refused(await trend('memberOfA', { hours }), 400, '22023', /hours must be between 1 and 720/);
      refused(await trend('memberOfNone', { hours }), 400, '22023', /hours must be between 1 and 720/);
    }
    refused(await trend('memberOfA', { hours: 'all' }), 400, '22P02');
    refused(await trend('memberOfA', { hours: 1e10 }), 400, '22003');
  });

  test('an unknown integration type has no trend, a malformed org is an error: 400 22P02', async () => {
    assert.deepEqual(granted(await trend('memberOfA', { integration_type: 'telepathy' })), []);
    refused(await trend('memberOfA', { org_id: 'acme' }), 400, '22P02');
    refused(await orgStatus('memberOfA', 'acme'), 400, '22P02');
    assert.deepEqual(granted(await orgStatus('memberOfA', null)), []);
  });

  test('an argument missing or misspelt is no function: 404 PGRST202', async () => {
    refused(await stack.as.memberOfA.rpc('get_org_health_status'), 404, 'PGRST202');
    refused(await stack.as.memberOfA.rpc('get_org_health_status', { org: orgA }), 404, 'PGRST202');
    refused(await stack.as.memberOfA.rpc('get_health_trend', { org_id: orgA }), 404, 'PGRST202');
  });

  test('a member of two organisations sees both, a service sees all, a member of none nothing', async () => {
    for (const [who, ofA, ofB] of [
      ['memberOfA', 2, 0], ['memberOfB', 0, 2], ['memberOfBoth', 2, 2], ['memberOfNone', 0, 0], ['globalAdmin', 0, 0], ['service', 2, 2],
    ]) {
      assert.equal(granted(await orgStatus(who, orgA)).length, ofA, `${who}, org A`);
      assert.equal(granted(await orgStatus(who, orgB)).length, ofB, `${who}, org B`);
      const seen = granted(await stack.as[who].from('integration_health_status').select('org_id').order('org_id'));
      assert.deepEqual(seen.map((row) => row.org_id), [...(ofA ? [orgA] : []), ...(ofB ? [orgB] : [])], who);
      const checks = granted(await stack.as[who].from('integration_health_history').select('org_id'));
      assert.equal(checks.length, (ofA ? 4 : 0) + (ofB ? 1 : 0), who);
    }
  });

  test('RLS blocks cross-org SELECT', async () => {
    for (const table of ['integration_health_status', 'integration_health_history']) {
      assert.deepEqual(granted(await stack.as.memberOfA.from(table).select('*').eq('org_id', orgB)), []);
      assert.equal(granted(await stack.as.memberOfB.from(table).select('*').eq('org_id', orgB)).length, 1);
    }
  });

  test('the status table embeds the integration type', async () => {
    const row = granted(await stack.as.memberOfA.from('integration_health_status')
      .select('status, integration_types(display_name, check_interval)').eq('org_id', orgA).single());
    assert.deepEqual(row, { status: 'unhealthy', integration_types: { display_name: 'Xledger', check_interval: '00:15:00' } });
  });

  test('integration types are readable by every signed-in user, and by nobody else', async () => {
    for (const who of ['memberOfA', 'memberOfNone', 'globalAdmin']) {
      const types = granted(await stack.as[who].from('integration_types').select('integration_type').order('integration_type'));
      assert.deepEqual(types, [{ integration_type: 'dynamics' }, { integration_type: 'xledger' }]);
    }
    refused(await stack.as.anon.from('integration_types').select('*'), 401, '42501');
  });

  test('the functions that the others are made of tell a member about himself alone', async () => {
    const member = stack.as.memberOfBoth;
    assert.deepEqual(granted(await member.rpc('integration_health_org_ids')), [orgA, orgB]);
    assert.equal(granted(await member.rpc('integration_health_can_read', { org_id: orgB })), true);
    assert.equal(granted(await stack.as.memberOfA.rpc('integration_health_can_read', { org_id: orgB })), false);
  });

  test('the counts are internal: 403', async () => {
    refused(await stack.as.memberOfA.from('integration_health_counts').select('*'), 403, '42501');
    refused(await stack.as.globalAdmin.from('integration_health_counts').select('*'), 403, '42501');
  });

  test('anon may do nothing with any table: 401', async () => {
    const row = { org_id: orgA, integration_type: 'xledger', status: 'healthy' };
    for (const table of ['integration_types', 'integration_health_status', 'integration_health_history', 'integration_health_counts']) {
      const from = () => stack.as.anon.from(table);
      refused(await from().select('*'), 401, '42501');
      refused(await from().insert(table === 'integration_types' ? { integration_type: 'x', display_name: 'x' } : { integration_type: 'xledger' }), 401, '42501');
      refused(await from().update({ integration_type: 'x' }).eq('integration_type', 'xledger'), 401, '42501');
      refused(await from().delete().eq('integration_type', 'xledger'), 401, '42501');
    }
    refused(await stack.as.anon.from('integration_health_status').upsert(row), 401, '42501');
  });

  test('anon may call no function: 401', async () => {
    const check = { org_id: orgA, integration_type: 'xledger', status: 'healthy' };
    for (const [name, args] of Object.entries({
      get_org_health_status: { org_id: orgA },
      get_health_trend: { org_id: orgA, integration_type: 'xledger' },
      get_global_health_summary: {},
      get_global_health_problems: {},
      record_health_check: check,
      record_health_checks: { checks: [check] },
      integration_health_cleanup: {},
      mark_stale_health: {},
      integration_health_compact: {},
      schedule_integration_health_jobs: {},
      unschedule_integration_health_jobs: {},
      grant_integration_health: { reader: 'anon', writer: 'anon' },
      integration_health_org_ids: {},
      integration_health_can_read: { org_id: orgA },
    })) refused(await stack.as.anon.rpc(name, args), 401, '42501');
  });

  test('a member writes nothing, by table or by function: 403', async () => {
    const check = { org_id: orgA, integration_type: 'xledger', status: 'healthy' };
    const status = () => stack.as.memberOfA.from('integration_health_status');
    refused(await status().insert(check), 403, '42501');
    refused(await status().upsert(check), 403, '42501');
    refused(await status().update({ status: 'healthy' }).eq('org_id', orgA), 403, '42501');
    refused(await status().delete().eq('org_id', orgA), 403, '42501');
    refused(await stack.as.memberOfA.from('integration_health_history').delete().eq('org_id', orgA), 403, '42501');
    refused(await stack.as.memberOfA.from('integration_types').update({ display_name: 'x' }).eq('integration_type', 'xledger'), 403, '42501');
    refused(await stack.as.memberOfA.rpc('record_health_check', check), 403, '42501');
    refused(await stack.as.memberOfA.rpc('record_health_checks', { checks: [check] }), 403, '42501');
    for (const job of ['integration_health_cleanup', 'mark_stale_health', 'integration_health_compact', 'schedule_integration_health_jobs', 'unschedule_integration_health_jobs']) {
      refused(await stack.as.memberOfA.rpc(job), 403, '42501');
    }
    refused(await stack.as.memberOfA.rpc('grant_integration_health', { reader: 'authenticated', writer: 'authenticated' }), 403, '42501');
  });
});
