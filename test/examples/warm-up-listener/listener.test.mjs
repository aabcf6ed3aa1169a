// The listener, on a real server with the extension: what it calls and prints, and that it outlives its
// connection.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { psql, until } from '../../rest/stack.mjs';
import { startListener } from '../../../examples/warm-up-listener/listener.mjs';

const database = 'warm_up_listener';

describe('warm-up listener', () => {
  const calls = [];            // of the worker
  const hanging = new Set();   // answers that never come
  let worker;
  let origin;
  let lines;
  let stop;

  before(async () => {
    await psql('postgres', `CREATE DATABASE ${database} TEMPLATE template1; CREATE ROLE listener LOGIN`);
    await psql(database, 'CREATE EXTENSION integration_health');
    worker = http.createServer(async (request, response) => {
      calls.push({ method: request.method, path: request.url, headers: request.headers, body: await json(request) });
      if (request.url === '/hangs') hanging.add(response);
      else if (request.url === '/moved') response.writeHead(302, { Location: '/elsewhere' }).end();
      else response.writeHead(204).end();
    });
    origin = `http://127.0.0.1:${await listen(worker)}`;
  });
  after(async () => {
    if (worker) await close(worker);
  });
  beforeEach(() => {
    calls.length = 0;
    lines = [];
    stop = async () => {};
  });
  afterEach(() => stop());

  const connection = { host: process.env.PGHOST, user: 'listener', database };
  const start = (changed) => {
    stop = startListener({ connection, origins: [origin], log: (line) => lines.push(line), retry_ms: 50, timeout_ms: 2000, ...changed });
  };
  const printed = (what, pattern) => until(what, () => lines.find((line) => pattern.test(line)));
  const listening = () => until('listening', () => lines.filter((line) => line === 'listening').length);
  const notify = (payload) => psql(database, `SELECT pg_notify('integration_health', $$${payload}$$)`);
  // A sync that is due within the minute, and the job that looks for those.
  async function dispatch(path) {
    const org_id = randomUUID();
    await psql(database, `SELECT set_sync_schedule('${org_id}', 'xledger', '1 hour', now() + interval '30 seconds', warm_up_url => '${origin}${path}');
      SELECT dispatch_sync_warm_ups()`);
    return org_id;
  }

  test('a warm-up is POSTed once to its URL, as pg_net would', async () => {
    start({ authorization: 'Bearer w' });
    await listening();
    const org_id = await dispatch('/wake?now=1');
    await printed('the call', /HTTP 204/);
    assert.equal(calls.length, 1);
    const [{ method, path, headers, body }] = calls;
    assert.deepEqual([method, path, headers['content-type'], headers.authorization], ['POST', '/wake?now=1', 'application/json', 'Bearer w']);
    assert.deepEqual(body, { event: 'warm_up', org_id, integration_type: 'xledger', scheduled_for: body.scheduled_for });
    assert.ok(Math.abs(Date.parse(body.scheduled_for) - Date.now() - 30_000) < 10_000);
    await psql(database, 'SELECT dispatch_sync_warm_ups()');
    await notify('{"event": "last"}');
    await printed('the last event', /last/);
    assert.equal(calls.length, 1);
  });

  test('other events are printed, one a line', async () => {
    start();
    await listening();
    const org_id = randomUUID();
    await psql(database, `SELECT record_health_check('${org_id}', 'xledger', 'unhealthy', error => 'secret')`);
    const event = JSON.parse(await printed('the event', /"status"/));
    assert.deepEqual({ ...event, checked_at: null }, { event: 'status', org_id, integration_type: 'xledger', from: null, to: 'unhealthy', checked_at: null, check_no: 1 });
    assert.equal(calls.length, 0);
  });

  test('what anybody may send on the channel does no harm', async () => {
    start();
    await listening();
    for (const payload of ['', 'no\\n JSON', 'null', '[1]', '{"event": "warm_up"}', '{"event": "warm_up", "url": 1}', '{"event": "warm_up", "url": "file:///etc/passwd"}']) await notify(payload);
    await notify(`{"event": "warm_up", "url": "http://127.0.0.1:1/other"}`);
    await printed('the refusal', /127\.0\.0\.1:1.*not called: its origin/);
    assert.equal(calls.length, 0);
    assert.equal(lines.filter((line) => /not called|failed/.test(line)).length, 4);
    await dispatch('/wake');
    await printed('the call', /HTTP 204/);
  });

  test('a redirect is not followed', async () => {
    start();
    await listening();
    await dispatch('/moved');
    await printed('the answer', /HTTP 302/);
    assert.deepEqual(calls.map(({ path }) => path), ['/moved']);
  });

  test('a worker that hangs is given up, and holds up no other', async () => {
    start({ timeout_ms: 500 });
    await listening();
    await dispatch('/hangs');
    await dispatch('/wake');
    await printed('the other one', /wake.*HTTP 204/);
    await printed('giving up', /hangs.*failed: .*timeout/);
    assert.ok(lines.findIndex((line) => /wake.*204/.test(line)) < lines.findIndex((line) => /hangs.*failed/.test(line)));
    hanging.forEach((response) => response.destroy());
  });

  test('a connection that is cut is made again', async () => {
    start();
    for (let times = 1; times <= 3; times++) {
      await until('listening', () => lines.filter((line) => line === 'listening').length === times);
      await dispatch(`/wake${times}`);
      await printed('the call', new RegExp(`wake${times}.*HTTP 204`));
      await psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'warm-up-listener'");
    }
    assert.match(await printed('the loss', /^not connected/), /terminating connection|ended/);
    assert.deepEqual(calls.map(({ path }) => path), ['/wake1', '/wake2', '/wake3']);
  });

  test('a server that is not there yet, or answers no more, is tried again', async () => {
    await psql('postgres', `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    try {
      start({ heartbeat_ms: 100, timeout_ms: 300 });
      await until('three attempts', () => lines.filter((line) => /^not connected: .*not currently accepting/.test(line)).length >= 3);
    } finally {
      await psql('postgres', `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    }
    await listening();
    // The process is there and does nothing: only the heartbeat can tell.
    const pid = Number(await psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'warm-up-listener'"));
    process.kill(pid, 'SIGSTOP');
    try {
      await printed('the heartbeat', /^not connected: Query read timeout/);
      await until('listening again', () => lines.filter((line) => line === 'listening').length === 2);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await dispatch('/wake');
    await printed('the call', /HTTP 204/);
  });

  test('the Node entry: works by environment variables, and ends on SIGTERM', async () => {
    const main = fileURLToPath(new URL('../../../examples/warm-up-listener/main.mjs', import.meta.url));
    const env = { PATH: process.env.PATH, PGHOST: process.env.PGHOST, PGUSER: 'listener', PGDATABASE: database };
    const bare = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    bare.stderr.on('data', (data) => { complaint += data; });
    assert.deepEqual(await once(bare, 'close'), [1, null]);
    assert.match(complaint, /WARM_UP_ORIGINS is not set/);

    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, main], { env: { ...env, WARM_UP_ORIGINS: `https://w.example, ${origin}/` } });
    child.stdout.on('data', (data) => lines.push(...String(data).trim().split('\n')));
    await listening();
    await dispatch('/wake');
    await printed('the call', /HTTP 204/);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [0, null]);
  });
});
