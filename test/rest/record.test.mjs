// What an Edge Function does as service_role: recording checks by rpc and by upsert, and everything
// that is refused on the way. Bulk loads are in bulk.test.mjs.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { eachSchema, granted, minutesAgo, nowhere, refused } from './suite.mjs';

eachSchema('record', (stack) => {
  const status = () => stack.as.service.from('integration_health_status');
  const history = () => stack.as.service.from('integration_health_history');
  const checksOf = async (org_id) => granted(
    await history().select('check_no, status, latency_ms, http_status, error, slot').eq('org_id', org_id).order('check_no'),
  );
  const upsert = (rows, options) => status().upsert(rows, { onConflict: 'org_id,integration_type', ...options });

  test('rpc record_health_check with the required arguments returns the status row', async () => {
    const org_id = randomUUID();
    const row = granted(await stack.as.service.rpc('record_health_check', { org_id, integration_type: 'xledger', status: 'healthy' }));
    const { checked_at, status_since, last_healthy_at, recorded_at, ...rest } = row;
    assert.deepEqual(rest, {
      org_id, integration_type: 'xledger', status: 'healthy', latency_ms: null, http_status: null, error: null,
      retry_after: null, is_probe: null, cause: null, consecutive_failures: 0, check_no: 1,
    });
    assert.equal(status_since, checked_at);
    assert.equal(last_healthy_at, checked_at);
    assert.ok(Math.abs(Date.parse(recorded_at) - Date.now()) < 60_000);
    assert.deepEqual(await checksOf(org_id), [
      { check_no: 1, slot: 1, status: 'healthy', latency_ms: null, http_status: null, error: null },
    ]);
  });

  test('rpc record_health_check with all arguments by name, .single() and a choice of columns', async () => {
    const org_id = randomUUID();
    const checked_at = minutesAgo(3);
    const answer = await stack.as.service.rpc('record_health_check', {
      checked_at, error: 'bad gateway', http_status: 502, latency_ms: 87, status: 'unhealthy', integration_type: 'dynamics', org_id,
    }).select('status, http_status, error, checked_at, consecutive_failures').single();
    const row = granted(answer);
    assert.equal(Date.parse(row.checked_at), Date.parse(checked_at));
    delete row.checked_at;
    assert.deepEqual(row, { status: 'unhealthy', http_status: 502, error: 'bad gateway', consecutive_failures: 1 });
  });

  test('an argument that does not exist is no function: 404', async () => {
    const answer = await stack.as.service.rpc('record_health_check', { org_id: nowhere, integration_type: 'xledger', status: 'healthy', latency: 5 });
    refused(answer, 404, 'PGRST202');
  });

  test('rpc record_health_checks records an array and returns how many', async () => {
    const org_id = randomUUID();
    const checks = [
      { org_id, integration_type: 'xledger', status: 'healthy', latency_ms: 12, http_status: 200, checked_at: minutesAgo(1) },
      { org_id, integration_type: 'xledger', status: 'degraded', latency_ms: 4000, http_status: 200, checked_at: minutesAgo(2) },
      { org_id, integration_type: 'dynamics', status: 'unknown' },
    ];
    assert.equal(granted(await stack.as.service.rpc('record_health_checks', { checks })), 3);
    const ofXledger = (await checksOf(org_id)).filter(({ latency_ms }) => latency_ms !== null);
    assert.deepEqual(ofXledger.map((check) => [check.check_no, check.status]), [[1, 'degraded'], [2, 'healthy']]);
    assert.equal(granted(await stack.as.service.rpc('record_health_checks', { checks: [] })), 0);
  });

  test('a bad entry of record_health_checks is named, and nothing is recorded: 400 22023', async () => {
    const org_id = randomUUID();
    const good = { org_id, integration_type: 'xledger', status: 'healthy' };
    for (const [bad, message] of [
      [{ ...good, status: 'fine' }, /checks\[1\]: .*fine/],
      [{ ...good, integration_type: 'telepathy' }, /checks\[1\]/],
      [{ ...good, org_id: 'acme' }, /checks\[1\]: .*acme/],
      [{ ...good, org_id: undefined }, /checks\[1\]/],
      [{ ...good, latency_ms: -1 }, /checks\[1\]: .*latency_ms/],
      [{ ...good, latency_ms: 1.5 }, /checks\[1\]/],
      [{ ...good, http_status: 600 }, /checks\[1\]: .*http_status/],
      [{ ...good, error: 'x'.repeat(2001) }, /checks\[1\]: .*error/],
      [{ ...good, checked_at: 'infinity' }, /checks\[1\]/],
      [{ ...good, latency: 5 }, /checks\[1\]: unknown key "latency"/],
      [{ ...good, check_no: 5 }, /checks\[1\]: unknown key "check_no"/],
      ['healthy', /checks\[1\]: .*object/],
      [null, /checks\[1\]: .*object/],
    ]) {
      refused(await stack.as.service.rpc('record_health_checks', { checks: [good, bad, good] }), 400, '22023', message);
    }
    refused(await stack.as.service.rpc('record_health_checks', { checks: good }), 400, '22023', /array/);
    refused(await stack.as.service.rpc('record_health_checks', { checks: null }), 400, '22023', /array/);
    assert.deepEqual(await checksOf(org_id), []);
  });

  test('insert of one check, without and with .select()', async () => {
    const org_id = randomUUID();
    assert.equal(granted(await status().insert({ org_id, integration_type: 'xledger', status: 'healthy' }), 201), null);
    const rows = granted(await status().insert({ org_id, integration_type: 'dynamics', status: 'degraded' }).select(), 201);
    assert.equal(rows[0].check_no, 1);
    assert.equal((await checksOf(org_id)).length, 2);
    refused(await status().insert({ org_id, integration_type: 'xledger', status: 'healthy' }), 409, '23505');
    assert.equal((await checksOf(org_id)).length, 2);
  });

  test('upsert of the same pair again and again: one current row, every check in the history', async () => {
    const org_id = randomUUID();
    const row = { org_id, integration_type: 'xledger' };
    assert.equal(granted(await upsert({ ...row, status: 'healthy', latency_ms: 5 })), null);
    granted(await upsert({ ...row, status: 'unhealthy', http_status: 500, latency_ms: null }));
    const current = granted(await upsert({ ...row, status: 'unhealthy', http_status: 503 }).select().single());
    assert.equal(current.check_no, 3);
    assert.equal(current.consecutive_failures, 2);
    assert.ok(Date.parse(current.last_healthy_at) < Date.parse(current.status_since));
    assert.deepEqual((await checksOf(org_id)).map((check) => [check.check_no, check.status]), [
      [1, 'healthy'], [2, 'unhealthy'], [3, 'unhealthy'],
    ]);
    assert.equal(granted(await status().select('*').eq('org_id', org_id)).length, 1);
  });

  test('upsert of several pairs in one request, some of them new', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    const rows = granted(await upsert([
      { org_id, integration_type: 'dynamics', status: 'degraded', latency_ms: 3000 },
      { org_id, integration_type: 'xledger', status: 'degraded', latency_ms: 3500 },
    ]).select('integration_type, check_no'));
    assert.deepEqual(rows, [{ integration_type: 'dynamics', check_no: 1 }, { integration_type: 'xledger', check_no: 2 }]);
    assert.equal((await checksOf(org_id)).length, 3);
  });

  test('upsert without onConflict goes by the primary key', async () => {
    const org_id = randomUUID();
    granted(await status().upsert({ org_id, integration_type: 'xledger', status: 'healthy' }), 201);
    granted(await status().upsert({ org_id, integration_type: 'xledger', status: 'healthy' }), 200);
    assert.equal((await checksOf(org_id)).length, 2);
  });

  test('upsert with ignoreDuplicates records the new pair only', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    const rows = granted(await upsert([
      { org_id, integration_type: 'xledger', status: 'unhealthy' }, { org_id, integration_type: 'dynamics', status: 'unhealthy' },
    ], { ignoreDuplicates: true }).select('integration_type'));
    assert.deepEqual(rows, [{ integration_type: 'dynamics' }]);
    assert.equal((await checksOf(org_id)).length, 2);
  });

  test('the same pair twice in one upsert is refused whole: 400 21000', async () => {
    const org_id = randomUUID();
    const row = { org_id, integration_type: 'xledger', status: 'healthy' };
    refused(await upsert([row, row]), 400, '21000');
    assert.deepEqual(await checksOf(org_id), []);
  });

  test('PUT of one row by its key, PostgREST\'s own upsert', async () => {
    const org_id = randomUUID();
    const put = () => stack.request(`/integration_health_status?org_id=eq.${org_id}&integration_type=eq.xledger`, {
      claims: { role: 'service_role' }, method: 'PUT', body: { org_id, integration_type: 'xledger', status: 'healthy' },
    });
    assert.equal((await put()).status, 204);
    assert.equal((await put()).status, 204);
    assert.equal((await checksOf(org_id)).length, 2);
  });

  test('update records a check; a result that comes late goes into the history only', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    granted(await status().update({ status: 'degraded', latency_ms: 2500 }).eq('org_id', org_id), 204);
    const [row] = granted(await status().update({ status: 'unhealthy', checked_at: minutesAgo(60) }).eq('org_id', org_id).select());
    assert.equal(row.status, 'degraded');
    assert.equal(row.check_no, 3);
    assert.deepEqual((await checksOf(org_id)).map((check) => check.status), ['healthy', 'degraded', 'unhealthy']);
  });

  test('delete of a pair takes its history along', async () => {
    const org_id = randomUUID();
    granted(await upsert([
      { org_id, integration_type: 'xledger', status: 'healthy' }, { org_id, integration_type: 'dynamics', status: 'healthy' },
    ]));
    granted(await status().delete().eq('org_id', org_id).eq('integration_type', 'xledger'), 204);
    assert.equal((await checksOf(org_id)).length, 1);
    granted(await status().delete().eq('org_id', org_id), 204);
    assert.deepEqual(await checksOf(org_id), []);
  });

  test('the key of a row never changes: 400 22023', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    refused(await status().update({ org_id: randomUUID() }).eq('org_id', org_id), 400, '22023');
    refused(await status().update({ integration_type: 'dynamics' }).eq('org_id', org_id), 400, '22023');
  });

  test('values out of range: what each is refused with', async () => {
    const row = { org_id: randomUUID(), integration_type: 'xledger', status: 'healthy' };
    for (const [bad, http, sqlstate] of [
      [{ status: 'fine' }, 400, '22P02'],
      [{ status: null }, 400, '23502'],
      [{ org_id: 'acme' }, 400, '22P02'],
      [{ org_id: null }, 400, '23502'],
      [{ integration_type: 'telepathy' }, 409, '23503'],
      [{ latency_ms: -1 }, 400, '23514'],
      [{ latency_ms: 1.5 }, 400, '22P02'],
      [{ latency_ms: 3e9 }, 400, '22003'],
      [{ http_status: 99 }, 400, '23514'],
      [{ http_status: 600 }, 400, '23514'],
      [{ error: 'x'.repeat(2001) }, 400, '23514'],
      [{ checked_at: 'yesterday-ish' }, 400, '22007'],
      [{ checked_at: 'infinity' }, 400, '23514'],
    ]) {
      refused(await upsert({ ...row, ...bad }), http, sqlstate);
      refused(await stack.as.service.rpc('record_health_check', { ...row, ...bad }), http, sqlstate);
    }
    granted(await upsert({ ...row, latency_ms: 0, http_status: 100, error: 'é'.repeat(2000) }));
    refused(await upsert({ ...row, colour: 'blue' }), 400, 'PGRST204');
    assert.equal((await checksOf(row.org_id)).length, 1);
  });

  test('the columns that the trigger keeps cannot be set, not even by service_role: 403', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    for (const [column, value] of Object.entries({
      check_no: 1, recorded_at: minutesAgo(0), status_since: minutesAgo(0), last_healthy_at: minutesAgo(0), consecutive_failures: 0,
    })) {
      refused(await upsert({ org_id, integration_type: 'dynamics', status: 'healthy', [column]: value }), 403, '42501');
      refused(await status().update({ [column]: value }).eq('org_id', org_id), 403, '42501');
    }
  });

  test('nobody writes the history or the counts, not even service_role: 403', async () => {
    const org_id = randomUUID();
    granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy' }));
    const check = { org_id, integration_type: 'xledger', slot: 2, check_no: 2, status: 'healthy', checked_at: minutesAgo(0) };
    refused(await history().insert(check), 403, '42501');
    refused(await history().upsert(check), 403, '42501');
    refused(await history().update({ status: 'unhealthy' }).eq('org_id', org_id), 403, '42501');
    refused(await history().delete().eq('org_id', org_id), 403, '42501');
    const counts = stack.as.service.from('integration_health_counts');
    granted(await counts.select('*'));
    refused(await counts.insert({ integration_type: 'xledger', status: 'healthy', delta: 1 }), 403, '42501');
    refused(await stack.as.service.from('integration_health_counts').delete().eq('delta', 1), 403, '42501');
    assert.equal((await checksOf(org_id)).length, 1);
  });

  test('a site\'s own integration type: added, checked, not removed while it is in use', async () => {
    const org_id = randomUUID();
    const types = () => stack.as.service.from('integration_types');
    const row = granted(await types().insert({ integration_type: 'payroll', display_name: 'Payroll' }).select().single(), 201);
    assert.equal(row.check_interval, '00:15:00');
    assert.equal(row.monitoring_mode, 'active');
    granted(await upsert({ org_id, integration_type: 'payroll', status: 'healthy' }));
    granted(await types().update({ check_interval: '1 hour' }).eq('integration_type', 'payroll'), 204);
    refused(await types().delete().eq('integration_type', 'payroll'), 409, '23503');
    refused(await types().insert({ integration_type: 'Bad Name', display_name: 'x' }), 400, '23514');
    refused(await types().insert({ integration_type: 'fast', display_name: 'x', check_interval: '14 minutes' }), 400, '23514');
    granted(await status().delete().eq('org_id', org_id), 204);
    granted(await types().delete().eq('integration_type', 'payroll'), 204);
  });

  test('97 checks through upsert leave 96 in the 24-hour trend', async () => {
    const org_id = randomUUID();
    for (let i = 0; i < 97; i++) granted(await upsert({ org_id, integration_type: 'xledger', status: 'healthy', latency_ms: i }));
    const trend = granted(await stack.as.service.rpc('get_health_trend', { org_id, integration_type: 'xledger' }));
    assert.equal(trend.length, 96);
    assert.equal(trend[0].check_no, 97);
    assert.equal(trend[95].check_no, 2);
    assert.equal((await checksOf(org_id)).length, 96);
  });

  test('callers at the same time record every check, none with 40001 or a gap', async () => {
    const orgs = [randomUUID(), randomUUID(), randomUUID()];
    const pairs = orgs.flatMap((org_id) => ['xledger', 'dynamics'].map((integration_type) => ({ org_id, integration_type })));
    const calls = Array.from({ length: 24 }, (_, i) => {
      const checks = pairs.map((pair) => ({ ...pair, status: i % 2 ? 'healthy' : 'unhealthy' }));
      if (i % 3) checks.reverse();
      return i % 4 ? stack.as.service.rpc('record_health_checks', { checks }) : upsert({ ...pairs[i % 6], status: 'degraded' });
    });
    for (const answer of await Promise.all(calls)) assert.equal(answer.error, null, JSON.stringify(answer.error));
    for (const { org_id, integration_type } of pairs) {
      const rows = granted(await history().select('check_no').match({ org_id, integration_type }).order('check_no'));
      assert.deepEqual(rows.map((row) => row.check_no), rows.map((_, i) => i + 1));
      assert.ok(rows.length >= 18);
    }
  });

  test('the jobs: cleanup, stale marks and compaction answer with how many rows', async () => {
    const org_id = randomUUID();
    granted(await stack.as.service.rpc('record_health_checks', {
      checks: [31, 29].map((days) => ({ org_id, integration_type: 'xledger', status: 'healthy', checked_at: minutesAgo(days * 1440) })),
    }));
    assert.equal(granted(await stack.as.service.rpc('integration_health_cleanup')), 1);
    assert.equal(granted(await stack.as.service.rpc('integration_health_cleanup', { retention: '28 days', max_rows: 10 })), 1);
    refused(await stack.as.service.rpc('integration_health_cleanup', { retention: '-1 day' }), 400, '22023');
    refused(await stack.as.service.rpc('integration_health_cleanup', { max_rows: 0 }), 400, '22023');

    assert.ok(granted(await stack.as.service.rpc('mark_stale_health')) >= 1);
    const [row] = granted(await status().select('status, error').eq('org_id', org_id));
    assert.equal(row.status, 'unknown');
    assert.equal(granted(await stack.as.service.rpc('mark_stale_health', { max_rows: 5 })), 0);

    assert.ok(granted(await stack.as.service.rpc('integration_health_compact')) >= 0);
  });

  test('the job schedule needs pg_cron: SQLSTATE 0A000 and a hint; without it there is nothing to unschedule', async () => {
    const answer = await stack.as.service.rpc('schedule_integration_health_jobs');
    refused(answer, 400, '0A000', /pg_cron/);
    assert.ok(answer.error.hint);
    assert.equal(granted(await stack.as.service.rpc('unschedule_integration_health_jobs')), 0);
    assert.deepEqual(granted(await stack.as.service.rpc('get_health_jobs')).map((job) => job.problem), Array(5).fill('pg_cron is not installed in this database'));
    refused(await stack.as.memberOfA.rpc('get_health_jobs'), 403, '42501');
    assert.equal(granted(await stack.as.globalAdmin.rpc('get_health_jobs')).length, 5);
  });

  test('rights are handed out by the owner, not by service_role: 403', async () => {
    refused(await stack.as.service.rpc('grant_integration_health', { reader: 'authenticated', writer: 'service_role' }), 403, '42501');
    refused(await stack.as.service.rpc('grant_integration_health', { reader: 'anon', writer: 'anon' }), 403, '42501');
  });

  test('the extension\'s trigger functions cannot be called', async () => {
    for (const call of ['integration_health_status_trigger', 'integration_types_trigger']) {
      const answer = await stack.as.service.rpc(call);
      assert.ok(answer.error, call);
      assert.ok([403, 404].includes(answer.status), JSON.stringify(answer));
    }
  });
});
