// A member of org A can by no call, filter, embed, error text or count learn that org B exists.
// Every request is asked twice: about org B, and about an organisation that never was; whatever
// comes back (status, headers that count, body) must be the same. And everything that does not
// name an organisation must answer as it did before org B came.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { eachSchema, granted, minutesAgo, nowhere, orgA, orgB, people } from './suite.mjs';
import { nestedDeep } from './tokens.mjs';

const check = (org_id, rest) => ({ org_id, integration_type: 'xledger', status: 'healthy', ...rest });
const post = (path, body, prefer) => ({ method: 'POST', path, body, prefer });
const get = (path, prefer, accept) => ({ method: 'GET', path, prefer, accept });
const secret = 'tenant of B is locked';

// Requests that name an organisation.
const naming = {
  'rpc: status': (org) => post('/rpc/get_org_health_status', { org_id: org }),
  'rpc: status by GET, counted': (org) => get(`/rpc/get_org_health_status?org_id=${org}`, 'count=exact'),
  'rpc: status, planned count': (org) => get(`/rpc/get_org_health_status?org_id=${org}`, 'count=planned'),
  'rpc: status, single object': (org) => ({ ...post('/rpc/get_org_health_status', { org_id: org }), accept: 'application/vnd.pgrst.object+json' }),
  'rpc: trend': (org) => post('/rpc/get_health_trend', { org_id: org, integration_type: 'xledger' }),
  'rpc: trend by GET, counted': (org) => get(`/rpc/get_health_trend?org_id=${org}&integration_type=xledger&hours=720`, 'count=exact'),
  'rpc: trend, planned count': (org) => get(`/rpc/get_health_trend?org_id=${org}&integration_type=xledger&hours=720`, 'count=planned'),
  'rpc: trend with bad hours': (org) => post('/rpc/get_health_trend', { org_id: org, integration_type: 'xledger', hours: 0 }),
  'rpc: may I read it': (org) => post('/rpc/integration_health_can_read', { org_id: org }),
  'rpc: problems': (org) => get(`/rpc/get_global_health_problems?org_id=eq.${org}`),
  'rpc: record one': (org) => post('/rpc/record_health_check', check(org)),
  'rpc: record many': (org) => post('/rpc/record_health_checks', { checks: [check(org)] }),
  'status: eq': (org) => get(`/integration_health_status?org_id=eq.${org}`),
  'status: eq and single': (org) => get(`/integration_health_status?org_id=eq.${org}`, undefined, 'application/vnd.pgrst.object+json'),
  'status: eq as CSV': (org) => get(`/integration_health_status?org_id=eq.${org}`, undefined, 'text/csv'),
  'status: exact count': (org) => get(`/integration_health_status?org_id=eq.${org}`, 'count=exact'),
  'status: planned count': (org) => get(`/integration_health_status?org_id=eq.${org}`, 'count=planned'),
  'status: estimated count': (org) => get(`/integration_health_status?org_id=eq.${org}`, 'count=estimated'),
  'status: neq, exact count': (org) => get(`/integration_health_status?org_id=neq.${org}&select=org_id`, 'count=exact'),
  'status: HEAD, exact count': (org) => ({ method: 'HEAD', path: `/integration_health_status?org_id=eq.${org}`, prefer: 'count=exact' }),
  'status: in': (org) => get(`/integration_health_status?org_id=in.(${orgA},${org})&select=org_id,integration_type`, 'count=exact'),
  'status: in, planned count': (org) => get(`/integration_health_status?org_id=in.(${orgA},${org})&select=org_id`, 'count=planned'),
  'status: or': (org) => get(`/integration_health_status?or=(org_id.eq.${org},status.eq.healthy)&select=org_id,status`, 'count=exact'),
  'status: not.or, nested': (org) => get(`/integration_health_status?not.or=(org_id.neq.${org},and(status.eq.healthy,org_id.eq.${org}))`, 'count=exact'),
  'status: offset past the end': (org) => get(`/integration_health_status?org_id=eq.${org}&offset=1`, 'count=exact'),
  'status: embed': (org) => get(`/integration_health_status?org_id=eq.${org}&select=*,integration_types(*)`, 'count=exact'),
  'status: inner embed': (org) => get(`/integration_health_status?org_id=eq.${org}&select=*,integration_types!inner(*)`, 'count=exact'),
  'history: eq': (org) => get(`/integration_health_history?org_id=eq.${org}`, 'count=exact'),
  'history: planned count': (org) => get(`/integration_health_history?org_id=eq.${org}`, 'count=planned'),
  'history: estimated count': (org) => get(`/integration_health_history?org_id=eq.${org}`, 'count=estimated'),
  'history: a range of ids, planned count': (org) => get(`/integration_health_history?org_id=gte.${org}&org_id=lte.${org}`, 'count=planned'),
  'history: or, ordered': (org) => get(`/integration_health_history?or=(org_id.eq.${org},slot.eq.1)&select=org_id,slot,check_no&order=org_id,slot`, 'count=exact'),
  'types: embedded status rows': (org) => get(`/integration_types?select=integration_type,integration_health_status(*)&integration_health_status.org_id=eq.${org}&order=integration_type`, 'count=exact'),
  'types: inner embedded status rows': (org) => get(`/integration_types?select=integration_type,integration_health_status!inner(org_id)&integration_health_status.org_id=eq.${org}`, 'count=exact'),
  'types: anti-join on status rows': (org) => get(`/integration_types?select=integration_type,integration_health_status()&integration_health_status.org_id=eq.${org}&integration_health_status=is.null&order=integration_type`, 'count=exact'),
  'counts: no right': (org) => get(`/integration_health_counts?org_id=eq.${org}`),
  'rpc: late syncs': (org) => post('/rpc/get_sync_drift', { org_id: org }),
  'rpc: missed syncs by GET, counted': (org) => get(`/rpc/get_missed_syncs?org_id=${org}`, 'count=exact'),
  'rpc: cold starts, planned count': (org) => get(`/rpc/get_cold_starts?org_id=${org}`, 'count=planned'),
  'rpc: claim a sync': (org) => post('/rpc/claim_sync_run', { org_id: org, integration_type: 'xledger', scheduled_for: '2020-01-01T00:00:00Z' }),
  'monitors: exact count': (org) => get(`/integration_monitors?org_id=eq.${org}`, 'count=exact'),
  'monitors: planned count': (org) => get(`/integration_monitors?org_id=eq.${org}`, 'count=planned'),
  'schedules: exact count': (org) => get(`/integration_sync_schedules?org_id=eq.${org}`, 'count=exact'),
  'schedules: planned count': (org) => get(`/integration_sync_schedules?org_id=eq.${org}`, 'count=planned'),
  'schedules: a cast that fails on B\'s URL': (org) => get(`/integration_sync_schedules?org_id=eq.${org}&select=warm_up_url::integer`),
  'runs: exact count': (org) => get(`/integration_sync_runs?org_id=eq.${org}`, 'count=exact'),
  'runs: planned count': (org) => get(`/integration_sync_runs?org_id=eq.${org}`, 'count=planned'),
  'rpc: incidents': (org) => post('/rpc/get_org_incidents', { org_id: org, days: 90 }),
  'rpc: incidents by GET, counted': (org) => get(`/rpc/get_org_incidents?org_id=${org}`, 'count=exact'),
  'rpc: incidents, planned count': (org) => get(`/rpc/get_org_incidents?org_id=${org}`, 'count=planned'),
  'rpc: incidents of no days': (org) => post('/rpc/get_org_incidents', { org_id: org, days: 0 }),
  'rpc: maintenance by GET, counted': (org) => get(`/rpc/get_maintenance?org_id=${org}`, 'count=exact'),
  'rpc: uptime': (org) => post('/rpc/get_org_uptime', { org_id: org }),
  'rpc: uptime, planned count': (org) => get(`/rpc/get_org_uptime?org_id=${org}`, 'count=planned'),
  'rpc: days of uptime': (org) => post('/rpc/get_uptime_days', { org_id: org, integration_type: 'xledger' }),
  'rpc: days of latency': (org) => post('/rpc/get_latency_days', { org_id: org, integration_type: 'xledger' }),
  'rpc: overview': (org) => post('/rpc/get_org_overview', { org_id: org }),
  'rpc: overview by GET, counted': (org) => get(`/rpc/get_org_overview?org_id=${org}`, 'count=exact'),
  'rpc: overview of no time zone': (org) => post('/rpc/get_org_overview', { org_id: org, time_zone: 'nowhere' }),
  'rpc: syncs': (org) => post('/rpc/get_org_syncs', { org_id: org, hours: 720 }),
  'rpc: syncs, planned count': (org) => get(`/rpc/get_org_syncs?org_id=${org}`, 'count=planned'),
  'rpc: incidents of all, filtered': (org) => get(`/rpc/get_global_incidents?org_id=eq.${org}`),
  'rpc: plan maintenance': (org) => post('/rpc/set_maintenance', {
    org_id: org, integration_type: 'xledger', starts_at: '2030-01-01T00:00:00Z', ends_at: '2030-01-02T00:00:00Z', reason: 'x',
  }),
  'transitions: exact count': (org) => get(`/integration_health_transitions?org_id=eq.${org}`, 'count=exact'),
  'transitions: planned count': (org) => get(`/integration_health_transitions?org_id=eq.${org}`, 'count=planned'),
  'days: exact count': (org) => get(`/integration_health_days?org_id=eq.${org}`, 'count=exact'),
  'days: planned count': (org) => get(`/integration_health_days?org_id=eq.${org}`, 'count=planned'),
  'incidents: exact count': (org) => get(`/integration_incidents?org_id=eq.${org}`, 'count=exact'),
  'incidents: planned count': (org) => get(`/integration_incidents?org_id=eq.${org}`, 'count=planned'),
  'incidents: a cast that fails on B\'s note': (org) => get(`/integration_incidents?org_id=eq.${org}&select=note::integer`),
  'maintenance: exact count': (org) => get(`/integration_maintenance?org_id=eq.${org}`, 'count=exact'),
  'maintenance: planned count': (org) => get(`/integration_maintenance?org_id=eq.${org}`, 'count=planned'),
  'maintenance: a cast that fails on B\'s reason': (org) => get(`/integration_maintenance?org_id=eq.${org}&select=reason::integer`),
  'alerts: no right': (org) => get(`/integration_alerts?org_id=eq.${org}`, 'count=exact'),
  'runs: by idempotency key': (org) => get(`/integration_sync_runs?idempotency_key=like.${org}*`, 'count=exact'),
  'types: inner embedded monitors': (org) => get(`/integration_types?select=integration_type,integration_monitors!inner(org_id)&integration_monitors.org_id=eq.${org}`, 'count=exact'),
  'insert a monitor': (org) => post('/integration_monitors', { org_id: org, integration_type: 'xledger' }, 'return=representation'),
  'insert': (org) => post('/integration_health_status', check(org), 'return=representation'),
  'insert without an answer': (org) => post('/integration_health_status', check(org), 'return=minimal'),
  'insert that ignores duplicates': (org) => post('/integration_health_status?on_conflict=org_id,integration_type', check(org), 'resolution=ignore-duplicates,return=representation'),
  'upsert': (org) => post('/integration_health_status?on_conflict=org_id,integration_type', check(org), 'resolution=merge-duplicates'),
  'upsert on another key': (org) => post('/integration_health_status?on_conflict=org_id', check(org), 'resolution=merge-duplicates'),
  'upsert of an unknown type': (org) => post('/integration_health_status', check(org, { integration_type: 'telepathy' })),
  'upsert of a bad value': (org) => post('/integration_health_status', check(org, { latency_ms: -1 })),
  'PUT': (org) => ({ method: 'PUT', path: `/integration_health_status?org_id=eq.${org}&integration_type=eq.xledger`, body: check(org) }),
  'update': (org) => ({ method: 'PATCH', path: `/integration_health_status?org_id=eq.${org}`, body: { status: 'healthy' }, prefer: 'count=exact' }),
  'delete': (org) => ({ method: 'DELETE', path: `/integration_health_status?org_id=eq.${org}`, prefer: 'count=exact' }),
  'insert into the history': (org) => post('/integration_health_history', check(org, { slot: 1, check_no: 1, checked_at: minutesAgo(0) })),
  'delete from the history': (org) => ({ method: 'DELETE', path: `/integration_health_history?org_id=eq.${org}`, prefer: 'count=exact' }),
  'an embed that does not exist': (org) => get(`/integration_health_status?org_id=eq.${org}&select=*,integration_health_history(*)`),
  'a cast that fails on B\'s error': (org) => get(`/integration_health_status?org_id=eq.${org}&select=error::integer`),
  'a malformed id made of it': (org) => get(`/integration_health_status?org_id=eq.${org}x`),
  'part of the id by a pattern': (org) => get(`/integration_health_status?org_id=like.${org.slice(0, 8)}*`),
};

