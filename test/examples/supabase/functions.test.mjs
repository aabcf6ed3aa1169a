// The Edge Functions in Deno, as examples/supabase/copy-to puts them into a project, on a real PostgREST and database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { close, listen, selfSigned } from '../../rest/servers.mjs';
import { startStack, until } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';
import { makeProject, secret } from './project.mjs';

const warmUp = (org_id = randomUUID()) => JSON.stringify({ event: 'warm_up', org_id, integration_type: 'xledger', scheduled_for: '2026-11-25T01:30:00Z' });

describe('Edge Functions', () => {
  let stack;
  let supabase;
  let project;
  let site;              // the external system: answers by path, and notes what it was asked
  let origin;
  let tlsSite;           // the same, with a certificate that nobody trusts
  let tlsOrigin;
  let asked;
  let instances;
  let variables;

  before(async () => {
    stack = await startStack({ database: 'edge_functions' });
    supabase = stack.client(service);
    project = await makeProject();
    site = http.createServer((request, response) => {
      asked.push({ method: request.method, path: request.url, key: request.headers['idempotency-key'], authorization: request.headers.authorization, at: Date.now() });
      const status = Number(/^\/(\d{3})/.exec(request.url)?.[1]);
      if (request.url === '/hang') return;
      if (request.url === '/drop') request.socket.destroy();
      else setTimeout(() => response.writeHead(status || 200).end(), request.url === '/slow' ? 1500 : 0);
    });
    origin = `http://127.0.0.1:${await listen(site)}`;
    tlsSite = https.createServer(selfSigned('localhost'), (request, response) => response.end());
    tlsOrigin = `https://127.0.0.1:${await listen(tlsSite)}`;
  });
  after(async () => {
    await stack?.stop();
    if (site) await close(site);
    if (tlsSite) await close(tlsSite);
    project?.remove();
  });
  beforeEach(async () => {
    asked = [];
    instances = [];
    variables = {
      SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service), INTEGRATION_HEALTH_SECRET: secret, SYNC_URL: `${origin}/ok`,
      TOKEN: 'of the environment',
    };
    await stack.sql('DELETE FROM integration_sync_schedules; DELETE FROM integration_monitors; DELETE FROM integration_health_status');
    await stack.sql("UPDATE integration_types SET monitoring_mode = 'active', passive_since = NULL, passive_until = NULL, passive_reason = NULL");
    project.write('functions/sync-worker/sync.ts', originalSync);
  });
  afterEach(() => Promise.all(instances.map((instance) => instance.stop())));

  const originalSync = `import { setting } from '../_shared/client.ts';
import { postTo } from '../_shared/post.mjs';
export const sync = postTo(setting('SYNC_URL'));
`;
  async function start(name, changed, options) {
    const instance = await project.start(name, { ...variables, ...changed }, options);
    instances.push(instance);
    return instance;
  }
  const configure = (config) => project.write('functions/health-monitor/config.json', typeof config === 'string' ? config : JSON.stringify(config));
  const target = (path, more) => ({ org_id: randomUUID(), integration_type: 'xledger', url: `${origin}${path}`, ...more });
  // The monitors are there and due, as a day after the first run.
  async function due(targets) {
    assert.equal((await supabase.from('integration_monitors').insert(targets.map(({ org_id, integration_type }) => ({ org_id, integration_type })))).error, null);
    await stack.sql("UPDATE integration_monitors SET due_at = now() - interval '1 minute', planned_since = now() - interval '1 day'");
  }
  const statusOf = async ({ org_id }) => (await supabase.from('integration_health_status').select().eq('org_id', org_id)).data[0];
  // n hourly schedules, a period of which has come a minute ago.
  async function schedule(n) {
    const anchor = new Date(Date.now() - 60_000).toISOString();
    const rows = Array.from({ length: n }, () => ({ org_id: randomUUID(), integration_type: 'xledger', every: '1 hour', anchor, retry_backoff: '0' }));
    assert.equal((await supabase.from('integration_sync_schedules').insert(rows)).error, null);
    await stack.sql('UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor');
    return rows;
  }
  // The runs of the schedules that are there; those of others stay in the ledger.
  const runs = async () => {
    const { data: schedules } = await supabase.from('integration_sync_schedules').select('org_id');
    return (await supabase.from('integration_sync_runs').select().in('org_id', schedules.map(({ org_id }) => org_id)).order('started_at')).data;
  };

  describe('who may call', () => {
    for (const name of ['health-monitor', 'sync-worker']) {
      test(`${name} is closed to whoever does not bring the secret`, async () => {
        configure({ targets: [target('/ok')] });
        await schedule(1);
        const { call } = await start(name);
        for (const authorization of [undefined, 'Bearer wrong', `Bearer ${secret} `.trim().slice(0, -1), `Bearer ${secret}x`, `bearer ${secret}`, secret, `Bearer ${variables.SUPABASE_SERVICE_ROLE_KEY}`]) {
          const { status, json } = await call({ authorization: authorization ?? '' });
          assert.deepEqual([status, json], [401, { error: 'the secret is missing or wrong' }], authorization);
        }
        assert.equal((await call({ method: 'GET' })).status, 405);
        assert.deepEqual(asked, []);
        assert.deepEqual(await runs(), []);
        assert.equal((await call()).status, 200, 'and open to whoever does');
      });

      test(`${name} without a secret, or with a short one, lets nobody in`, async () => {
        for (const INTEGRATION_HEALTH_SECRET of ['', 'short']) {
          const { call, stop } = await start(name, { INTEGRATION_HEALTH_SECRET });
          for (const authorization of ['', 'Bearer ', `Bearer ${INTEGRATION_HEALTH_SECRET}`]) {
            const { status, json } = await call({ authorization });
            assert.deepEqual([status, json.error], [500, 'INTEGRATION_HEALTH_SECRET is not set, or has fewer than 32 characters']);
          }
          await stop();
        }
      });
    }
  });

  describe('health-monitor', () => {
    test('probes what is due, with the secrets of the environment, and records it', async () => {
      const targets = [target('/ok', { method: 'GET', headers: { Authorization: 'Bearer ${TOKEN}' } }), target('/503'), target('/429'), target('/ok')];
      configure({ targets });
      await due(targets.slice(0, 3));
      const { call } = await start('health-monitor');
      const first = await call();
      assert.deepEqual([first.status, first.json], [200, { checks: 3, recorded: 3, skipped: 1, unknown: 0, cold_start: true }]);
      assert.deepEqual(asked.map(({ method, path }) => `${method} ${path}`).sort(), ['GET /ok', 'HEAD /429', 'HEAD /503']);
      assert.equal(asked.find(({ method }) => method === 'GET').authorization, 'Bearer of the environment');
      assert.deepEqual(await Promise.all(targets.map(async (each) => (await statusOf(each))?.status)), ['healthy', 'unhealthy', 'degraded', undefined]);
      const second = await call();
      assert.deepEqual([second.status, second.json], [200, { checks: 0, recorded: 0, skipped: 4, unknown: 0, cold_start: false }]);
      assert.equal(asked.length, 3, 'what was probed is not due again');
    });

    test('tells members of a network error its code, in the words of the Node monitor, and its cause, and nothing else', async () => {
      const gone = http.createServer();
      const port = await listen(gone);
      await close(gone);
      const targets = [
        target('', { url: `http://127.0.0.1:${port}/?key=secret` }), target('', { url: 'http://no.such.host.invalid/?key=secret' }), target('/drop'), target('/hang'),
        target('', { url: `${tlsOrigin}/?key=secret` }), target('', { url: `${origin.replace('http', 'https')}/?key=secret` }), target('/503'), target('/501'),
      ];
      configure({ timeout_ms: 500, targets });
      await due(targets);
      const { call } = await start('health-monitor');
      assert.equal((await call()).json.recorded, targets.length);
      const recorded = await Promise.all(targets.map(statusOf));
      const [refused, unknown, dropped, hung, selfSigned, plain] = recorded.map(({ error }) => error);
      assert.equal(refused, 'ECONNREFUSED: the connection was refused');
      assert.match(unknown, /^(ENOTFOUND: there is no such host|EAI_AGAIN: the host name could not be looked up)$/);
      assert.equal(dropped, 'ECONNRESET: the connection was reset');
      assert.equal(hung, 'no answer within 500 ms');
      assert.equal(selfSigned, 'DEPTH_ZERO_SELF_SIGNED_CERT: the certificate is self-signed');
      assert.equal(plain, 'ERR_SSL_WRONG_VERSION_NUMBER: what answered does not speak TLS');
      assert.deepEqual(recorded.map(({ cause }) => cause), ['connect', 'dns', 'connect', 'timeout', 'tls', 'tls', 'server', 'configuration']);
    });

    test('two at once share what is due', async () => {
      const targets = Array.from({ length: 120 }, () => target('/ok'));
      configure({ targets });
      await due(targets);
      const both = await Promise.all([start('health-monitor'), start('health-monitor')]);
      const answers = await Promise.all(both.map(({ call }) => call()));
      assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
      assert.equal(answers[0].json.recorded + answers[1].json.recorded, 120);
      assert.equal(asked.length, 120);
    });

    test('claims no more when its wall clock is nearly over; the rest is for the next instance', async () => {
      // Batches of 1 that take 1.5 s each; of 9 s, none is begun in the last 3.
      const targets = Array.from({ length: 7 }, () => target('/slow'));
      configure({ claim_rows: 1, concurrency: 1, claim_batches: 100, timeout_ms: 2000, record_timeout_ms: 1000, targets });
      await due(targets);
      const { call } = await start('health-monitor', { WALL_CLOCK_SECONDS: '9' });
      const { status, json, ms } = await call();
      assert.equal(status, 200);
      assert.ok(json.recorded >= 2 && json.recorded <= 5, `recorded ${json.recorded}`);
      assert.equal(asked.length, json.recorded);
      assert.ok(ms < 9000, `${ms} ms`);
      const next = await start('health-monitor', { WALL_CLOCK_SECONDS: '60' });
      assert.equal((await next.call()).json.recorded, 7 - json.recorded);
    });

    test('a config or environment that will not do is one clear error, and no work', async () => {
      const targets = [target('/ok')];
      for (const [config, changed, error] of [
        [{ targets: [] }, {}, 'config: targets must be a list that is not empty'],
        [{ targets, intervall: 1 }, {}, 'config: unknown setting "intervall"'],
        [{ targets: [{ ...targets[0], url: 7 }] }, {}, 'config: targets[0] has no url'],
        [{ targets: [target('/ok', { headers: { Authorization: '${NO_SUCH_VARIABLE}' } })] }, {}, 'NO_SUCH_VARIABLE is not set'],
        [{ targets, concurrency: 1 }, {}, 'config: a batch may take 515 s, longer than a third of WALL_CLOCK_SECONDS: lower claim_rows or timeout_ms'],
        [{ targets }, { SUPABASE_SERVICE_ROLE_KEY: '' }, 'SUPABASE_SERVICE_ROLE_KEY is not set'],
        [{ targets }, { WALL_CLOCK_SECONDS: 'long' }, 'WALL_CLOCK_SECONDS must be a number from 1 to 86400, not "long"'],
      ]) {
        configure(config);
        const instance = await start('health-monitor', changed);
        for (let time = 1; time <= 2; time++) {
          const { status, json } = await instance.call();
          assert.deepEqual([status, json], [500, { error }]);
        }
        await until('the log', () => instance.log.split(`health-monitor: ${error}\n`).length === 3);
        await instance.stop();
      }
      configure('{"targets": [}');
      const { call } = await start('health-monitor');
      const { status, json } = await call();
      assert.equal(status, 500);
      assert.match(json.error, /config\.json|JSON/);
      assert.deepEqual(asked, []);
    });

    test('takes the key from the list of a project that has no other', async () => {
      const targets = [target('/ok')];
      configure({ targets });
      await due(targets);
      const { call } = await start('health-monitor', { SUPABASE_SERVICE_ROLE_KEY: '', SUPABASE_SECRET_KEYS: JSON.stringify({ default: variables.SUPABASE_SERVICE_ROLE_KEY }) });
      assert.equal((await call()).json.recorded, 1);
    });
  });

  describe('sync-worker', () => {
    test('two invocations at once run a period once, and report a cold start', async () => {
      const rows = await schedule(8);
      const both = await Promise.all([start('sync-worker'), start('sync-worker')]);
      const answers = await Promise.all(both.map(({ call }) => call()));
      assert.deepEqual(answers.map(({ status, json }) => [status, json.failed, json.cold_start]), [[200, 0, true], [200, 0, true]]);
      assert.equal(answers[0].json.succeeded + answers[1].json.succeeded, 8);
      assert.equal(asked.length, 8);
      assert.deepEqual(asked.map(({ key }) => key.split(':')[0]).sort(), rows.map(({ org_id }) => org_id).sort());
      assert.deepEqual((await runs()).map(({ outcome, attempt, cold_start }) => [outcome, attempt, cold_start]), Array(8).fill(['succeeded', 1, true]));
      const again = await both[0].call();
      assert.deepEqual(again.json, { succeeded: 0, failed: 0, cold_start: false });
    });

    test('a warm-up is answered before the work is loaded; the sync after it is no cold start', async () => {
      // What you do for a sync may take long to load.
      project.write('functions/sync-worker/sync.ts', `console.log('loading');
await new Promise((resolve) => setTimeout(resolve, 1500));
console.log('loaded');
${originalSync}`);
      await schedule(1);
      const instance = await start('sync-worker');
      const first = await instance.call({ authorization: '', body: warmUp() });
      assert.deepEqual([first.status, first.json], [200, { warm_up: true, cold_start: true }]);
      assert.ok(!instance.log.includes('loaded'), 'answered before');
      assert.deepEqual((await instance.call({ authorization: '', body: warmUp() })).json, { warm_up: true, cold_start: false });
      await until('the work to be loaded', () => instance.log.includes('loaded'));
      assert.deepEqual([await runs(), asked], [[], []], 'a warm-up runs nothing');
      const { json } = await instance.call();
      assert.deepEqual(json, { succeeded: 1, failed: 0, cold_start: false });
      assert.deepEqual((await runs()).map(({ cold_start }) => cold_start), [false]);
      assert.equal(instance.log.match(/loading/g).length, 1);
    });

    test('a round that comes while a warm-up loads waits for it', async () => {
      project.write('functions/sync-worker/sync.ts', `await new Promise((resolve) => setTimeout(resolve, 500));\n${originalSync}`);
      await schedule(1);
      const { call } = await start('sync-worker');
      const [ping, round] = await Promise.all([call({ body: warmUp() }), wait(100).then(() => call())]);
      assert.deepEqual([ping.json.cold_start, round.json], [true, { succeeded: 1, failed: 0, cold_start: false }]);
    });

    test('what is no warm-up is not taken for one', async () => {
      const { call } = await start('sync-worker');
      for (const body of ['', '{}', 'null', '{"event":"status"}', '["warm_up"]', '"warm_up"', `{"event":"warm_up","x":"${'x'.repeat(20_000)}"}`, '{"event":"warm_up"']) {
        assert.equal((await call({ authorization: '', body })).status, 401, body.slice(0, 30));
      }
    });

    test('a warm-up that finds the environment wanting is logged, and the round says why', async () => {
      const instance = await start('sync-worker', { SYNC_URL: '' });
      assert.equal((await instance.call({ authorization: '', body: warmUp() })).status, 200);
      await until('the log', () => instance.log.includes('sync-worker: SYNC_URL is not set'));
      const { status, json } = await instance.call();
      assert.deepEqual([status, json], [500, { error: 'SYNC_URL is not set' }]);
    });

    test('where the runtime has waitUntil the answer comes at once, and the work is waited for', async () => {
      await schedule(1);
      const instance = await start('sync-worker', { SYNC_URL: `${origin}/slow` }, { edge: true });
      const { status, json, ms } = await instance.call();
      assert.deepEqual([status, json], [202, { accepted: true, cold_start: true }]);
      assert.ok(ms < 1400, `${ms} ms`);
      assert.ok(instance.log.includes('waiting') && !instance.log.includes('waited'), instance.log);
      await until('the sync', () => / attempt=1 succeeded\n.*waited/s.test(instance.log));
      assert.deepEqual((await runs()).map(({ outcome }) => outcome), ['succeeded']);
      const waited = await instance.call({ query: '?wait' });
      assert.deepEqual([waited.status, waited.json], [200, { succeeded: 0, failed: 0, cold_start: false }], 'unless the caller wants to wait');
    });

    test('what fails in the background is logged', async () => {
      const instance = await start('sync-worker', { SUPABASE_URL: 'http://127.0.0.1:9' }, { edge: true });
      assert.equal((await instance.call()).status, 202);
      await until('the log', () => /^sync-worker: get_due_syncs: /m.test(instance.log));
      assert.equal((await instance.call()).status, 202, 'and the instance goes on');
    });

    test('begins nothing when its wall clock is nearly over, and leaves the rest to be claimed', async () => {
      // 4 at once, 1.5 s each; of 9 s, none is begun in the last 3.
      await schedule(40);
      const { call } = await start('sync-worker', { SYNC_URL: `${origin}/slow`, WALL_CLOCK_SECONDS: '9' });
      const began = Date.now();
      const { status, json } = await call();
      assert.equal(status, 200);
      assert.deepEqual(json, { succeeded: json.succeeded, failed: 0, cold_start: true });
      assert.ok(json.succeeded >= 4 && json.succeeded <= 20, `${json.succeeded} syncs`);
      assert.ok(asked.every(({ at }) => at - began < 6500), 'the last was begun in time');
      assert.ok(Date.now() - began < 9000);
      assert.deepEqual((await runs()).map(({ outcome }) => outcome), Array(json.succeeded).fill('succeeded'), 'no run was claimed and left');
      assert.equal((await supabase.rpc('get_due_syncs')).data.length, 40 - json.succeeded);
    });

    test('a sync that would outlive the instance is broken off and reported; its lease is the wall clock', async () => {
      await schedule(1);
      const { call } = await start('sync-worker', { SYNC_URL: `${origin}/hang`, WALL_CLOCK_SECONDS: '5' });
      const { json, ms } = await call();
      assert.deepEqual(json, { succeeded: 0, failed: 1, cold_start: true });
      assert.ok(ms < 5000, `${ms} ms`);
      const [run] = await runs();
      assert.deepEqual([run.outcome, run.error], ['failed', 'no answer in time']);
    });

    test('an instance that is killed leaves its run to the lease; the next has the period then', async () => {
      await schedule(1);
      const first = await start('sync-worker', { SYNC_URL: `${origin}/hang`, WALL_CLOCK_SECONDS: '3' });
      const killed = first.call().catch((error) => error);
      await until('the sync', () => asked.length === 1);
      await first.stop();
      await killed;
      const [run] = await runs();
      assert.equal(run.outcome, 'running');
      assert.equal(Date.parse(run.lease_until) - Date.parse(run.started_at), 3000);
      const { call } = await start('sync-worker');
      assert.equal((await call()).json.succeeded, 0, 'not before');
      await wait(Math.max(Date.parse(run.lease_until) - Date.now(), 0) + 50);
      assert.equal((await call()).json.succeeded, 1);
      assert.deepEqual((await runs()).map(({ outcome, attempt }) => [outcome, attempt]), [['succeeded', 2]]);
    });

    test('a round has half the wall clock, however late it comes', async () => {
      const { call } = await start('sync-worker', { SYNC_URL: `${origin}/slow`, WALL_CLOCK_SECONDS: '6' });
      await call();
      await wait(6500);
      await schedule(1);
      assert.deepEqual((await call()).json, { succeeded: 1, failed: 0, cold_start: false });
    });

    test('beforeunload ends what runs, and nothing more is begun', async () => {
      await schedule(6);
      const instance = await start('sync-worker', { SYNC_URL: `${origin}/hang` });
      const round = instance.call();
      await until('the syncs', () => asked.length === 4);
      instance.child.kill('SIGUSR1');
      assert.deepEqual((await round).json, { succeeded: 0, failed: 4, cold_start: true });
      assert.equal(asked.length, 4);
      assert.equal((await runs()).filter(({ outcome }) => outcome === 'failed').length, 4);
    });
  });
});
