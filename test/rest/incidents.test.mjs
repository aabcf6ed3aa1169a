// Causes, incidents, maintenance, alerts and uptime: what each role may see and do, and in which words the rest is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { eachSchema, granted, minutesAgo, nowhere, orgA, orgB, people, refused } from './suite.mjs';
import { nestedDeep } from './tokens.mjs';

// An incident, a maintenance and an alert that never were.
const nothing = 'eeeeeeee-0000-4000-8000-00000000000e';
const minutesAhead = (n) => minutesAgo(-n);
const window = { org_id: orgA, integration_type: 'xledger', starts_at: minutesAgo(10), ends_at: minutesAhead(50), reason: 'new certificate' };

// What members call of their organisation, global admins of all, both the writer and global admins, the writer alone.
const reports = {
  get_org_incidents: { org_id: orgA },
  get_maintenance: { org_id: orgA },
  get_org_uptime: { org_id: orgA },
  get_uptime_days: { org_id: orgA, integration_type: 'xledger' },
  get_latency_days: { org_id: orgA, integration_type: 'xledger' },
};
const globalReports = { get_global_incidents: {}, get_global_maintenance: {}, get_global_uptime: {} };
const governing = {
  set_maintenance: window,
  end_maintenance: { maintenance_id: nothing },
  get_alert_backlog: {},
  retry_alert: { alert_id: nothing },
};
const working = {
  claim_alerts: {},
  finish_alert: { alert_id: nothing, attempt: 1, delivered: true },
  integration_health_watch: {},
};

// What nobody inserts.
const pair = { org_id: orgA, integration_type: 'dynamics' };
const inserted = {
  integration_health_transitions: { ...pair, check_no: 7, at: minutesAgo(1), to_status: 'healthy' },
  integration_health_days: { ...pair, slot: 0, day: '2000-01-01', checks: 1 },
  integration_incidents: { ...pair, incident_id: nothing, started_at: minutesAgo(2), confirmed_at: minutesAgo(1), failures: 2 },
  integration_maintenance: { ...window, maintenance_id: nothing, created_at: minutesAgo(1) },
  integration_alerts: { ...pair, alert_id: nothing, kind: 'sync_late', payload: {}, created_at: minutesAgo(1), due_at: minutesAgo(1), attempt: 0 },
};
const tables = Object.keys(inserted);
const ofMembers = tables.filter((table) => table !== 'integration_alerts');