// Requests that name no organisation: what they say must not change when org B comes.
const unnaming = {
  'status, exact count': get('/integration_health_status?select=org_id,integration_type', 'count=exact'),
  'status, estimated count': get('/integration_health_status?select=org_id', 'count=estimated'),
  'history, exact count': get('/integration_health_history?select=org_id,check_no', 'count=exact'),
  'history, exact count past the end': get('/integration_health_history?select=org_id&offset=500', 'count=exact'),
  'types': get('/integration_types?select=integration_type&order=integration_type', 'count=exact'),
  'types with status rows': get('/integration_types?select=integration_type,integration_health_status(org_id)&order=integration_type', 'count=exact'),
  'types, spread and inner': get('/integration_types?select=integration_type,integration_health_status!inner(org_id)&order=integration_type', 'count=exact'),
  'types counting status rows': get('/integration_types?select=integration_type,integration_health_status(count)&order=integration_type'),
  'history that ends the page': get('/integration_health_history?select=check_no&order=org_id.desc,check_no.desc&limit=1', 'count=exact'),
  'B\'s error text': get(`/integration_health_history?error=eq.${encodeURIComponent(secret)}`, 'count=exact'),
  'B\'s error text, by pattern': get('/integration_health_status?error=like.*locked*&select=org_id', 'count=exact'),
  'B\'s error text, by full-text search': get('/integration_health_history?error=fts.locked&select=org_id', 'count=exact'),
  'a cast of everything seen': get('/integration_health_history?select=error::integer'),
  'monitors, exact count': get('/integration_monitors?select=org_id', 'count=exact'),
  'schedules, exact count': get('/integration_sync_schedules?select=org_id', 'count=exact'),
  'runs, exact count': get('/integration_sync_runs?select=org_id,attempt', 'count=exact'),
  'runs, estimated count': get('/integration_sync_runs?select=org_id', 'count=estimated'),
  'types with monitors and schedules': get('/integration_types?select=integration_type,integration_monitors(org_id),integration_sync_schedules(org_id)&order=integration_type', 'count=exact'),
  'transitions, exact count': get('/integration_health_transitions?select=org_id,check_no', 'count=exact'),
  'transitions, estimated count': get('/integration_health_transitions?select=org_id', 'count=estimated'),
  'days, exact count': get('/integration_health_days?select=org_id', 'count=exact'),
  'incidents, exact count': get('/integration_incidents?select=org_id,incident_id', 'count=exact'),
  'incidents, estimated count': get('/integration_incidents?select=org_id', 'count=estimated'),
  'B\'s note': get('/integration_incidents?note=like.*locked*&select=org_id', 'count=exact'),
  'a cast of every note seen': get('/integration_incidents?select=note::integer'),
  'maintenance, exact count': get('/integration_maintenance?select=org_id,maintenance_id', 'count=exact'),
  'B\'s reason for maintenance': get('/integration_maintenance?reason=like.*locked*&select=org_id', 'count=exact'),
  'alerts': get('/integration_alerts?select=alert_id', 'count=exact'),
  'the incidents of all': post('/rpc/get_global_incidents', {}),
  'the maintenance of all': post('/rpc/get_global_maintenance', {}),
  'the uptime of all': post('/rpc/get_global_uptime', {}),
  'the metrics': post('/rpc/get_health_metrics', {}),
  'the backlog of alerts': post('/rpc/get_alert_backlog', {}),
  'the summary of syncs': post('/rpc/get_global_sync_summary', {}),
  'my organisations': post('/rpc/integration_health_org_ids', {}),
  'the API description': get('/'),
  'the summary': post('/rpc/get_global_health_summary', {}),
  'the problems': post('/rpc/get_global_health_problems', {}),
};

