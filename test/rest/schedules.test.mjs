// Active monitoring and the ledger of scheduled syncs, as monitors, sync workers and dashboards use
// them: who is handed what, once, and who may see and change it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { until } from './stack.mjs';
import { eachSchema, granted, orgA, orgB, refused } from './suite.mjs';

const hour = 3_600_000;
const tables = ['integration_monitors', 'integration_sync_schedules', 'integration_sync_runs'];
const byTime = (times) => times.map((time) => Date.parse(time));

eachSchema('schedules', (stack) => {
  const rpc = (name, args) => stack.as.service.rpc(name, args);
  const from = (table) => stack.as.service.from(table);
  // As the superuser, what only time does otherwise.
  const later = (commands) => stack.sql(`SET search_path = "${stack.schema}"; ${commands}`);

  describe('active monitoring', () => {
    const due = "due_at = now() - interval '1 minute'";
    const keyOf = ({ org_id, integration_type }) => `${org_id} ${integration_type}`;
    const claim = async (max_rows) => granted(await rpc('claim_due_health_checks', { max_rows }));
    const typeRow = async () => granted(await from('integration_types').select().eq('integration_type', 'xledger').single());

    test('set_monitor returns the pair\'s row: due within the interval; switched off it is not handed out', async () => {
      const org_id = randomUUID();
      const row = granted(await rpc('set_monitor', { org_id, integration_type: 'xledger' }), 200);
      assert.deepEqual(row, {
        org_id, integration_type: 'xledger', enabled: true, due_at: row.due_at, claimed_at: null, planned_since: null, credential_expires_at: null,
      });
      assert.ok(Date.parse(row.due_at) - Date.now() < 15 * 60_000 && Date.parse(row.due_at) > Date.now() - 10_000);
      const off = granted(await rpc('set_monitor', { org_id, integration_type: 'xledger', enabled: false }));
      assert.deepEqual(off, { ...row, enabled: false });
      await later(`UPDATE integration_monitors SET ${due}`);
      assert.deepEqual(await claim(10), []);
    });

    test('a pair that is due is handed out once, and not again within its interval, whatever due_at says', async () => {
      const pairs = Array.from({ length: 3 }, () => ({ org_id: randomUUID(), integration_type: 'xledger' }));
      granted(await from('integration_monitors').insert(pairs), 201);
      await later(`UPDATE integration_monitors SET ${due} WHERE enabled`);
      const claimed = await claim(10);
      assert.deepEqual(claimed.map(keyOf).sort(), pairs.map(keyOf).sort());
      for (const { due_at, check_interval } of claimed) {
        assert.equal(check_interval, '00:15:00');
        assert.ok(Date.parse(due_at) - Date.now() > 14 * 60_000);
      }
      assert.deepEqual(await claim(10), []);
      await later(`UPDATE integration_monitors SET ${due} WHERE enabled`);
      assert.deepEqual(await claim(10), []);
    });

    test('claims at the same time share no pair', async () => {
      await later(`DELETE FROM integration_monitors; INSERT INTO integration_monitors (org_id, integration_type, due_at)
        SELECT gen_random_uuid(), t, now() - interval '1 minute' FROM generate_series(1, 200), unnest('{xledger,dynamics}'::text[]) AS t`);
      const handed = [];
      for (let most = 1; most > 0;) {
        const claims = await Promise.all(Array.from({ length: 8 }, () => claim(25)));
        handed.push(...claims.flat().map(keyOf));
        most = Math.max(...claims.map((rows) => rows.length));
      }
      assert.equal(new Set(handed).size, handed.length, 'no pair twice');
      assert.equal(handed.length, 400, 'every pair once');
    });

    test('a failing pair is not handed out while it backs off', async () => {
      const pairs = [randomUUID(), randomUUID()].map((org_id) => ({ org_id, integration_type: 'xledger' }));
      granted(await from('integration_monitors').insert(pairs));
      granted(await rpc('record_health_checks', {
        checks: [3, 2, 1].map((i) => ({ ...pairs[0], status: 'unhealthy', checked_at: new Date(Date.now() - i * 1000).toISOString() })),
      }));
      await later(`UPDATE integration_monitors SET ${due}, claimed_at = now() - interval '20 minutes' WHERE org_id IN ('${pairs[0].org_id}', '${pairs[1].org_id}')`);
      assert.deepEqual((await claim(10)).map(keyOf), [keyOf(pairs[1])]);
    });

    test('a 429 puts the type into passive mode and keeps Retry-After: nothing is handed out until it is resumed', async () => {
      const pair = { org_id: orgA, integration_type: 'xledger' };
      granted(await rpc('set_monitor', pair));
      granted(await rpc('record_health_checks', { checks: [{ ...pair, status: 'degraded', http_status: 429, retry_after: 600 }] }));
      const row = await typeRow();
      assert.deepEqual([row.monitoring_mode, row.passive_reason], ['passive', 'HTTP 429']);
      assert.ok(Math.abs(Date.parse(row.passive_since) - Date.now()) < 10_000);
      assert.ok(Math.abs(Date.parse(row.passive_until) - Date.now() - 600_000) < 10_000);
      const [, shown] = granted(await stack.as.memberOfA.rpc('get_org_health_status', { org_id: orgA }));
      assert.deepEqual([shown.integration_type, shown.monitoring_mode, shown.status], ['xledger', 'passive', 'degraded']);

      const reset = `UPDATE integration_monitors SET ${due}, claimed_at = NULL WHERE org_id = '${orgA}'`;
      await later(reset);
      assert.deepEqual(await claim(10), []);
      const resumed = granted(await rpc('resume_active_monitoring', { integration_type: 'xledger' }), 200);
      assert.deepEqual(resumed, { ...row, monitoring_mode: 'active', passive_since: null, passive_reason: null, passive_until: null, planned_since: resumed.planned_since });
      assert.ok(Math.abs(Date.parse(resumed.planned_since) - Date.now()) < 10_000);
      await later(reset);
      await later("UPDATE integration_types SET passive_until = now() + interval '1 hour' WHERE integration_type = 'xledger'");
      assert.deepEqual(await claim(10), []);
      await later("UPDATE integration_types SET passive_until = now() - interval '1 second'");
      assert.deepEqual((await claim(10)).map(keyOf), [keyOf(pair)]);
    });

    test('upserts, as supabase-js makes them, leave the times of a pair alone', async () => {
      const pair = { org_id: orgB, integration_type: 'xledger' };
      const monitors = () => from('integration_monitors');
      const row = granted(await monitors().upsert(pair).select().single(), 201);
      assert.equal(row.enabled, true);
      assert.deepEqual(granted(await monitors().upsert({ ...pair, enabled: false }).select().single(), 200), { ...row, enabled: false });
      granted(await monitors().upsert([pair, { org_id: orgB, integration_type: 'dynamics' }], { ignoreDuplicates: true }));
      const rows = granted(await monitors().select('integration_type, enabled').eq('org_id', orgB).order('integration_type'));
      assert.deepEqual(rows, [{ integration_type: 'dynamics', enabled: true }, { integration_type: 'xledger', enabled: false }]);
      granted(await monitors().update({ enabled: true }).eq('org_id', orgB), 204);
      granted(await monitors().delete().eq('org_id', orgB).eq('integration_type', 'dynamics'), 204);
    });

    test('the columns that claims keep cannot be set, not even by service_role: 403', async () => {
      for (const column of ['due_at', 'claimed_at', 'planned_since']) {
        const value = { [column]: new Date().toISOString() };
        const pair = { org_id: orgB, integration_type: 'xledger' };
        refused(await from('integration_monitors').upsert({ ...pair, ...value }), 403, '42501');
        refused(await from('integration_monitors').insert({ ...pair, org_id: randomUUID(), ...value }), 403, '42501');
        refused(await from('integration_monitors').update(value).eq('org_id', orgB), 403, '42501');
      }
    });

    test('bad arguments', async () => {
      const pair = { org_id: orgA, integration_type: 'xledger' };
      refused(await rpc('set_monitor', { ...pair, integration_type: 'telepathy' }), 409, '23503');
      refused(await from('integration_monitors').upsert({ ...pair, integration_type: 'telepathy' }), 409, '23503');
      refused(await rpc('set_monitor', { ...pair, org_id: null }), 400, '23502');
      refused(await rpc('set_monitor', { ...pair, org_id: 'acme' }), 400, '22P02');
      for (const max_rows of [0, -1, null]) refused(await rpc('claim_due_health_checks', { max_rows }), 400, '22023', /max_rows/);
      for (const integration_type of ['telepathy', null]) refused(await rpc('resume_active_monitoring', { integration_type }), 400, '22023');
      for (const retry_after of [-1, 1.5, 31_536_001, '60', true]) {
        const checks = [{ ...pair, status: 'degraded', http_status: 429, retry_after }];
        refused(await rpc('record_health_checks', { checks }), 400, '22023', /checks\[0\]: retry_after/);
      }
    });
  });

  describe('the sync ledger', () => {
    const anchor = '2020-01-01T03:00:00+00:00';
    // A schedule of its own; returns its key.
    async function schedule(changed) {
      const key = { org_id: randomUUID(), integration_type: 'xledger' };
      granted(await rpc('set_sync_schedule', { ...key, every: '1 day', anchor, ...changed }));
      return key;
    }
    const claim = async (run, args) => granted(await rpc('claim_sync_run', { ...run, ...args }));
    const finish = (run, attempt, outcome, error) => rpc('finish_sync_run', { ...run, attempt, outcome, error });

    test('set_sync_schedule returns the row, with the first period to come; called again it changes what it says', async () => {
      const key = { org_id: randomUUID(), integration_type: 'xledger' };
      const row = granted(await rpc('set_sync_schedule', { ...key, every: '1 day', anchor, time_zone: 'Europe/Oslo', warm_up_url: 'https://w.example/' }), 200);
      const { planned_since, due_at, warm_up_for, ...rest } = row;
      assert.deepEqual(rest, { ...key, every: '1 day', anchor, time_zone: 'Europe/Oslo', enabled: true, warm_up_url: 'https://w.example/',
        max_attempts: 5, retry_backoff: '00:01:00', pruned_until: null });
      assert.equal(due_at, warm_up_for);
      assert.ok(Math.abs(Date.parse(planned_since) - Date.now()) < 10_000);
      assert.ok(Date.parse(due_at) > Date.now() && Date.parse(due_at) < Date.now() + 25 * hour);
      const changed = granted(await rpc('set_sync_schedule', { ...key, every: '02:00:00', anchor, enabled: false }));
      assert.deepEqual([changed.every, changed.time_zone, changed.enabled, changed.warm_up_url], ['02:00:00', 'UTC', false, null]);
      assert.ok(Date.parse(changed.due_at) <= Date.now() + 2 * hour);
      const again = granted(await rpc('set_sync_schedule', { ...key, every: '02:00:00', anchor, max_attempts: 3, retry_backoff: '00:05:00' }));
      assert.deepEqual([again.enabled, again.max_attempts, again.retry_backoff], [false, 3, '00:05:00'], 'what is left out stays');
      refused(await rpc('set_sync_schedule', { ...key, every: '02:00:00', anchor, time_zone: 'Mars/Olympus_Mons' }), 400, '23514', /time zone/);
    });

    test('get_due_syncs lists a period when its time has come, until it is claimed, and again when it failed', async () => {
      const start = new Date(Date.now() - 60_000).toISOString();
      const key = await schedule({ anchor: start, every: '1 hour', retry_backoff: '00:00:00' });
      const listed = async () => granted(await rpc('get_due_syncs').eq('org_id', key.org_id));
      assert.deepEqual(await listed(), [], 'the first period to come is almost an hour away');
      await later(`UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor WHERE org_id = '${key.org_id}'`);
      const [due] = await listed();
      assert.deepEqual(due, { ...key, scheduled_for: due.scheduled_for, attempts: 0, idempotency_key: due.idempotency_key });
      assert.equal(Date.parse(due.scheduled_for), Date.parse(start));
      const run = { ...key, scheduled_for: due.scheduled_for };
      assert.equal((await claim(run)).idempotency_key, due.idempotency_key);
      assert.deepEqual(await listed(), []);
      granted(await finish(run, 1, 'failed', 'HTTP 500'));
      assert.deepEqual(await listed(), [{ ...due, attempts: 1 }]);
      assert.equal((await claim(run)).claimed, true);
      granted(await finish(run, 2, 'succeeded'));
      assert.deepEqual(await listed(), []);
    });

    test('claim_sync_run answers with one object: the run, and whether it is the caller\'s', async () => {
      const key = await schedule();
      const run = await claim({ ...key, scheduled_for: '2020-02-29T03:00:00Z' }, { cold_start: true, lease: '00:01:00' });
      assert.deepEqual(run, {
        ...key, scheduled_for: '2020-02-29T03:00:00+00:00', attempt: 1, outcome: 'running', started_at: run.started_at, finished_at: null,
        lease_until: run.lease_until, drift: run.drift, cold_start: true, error: null,
        idempotency_key: `${key.org_id}:xledger:2020-02-29T03:00:00Z`, claimed: true,
      });
      const [started, ends] = byTime([run.started_at, run.lease_until]);
      assert.equal(ends - started, 60_000);
      assert.match(run.drift, /^\d+ days /);
      const row = granted(await from('integration_sync_runs').select().match(key).single());
      assert.deepEqual({ ...row, claimed: true }, run);
      assert.equal(granted(await rpc('integration_sync_key', { ...key, scheduled_for: run.scheduled_for })), run.idempotency_key);
    });

    test('claimed is true for exactly one of 10 requests at the same time', async () => {
      const key = await schedule({ retry_backoff: '00:00:00' });
      for (const scheduled_for of ['2020-01-01T03:00:00Z', '2020-01-02T03:00:00Z', '2020-01-03T03:00:00Z']) {
        const answers = await Promise.all(Array.from({ length: 10 }, () => claim({ ...key, scheduled_for })));
        assert.equal(answers.filter(({ claimed }) => claimed).length, 1);
        assert.equal(new Set(answers.map(({ claimed, ...run }) => JSON.stringify(run))).size, 1, 'all are told of the same run');
        granted(await finish({ ...key, scheduled_for }, 1, 'failed'));
        const again = await Promise.all(Array.from({ length: 10 }, () => claim({ ...key, scheduled_for })));
        assert.deepEqual(again.filter(({ claimed }) => claimed).map(({ attempt }) => attempt), [2]);
      }
    });

    test('finish_sync_run returns the run; the same report again changes nothing, the contrary one is refused', async () => {
      const run = { ...await schedule(), scheduled_for: '2020-01-01T03:00:00+00:00' };
      const claimed = await claim(run);
      assert.equal(claimed.claimed, true);
      const ended = granted(await finish(run, 1, 'failed', 'HTTP 500'), 200);
      const { claimed: _, ...kept } = claimed;
      assert.deepEqual(ended, { ...kept, outcome: 'failed', error: 'HTTP 500', lease_until: null, finished_at: ended.finished_at });
      assert.deepEqual(granted(await finish(run, 1, 'failed', 'something else')), ended);
      refused(await finish(run, 1, 'succeeded'), 500, '55000', /already ended as failed/);
      assert.deepEqual([(await claim(run)).claimed, (await claim(run)).attempt], [false, 1], 'a failed run waits for its retry_backoff');
      granted(await from('integration_sync_schedules').update({ retry_backoff: '00:00:00' }).eq('org_id', run.org_id));
      assert.equal((await claim(run)).attempt, 2);
      assert.equal(granted(await finish(run, 2, 'succeeded')).outcome, 'succeeded');
      assert.equal((await claim(run)).claimed, false);
    });

    test('who was given up cannot report: 55000, and the run stays the other\'s', async () => {
      const run = { ...await schedule(), scheduled_for: '2020-01-01T03:00:00Z' };
      assert.equal((await claim(run, { lease: '1 second' })).claimed, true);
      assert.equal((await claim(run)).claimed, false);
      await wait(1100);
      const second = await claim(run);
      assert.deepEqual([second.claimed, second.attempt], [true, 2]);
      refused(await finish(run, 1, 'succeeded'), 500, '55000', /attempt 1 of this sync run is not the current one, which is 2/);
      const { claimed, ...kept } = second;
      assert.deepEqual(granted(await from('integration_sync_runs').select().match(run).single()), kept);
    });

    test('in passive mode the end of a sync is the health of its pair', async () => {
      const key = await schedule({ integration_type: 'dynamics' });
      const pair = { ...key, integration_type: 'dynamics' };
      const run = { ...pair, scheduled_for: '2020-01-01T03:00:00Z' };
      const health = async () => granted(await from('integration_health_status').select('status, error, check_no').match(pair).maybeSingle());
      granted(await rpc('set_sync_schedule', { ...pair, every: '1 day', anchor, retry_backoff: '00:00:00' }));
      await claim(run);
      granted(await finish(run, 1, 'failed', 'HTTP 503'));
      assert.equal(await health(), null, 'not in active mode');
      await later("UPDATE integration_types SET monitoring_mode = 'passive', passive_since = now(), passive_reason = 'test' WHERE integration_type = 'dynamics'");
      await claim(run);
      granted(await finish(run, 2, 'failed', 'HTTP 504'));
      assert.deepEqual(await health(), { status: 'unhealthy', error: 'HTTP 504', check_no: 1 });
      await claim(run);
      granted(await finish(run, 3, 'succeeded'));
      assert.deepEqual(await health(), { status: 'healthy', error: null, check_no: 2 });
      granted(await rpc('resume_active_monitoring', { integration_type: 'dynamics' }));
    });

    test('a warm-up is sent once a period, and only shortly before it', async () => {
      granted(await from('integration_sync_schedules').delete().neq('every', '1 minute'));
      await schedule({ anchor: new Date(Date.now() + 30_000).toISOString(), warm_up_url: 'https://w.example/soon' });
      await schedule({ anchor: new Date(Date.now() + 300_000).toISOString(), warm_up_url: 'https://w.example/later' });
      assert.equal(granted(await rpc('dispatch_sync_warm_ups')), 1);
      assert.equal(granted(await rpc('dispatch_sync_warm_ups')), 0);
      assert.equal(granted(await rpc('dispatch_sync_warm_ups', { ahead: '00:10:00' })), 1);
    });

    test('upserts, as supabase-js makes them, plan anew when the plan changes and only then', async () => {
      const schedules = () => from('integration_sync_schedules');
      const key = { org_id: randomUUID(), integration_type: 'xledger' };
      const row = granted(await schedules().upsert({ ...key, every: '1 day', anchor }).select().single(), 201);
      const named = granted(await schedules().upsert({ ...key, every: '1 day', anchor, warm_up_url: 'http://w.example/' }).select().single(), 200);
      assert.deepEqual(named, { ...row, warm_up_url: 'http://w.example/' });
      const other = granted(await schedules().upsert({ ...key, every: '1 hour', anchor }).select().single());
      assert.notEqual(other.planned_since, row.planned_since);
      granted(await schedules().update({ enabled: false }).match(key), 204);
      granted(await schedules().delete().match(key), 204);
    });

    test('the columns that the extension keeps cannot be set, not even by service_role: 403', async () => {
      const key = await schedule();
      for (const column of ['planned_since', 'due_at', 'warm_up_for', 'pruned_until']) {
        const value = { [column]: new Date().toISOString() };
        const schedules = from('integration_sync_schedules');
        refused(await schedules.upsert({ ...key, every: '1 day', anchor, ...value }), 403, '42501');
        refused(await schedules.insert({ ...key, org_id: randomUUID(), every: '1 day', anchor, ...value }), 403, '42501');
        refused(await schedules.update(value).match(key), 403, '42501');
      }
    });

    test('nobody writes the ledger but the functions, not even service_role: 403', async () => {
      const run = { ...await schedule(), scheduled_for: '2020-01-01T03:00:00+00:00' };
      const { claimed, drift, idempotency_key, ...row } = await claim(run);
      refused(await from('integration_sync_runs').insert({ ...row, org_id: randomUUID() }), 403, '42501');
      refused(await from('integration_sync_runs').upsert(row), 403, '42501');
      refused(await from('integration_sync_runs').update({ outcome: 'succeeded' }).match(run), 403, '42501');
      refused(await from('integration_sync_runs').delete().match(run), 403, '42501');
    });

    test('bad arguments', async () => {
      const key = await schedule();
      const plan = { ...key, every: '1 day', anchor };
      for (const [changed, status, sqlstate] of [
        [{ every: '30 seconds' }, 400, '23514'], [{ every: '1 day 01:00' }, 400, '23514'], [{ time_zone: 'Mars/Olympus' }, 400, '23514'],
        [{ anchor: 'infinity' }, 400, '23514'], [{ warm_up_url: 'ftp://w.example/' }, 400, '23514'], [{ integration_type: 'telepathy' }, 409, '23503'],
        [{ anchor: null }, 400, '23502'], [{ every: null }, 400, '23502'], [{ every: 'soon' }, 400, '22007'], [{ org_id: 'acme' }, 400, '22P02'],
      ]) {
        refused(await rpc('set_sync_schedule', { ...plan, ...changed }), status, sqlstate);
        refused(await from('integration_sync_schedules').upsert({ ...plan, ...changed }), status, sqlstate);
      }
      const run = { ...key, scheduled_for: '2020-01-01T03:00:00Z' };
      for (const [changed, message] of [
        [{ org_id: randomUUID() }, /no sync is scheduled/], [{ integration_type: 'dynamics' }, /no sync is scheduled/],
        [{ scheduled_for: '2020-01-01T03:00:01Z' }, /not a period/], [{ scheduled_for: '2200-01-01T03:00:00Z' }, /in the future/],
        [{ scheduled_for: null }, /scheduled_for/], [{ cold_start: null }, /cold_start/], [{ lease: '0' }, /lease/], [{ lease: '2 days' }, /lease/],
      ]) refused(await rpc('claim_sync_run', { ...run, ...changed }), 400, '22023', message);
      refused(await finish(run, 1, 'succeeded'), 400, '22023', /nobody has claimed/);
      await claim(run);
      refused(await finish(run, 1, 'running'), 400, '22023');
      refused(await finish(run, null, 'failed'), 400, '22023');
      refused(await finish(run, 1, 'done'), 400, '22P02');
      refused(await finish(run, 1, 'failed', 'x'.repeat(2001)), 400, '23514');
      granted(await from('integration_sync_schedules').update({ enabled: false }).match(key));
      refused(await rpc('claim_sync_run', { ...run, scheduled_for: '2020-01-02T03:00:00Z' }), 500, '55000', /disabled/);
      for (const max_rows of [0, null]) refused(await rpc('get_due_syncs', { max_rows }), 400, '22023', /max_rows/);
      for (const ahead of ['0', '2 days', null]) refused(await rpc('dispatch_sync_warm_ups', { ahead }), 400, '22023', /ahead/);
    });
  });

  describe('what is seen of it', () => {
    // The period after them is a minute old, which is not late yet.
    const last = Date.now() - 60_000;
    const periods = [1, 2, 3, 4].map((n) => new Date(last - n * hour).toISOString());
    const reports = ['get_sync_drift', 'get_missed_syncs', 'get_cold_starts'];
    const report = async (who, name, org_id, args) => granted(await stack.as[who].rpc(name, { org_id, ...args }));
    const everyone = [
      ['memberOfA', [orgA]], ['memberOfB', [orgB]], ['memberOfBoth', [orgA, orgB]], ['memberOfNone', []], ['globalAdmin', []], ['service', [orgA, orgB]],
    ];

    // Of each organisation, an hourly sync: late; late, cold and failed; given up; never run.
    test('two organisations have syncs', async () => {
      await later('DELETE FROM integration_sync_runs; DELETE FROM integration_sync_schedules; DELETE FROM integration_monitors');
      for (const org_id of [orgA, orgB]) {
        const key = { org_id, integration_type: 'xledger' };
        granted(await rpc('set_monitor', key));
        granted(await rpc('set_sync_schedule', { ...key, every: '1 hour', anchor: periods[3] }));
        await later(`UPDATE integration_sync_schedules SET planned_since = '${periods[3]}'`);
        for (const [scheduled_for, cold_start] of [[periods[0], false], [periods[1], true], [periods[2], false]]) {
          assert.equal(granted(await rpc('claim_sync_run', { ...key, scheduled_for, cold_start })).claimed, true);
        }
        granted(await rpc('finish_sync_run', { ...key, scheduled_for: periods[0], attempt: 1, outcome: 'succeeded' }));
        granted(await rpc('finish_sync_run', { ...key, scheduled_for: periods[1], attempt: 1, outcome: 'failed', error: 'HTTP 500' }));
        await later("UPDATE integration_sync_runs SET lease_until = now() - interval '1 second' WHERE outcome = 'running'");
      }
    });

    test('a member is told of late, missed and cold runs, newest first', async () => {
      const late = await report('memberOfA', 'get_sync_drift', orgA);
      assert.deepEqual(byTime(late.map((row) => row.scheduled_for)), byTime(periods.slice(0, 3)));
      assert.deepEqual({ ...late[1], scheduled_for: null, started_at: null, drift: null }, {
        integration_type: 'xledger', display_name: 'Xledger', scheduled_for: null, started_at: null, drift: null, attempt: 1, outcome: 'failed', cold_start: true,
      });
      const missed = await report('memberOfA', 'get_missed_syncs', orgA);
      assert.deepEqual(byTime(missed.map((row) => row.scheduled_for)), byTime(periods.slice(2)));
      assert.deepEqual(missed.map((row) => row.attempts), [1, 0]);
      assert.deepEqual(Object.keys(missed[0]), ['integration_type', 'display_name', 'scheduled_for', 'overdue', 'attempts', 'given_up']);
      assert.deepEqual(missed.map((row) => row.given_up), [false, false]);
      const cold = await report('memberOfA', 'get_cold_starts', orgA);
      assert.deepEqual(cold.map(({ scheduled_for, outcome }) => [Date.parse(scheduled_for), outcome]), [[Date.parse(periods[1]), 'failed']]);
      for (const name of reports) {
        const within = await report('memberOfA', name, orgA, { hours: 2 });
        assert.ok(within.every((row) => Date.parse(row.scheduled_for) >= Date.now() - 2 * hour - 10_000), name);
      }
    });

    test('the reports and tables show a caller the organisations that its token names', async () => {
      for (const [who, seen] of everyone) {
        for (const name of reports) {
          for (const org_id of [orgA, orgB]) {
            const rows = await report(who, name, org_id);
            assert.equal(rows.length > 0, seen.includes(org_id), `${name} of ${org_id} as ${who}`);
          }
          assert.deepEqual(await report(who, name, randomUUID()), []);
        }
        for (const table of tables) {
          const rows = granted(await stack.as[who].from(table).select('org_id').order('org_id'));
          assert.deepEqual([...new Set(rows.map((row) => row.org_id))], seen, `${table} as ${who}`);
        }
      }
    });

    test('another organisation\'s rows are not reached by filter, count or embed', async () => {
      for (const table of tables) {
        const answer = await stack.as.memberOfA.from(table).select('*', { count: 'exact' }).eq('org_id', orgB);
        assert.deepEqual([granted(answer), answer.count], [[], 0], table);
      }
      for (const table of tables.slice(0, 2)) {
        const [type] = granted(await stack.as.memberOfA.from('integration_types').select(`integration_type, ${table}!inner(org_id)`));
        assert.deepEqual(type, { integration_type: 'xledger', [table]: [{ org_id: orgA }] });
      }
    });

    test('the reports answer to GET too; what changes something does not: 405', async () => {
      for (const name of reports) {
        granted(await stack.as.memberOfA.rpc(name, { org_id: orgA }, { get: true }), 200);
      }
      granted(await stack.as.globalAdmin.rpc('get_global_sync_summary', {}, { get: true }), 200);
      granted(await stack.as.service.rpc('get_due_syncs', {}, { get: true }), 200);
      const key = { org_id: orgA, integration_type: 'xledger' };
      await later("UPDATE integration_monitors SET due_at = now() - interval '1 minute'");
      for (const [name, args] of [
        ['set_monitor', key], ['claim_due_health_checks', {}], ['resume_active_monitoring', { integration_type: 'xledger' }],
        ['claim_sync_run', { ...key, scheduled_for: periods[3] }], ['dispatch_sync_warm_ups', {}],
        ['finish_sync_run', { ...key, scheduled_for: periods[2], attempt: 1, outcome: 'failed' }],
      ]) refused(await stack.as.service.rpc(name, args, { get: true }), 405, '25006');
    });

    test('hours outside 1 to 720, or null: 400 22023, also where there is nothing to see', async () => {
      for (const hours of [0, 721, null]) {
        for (const name of reports) {
          refused(await stack.as.memberOfA.rpc(name, { org_id: orgA, hours }), 400, '22023', /hours must be between 1 and 720/);
          refused(await stack.as.memberOfNone.rpc(name, { org_id: orgA, hours }), 400, '22023', /hours must be between 1 and 720/);
        }
        refused(await stack.as.globalAdmin.rpc('get_global_sync_summary', { hours }), 400, '22023', /hours must be between 1 and 720/);
      }
    });

    test('the global admin\'s summary: one row for every integration type, over all organisations', async () => {
      const [dynamics, xledger, ...others] = granted(await stack.as.globalAdmin.rpc('get_global_sync_summary'));
      assert.deepEqual(others, []);
      assert.deepEqual(dynamics, {
        integration_type: 'dynamics', display_name: 'Microsoft Dynamics 365', schedules: 0, succeeded: 0, failed: 0, running: 0, late: 0, missed: 0, cold_starts: 0, max_drift: null, given_up: 0,
      });
      assert.deepEqual({ ...xledger, max_drift: null }, {
        integration_type: 'xledger', display_name: 'Xledger', schedules: 2, succeeded: 2, failed: 2, running: 2, late: 6, missed: 4, cold_starts: 2, max_drift: null, given_up: 0,
      });
      assert.match(xledger.max_drift, /^03:0/);
    });

    test('the summary refuses everyone else: 403, the anonymous key: 401', async () => {
      for (const who of ['memberOfA', 'memberOfBoth', 'memberOfNone', 'service']) {
        refused(await stack.as[who].rpc('get_global_sync_summary'), 403, '42501', /^permission denied: role global_admin is required$/);
        refused(await stack.as[who].rpc('get_global_sync_summary', { hours: 0 }), 403, '42501');
      }
      refused(await stack.as.anon.rpc('get_global_sync_summary'), 401, '42501');
    });

    // What service_role alone may do, or nobody.
    const key = { org_id: orgA, integration_type: 'xledger' };
    const run = { ...key, scheduled_for: periods[3] };
    const writing = {
      set_monitor: key,
      claim_due_health_checks: {},
      resume_active_monitoring: { integration_type: 'xledger' },
      set_sync_schedule: { ...key, every: '1 day', anchor: periods[3] },
      get_due_syncs: {},
      claim_sync_run: run,
      finish_sync_run: { ...run, attempt: 1, outcome: 'failed' },
      dispatch_sync_warm_ups: {},
    };
    const inserted = {
      integration_monitors: key,
      integration_sync_schedules: { ...key, every: '1 day', anchor: periods[3] },
      integration_sync_runs: { ...run, attempt: 1, outcome: 'running', started_at: periods[3], lease_until: periods[0], cold_start: false },
    };

    test('members and the global admin write nothing, by table or by function: 403', async () => {
      for (const who of ['memberOfA', 'globalAdmin']) {
        for (const [name, args] of Object.entries(writing)) refused(await stack.as[who].rpc(name, args), 403, '42501');
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
      const reading = Object.fromEntries(reports.map((name) => [name, { org_id: orgA }]));
      const plan = { every: '1 hour', anchor: periods[3], time_zone: 'UTC' };
      const helpers = {
        integration_sync_key: run, integration_sync_is_late: { drift: '1 hour' }, integration_sync_last_period: { ...plan, at: periods[0] },
        integration_sync_next_period: { ...plan, after: periods[0] }, integration_sync_periods: { ...plan, since: periods[3], until: periods[0] },
        integration_sync_every_is_valid: { every: '1 hour' }, integration_sync_time_zone_is_valid: { time_zone: 'UTC' },
      };
      for (const [name, args] of Object.entries({ ...writing, ...reading, ...helpers })) refused(await stack.as.anon.rpc(name, args), 401, '42501');
      for (const table of tables) {
        const rows = () => stack.as.anon.from(table);
        refused(await rows().select('*'), 401, '42501');
        refused(await rows().insert(inserted[table]), 401, '42501');
        refused(await rows().upsert(inserted[table]), 401, '42501');
        refused(await rows().update({ integration_type: 'dynamics' }).eq('org_id', orgA), 401, '42501');
        refused(await rows().delete().eq('org_id', orgA), 401, '42501');
      }
    });
  });
});