eachSchema('incidents', (stack) => {
  const rpc = (name, args) => stack.as.service.rpc(name, args);
  const record = async (org_id, status, rest) => granted(await rpc('record_health_check', { org_id, integration_type: 'xledger', status, ...rest }));
  const incidents = async (who, org_id, args) => granted(await stack.as[who].rpc('get_org_incidents', { org_id, ...args }));
  const backlog = async () => granted(await rpc('get_alert_backlog'));
  // As the superuser, what only time does otherwise.
  const later = (commands) => stack.sql(`SET search_path = "${stack.schema}"; ${commands}`);
  const due = () => later("UPDATE integration_alerts SET due_at = now() - interval '1 second' WHERE due_at < 'infinity'");
  // The organisations that each of the people sees.
  const everyone = [
    ['memberOfA', [orgA]], ['memberOfB', [orgB]], ['memberOfBoth', [orgA, orgB]], ['memberOfNone', []], ['globalAdmin', []], ['service', [orgA, orgB]],
  ];
  const ofA = {}, ofB = {};

  // Of each organisation: a day that is closed, an open incident, and maintenance that is over.
  before(async () => {
    for (const [org_id, found, cause] of [[orgA, ofA, undefined], [orgB, ofB, 'dns']]) {
      await record(org_id, 'healthy', { latency_ms: 120, checked_at: minutesAgo(2 * 1440) });
      for (const ago of [50, 40]) await record(org_id, 'unhealthy', { http_status: cause ? null : 503, cause, checked_at: minutesAgo(ago) });
      found.maintenance_id = granted(await rpc('set_maintenance', {
        ...window, org_id, starts_at: minutesAgo(1440), ends_at: minutesAgo(1380), reason: `of ${org_id}`,
      }), 200);
      [found.incident] = await incidents('service', org_id);
    }
  });

  describe('causes', () => {
    const status = () => stack.as.service.from('integration_health_status');
    const causeOf = async (org_id) => granted(await status().select('cause').eq('org_id', org_id).single()).cause;

    test('an HTTP status tells the cause, a given one goes before it, and a healthy check has none', async () => {
      const org_id = randomUUID();
      for (const [rest, cause] of [
        [{ http_status: 401 }, 'auth'], [{ http_status: 404 }, 'configuration'], [{ http_status: 429 }, 'rate_limited'], [{ http_status: 500 }, 'server'],
        [{}, null], [{ cause: 'dns' }, 'dns'], [{ http_status: 503, cause: 'timeout' }, 'timeout'],
      ]) assert.equal((await record(org_id, 'degraded', rest)).cause, cause, JSON.stringify(rest));
      assert.equal((await record(org_id, 'healthy', { cause: 'other', http_status: 500 })).cause, null);
      granted(await rpc('resume_active_monitoring', { integration_type: 'xledger' }));
    });

    test('an upsert sets it, and one that leaves it out is another check, without it', async () => {
      const org_id = randomUUID();
      const row = { org_id, integration_type: 'xledger', status: 'unhealthy' };
      const upsert = (rest) => status().upsert({ ...row, ...rest }, { onConflict: 'org_id,integration_type' });
      for (const [rest, cause] of [[{ cause: 'tls' }, 'tls'], [{}, null], [{ http_status: 403 }, 'auth'], [{ cause: 'connect', http_status: null }, 'connect']]) {
        granted(await upsert(rest));
        assert.equal(await causeOf(org_id), cause, JSON.stringify(rest));
      }
      granted(await status().update({ status: 'unhealthy', cause: 'other' }).eq('org_id', org_id), 204);
      assert.equal(await causeOf(org_id), 'other');
      refused(await upsert({ cause: 'weather' }), 400, '22P02');
    });

    test('record_health_checks takes the key, and names a check whose cause is none', async () => {
      const org_id = randomUUID();
      const check = { org_id, integration_type: 'xledger', status: 'degraded' };
      assert.equal(granted(await rpc('record_health_checks', { checks: [{ ...check, cause: 'connect' }, { ...check, cause: null, http_status: 502 }] })), 2);
      const rows = granted(await stack.as.service.from('integration_health_history').select('cause').eq('org_id', org_id).order('check_no'));
      assert.deepEqual(rows, [{ cause: 'connect' }, { cause: 'server' }]);
      refused(await rpc('record_health_checks', { checks: [check, { ...check, cause: 'weather' }] }), 400, '22023', /checks\[1\]: .*weather/);
      refused(await rpc('record_health_check', { ...check, cause: 'weather' }), 400, '22P02');
    });

    test('the reports and the log show it', async () => {
      const xledger = { org_id: orgB, integration_type: 'xledger' };
      const [row] = granted(await stack.as.memberOfB.rpc('get_org_health_status', { org_id: orgB }).eq('integration_type', 'xledger'));
      assert.equal(row.cause, 'dns');
      assert.deepEqual(granted(await stack.as.memberOfB.rpc('get_health_trend', xledger)).map(({ cause }) => cause), ['dns', 'dns']);
      const log = granted(await stack.as.memberOfB.from('integration_health_transitions').select('check_no, from_status, to_status, cause').order('check_no'));
      assert.deepEqual(log, [
        { check_no: 1, from_status: null, to_status: 'healthy', cause: null }, { check_no: 2, from_status: 'healthy', to_status: 'unhealthy', cause: 'dns' },
      ]);
      const problems = granted(await stack.as.globalAdmin.rpc('get_global_health_problems').eq('org_id', orgB));
      assert.deepEqual(problems.map(({ cause }) => cause), ['dns']);
      assert.equal(ofA.incident.cause, 'server');
      assert.equal(ofB.incident.cause, 'dns');
    });
  });

  describe('what is seen', () => {
    test('the incidents of an organisation, as its members see them', async () => {
      const [incident, ...others] = await incidents('memberOfA', orgA);
      assert.deepEqual(others, []);
      const { incident_id, started_at, confirmed_at, ...rest } = incident;
      assert.equal(incident_id, ofA.incident.incident_id);
      assert.deepEqual(rest, {
        integration_type: 'xledger', display_name: 'Xledger', cause: 'server', resolved_at: null, failures: 2,
        acknowledged_at: null, acknowledged_by: null, note: null,
      });
      assert.equal(Math.round((Date.parse(confirmed_at) - Date.parse(started_at)) / 60_000), 10);
    });

    test('uptime: one row for every type; days: the oldest first, JSON numbers, null without data', async () => {
      const [dynamics, xledger] = granted(await stack.as.memberOfA.rpc('get_org_uptime', { org_id: orgA, days: 1 }));
      assert.deepEqual(dynamics, {
        integration_type: 'dynamics', display_name: 'Microsoft Dynamics 365', uptime_pct: null, coverage_pct: 0, healthy_s: 0,
        degraded_s: 0, unhealthy_s: 0, unknown_s: 0, planned_s: 0, incidents: 0, mttr: null,
      });
      // 24 hours, 60 minutes of them planned, of the others the last 50 down
      assert.deepEqual(Object.keys(xledger), Object.keys(dynamics));
      assert.ok(xledger.uptime_pct < 96.38 && xledger.uptime_pct > 96, `${xledger.uptime_pct}`);
      assert.deepEqual([xledger.coverage_pct, xledger.incidents, xledger.mttr], [100, 1, null]);

      const days = granted(await stack.as.memberOfA.rpc('get_uptime_days', { org_id: orgA, integration_type: 'xledger', days: 5, time_zone: 'Asia/Kolkata' }));
      assert.deepEqual(Object.keys(days[0]), ['day', 'uptime_pct', 'coverage_pct', 'worst']);
      assert.equal(days.length, 5);
      assert.deepEqual({ ...days[0], day: null }, { day: null, uptime_pct: null, coverage_pct: 0, worst: null });
      assert.equal(days.at(-1).worst, 'unhealthy');
      assert.ok(days[0].day < days[4].day);

      const latencies = granted(await stack.as.memberOfA.rpc('get_latency_days', { org_id: orgA, integration_type: 'xledger' }));
      assert.deepEqual(Object.keys(latencies[0]), ['day', 'checks', 'p50_ms', 'p95_ms', 'max_ms']);
      assert.equal(latencies.length, 90);
      const known = latencies.filter(({ checks }) => checks !== null);
      assert.deepEqual({ ...known[0], day: null }, { day: null, checks: 1, p50_ms: 120, p95_ms: 120, max_ms: 120 });
    });

    test('the reports and tables show a caller the organisations that its token names', async () => {
      for (const [who, seen] of everyone) {
        for (const [name, args] of Object.entries(reports)) {
          for (const org_id of [orgA, orgB]) {
            const rows = granted(await stack.as[who].rpc(name, { ...args, org_id }));
            assert.equal(rows.length > 0, seen.includes(org_id), `${name} of ${org_id} as ${who}`);
          }
        }
        for (const table of ofMembers) {
          const rows = granted(await stack.as[who].from(table).select('org_id').in('org_id', [orgA, orgB]).order('org_id'));
          assert.deepEqual([...new Set(rows.map((row) => row.org_id))], seen, `${table} as ${who}`);
        }
      }
      const rows = granted(await stack.as.service.from('integration_alerts').select('org_id').in('org_id', [orgA, orgB]).order('org_id'));
      assert.deepEqual(rows, [{ org_id: orgA }, { org_id: orgB }]);
    });

    test('another organisation\'s rows are not reached by filter, count or key', async () => {
      for (const table of ofMembers) {
        const answer = await stack.as.memberOfA.from(table).select('*', { count: 'exact' }).eq('org_id', orgB);
        assert.deepEqual([granted(answer), answer.count], [[], 0], table);
      }
      for (const [table, key, ofOther] of [
        ['integration_incidents', 'incident_id', ofB.incident.incident_id], ['integration_maintenance', 'maintenance_id', ofB.maintenance_id],
      ]) {
        const byKey = (who, value) => stack.as[who].from(table).select('*', { count: 'planned' }).eq(key, value);
        assert.equal(granted(await byKey('memberOfB', ofOther)).length, 1, table);
        const [there, absent] = [await byKey('memberOfA', ofOther), await byKey('memberOfA', nothing)];
        assert.deepEqual([granted(there), there.count], [granted(absent), absent.count], table);
        assert.deepEqual(there.data, []);
      }
    });

    test('the reports on all organisations', async () => {
      const open = granted(await stack.as.globalAdmin.rpc('get_global_incidents').in('org_id', [orgA, orgB]));
      assert.deepEqual(open.map(({ org_id, cause }) => [org_id, cause]).sort(), [[orgA, 'server'], [orgB, 'dns']]);
      assert.deepEqual(Object.keys(open[0]), [
        'incident_id', 'org_id', 'integration_type', 'display_name', 'cause', 'started_at', 'confirmed_at', 'resolved_at', 'failures',
        'acknowledged_at', 'acknowledged_by', 'note',
      ]);
      assert.equal(granted(await stack.as.globalAdmin.rpc('get_global_incidents', { max_rows: 1 })).length, 1);
      const planned = granted(await stack.as.globalAdmin.rpc('get_global_maintenance'));
      assert.deepEqual(planned.map(({ org_id }) => org_id).sort(), [orgA, orgB]);
      const [, xledger] = granted(await stack.as.globalAdmin.rpc('get_global_uptime', { days: 1 }));
      assert.ok(xledger.pairs >= 2 && xledger.incidents >= 2, JSON.stringify(xledger));
    });

    test('they refuse everyone else: 403, the anonymous key: 401', async () => {
      for (const name of Object.keys(globalReports)) {
        for (const who of ['memberOfA', 'memberOfBoth', 'memberOfNone', 'service']) {
          refused(await stack.as[who].rpc(name), 403, '42501', /^permission denied: role global_admin is required$/);
          refused(await stack.as[who].rpc(name, { days: 0 }), 403, '42501', /role global_admin/);
        }
        refused(await stack.as.anon.rpc(name), 401, '42501');
      }
    });

    test('days outside 1 to 90, or null: 400 22023, also where there is nothing to see', async () => {
      for (const days of [0, -1, 91, null]) {
        for (const [name, args] of Object.entries(reports)) {
          refused(await stack.as.memberOfA.rpc(name, { ...args, days }), 400, '22023', /days must be between 1 and 90/);
          refused(await stack.as.memberOfNone.rpc(name, { ...args, days }), 400, '22023', /days must be between 1 and 90/);
        }
        for (const name of Object.keys(globalReports)) refused(await stack.as.globalAdmin.rpc(name, { days }), 400, '22023', /days must be between 1 and 90/);
      }
      for (const time_zone of ['Mars/Olympus', '', null]) {
        for (const who of ['memberOfA', 'memberOfNone']) {
          refused(await stack.as[who].rpc('get_uptime_days', { ...reports.get_uptime_days, time_zone }), 400, '22023', /time.zone/);
        }
      }
      for (const [name, args] of Object.entries(reports)) refused(await stack.as.memberOfA.rpc(name, { ...args, org_id: 'acme' }), 400, '22P02');
      for (const name of ['get_uptime_days', 'get_latency_days']) {
        assert.deepEqual(granted(await stack.as.memberOfA.rpc(name, { org_id: orgA, integration_type: 'telepathy' })), []);
        refused(await stack.as.memberOfA.rpc(name, { org_id: orgA }), 404, 'PGRST202');
      }
    });

    test('claims that cannot be read: functions refuse them, 400 22023; tables show nothing', async () => {
      const ofMember = { ...reports, acknowledge_incident: { incident_id: ofA.incident.incident_id } };
      for (const [claims, calls] of [[{ org_id: 'acme' }, ofMember], [{ groups: nestedDeep }, { ...ofMember, ...globalReports, ...governing }]]) {
        const stranger = stack.client({ role: 'authenticated', ...claims });
        for (const [name, args] of Object.entries(calls)) refused(await stranger.rpc(name, args), 400, '22023', /claims/);
        for (const table of ofMembers) assert.deepEqual(granted(await stranger.from(table).select('*').eq('org_id', orgA)), [], table);
      }
    });
  });

  describe('taking on an incident', () => {
    const acknowledge = (client, incident_id, note) => client.rpc('acknowledge_incident', { incident_id, note });
    const anna = { ...people.memberOfA, sub: 'anna' };

    test('a member, a global admin and the writer may: who, when and the note are kept', async () => {
      const { incident_id } = ofA.incident;
      for (const [client, who, note] of [
        [stack.client(anna), 'anna', 'new certificate ordered'], [stack.client({ ...people.globalAdmin, sub: 'greta' }), 'greta', null],
        [stack.as.service, null, 'restarted'], [stack.as.memberOfBoth, null, 'é'.repeat(2000)],
      ]) {
        const at = granted(await acknowledge(client, incident_id, note), 200);
        const [incident] = await incidents('memberOfA', orgA);
        assert.deepEqual([incident.acknowledged_at, incident.acknowledged_by, incident.note], [at, who, note]);
        assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
      }
    });

    test('an incident of another organisation and one that never was are refused in the same words: 403', async () => {
      const ask = async (claims, incident_id, note) => {
        const { status, text, headers } = await stack.request('/rpc/acknowledge_incident', { claims, method: 'POST', body: { incident_id, note } });
        const told = ['content-range', 'www-authenticate', 'proxy-status', 'content-type'];
        return { status, text, headers: told.map((name) => headers.get(name)) };
      };
      for (const note of [undefined, 'x'.repeat(2001)]) {
        for (const [claims, ofOther] of [[people.memberOfA, ofB], [people.memberOfB, ofA], [people.memberOfNone, ofA]]) {
          const there = await ask(claims, ofOther.incident.incident_id, note);
          assert.deepEqual([there.status, JSON.parse(there.text).code], [403, '42501']);
          assert.deepEqual(there, await ask(claims, nothing, note));
          assert.deepEqual(there, await ask(claims, null, note));
        }
      }
      refused(await acknowledge(stack.as.anon, ofA.incident.incident_id), 401, '42501');
      assert.equal((await incidents('memberOfB', orgB))[0].acknowledged_at, null);
    });

    test('bad arguments', async () => {
      for (const who of ['globalAdmin', 'service']) {
        refused(await acknowledge(stack.as[who], nothing), 400, '22023', /there is no such incident/);
        refused(await acknowledge(stack.as[who], null), 400, '22023', /incident_id/);
        refused(await acknowledge(stack.as[who], ofA.incident.incident_id, 'x'.repeat(2001)), 400, '23514', /note/);
      }
      refused(await acknowledge(stack.as.memberOfA, ofA.incident.incident_id, 'x'.repeat(2001)), 400, '23514', /note/);
      refused(await acknowledge(stack.as.memberOfA, 'the last one'), 400, '22P02');
      refused(await stack.as.memberOfA.rpc('acknowledge_incident', { note: 'x' }), 404, 'PGRST202');
    });
  });

  describe('maintenance', () => {
    const plan = (who, rest) => stack.as[who].rpc('set_maintenance', { ...window, ...rest });
    const end = (who, maintenance_id) => stack.as[who].rpc('end_maintenance', { maintenance_id });
    const planned = async (who, org_id) => granted(await stack.as[who].rpc('get_maintenance', { org_id }));

    test('the writer and a global admin plan, and end it; what has not begun is cancelled', async () => {
      for (const who of ['service', 'globalAdmin']) {
        const id = granted(await plan(who), 200);
        const seen = async () => (await planned('memberOfA', orgA)).find(({ maintenance_id }) => maintenance_id === id);
        const row = await seen();
        assert.deepEqual(row, {
          maintenance_id: id, integration_type: 'xledger', all_organisations: false, starts_at: row.starts_at, ends_at: row.ends_at,
          is_active: true, reason: 'new certificate',
        });
        assert.equal(Date.parse(row.starts_at), Date.parse(window.starts_at));
        assert.deepEqual([granted(await end(who, id)), granted(await end(who, id))], [true, false]);
        assert.equal((await seen()).is_active, false);
        const later = granted(await plan(who, { starts_at: minutesAhead(60), ends_at: minutesAhead(120) }));
        assert.equal(granted(await end(who, later)), true);
        assert.ok(!(await planned('memberOfA', orgA)).some(({ maintenance_id }) => maintenance_id === later));
      }
      const greta = stack.client({ ...people.globalAdmin, sub: 'greta' });
      const id = granted(await greta.rpc('set_maintenance', window));
      const row = granted(await greta.rpc('get_global_maintenance').eq('maintenance_id', id).single());
      assert.deepEqual([row.org_id, row.created_by], [orgA, 'greta']);
      granted(await end('service', id));
    });

    test('what concerns all organisations each member sees of its own, and nobody else\'s', async () => {
      const id = granted(await plan('globalAdmin', { org_id: null }));
      for (const [who, seen] of everyone) {
        for (const org_id of [orgA, orgB, nowhere]) {
          const rows = (await planned(who, org_id)).filter(({ maintenance_id }) => maintenance_id === id);
          assert.deepEqual(rows.map((row) => row.all_organisations), seen.includes(org_id) || who === 'service' ? [true] : [], `${who}, ${org_id}`);
        }
      }
      granted(await end('service', id));
    });

    test('nobody is alerted during it, and the watch does so at its end', async () => {
      const org_id = randomUUID();
      const id = granted(await plan('service', { org_id }));
      for (const http_status of [500, 502]) await record(org_id, 'unhealthy', { http_status });
      granted(await rpc('integration_health_watch'));
      assert.equal((await incidents('service', org_id)).length, 1);
      const alerts = async () => (await backlog()).filter((alert) => alert.org_id === org_id).map(({ kind }) => kind);
      assert.deepEqual(await alerts(), []);
      granted(await end('service', id));
      assert.equal(granted(await rpc('integration_health_watch')), 1);
      assert.deepEqual(await alerts(), ['incident_opened']);
      await record(org_id, 'healthy');
      assert.deepEqual(await alerts(), []);
      assert.notEqual((await incidents('service', org_id))[0].resolved_at, null);
    });

    test('bad arguments', async () => {
      for (const who of ['service', 'globalAdmin']) {
        for (const [rest, status, sqlstate, message] of [
          [{ ends_at: window.starts_at }, 400, '23514', /ends_at_is_after_starts_at/], [{ ends_at: minutesAhead(367 * 1440) }, 400, '23514', /366_days/],
          [{ ends_at: 'infinity' }, 400, '23514'], [{ reason: '' }, 400, '23514', /reason/], [{ reason: 'x'.repeat(201) }, 400, '23514', /reason/],
          [{ reason: null }, 400, '22023', /reason/], [{ starts_at: null }, 400, '22023', /starts_at/], [{ ends_at: null }, 400, '22023', /ends_at/],
          [{ integration_type: 'telepathy' }, 400, '22023', /telepathy/], [{ org_id: 'acme' }, 400, '22P02'], [{ starts_at: 'soon' }, 400, '22007'],
        ]) refused(await plan(who, rest), status, sqlstate, message);
        refused(await end(who, nothing), 400, '22023', /there is no such maintenance/);
        refused(await end(who, null), 400, '22023', /maintenance_id/);
      }
      refused(await stack.as.service.rpc('set_maintenance', { org_id: orgA, integration_type: 'xledger' }), 404, 'PGRST202');
    });
  });

  describe('alerts', () => {
    const claim = async (args) => granted(await rpc('claim_alerts', args));
    const finish = async (alert_id, attempt, delivered, error) => granted(await rpc('finish_alert', { alert_id, attempt, delivered, error }));
    const nobodyIsTold = async () => { await later('DELETE FROM integration_alerts'); };
    const openIncident = async (org_id) => { for (const http_status of [500, 502]) await record(org_id, 'unhealthy', { http_status }); };

    test('an alert is handed out once a lease, with its payload; the report ends it', async () => {
      await nobodyIsTold();
      const org_id = randomUUID();
      await openIncident(org_id);
      assert.deepEqual(await claim(), []);
      await due();
      const [alert, ...others] = await claim({ max_rows: 10, lease: '1 minute' });
      assert.deepEqual([others, await claim()], [[], []]);
      assert.deepEqual(Object.keys(alert), ['alert_id', 'kind', 'org_id', 'integration_type', 'attempt', 'payload']);
      const { alert_id, payload, ...rest } = alert;
      assert.deepEqual(rest, { kind: 'incident_opened', org_id, integration_type: 'xledger', attempt: 1 });
      assert.deepEqual([payload.kind, payload.alert_id, payload.cause, payload.failures], ['incident_opened', alert_id, 'server', 2]);
      assert.equal(payload.incident_id, (await incidents('service', org_id))[0].incident_id);
      assert.deepEqual((await backlog()).map(({ state }) => state), ['claimed']);

      await record(org_id, 'healthy');
      assert.deepEqual((await backlog()).map(({ kind, state }) => [kind, state]), [['incident_opened', 'claimed'], ['incident_resolved', 'held']]);
      assert.deepEqual(await claim(), []);
      assert.deepEqual([await finish(alert_id, 1, true), await finish(alert_id, 1, true)], [true, false]);
      const [resolved] = await claim();
      assert.deepEqual([resolved.kind, resolved.payload.incident_id], ['incident_resolved', payload.incident_id]);
      assert.equal(await finish(resolved.alert_id, 1, true), true);
      assert.deepEqual(await backlog(), []);
    });

    test('workers that claim at the same time share no alert', async () => {
      await nobodyIsTold();
      const orgs = Array.from({ length: 9 }, () => randomUUID());
      for (const org_id of orgs) await openIncident(org_id);
      // Less than a fifth of the type fails: the alerts stay those of pairs.
      granted(await rpc('record_health_checks', { checks: Array.from({ length: 60 }, () => ({ org_id: randomUUID(), integration_type: 'xledger', status: 'healthy' })) }));
      await due();
      const answers = await Promise.all(Array.from({ length: 8 }, () => claim({ max_rows: 3 })));
      const claimed = answers.flat();
      assert.equal(new Set(claimed.map(({ alert_id }) => alert_id)).size, claimed.length);
      claimed.push(...await claim());
      assert.deepEqual(claimed.map(({ org_id }) => org_id).sort(), orgs.sort());
      granted(await stack.as.service.from('integration_health_status').delete().in('org_id', orgs), 204);
    });

    test('eight failures and it is dead: shown in the backlog, and revived by the writer or a global admin', async () => {
      await nobodyIsTold();
      const org_id = randomUUID();
      await openIncident(org_id);
      let alert;
      for (let attempt = 1; attempt <= 8; attempt++) {
        await due();
        [alert] = await claim();
        assert.equal(alert.attempt, attempt);
        assert.equal(await finish(alert.alert_id, attempt - 1, false, 'late'), false);
        assert.equal(await finish(alert.alert_id, attempt, false, `HTTP 50${attempt}`), true);
      }
      await due();
      assert.deepEqual(await claim(), []);
      const [dead, ...others] = granted(await stack.as.globalAdmin.rpc('get_alert_backlog'));
      assert.deepEqual(others, []);
      assert.deepEqual({ ...dead, created_at: null }, {
        alert_id: alert.alert_id, kind: 'incident_opened', org_id, integration_type: 'xledger', state: 'dead', created_at: null,
        due_at: null, attempt: 8, error: 'HTTP 508',
      });
      for (const who of ['globalAdmin', 'service']) {
        assert.equal(granted(await stack.as[who].rpc('retry_alert', { alert_id: alert.alert_id })), who === 'globalAdmin');
        assert.equal(granted(await stack.as[who].rpc('retry_alert', { alert_id: nothing })), false);
      }
      assert.deepEqual((await claim()).map(({ alert_id, attempt }) => [alert_id, attempt]), [[alert.alert_id, 1]]);
      assert.equal(await finish(nothing, 1, true), false);
      granted(await stack.as.service.from('integration_health_status').delete().eq('org_id', org_id), 204);
    });

    test('a type that fails is one incident without an organisation, which no member sees or takes on', async () => {
      await nobodyIsTold();
      const type = { integration_type: 'payroll', display_name: 'Payroll' };
      granted(await stack.as.service.from('integration_types').insert(type), 201);
      const check = (i) => ({ org_id: i ? randomUUID() : orgA, integration_type: 'payroll', status: 'unhealthy', cause: 'connect' });
      const checks = Array.from({ length: 10 }, (_, i) => check(i));
      for (let round = 0; round < 2; round++) granted(await rpc('record_health_checks', { checks }));
      const [alert, ...others] = await claim();
      assert.deepEqual(others, []);
      assert.deepEqual([alert.kind, alert.org_id, alert.integration_type, alert.payload.failures], ['incident_opened', null, 'payroll', 10]);
      assert.deepEqual((await backlog()).map(({ state, org_id }) => [state, org_id]), [['claimed', null]]);
      const { incident_id } = alert.payload;
      const [first] = granted(await stack.as.globalAdmin.rpc('get_global_incidents'));
      assert.deepEqual([first.incident_id, first.org_id, first.cause], [incident_id, null, 'connect']);
      assert.equal((await incidents('memberOfA', orgA)).filter((row) => row.integration_type === 'payroll').length, 1);
      for (const who of ['memberOfA', 'memberOfNone', 'globalAdmin']) {
        assert.deepEqual(granted(await stack.as[who].from('integration_incidents').select('*').eq('incident_id', incident_id)), [], who);
      }
      refused(await stack.as.memberOfA.rpc('acknowledge_incident', { incident_id }), 403, '42501');
      granted(await stack.as.globalAdmin.rpc('acknowledge_incident', { incident_id }), 200);
    });

    test('a credential that expires soon, set by an upsert, is told of once for each of 14, 7 and 1 days', async () => {
      await nobodyIsTold();
      const row = { org_id: orgA, integration_type: 'dynamics' };
      const expires = async (days) => {
        const credential_expires_at = minutesAhead(days * 1440);
        granted(await stack.as.service.from('integration_monitors').upsert({ ...row, credential_expires_at }, { onConflict: 'org_id,integration_type' }));
        return credential_expires_at;
      };
      await expires(20);
      assert.equal(granted(await rpc('integration_health_watch')), 0);
      for (const [days, within_days] of [[10, 14], [5, 7], [0.5, 1]]) {
        const at = await expires(days);
        assert.equal(granted(await rpc('integration_health_watch')), 1);
        assert.equal(granted(await rpc('integration_health_watch')), 0);
        const [alert, ...others] = await claim();
        assert.deepEqual([others, alert.kind, alert.org_id, alert.integration_type], [[], 'credential_expires', orgA, 'dynamics']);
        assert.deepEqual([alert.payload.within_days, Date.parse(alert.payload.expires_at)], [within_days, Date.parse(at)]);
      }
      const [monitor] = granted(await stack.as.memberOfA.from('integration_monitors').select('credential_expires_at'));
      assert.ok(Date.parse(monitor.credential_expires_at) > Date.now());
      refused(await stack.as.memberOfA.from('integration_monitors').update({ credential_expires_at: null }).eq('org_id', orgA), 403, '42501');
      granted(await stack.as.service.from('integration_monitors').delete().eq('org_id', orgA), 204);
    });

    test('bad arguments', async () => {
      for (const max_rows of [0, -1, null]) {
        for (const name of ['claim_alerts', 'get_alert_backlog', 'integration_health_watch']) refused(await rpc(name, { max_rows }), 400, '22023', /max_rows/);
        for (const name of ['get_alert_backlog', 'get_global_incidents']) refused(await stack.as.globalAdmin.rpc(name, { max_rows }), 400, '22023', /max_rows/);
      }
      for (const lease of ['0', '1 day 1 second', '-1 minute', null]) refused(await rpc('claim_alerts', { lease }), 400, '22023', /lease/);
      for (const missing of ['alert_id', 'attempt', 'delivered']) {
        refused(await rpc('finish_alert', { ...working.finish_alert, [missing]: null }), 400, '22023', new RegExp(missing));
      }
      for (const who of ['service', 'globalAdmin']) refused(await stack.as[who].rpc('retry_alert', { alert_id: null }), 400, '22023', /alert_id/);
      refused(await rpc('finish_alert', { alert_id: nothing, attempt: 1 }), 404, 'PGRST202');
    });
  });

  describe('what is refused', () => {
    test('members plan no maintenance and have no part in alerts: 403', async () => {
      for (const who of ['memberOfA', 'memberOfBoth', 'memberOfNone']) {
        for (const [name, args] of Object.entries(governing)) {
          refused(await stack.as[who].rpc(name, args), 403, '42501', /^permission denied: role global_admin is required$/);
        }
        refused(await stack.as[who].rpc('end_maintenance', { maintenance_id: ofA.maintenance_id }), 403, '42501', /role global_admin/);
      }
    });

    test('alerts are claimed and ended, and the watch is run, by the writer alone: 403', async () => {
      for (const who of ['memberOfA', 'memberOfNone', 'globalAdmin']) {
        for (const [name, args] of Object.entries(working)) refused(await stack.as[who].rpc(name, args), 403, '42501');
        refused(await stack.as[who].from('integration_alerts').select('alert_id'), 403, '42501');
      }
    });

    test('nobody writes the tables but the functions, not even service_role: 403', async () => {
      for (const who of ['memberOfA', 'globalAdmin', 'service']) {
        for (const table of tables) {
          const rows = () => stack.as[who].from(table);
          refused(await rows().insert(inserted[table]), 403, '42501');
          refused(await rows().upsert(inserted[table]), 403, '42501');
          refused(await rows().update({ integration_type: 'dynamics' }).eq('org_id', orgA), 403, '42501');
          refused(await rows().delete().eq('org_id', orgA), 403, '42501');
        }
      }
    });

    test('anon gets nothing: 401', async () => {
      const acknowledge_incident = { incident_id: ofA.incident.incident_id };
      for (const [name, args] of Object.entries({ ...reports, ...globalReports, ...governing, ...working, acknowledge_incident })) {
        refused(await stack.as.anon.rpc(name, args), 401, '42501');
      }
      for (const table of tables) {
        const rows = () => stack.as.anon.from(table);
        refused(await rows().select('*'), 401, '42501');
        refused(await rows().insert(inserted[table]), 401, '42501');
        refused(await rows().upsert(inserted[table]), 401, '42501');
        refused(await rows().update({ integration_type: 'dynamics' }).eq('org_id', orgA), 401, '42501');
        refused(await rows().delete().eq('org_id', orgA), 401, '42501');
      }
    });

    test('the reports answer to GET too; what changes something does not: 405', async () => {
      for (const [name, args] of Object.entries(reports)) granted(await stack.as.memberOfA.rpc(name, args, { get: true }), 200);
      for (const name of Object.keys(globalReports)) granted(await stack.as.globalAdmin.rpc(name, {}, { get: true }), 200);
      granted(await stack.as.service.rpc('get_alert_backlog', {}, { get: true }), 200);
      granted(await rpc('record_health_check', { org_id: orgB, integration_type: 'dynamics', status: 'unhealthy', cause: 'auth' }));
      await due();
      const id = granted(await rpc('set_maintenance', window));
      for (const [name, args] of Object.entries({
        ...working, set_maintenance: window, end_maintenance: { maintenance_id: id }, acknowledge_incident: { incident_id: ofA.incident.incident_id },
      })) refused(await stack.as.service.rpc(name, args, { get: true }), 405, '25006');
      granted(await rpc('end_maintenance', { maintenance_id: id }));
    });
  });
});