eachSchema('isolation', (stack) => {
  // ask(claims, request): what an onlooker can tell from the answer.
  async function ask(claims, { method, path, body, prefer, accept }) {
    const { status, headers, text } = await stack.request(path, {
      claims, method, body, headers: { ...(prefer && { Prefer: prefer }), ...(accept && { Accept: accept }) },
    });
    const told = ['content-range', 'preference-applied', 'location', 'www-authenticate', 'proxy-status', 'content-type'];
    return { status, text, headers: Object.fromEntries(told.map((name) => [name, headers.get(name)])) };
  }
  const masked = (answer, org) => JSON.parse(JSON.stringify(answer).replaceAll(org, 'ORG').replaceAll(org.slice(0, 8), 'OR'));
  const unnamed = {};

  before(async () => {
    const load = (org_id, errors) => stack.as.service.rpc('record_health_checks', {
      checks: errors.map((error, i) => check(org_id, {
        status: error ? 'unhealthy' : 'healthy', error, latency_ms: i, checked_at: minutesAgo(errors.length - i),
      })),
    });
    // A monitor, and an hourly sync that was run once, late and cold.
    const anchor = minutesAgo(150);
    const plan = async (org_id) => {
      const key = { org_id, integration_type: 'xledger' };
      granted(await stack.as.service.rpc('set_monitor', key));
      granted(await stack.as.service.rpc('set_sync_schedule', { ...key, every: '1 hour', anchor, warm_up_url: `http://${org_id}.example/` }));
      await stack.sql(`UPDATE "${stack.schema}".integration_sync_schedules SET planned_since = anchor`);
      granted(await stack.as.service.rpc('claim_sync_run', { ...key, scheduled_for: anchor, cold_start: true }));
    };
    granted(await load(orgA, [null, null, 'HTTP 500', null]));
    await plan(orgA);
    await stack.sql('ANALYZE');
    for (const [name, request] of Object.entries(unnaming)) unnamed[name] = await ask(people.memberOfA, request);
    // The incident of org B is taken on, its last day is closed, and it has maintenance planned.
    granted(await stack.as.service.rpc('record_health_check', check(orgB, { checked_at: minutesAgo(2 * 1440) })));
    granted(await load(orgB, Array.from({ length: 89 }, () => secret)));
    const [incident] = granted(await stack.as.memberOfB.rpc('get_org_incidents', { org_id: orgB }));
    granted(await stack.as.memberOfB.rpc('acknowledge_incident', { incident_id: incident.incident_id, note: secret }));
    granted(await stack.as.service.rpc('set_maintenance', {
      org_id: orgB, integration_type: 'xledger', starts_at: minutesAgo(1), ends_at: minutesAgo(-60), reason: secret,
    }));
    await plan(orgB);
    granted(await stack.as.service.rpc('record_health_check', check(orgB, { integration_type: 'dynamics' })));
    // Statistics exist, as they would: planned counts are made of them.
    await stack.sql('ANALYZE');
  });

  test('the requests reach org B for one who may see it', async () => {
    for (const name of [
      'rpc: status', 'status: eq', 'history: eq', 'types: inner embedded status rows', 'rpc: late syncs', 'rpc: missed syncs by GET, counted',
      'rpc: incidents', 'rpc: maintenance by GET, counted', 'rpc: uptime', 'rpc: days of uptime', 'rpc: days of latency',
      'transitions: exact count', 'days: exact count', 'incidents: exact count', 'maintenance: exact count',
      'incidents: a cast that fails on B\'s note', 'maintenance: a cast that fails on B\'s reason', 'rpc: cold starts, planned count', 'monitors: exact count', 'schedules: exact count', 'runs: by idempotency key', 'types: inner embedded monitors',
    ]) {
      const seen = await ask(people.memberOfB, naming[name](orgB));
      assert.notDeepEqual(masked(seen, orgB), masked(await ask(people.memberOfB, naming[name](nowhere)), nowhere), name);
    }
  });

  for (const [name, request] of Object.entries(naming)) {
    test(`org B and an organisation that never was look the same: ${name}`, async () => {
      for (const who of ['memberOfA', 'memberOfNone']) {
        const ofB = await ask(people[who], request(orgB));
        const ofNone = await ask(people[who], request(nowhere));
        assert.deepEqual(masked(ofB, orgB), masked(ofNone, nowhere));
        assert.ok(!ofB.text.includes(secret));
      }
    });
  }

  for (const [name, request] of Object.entries(unnaming)) {
    test(`nothing changed for org A when org B came: ${name}`, async () => {
      assert.deepEqual(await ask(people.memberOfA, request), unnamed[name]);
    });
  }

  test('org A\'s own writes are refused in the same words, whether the row is there or not', async () => {
    for (const name of ['insert', 'upsert', 'PUT', 'update', 'delete', 'rpc: record one']) {
      const own = await ask(people.memberOfA, naming[name](orgA));
      const others = await ask(people.memberOfA, naming[name](nowhere));
      assert.deepEqual(masked(own, orgA), masked(others, nowhere), name);
      assert.equal(own.status, 403, name);
    }
  });

  // Tokens whose claims cannot be read, in org_id or in another claim.
  const unreadable = {
    'no UUID': { org_id: 'acme' }, 'a number': { org_id: 7 }, 'one bad of two': { org_id: [orgB, 'acme'] }, 'a zero byte': { org_id: '\u0000' },
    'another claim with a zero byte': { org_id: orgB, name: '\u0000' },
    'deep nesting': { org_id: nestedDeep }, 'another claim, nested deep': { org_id: orgB, groups: nestedDeep },
  };
  for (const [name, claims] of Object.entries(unreadable)) {
    test(`claims that cannot be read tell nothing of org B: ${name}`, async () => {
      const who = { role: 'authenticated', ...claims };
      for (const [what, request] of Object.entries(naming)) {
        const ofB = await ask(who, request(orgB));
        assert.deepEqual(masked(ofB, orgB), masked(await ask(who, request(nowhere)), nowhere), what);
        assert.ok(!ofB.text.includes(secret), what);
      }
      assert.deepEqual([(await ask(who, naming['status: eq'](orgB))).status, (await ask(who, naming['rpc: status'](orgB))).status], [200, 400]);
      assert.equal((await ask(who, naming['rpc: trend with bad hours'](orgB))).text.includes('hours'), false);
    });
  }

  test('no planned count depends on what org B\'s rows hold', async () => {
    const count = async (filter) => (await ask(people.memberOfA, get(`/integration_health_history?${filter}`, 'count=planned'))).headers['content-range'];
    for (const [there, absent] of [
      [`error=eq.${encodeURIComponent(secret)}`, 'error=eq.nobody%20said%20this'],
      ['org_id=gt.b0000000-0000-4000-8000-000000000000', 'org_id=gt.c0000000-0000-4000-8000-000000000000'],
      ['org_id=lt.bbbbbbbb-0000-4000-8000-00000000000c', 'org_id=lt.bbbbbbbb-0000-4000-8000-00000000000a'],
    ]) assert.equal(await count(there), await count(absent), there);
  });

  test('after all that, org B\'s data is as it was', async () => {
    const rows = granted(await stack.as.memberOfB.from('integration_health_status').select('integration_type, check_no').order('integration_type'));
    assert.deepEqual(rows, [{ integration_type: 'dynamics', check_no: 1 }, { integration_type: 'xledger', check_no: 90 }]);
    assert.deepEqual(granted(await stack.as.service.from('integration_health_status').select('org_id').eq('org_id', nowhere)), []);
  });
});
