// The worker, on a real PostgREST with the extension, before an external system that counts: each period
// is done once, whoever else is at it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, before, beforeEach, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { startStack, until } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';
import { Told } from '../../../examples/sync-worker/texts.mjs';
import { createWorker } from '../../../examples/sync-worker/worker.mjs';

describe('sync worker', () => {
  let stack;
  let supabase;
  let lines;

  before(async () => {
    stack = await startStack({ database: 'sync_worker' });
    supabase = stack.client(service);
  });
  after(() => stack?.stop());
  beforeEach(async () => {
    lines = [];
    stack.gateway.pass = stack.gateway.forward;
    await stack.sql('DELETE FROM integration_sync_schedules');
  });

  // n hourly schedules, a period of which has come a minute ago.
  async function schedule(n, changed) {
    const anchor = new Date(Date.now() - 60_000).toISOString();
    const rows = Array.from({ length: n }, () => ({ org_id: randomUUID(), integration_type: 'xledger', every: '1 hour', anchor, retry_backoff: '0', ...changed }));
    assert.equal((await supabase.from('integration_sync_schedules').insert(rows)).error, null);
    await stack.sql('UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor');
    assert.equal((await supabase.rpc('get_due_syncs')).data.length, n);
    return rows;
  }
  const start = (sync, changed) => createWorker({ supabase, sync, log: (line) => lines.push(line), retry_ms: 20, ...changed });
  const runs = async () => (await supabase.from('integration_sync_runs').select().in('org_id', (await supabase.from('integration_sync_schedules').select('org_id')).data.map((row) => row.org_id))).data;

  test('what is due is done once, by whichever worker has it', async () => {
    await schedule(12);
    const done = [[], [], []];
    await Promise.all(done.map((mine) => start(async (run) => {
      mine.push(run.idempotency_key);
      await wait(10);
    }).run()));
    assert.equal(done.flat().length, 12);
    assert.equal(new Set(done.flat()).size, 12);
    assert.ok(done.filter((mine) => mine.length > 0).length > 1, 'they shared the work');
    const rows = await runs();
    assert.deepEqual(rows.map(({ outcome, attempt }) => [outcome, attempt]), Array(12).fill(['succeeded', 1]));
    assert.equal(lines.filter((line) => /^sync \S+ attempt=1 succeeded$/.test(line)).length, 12);
    await start(() => assert.fail('nothing is due any more')).run();
    assert.equal(lines.length, 12);
  });

  test('what fails is tried again with the same key, so often and no more', async () => {
    await schedule(1, { max_attempts: 3 });
    const keys = [];
    const worker = start(async (run) => {
      keys.push(run.idempotency_key);
      throw new Told(`HTTP 500 \0\ud800${'x'.repeat(3000)}`);
    });
    for (let round = 1; round <= 5; round++) await worker.run();
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
    const [run] = await runs();
    assert.deepEqual([run.outcome, run.attempt, run.cold_start], ['failed', 3, false]);
    assert.match(run.error, /^HTTP 500 {3}x{489}$/);
  });

  test('one that fails does not keep the others from being done', async () => {
    const [first] = await schedule(3);
    await start((run) => {
      if (run.org_id === first.org_id) throw new Error('no');
    }).run();
    assert.deepEqual((await runs()).map(({ outcome }) => outcome).sort(), ['failed', 'succeeded', 'succeeded']);
  });

  test('a slow sync holds no other, and so many run at once', async () => {
    const [slow] = await schedule(9);
    let running = 0;
    let most = 0;
    let release;
    const done = [];
    const round = start(async ({ org_id }) => {
      most = Math.max(most, ++running);
      if (org_id === slow.org_id) await new Promise((resolve) => { release = resolve; });
      else await wait(20);
      running -= 1;
      done.push(org_id);
    }, { concurrency: 3 }).run();
    await until('the others', () => done.length === 8);
    release();
    await round;
    assert.deepEqual([done.length, most], [9, 3]);
  });

  test('after the signal no more is begun, and what runs is finished', async () => {
    await schedule(6);
    const ending = new AbortController();
    let begun = 0;
    await start(async () => {
      begun += 1;
      ending.abort();
      await wait(50);
    }, { concurrency: 2 }).run(ending.signal);
    assert.ok(begun <= 2, String(begun));
    assert.deepEqual((await runs()).map(({ outcome }) => outcome), Array(begun).fill('succeeded'));
  });

  test('a period that a newer one has replaced meanwhile is not run', async () => {
    const [first, second] = await schedule(2);
    const periods = [];
    await start(async (run) => {
      periods.push(run.scheduled_for);
      if (periods.length > 1) return;
      // Half an hour later, as it were: the other schedule has come to its next period.
      const other = run.org_id === first.org_id ? second : first;
      await stack.sql(`UPDATE integration_sync_schedules SET every = '30 seconds'::interval * 2, anchor = anchor + interval '30 seconds' WHERE org_id = '${other.org_id}';
        UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor WHERE org_id = '${other.org_id}'`);
      await wait(60);
    }, { concurrency: 1, list_ms: 50 }).run();
    assert.equal(periods.length, 2);
    const { data: [{ anchor }] } = await supabase.from('integration_sync_schedules').select('anchor').neq('every', '01:00:00');
    assert.equal(Date.parse(periods[1]), Date.parse(anchor));
  });

  test('of a foreign error members read the code, and the log has the cause', async () => {
    const gone = http.createServer();
    const port = await listen(gone);
    await close(gone);
    await schedule(1);
    await start(() => fetch(`http://127.0.0.1:${port}/?key=secret`)).run();
    const [run] = await runs();
    assert.deepEqual([run.outcome, run.error], ['failed', 'ECONNREFUSED: the connection was refused']);
    assert.match(lines[0], /fetch failed.*ECONNREFUSED/);
  });

  test('an answer that is not what the functions return is a failure, not a success', async () => {
    for (const [name, body] of [['get_due_syncs', 'null'], ['get_due_syncs', '{"ok":true}'], ['get_due_syncs', ''], ['get_due_syncs', '[{}]'],
      ['claim_sync_run', 'null'], ['claim_sync_run', '{"claimed":true}'], ['claim_sync_run', ''], ['finish_sync_run', '{"ok":true}'], ['finish_sync_run', '']]) {
      await stack.sql('DELETE FROM integration_sync_schedules');
      await schedule(1);
      lines = [];
      stack.gateway.pass = (request, response) => {
        if (!request.url.includes(`/${name}`)) return stack.gateway.forward(request, response);
        return response.writeHead(body === '' ? 204 : 200, { 'Content-Type': 'application/json' }).end(body || undefined);
      };
      const outcome = await start(() => {}).run().catch((error) => error.message);
      assert.match(`${outcome} ${lines.join(' ')}`, new RegExp(`${name}: the answer is not what the function returns`), `${name} ${body}`);
      assert.ok(!lines.some((line) => / succeeded$/.test(line)), `${name} ${body}`);
      stack.gateway.pass = stack.gateway.forward;
    }
  });

  test('the first round of a process is a cold start, the next is none', async () => {
    const worker = start(() => {});
    for (const cold of [true, false]) {
      await stack.sql('DELETE FROM integration_sync_schedules');
      await schedule(1);
      await worker.run();
      assert.deepEqual((await runs()).map(({ cold_start }) => cold_start), [cold]);
    }
  });

  test('a sync is told to stop before its lease ends', async () => {
    await schedule(1);
    await start((run, signal) => new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Told('told to stop')));
    }), { lease: '1 second' }).run();
    const [run] = await runs();
    assert.deepEqual([run.outcome, run.error], ['failed', 'told to stop']);
    assert.ok(Date.parse(run.finished_at) - Date.parse(run.started_at) < 1000);
  });

  test('who was given up drops its result; the period is the other worker\'s', async () => {
    await schedule(1);
    let release;
    const slow = start(() => new Promise((resolve) => { release = resolve; }), { lease: '1 second' }).run();
    await until('the claim', () => release);
    await wait(1100);
    await start(() => {}).run();
    release();
    await slow;
    assert.match(lines[0], /attempt=2 succeeded$/);
    assert.match(lines[1], /finish_sync_run: 55000 attempt 1 of this sync run is not the current one/);
    assert.deepEqual((await runs()).map(({ outcome, attempt }) => [outcome, attempt]), [['succeeded', 2]]);
  });

  test('the end of a sync is sent again when its answer is lost', async () => {
    await schedule(1);
    let reports = 0;
    stack.gateway.pass = async (request, response) => {
      if (!request.url.endsWith('/finish_sync_run') || ++reports > 2) return stack.gateway.forward(request, response);
      const answer = await stack.gateway.deliver(request, await buffer(request));
      answer.resume();
      return response.destroy();
    };
    await start(() => {}).run();
    assert.equal(reports, 3);
    assert.match(lines[0], /attempt=1 succeeded$/);
  });

  test('the Node entry: POSTs with the key as a header, reports an answer that is no success, ends on SIGTERM', async () => {
    const requests = [];
    const site = http.createServer((request, response) => {
      requests.push([request.method, request.url, request.headers['idempotency-key']]);
      if (request.url === '/login') response.end('welcome');
      else response.writeHead(requests.length === 1 ? 301 : 503, { Location: '/login' }).end();
    });
    const env = {
      PATH: process.env.PATH, SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service), SYNC_URL: `http://127.0.0.1:${await listen(site)}/`,
    };
    const [{ org_id }] = await schedule(1);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, fileURLToPath(new URL('../../../examples/sync-worker/main.mjs', import.meta.url))], { env });
    child.stdout.on('data', (data) => lines.push(String(data)));
    try {
      await until('the sync', () => lines.length > 0);
      assert.match(lines[0], /attempt=1 failed HTTP 301: redirected, which is not followed/);
      assert.deepEqual(requests.map(([method, path, key]) => [method, path, key.split(':')[0]]), [['POST', '/', org_id]]);
      child.kill('SIGTERM');
      assert.deepEqual(await once(child, 'close'), [0, null]);
    } finally {
      child.kill('SIGKILL');
      await close(site);
    }
  });
});
