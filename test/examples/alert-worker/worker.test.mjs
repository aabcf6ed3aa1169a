// The alert worker, on a real PostgREST with the extension, before real receivers: whatever fails, hangs, lies or is killed, each
// alert arrives, doubles of it have its id, and an incident is opened before it is resolved.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { startStack, until } from '../../rest/stack.mjs';
import { granted } from '../../rest/suite.mjs';
import { service } from '../../rest/tokens.mjs';
import { kinds, readConfig } from '../../../examples/alert-worker/config.mjs';
import { createReceiver } from '../../../examples/alert-worker/receiver.mjs';
import { createWorker } from '../../../examples/alert-worker/worker.mjs';

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

describe('alert worker', () => {
  let stack;
  let supabase;
  let lines;
  let sites;
  let children;
  let dir;

  before(async () => {
    stack = await startStack({ database: 'alert_worker' });
    supabase = stack.client(service);
    dir = mkdtempSync(`${tmpdir()}/alert-worker.`);
  });
  after(async () => {
    if (dir) rmSync(dir, { recursive: true });
    await stack?.stop();
  });
  beforeEach(async () => {
    lines = [];
    sites = [];
    children = [];
    stack.gateway.pass = stack.gateway.forward;
    await stack.sql('DELETE FROM integration_health_status; DELETE FROM integration_alerts');
  });
  afterEach(async () => {
    children.forEach((child) => child.kill('SIGKILL'));
    await Promise.all(sites.map(close));
  });

  const record = async (checks) => granted(await supabase.rpc('record_health_checks', { checks }));
  const fail = (orgs) => record(orgs.map((org_id) => ({ org_id, integration_type: 'xledger', status: 'unhealthy', http_status: 401 })));
  const recover = (orgs) => record(orgs.map((org_id) => ({ org_id, integration_type: 'xledger', status: 'healthy', http_status: 200 })));
  // crowd(): so many healthy pairs that what fails is no outage of the whole type.
  const crowd = () => recover(Array.from({ length: 200 }, () => randomUUID()));
  // outages(n): organisations with an incident each: a refused credential needs no second check. The minute in which an
  // outage of the whole type may show is over.
  async function outages(n) {
    const orgs = Array.from({ length: n }, () => randomUUID());
    await fail(orgs);
    await comeDue();
    return orgs;
  }
  // comeDue(which): what waits for its time need not: what was never handed out, or has failed. What is held stays so.
  const comeDue = (which = 'attempt = 0 OR error IS NOT NULL') => stack.sql(`UPDATE integration_alerts SET due_at = now()
    WHERE due_at < 'infinity' AND delivered_at IS NULL AND died_at IS NULL AND (${which})`);
  const alerts = async () => granted(await supabase.from('integration_alerts').select().order('created_at'));

  // receive(react): a receiver that verifies; react(id, alert) may throw. Returns its URL, and what it got, in order.
  async function receive(react = () => {}) {
    const got = [];
    const receiver = createReceiver({
      secret, remembered: 0, request_ms: 60_000,       // doubles are wanted here
      keep: async (alert, id) => {
        got.push({ id, ...alert });
        await react(id, alert);
      },
    });
    sites.push(receiver);
    return { got, url: `http://127.0.0.1:${await listen(receiver)}/alerts`, receiver };
  }
  const settings = (endpoints, changed) => ({
    endpoints: endpoints.map((endpoint) => ({ secret, allow_private: true, allow_http: true, ...endpoint })), retry_ms: 20, poll_ms: 50, ...changed,
  });
  const start = (endpoints, changed) => createWorker({ supabase, config: readConfig(settings(endpoints, changed)), log: (line) => lines.push(line) });

  test('the kinds are those of the database', async () => {
    const [, known] = /ARRAY\[(.*)\]/.exec(await stack.sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'kind_is_known'"));
    assert.deepEqual([...known.matchAll(/'(\w+)'/g)].map(([, kind]) => kind).sort(), [...kinds].sort());
  });

  test('an incident: one alert when it is opened, one when it is resolved', async () => {
    const { got, url } = await receive();
    const worker = start([{ url }]);
    const org_id = randomUUID();
    await fail([org_id]);
    assert.deepEqual(await worker.run(), { delivered: 0, failed: 0 }, 'it waits for a minute');
    await comeDue();
    assert.deepEqual(await worker.run(), { delivered: 1, failed: 0 });
    await fail([org_id]);
    assert.deepEqual(await worker.run(), { delivered: 0, failed: 0 });
    await recover([org_id]);
    assert.deepEqual(await worker.run(), { delivered: 1, failed: 0 });
    const rows = await alerts();
    assert.deepEqual(got, rows.map(({ alert_id, payload }) => ({ id: alert_id, ...payload })));
    assert.deepEqual(got.map((alert) => [alert.kind, alert.org_id, alert.cause]), [['incident_opened', org_id, 'auth'], ['incident_resolved', org_id, 'auth']]);
    assert.ok(rows.every(({ delivered_at, attempt, error }) => delivered_at && attempt === 1 && error === null));
    assert.deepEqual(lines, rows.map(({ alert_id, kind }) => `alert ${alert_id} ${kind} attempt=1 delivered`));
  });

  test('what fails says why, is due again later, and arrives with the same id', async () => {
    let failing = true;
    const { got, url } = await receive(() => { if (failing) throw new Error('no'); });
    const worker = start([{ url, name: 'on-call' }]);
    await outages(1);
    assert.deepEqual(await worker.run(), { delivered: 0, failed: 1 });
    const [{ attempt, error, delivered_at, due_at, claimed_at }] = await alerts();
    assert.deepEqual([attempt, error, delivered_at], [1, 'on-call: HTTP 500', null]);
    assert.ok(Date.parse(due_at) - Date.parse(claimed_at) >= 5000);
    assert.deepEqual(await worker.run(), { delivered: 0, failed: 0 });
    failing = false;
    await comeDue();
    assert.deepEqual(await worker.run(), { delivered: 1, failed: 0 });
    assert.equal(got.length, 2);
    assert.deepEqual(got[0], got[1]);
    assert.match(lines[0], / attempt=1 failed on-call: HTTP 500$/);
  });

  test('after eight attempts it is dead, and what was resolved is told all the same; an admin has it tried again', async () => {
    const gone = http.createServer();
    const port = await listen(gone);
    await close(gone);
    const [org_id] = await outages(1);
    const dead = start([{ url: `http://127.0.0.1:${port}/` }]);
    const attempts = [];
    await dead.run();
    await recover([org_id]);
    for (let round = 2; round <= 9; round++) {
      await comeDue();
      attempts.push((await dead.run()).failed);
      const [opened, resolved] = await alerts();
      assert.equal(resolved.attempt, opened.died_at ? resolved.attempt : 0, 'held');
    }
    const backlog = granted(await supabase.rpc('get_alert_backlog'));
    assert.deepEqual(backlog.map(({ kind, state, attempt, error }) => [kind, state, attempt, error])[0],
      ['incident_opened', 'dead', 8, `127.0.0.1:${port}: ECONNREFUSED: the connection was refused`]);
    const { got, url } = await receive();
    assert.equal(granted(await supabase.rpc('retry_alert', { alert_id: backlog[0].alert_id })), true);
    await comeDue();
    assert.deepEqual(await start([{ url }]).run(), { delivered: 2, failed: 0 });
    assert.deepEqual(new Set(got.map(({ kind }) => kind)), new Set(['incident_opened', 'incident_resolved']));
    assert.deepEqual(granted(await supabase.rpc('get_alert_backlog')), []);
  });

  test('with several endpoints all must take it; those that did see it again', async () => {
    let failing = true;
    const good = await receive();
    const bad = await receive(() => { if (failing) throw new Error('no'); });
    const worker = start([{ url: good.url, name: 'good' }, { url: bad.url, name: 'bad' }]);
    await outages(1);
    assert.deepEqual(await worker.run(), { delivered: 0, failed: 1 });
    assert.equal((await alerts())[0].error, 'bad: HTTP 500');
    failing = false;
    await comeDue();
    assert.deepEqual(await worker.run(), { delivered: 1, failed: 0 });
    assert.deepEqual([good.got.length, bad.got.length], [2, 2]);
    assert.equal(new Set([...good.got, ...bad.got].map(({ id }) => id)).size, 1);
  });

  test('an endpoint gets the kinds and the organisation that it wants; what none wants is done', async () => {
    const [a, b] = await outages(2);
    await record([{ org_id: a, integration_type: 'dynamics', status: 'degraded', http_status: 429 }]);
    const all = await receive();
    const passive = await receive();
    const ofA = await receive();
    const endpoints = [{ url: passive.url, kinds: ['type_passive'] }, { url: ofA.url, org_id: a.toUpperCase() }];
    assert.deepEqual(await start([...endpoints, { url: all.url }]).run(), { delivered: 3, failed: 0 });
    const seen = ({ got }) => got.map(({ kind, org_id }) => `${kind} ${org_id}`).sort();
    assert.deepEqual(seen(all), [`incident_opened ${a}`, `incident_opened ${b}`, 'type_passive null'].sort());
    assert.deepEqual(seen(passive), ['type_passive null']);
    assert.deepEqual(seen(ofA), [`incident_opened ${a}`]);
    await recover([b]);
    assert.deepEqual(await start(endpoints).run(), { delivered: 1, failed: 0 });
    assert.ok((await alerts()).every(({ delivered_at }) => delivered_at));
    await stack.sql("SELECT resume_active_monitoring('dynamics')");
  });

  // No delivery ends by being late while a test waits for the others.
  const patient = { concurrency: 3, timeout_ms: 60_000, lease_s: 120 };
  test('one that hangs holds up no other', async () => {
    await crowd();
    const [hung] = await outages(12);
    let release;
    const { url } = await receive((id, { org_id }) => org_id === hung && new Promise((resolve, reject) => { release = reject; }));
    const round = start([{ url }], patient).run();
    const delivered = async () => (await alerts()).filter(({ delivered_at }) => delivered_at).length;
    await until('the others', async () => await delivered() === 11);
    // What comes due meanwhile, too, although a claim fails.
    let failed = 0;
    stack.gateway.pass = (request, response) => (request.url.includes('/claim_alerts') && failed++ === 0
      ? response.writeHead(503).end() : stack.gateway.forward(request, response));
    await until('a claim that fails', () => failed > 1);
    await outages(1);
    await until(`the new one; ${lines.join('; ')}`, async () => await delivered() === 12);
    release(new Error('no'));
    assert.deepEqual(await round, { delivered: 12, failed: 1 });
    assert.match((await alerts()).find(({ org_id }) => org_id === hung).error, /: HTTP 500$/);
  });

  test('one that hangs, claimed while all others ended, holds up none', async () => {
    await crowd();
    await outages(6);
    let calls = 0;
    let release;
    const { url } = await receive(() => ++calls === 4 && new Promise((resolve, reject) => { release = reject; }));
    // When the second claim is answered, what the first one got has been delivered.
    stack.gateway.pass = async (request, response) => {
      if (request.url.includes('/claim_alerts')) await wait(300);
      return stack.gateway.forward(request, response);
    };
    const round = start([{ url }], patient).run();
    await until('the others', async () => (await alerts()).filter(({ delivered_at }) => delivered_at).length === 5);
    release(new Error('no'));
    assert.deepEqual(await round, { delivered: 5, failed: 1 });
  });

  test('an answer that is not what the functions return is a failure, not a delivery', async () => {
    const { got, url } = await receive();
    for (const [name, body] of [['claim_alerts', 'null'], ['claim_alerts', '{"ok":true}'], ['claim_alerts', ''], ['claim_alerts', '[{}]'],
      ['claim_alerts', '[{"alert_id":"a","kind":"x","attempt":1,"payload":null}]'], ['finish_alert', '{"ok":true}'], ['finish_alert', 'null'], ['finish_alert', '']]) {
      await stack.sql('DELETE FROM integration_health_status; DELETE FROM integration_alerts');
      await outages(1);
      lines = [];
      stack.gateway.pass = (request, response) => {
        if (!request.url.includes(`/${name}`)) return stack.gateway.forward(request, response);
        return response.writeHead(body === '' ? 204 : 200, { 'Content-Type': 'application/json' }).end(body || undefined);
      };
      const outcome = await start([{ url }]).run().catch((error) => error.message);
      assert.match(`${JSON.stringify(outcome)} ${lines.join(' ')}`, new RegExp(`${name}: the answer is not what the function returns`), `${name} ${body}`);
      assert.ok(!lines.some((line) => / delivered$/.test(line)), `${name} ${body}`);
      stack.gateway.pass = stack.gateway.forward;
      assert.equal((await alerts())[0].delivered_at, null);
    }
    assert.equal(got.length, 3, 'those whose report went wrong');
  });

  test('a report whose answer is lost is sent again', async () => {
    const { got, url } = await receive();
    await outages(1);
    let reports = 0;
    stack.gateway.pass = async (request, response) => {
      if (!request.url.endsWith('/finish_alert') || ++reports > 2) return stack.gateway.forward(request, response);
      const answer = await stack.gateway.deliver(request, await buffer(request));
      answer.resume();
      return response.destroy();
    };
    assert.deepEqual(await start([{ url }]).run(), { delivered: 1, failed: 0 });
    assert.deepEqual([got.length, reports], [1, 3]);
    assert.ok((await alerts())[0].delivered_at);
  });

  test('when the database cannot be reached it says so, and what is being delivered is finished', async () => {
    const { got, url } = await receive(() => wait(200));
    await outages(2);
    let claims = 0;
    stack.gateway.pass = (request, response) => {
      if (request.url.endsWith('/claim_alerts') && ++claims > 1) return response.destroy();
      return stack.gateway.forward(request, response);
    };
    await assert.rejects(start([{ url }], { concurrency: 3 }).run(), /claim_alerts: /);
    assert.equal(got.length, 2);
    assert.ok((await alerts()).every(({ delivered_at }) => delivered_at));
  });

  test('a lease that runs out: the other worker has it, and the first one\'s failure changes nothing', async () => {
    await outages(1);
    let release;
    const slow = await receive(() => new Promise((resolve, reject) => { release = reject; }));
    const first = start([{ url: slow.url }], { concurrency: 1 }).run();
    await until('the claim', () => release);
    await stack.sql('UPDATE integration_alerts SET due_at = now()');
    const { got, url } = await receive();
    assert.deepEqual(await start([{ url }]).run(), { delivered: 1, failed: 0 });
    release(new Error('no'));
    await first;
    assert.match(lines.at(-1), / attempt=1 failed .*: HTTP 500 \(reported before, or another worker has it\)$/);
    const [{ delivered_at, attempt, error }] = await alerts();
    assert.deepEqual([Boolean(delivered_at), attempt, error, got.length], [true, 2, null, 1]);
    assert.equal(slow.got[0].id, got[0].id);
  });

  // launch(config, env): the Node entry as a process; its lines, and exited, its exit code.
  function launch(config, env = {}) {
    const file = `${dir}/${randomUUID()}.json`;
    writeFileSync(file, JSON.stringify(config));
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, fileURLToPath(new URL('../../../examples/alert-worker/main.mjs', import.meta.url)), file], {
      env: { PATH: process.env.PATH, SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service), ...env },
    });
    children.push(child);
    const text = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => text.push(String(data)));
    return { child, text, exited: once(child, 'close').then(([code]) => code) };
  }

  test('the Node entry: delivers by https, finishes at SIGTERM what it has begun, begins no more', async () => {
    const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    let release;
    const { got, receiver } = await receive(() => new Promise((resolve) => { release = resolve; }));
    const site = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, receiver.listeners('request')[0]);
    sites.push(site);
    const port = await listen(site);
    const [org_id] = await outages(1);
    const { child, text, exited } = launch({ poll_ms: 50, endpoints: [{ url: `https://localhost:${port}/\${TOKEN}`, secret: '${SECRET}', allow_private: true }] },
      { NODE_EXTRA_CA_CERTS: cert, SECRET: secret, TOKEN: 't0ps3cr3t' });
    await until('the delivery', () => got.length === 1);
    child.kill('SIGTERM');
    await outages(1);
    await wait(200);
    release();
    assert.equal(await exited, 0, text.join(''));
    assert.deepEqual(got.map((alert) => alert.org_id), [org_id]);
    assert.deepEqual((await alerts()).map((alert) => [alert.org_id === org_id, Boolean(alert.delivered_at), alert.attempt]), [[true, true, 1], [false, false, 0]]);
    assert.match(text.join(''), /^alert \S+ incident_opened attempt=1 delivered\n$/);
  });

  test('the Node entry: what is missing is named, without a secret', async () => {
    const endpoint = { url: 'https://hooks.example.com/', secret: '${SECRET}' };
    for (const [config, env, message] of [
      [{ endpoints: [endpoint] }, {}, 'SECRET is not set'],
      [{ endpoints: [endpoint] }, { SECRET: 'hunter2' }, 'config: endpoints[0].secret is not "whsec_" and 24 to 64 bytes in base64'],
      [{ endpoints: [{ ...endpoint, url: 'https://127.0.0.1/' }] }, { SECRET: secret }, 'config: endpoints[0].url: its address is private, and allow_private is not set'],
      [{ endpoints: [endpoint] }, { SECRET: secret, SUPABASE_URL: '' }, 'SUPABASE_URL is not set'],
    ]) {
      const { text, exited } = launch(config, env);
      assert.deepEqual([await exited, text.join('')], [1, `alert-worker: ${message}\n`]);
    }
  });

  test('two workers, one of them killed and started again: nothing is lost, doubles have the same id, opened comes before resolved', async () => {
    await crowd();
    const orgs = Array.from({ length: 30 }, () => randomUUID());
    let holding = true;
    const held = [];
    const { got, url, receiver } = await receive(async (id) => {
      if (holding) await new Promise((resolve) => { held.push(resolve); });
      else if (fate.get(id) === 'refused') throw new Error('kept, and yet answered as if not');
    });
    // The first three times that an alert comes: some are not taken at all; some are, and the answer is lost on its way.
    const fates = ['reset', 'lost', 'refused', 'taken'];
    const fate = new Map();
    const times = new Map();
    let requests = 0;
    receiver.prependListener('request', (request, response) => {
      const id = request.headers['webhook-id'];
      times.set(id, (times.get(id) ?? 0) + 1);
      fate.set(id, holding || times.get(id) > 3 ? 'taken' : fates[requests++ % 4]);
      if (fate.get(id) === 'reset') request.socket.resetAndDestroy();
      if (fate.get(id) === 'lost') response.writeHead = () => { request.socket.resetAndDestroy(); return { end() {} }; };
    });
    // Leases run out in their time.
    const timePasses = () => comeDue("due_at > now() + interval '10 seconds'");
    const config = settings([{ url }], { timeout_ms: 2000, request_timeout_ms: 2000, lease_s: 7, concurrency: 4 });
    const first = launch(config);
    await fail(orgs);
    await timePasses();
    await until('deliveries of the one', () => held.length === 4);
    const second = launch(config);
    await until('deliveries of both', () => held.length === 8);
    first.child.kill('SIGKILL');
    await first.exited;
    const cutOff = got.slice(0, 4).map(({ id }) => id);
    // What recovers before anybody has been told is not told of, so these are those that are on their way.
    const claimed = (await alerts()).filter(({ attempt }) => attempt > 0).map(({ org_id }) => org_id);
    assert.equal(claimed.length, 8);
    await recover(claimed);
    assert.equal((await alerts()).filter(({ kind, attempt }) => kind === 'incident_resolved' && attempt === 0).length, 8);
    holding = false;
    held.forEach((resolve) => resolve());
    const third = launch(config);
    await until('all are claimed', async () => (await alerts()).every(({ kind, attempt }) => kind === 'incident_resolved' || attempt > 0));
    await recover(orgs.filter((org_id) => !claimed.includes(org_id)));
    await until('all are delivered', async () => {
      await timePasses();
      return (await alerts()).every(({ delivered_at }) => delivered_at);
    }, 90);
    for (const { child, exited, text } of [second, third]) {
      child.kill('SIGTERM');
      assert.equal(await exited, 0, text.join(''));
    }

    const rows = await alerts();
    const incidents = new Map();
    for (const { kind, incident_id, attempt, died_at } of rows) {
      incidents.set(incident_id, [...incidents.get(incident_id) ?? [], kind]);
      assert.ok(attempt <= 8 && died_at === null);
    }
    assert.equal(incidents.size, 30);
    for (const made of incidents.values()) assert.deepEqual(made, ['incident_opened', 'incident_resolved']);
    // Nothing is lost, and nothing is made up.
    assert.deepEqual(new Set(got.map(({ id }) => id)), new Set(rows.map(({ alert_id }) => alert_id)));
    // Doubles: the same id and the same text.
    assert.ok(requests > 100 && got.length > rows.length + 20, `${requests} requests, ${got.length} deliveries of ${rows.length} alerts`);
    for (const { alert_id, payload } of rows) {
      const copies = got.filter(({ id }) => id === alert_id);
      for (const copy of copies) assert.deepEqual(copy, { id: alert_id, ...payload });
    }
    for (const id of cutOff) assert.ok(got.filter((alert) => alert.id === id).length > 1, 'what the killed worker had is delivered again');
    for (const incident_id of incidents.keys()) {
      const order = got.filter((alert) => alert.incident_id === incident_id).map(({ kind }) => kind);
      assert.equal(order[0], 'incident_opened');
      assert.ok(order.includes('incident_resolved'));
    }
  });
});
