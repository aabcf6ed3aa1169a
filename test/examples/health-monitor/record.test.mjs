// The whole monitor, on a real PostgREST with the extension: what a run records, and that no failure
// of the recording ever doubles a check. The gateway plays the network that fails. Every run probes all
// of its targets; what is due is the matter of work.test.mjs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { after, before, beforeEach, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { psql, startStack, until } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';
import { createMonitor } from '../../../examples/health-monitor/monitor.mjs';

describe('health monitor', () => {
  let stack;
  let supabase;
  let site;
  let siteUrl;
  let gateway;
  let recordings;        // calls of record_health_checks that reached the gateway
  let together = 0;
  let mostTogether = 0;

  before(async () => {
    stack = await startStack({ database: 'monitor' });
    supabase = stack.client(service);
    site = http.createServer((request, response) => {
      together += 1;
      mostTogether = Math.max(mostTogether, together);
      response.on('close', () => { together -= 1; });
      if (request.url === '/slow') setTimeout(() => response.end(), 60);
      else response.writeHead(Number(request.url.slice(1))).end();
    });
    siteUrl = `http://127.0.0.1:${await listen(site)}`;
    gateway = stack.gateway;
  });
  after(async () => {
    if (site) await close(site);
    if (stack) await stack.stop();
  });
  beforeEach(() => failing(0));

  const isRecording = (request) => request.url.endsWith('/rpc/record_health_checks');

  // failing(times, how): the first so many recordings go to how(request, response), all else passes.
  function failing(times, how) {
    recordings = 0;
    gateway.pass = (request, response) => {
      if (isRecording(request) && ++recordings <= times) return how(request, response);
      return gateway.forward(request, response);
    };
  }

  // commit(request): delivers a recording and returns when PostgREST has answered it.
  async function commit(request) {
    const answer = await gateway.deliver(request, await buffer(request));
    assert.equal(answer.statusCode, 200);
    answer.resume();
    await once(answer, 'end');
  }

  // A run over one organisation with two targets; returns what came of it and of the organisation.
  async function runOnce(changed = {}) {
    const org_id = randomUUID();
    const lines = [];
    const config = {
      targets: [
        { org_id, integration_type: 'xledger', url: `${siteUrl}/200` }, { org_id, integration_type: 'dynamics', url: `${siteUrl}/500` },
      ],
      claim: false, record_backoff_ms: 20, settle_ms: 600, record_timeout_ms: 2000, ...changed,
    };
    const monitor = createMonitor({ supabase, config, log: (line) => lines.push(line) });
    const outcome = await monitor.run().catch((error) => ({ error }));
    return { org_id, outcome, lines };
  }
  const recorded = async (org_id) => (await stack.sql(
    `SELECT integration_type || ' ' || check_no || ' ' || status FROM integration_health_history
      WHERE org_id = '${org_id}' ORDER BY integration_type, check_no`,
  )).split('\n').filter(Boolean);
  const onlyOnce = ['dynamics 1 unhealthy', 'xledger 1 healthy'];

  test('a run records every target in one call and logs one line', async () => {
    const { org_id, outcome, lines } = await runOnce();
    assert.equal(outcome.recorded, 2);
    assert.equal(recordings, 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^health-monitor checks=2 healthy=1 degraded=0 unhealthy=1 rate_limited=0 skipped=0 unknown=0 recorded=2 attempts=1 ms=\d+$/);
    const { data } = await supabase.from('integration_health_status').select('http_status, error, latency_ms').eq('org_id', org_id).eq('integration_type', 'dynamics').single();
    assert.equal(data.http_status, 500);
    assert.equal(data.error, 'HTTP 500');
    assert.ok(Number.isInteger(data.latency_ms));
  });

  test('at most N targets are probed at once', async () => {
    mostTogether = 0;
    const targets = Array.from({ length: 12 }, () => ({ org_id: randomUUID(), integration_type: 'xledger', url: `${siteUrl}/slow` }));
    const { outcome } = await runOnce({ targets, concurrency: 3 });
    assert.equal(outcome.recorded, 12);
    assert.equal(mostTogether, 3);
  });

  test('the answer is lost after the commit: found in the history, not sent again', async () => {
    failing(1, async (request, response) => {
      await commit(request);
      response.destroy();
    });
    const { org_id, outcome } = await runOnce();
    assert.equal(outcome.recorded, 2);
    assert.equal(recordings, 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('the answer breaks off in the middle, or a gateway answers 502, 504, after the commit: not sent again', async () => {
    for (const breakOff of [
      (response) => response.writeHead(200, { 'Content-Length': 100, 'Content-Type': 'application/json' }).write('2', () => response.destroy()),
      (response) => response.writeHead(502).end('Bad Gateway'),
      (response) => response.writeHead(504, { 'Content-Type': 'application/json' }).end('{"message":"timeout"}'),
    ]) {
      failing(1, async (request, response) => {
        await commit(request);
        breakOff(response);
      });
      const { org_id, outcome } = await runOnce();
      assert.equal(outcome.recorded, 2);
      assert.equal(recordings, 1);
      assert.deepEqual(await recorded(org_id), onlyOnce);
    }
  });

  test('an answer that never comes: given up after record_timeout_ms, found in the history', async () => {
    failing(1, commit);
    const { org_id, outcome } = await runOnce({ record_timeout_ms: 300 });
    assert.equal(outcome.recorded, 2);
    assert.equal(recordings, 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('a call that is cut off and committed later all the same is waited for, not sent again', async () => {
    failing(1, async (request, response) => {
      const body = await buffer(request);
      response.destroy();
      setTimeout(() => gateway.deliver(request, body).then((answer) => answer.resume()), 250);
    });
    const { org_id, outcome } = await runOnce({ settle_ms: 1500 });
    assert.equal(outcome.recorded, 2);
    assert.equal(recordings, 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('a call that never arrived is sent again, once it is sure that it did not', async () => {
    failing(2, (request, response) => response.destroy());
    const start = performance.now();
    const { org_id, outcome } = await runOnce({ settle_ms: 200 });
    assert.ok(performance.now() - start >= 400, 'settle_ms was waited for, twice');
    assert.deepEqual([outcome.recorded, outcome.attempts, recordings], [2, 3, 3]);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('a database that is down for a while: every check once when it is back', async () => {
    let back;
    failing(1, async (request, response) => {
      await psql('postgres', `ALTER DATABASE monitor ALLOW_CONNECTIONS false;
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'monitor'`);
      await gateway.forward(request, response);
      back = wait(1000).then(() => psql('postgres', 'ALTER DATABASE monitor ALLOW_CONNECTIONS true'));
    });
    const { org_id, outcome } = await runOnce({ record_backoff_ms: 100, record_attempts: 10, settle_ms: 1500 });
    await back;
    assert.equal(outcome.recorded, 2);
    assert.ok(outcome.attempts > 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('as long as the history cannot be read, nothing is sent again; then it fails and says so', async () => {
    recordings = 0;
    gateway.pass = (request, response) => {
      if (isRecording(request)) recordings += 1;
      else if (recordings === 0) return gateway.forward(request, response);
      return response.destroy();
    };
    const { org_id, outcome, lines } = await runOnce({ settle_ms: 50, record_attempts: 3 });
    assert.equal(recordings, 1);
    assert.match(outcome.error.message, /recording failed: .*cannot be seen/);
    assert.match(lines[0], / recorded=0 attempts=1 .*error="/);
    assert.deepEqual(await recorded(org_id), []);
  });

  test('a refusal is not sent again: a bad entry, a token that has expired', async () => {
    // A type that goes while its targets are probed.
    await stack.sql("INSERT INTO integration_types (integration_type, display_name) VALUES ('telepathy', 'Telepathy')");
    failing(1, async (request, response) => {
      await stack.sql("DELETE FROM integration_types WHERE integration_type = 'telepathy'");
      return gateway.forward(request, response);
    });
    const org_id = randomUUID();
    const targets = [
      { org_id, integration_type: 'xledger', url: `${siteUrl}/200` }, { org_id, integration_type: 'telepathy', url: `${siteUrl}/200` },
    ];
    const { outcome } = await runOnce({ targets });
    assert.match(outcome.error.message, /HTTP 400: 22023 checks\[1\]/);
    assert.equal(recordings, 1);
    assert.deepEqual(await recorded(org_id), []);

    // The token is good until the probes are made.
    failing(1, (request, response) => {
      request.headers.authorization = `Bearer ${stack.token(service, -60)}`;
      return gateway.forward(request, response);
    });
    const { outcome: unauthorized } = await runOnce();
    assert.match(unauthorized.error.message, /recording failed: HTTP 401: PGRST301/);
    assert.equal(recordings, 1);
  });

  test('a statement that the database gave up is sent again', async () => {
    failing(0);
    await stack.sql(`ALTER ROLE authenticator IN DATABASE monitor SET statement_timeout = '300ms'; SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity WHERE usename = 'authenticator' AND datname = current_database()`);
    await until('PostgREST', async () => (await stack.request('/')).status === 200);
    // Holds up the first recording for longer than it may take.
    const blocked = stack.sql('BEGIN; LOCK integration_health_status IN EXCLUSIVE MODE; SELECT pg_sleep(0.5); COMMIT');
    await until('the lock', async () => (await stack.sql(
      "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'integration_health_status'::regclass",
    )) === '1');
    const { org_id, outcome } = await runOnce({ settle_ms: 60_000, record_backoff_ms: 100 });
    await blocked;
    await stack.sql('ALTER ROLE authenticator IN DATABASE monitor RESET statement_timeout');
    assert.equal(outcome.recorded, 2);
    assert.ok(outcome.attempts > 1);
    assert.deepEqual(await recorded(org_id), onlyOnce);
  });

  test('the Node entry: one run from a config file, one line, exit code 0; 1 when it fails', async () => {
    const org_id = randomUUID();
    const dir = mkdtempSync(`${tmpdir()}/monitor.`);
    const main = fileURLToPath(new URL('../../../examples/health-monitor/main.mjs', import.meta.url));
    const start = (config, env) => {
      writeFileSync(`${dir}/config.json`, JSON.stringify(config));
      return promisify(execFile)(process.execPath, [main, `${dir}/config.json`], {
        env: { PATH: process.env.PATH, SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service), ...env },
      });
    };
    const targets = [{ org_id, integration_type: 'xledger', url: `${siteUrl}/200`, headers: { 'X-Key': '${SECRET}' } }];
    try {
      const { stdout } = await start({ targets, claim: false }, { SECRET: 'k' });
      assert.match(stdout, /^health-monitor checks=1 healthy=1 .*recorded=1 attempts=1 ms=\d+\n$/);
      assert.deepEqual(await recorded(org_id), ['xledger 1 healthy']);
      const { stdout: early } = await start({ targets }, { SECRET: 'k' });
      assert.match(early, /^health-monitor checks=0 .*skipped=1 unknown=0 recorded=0 attempts=0 ms=\d+\n$/);
      await assert.rejects(start({ targets }), (error) => error.code === 1 && /SECRET is not set/.test(error.stderr));
      await assert.rejects(start({ targets, slow: 1 }, { SECRET: 'k' }), (error) => error.code === 1 && /unknown setting/.test(error.stderr));
      await assert.rejects(start({ targets }, { SECRET: 'k', SUPABASE_SERVICE_ROLE_KEY: stack.anonKey }), (error) => error.code === 1 && /HTTP 401/.test(error.stderr));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
