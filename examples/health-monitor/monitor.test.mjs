// The probes, against real servers on loopback: what each kind of answer, or none, is recorded as.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { createMonitor, probe, readConfig } from './monitor.mjs';

// listen(server), close(server): on a free port of loopback; its connections are closed as well.
const listen = (server) => new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server.address().port)); });
const close = (server) => new Promise((resolve) => {
  server.close(resolve);
  server.closeAllConnections();
});

const org_id = '11111111-1111-4111-8111-11111111111a';
// So long that no machine is too busy; the tests of slow and silent systems set their own.
const settings = readConfig({ timeout_ms: 30_000, slow_ms: 20_000, targets: [{ org_id, integration_type: 'xledger', url: 'http://localhost/' }] });

describe('probe', () => {
  const requests = [];
  const servers = [];
  let url;
  let tlsUrl;
  let closedUrl;
  let hangUrl;
  let resetUrl;
  let endUrl;

  // Answers as the path says: /STATUS, /slow/MILLISECONDS, or 429 with a Retry-After.
  function answer(request, response) {
    requests.push(request);
    const [, what, detail] = request.url.split('/');
    if (what === 'slow') setTimeout(() => response.end('late'), Number(detail));
    else if (what === 'limited') response.writeHead(429, { 'Retry-After': decodeURIComponent(detail) }).end();
    else if (what === 'moved') response.writeHead(302, { Location: '/500' }).end();
    else if (what === 'cut') response.writeHead(200, { 'Content-Length': '1000' }).write('a', () => response.destroy());
    else response.writeHead(Number(what)).end('body');
  }

  before(async () => {
    const dir = mkdtempSync(`${tmpdir()}/tls.`);
    const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost'], { stdio: 'ignore' });
    const plain = http.createServer(answer);
    const tls = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, answer);
    rmSync(dir, { recursive: true });
    // Takes connections and never says a word.
    const sockets = new Set();
    const hang = net.createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
    });
    hang.closeAllConnections = () => sockets.forEach((socket) => socket.destroy());
    // Take a request, and reset or end the connection.
    const reset = net.createServer((socket) => { socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()); });
    const end = net.createServer((socket) => { socket.on('error', () => {}).once('data', () => socket.end()); });
    reset.closeAllConnections = () => {};
    end.closeAllConnections = () => {};
    const gone = http.createServer();
    closedUrl = `http://127.0.0.1:${await listen(gone)}/`;
    await close(gone);
    url = `http://127.0.0.1:${await listen(plain)}`;
    tlsUrl = `https://127.0.0.1:${await listen(tls)}/200`;
    hangUrl = `http://127.0.0.1:${await listen(hang)}/`;
    resetUrl = `http://127.0.0.1:${await listen(reset)}/`;
    endUrl = `http://127.0.0.1:${await listen(end)}/`;
    servers.push(plain, tls, hang, reset, end);
  });
  after(() => Promise.all(servers.map(close)));

  const look = async (target, changed) => {
    const check = await probe({ org_id, integration_type: 'xledger', ...target }, { ...settings, ...changed });
    assert.ok(check.latency_ms === null || (Number.isInteger(check.latency_ms) && check.latency_ms >= 0), 'latency is a whole number');
    assert.ok(check.checked_at.endsWith('Z') && Math.abs(Date.parse(check.checked_at) - Date.now()) < 10_000);
    return check;
  };

  test('200: healthy, with a latency', async () => {
    const check = await look({ url: `${url}/200` });
    assert.equal(check.status, 'healthy');
    assert.equal(check.http_status, 200);
    assert.equal(check.error, null);
    assert.equal(check.org_id, org_id);
    assert.equal(check.integration_type, 'xledger');
  });

  test('the request is a HEAD, or a GET where the target says so, with the target\'s headers', async () => {
    for (const [method, sent] of [[undefined, 'HEAD'], ['HEAD', 'HEAD'], ['GET', 'GET']]) {
      requests.length = 0;
      assert.equal((await look({ url: `${url}/200`, method, headers: { 'X-Key': 'k' } })).status, 'healthy');
      assert.deepEqual(requests.map((request) => [request.method, request.headers['x-key']]), [[sent, 'k']]);
    }
  });

  test('a late answer: degraded, with what it took', async () => {
    const check = await look({ url: `${url}/slow/150` }, { slow_ms: 100 });
    assert.equal(check.status, 'degraded');
    assert.equal(check.http_status, 200);
    assert.ok(check.latency_ms >= 100);
    assert.match(check.error, /^slow: \d+ ms$/);
  });

  test('4xx and 5xx: unhealthy', async () => {
    for (const status of [400, 401, 404, 500, 502, 503]) {
      const check = await look({ url: `${url}/${status}` });
      assert.equal(check.status, 'unhealthy');
      assert.equal(check.http_status, status);
      assert.equal(check.error, `HTTP ${status}`);
    }
  });

  test('405 and 501 to a HEAD: unhealthy, and what to set', async () => {
    for (const status of [405, 501]) {
      assert.match((await look({ url: `${url}/${status}` })).error, new RegExp(`^HTTP ${status}: .*"method": "GET"`));
      assert.equal((await look({ url: `${url}/${status}`, method: 'GET' })).error, `HTTP ${status}`);
    }
  });

  test('what a library says of a URL with a password is not told', async () => {
    const check = await look({ url: 'http://user:secret@127.0.0.1:1/' });
    assert.equal(check.status, 'unhealthy');
    assert.equal(check.error, 'the request failed');
    assert.equal(check.cause, 'other');
  });

  test('a redirect is an answer, and is not followed', async () => {
    const check = await look({ url: `${url}/moved` });
    assert.equal(check.status, 'healthy');
    assert.equal(check.http_status, 302);
  });

  test('a status that the database does not know is told in words', async () => {
    const check = await look({ url: `${url}/999` });
    assert.equal(check.status, 'unhealthy');
    assert.equal(check.http_status, null);
    assert.equal(check.error, 'HTTP 999');
    assert.equal(check.cause, 'other');
  });

  test('with a response the cause is left to the database, unless the target is wrong', async () => {
    for (const path of ['/200', '/401', '/404', '/429', '/500', '/503', '/moved']) assert.ok(!('cause' in await look({ url: `${url}${path}` })), path);
    assert.ok(!('cause' in await look({ url: `${url}/slow/150` }, { slow_ms: 100 })));
    for (const path of ['/405', '/501']) {
      assert.equal((await look({ url: `${url}${path}` })).cause, 'configuration', path);
      assert.ok(!('cause' in await look({ url: `${url}${path}`, method: 'GET' })), path);
    }
  });

  test('429 with Retry-After in seconds or as a date: degraded, and how long to keep away, as the database takes it', async () => {
    const inSeconds = await look({ url: `${url}/limited/120` });
    assert.equal(inSeconds.status, 'degraded');
    assert.equal(inSeconds.http_status, 429);
    assert.equal(inSeconds.error, 'HTTP 429: rate limited, retry after 120 s');
    assert.equal(inSeconds.retry_after, 120);
    const asDate = async (ms) => (await look({ url: `${url}/limited/${encodeURIComponent(new Date(Date.now() + ms).toUTCString())}` })).retry_after;
    const minute = await asDate(60_000);
    assert.ok(Number.isInteger(minute) && minute > 50 && minute <= 60);
    assert.equal(await asDate(-60_000), 0);
    for (const [header, seconds] of [['0', 0], ['99999999', 31_536_000], ['9'.repeat(400), 31_536_000]]) {
      assert.equal((await look({ url: `${url}/limited/${header}` })).retry_after, seconds, header);
    }
  });

  test('429 that does not say for how long: no retry_after, and none with any other answer', async () => {
    for (const path of ['/429', '/limited/soon', '/200', '/503']) {
      const check = await look({ url: `${url}${path}` });
      assert.ok(!('retry_after' in check), path);
      if (check.http_status === 429) assert.equal(check.error, 'HTTP 429: rate limited');
    }
  });

  test('a closed port: unhealthy, refused', async () => {
    const check = await look({ url: closedUrl });
    assert.equal(check.status, 'unhealthy');
    assert.equal(check.http_status, null);
    assert.equal(check.latency_ms, null);
    assert.match(check.error, /^ECONNREFUSED: /);
    assert.equal(check.cause, 'connect');
  });

  test('a server that hangs: unhealthy when the time is up', async () => {
    const check = await look({ url: hangUrl }, { timeout_ms: 400 });
    assert.equal(check.status, 'unhealthy');
    assert.equal(check.error, 'no answer within 400 ms');
    assert.equal(check.cause, 'timeout');
  });

  test('a connection that is reset, or ended without an answer: unhealthy', async () => {
    for (const [closing, error] of [[resetUrl, /^ECONNRESET: /], [endUrl, /^(UND_ERR_SOCKET|ECONNRESET): /]]) {
      const check = await look({ url: closing });
      assert.equal(check.status, 'unhealthy');
      assert.match(check.error, error);
      assert.equal(check.cause, 'connect');
    }
  });

  test('a certificate that nobody trusts: unhealthy, and says why', async () => {
    const check = await look({ url: tlsUrl });
    assert.equal(check.status, 'unhealthy');
    assert.match(check.error, /SELF_SIGNED/);
    assert.equal(check.cause, 'tls');
  });

  test('HTTP where TLS is expected: unhealthy', async () => {
    const check = await look({ url: `${url.replace('http', 'https')}/200` });
    assert.equal(check.status, 'unhealthy');
    assert.equal(check.cause, 'tls');
  });

  test('a name that does not exist: unhealthy', async () => {
    const check = await look({ url: 'http://nowhere.invalid/' }, { timeout_ms: 3000 });
    assert.equal(check.status, 'unhealthy');
    assert.match(check.error, /ENOTFOUND|EAI_AGAIN|no answer/);
    assert.equal(check.cause, check.error.startsWith('no answer') ? 'timeout' : 'dns');
  });

  test('a body that breaks off does not matter to a GET', async () => {
    const check = await look({ url: `${url}/cut`, method: 'GET' });
    assert.equal(check.http_status, 200);
  });
});

describe('config', () => {
  const target = { org_id, integration_type: 'xledger', url: 'https://example.com/' };
  for (const [what, config, message] of [
    ['no targets', {}, /targets/],
    ['a misspelt setting', { timeout: 5, targets: [target] }, /unknown setting "timeout"/],
    ['a claim that is neither true nor false', { claim: 1, targets: [target] }, /claim must be true or false/],
    ['more rows than an answer has', { claim_rows: 1001, targets: [target] }, /claim_rows must be a whole number from 1 to 1000/],
    ['a setting that is no number', { timeout_ms: '5 s', targets: [target] }, /timeout_ms/],
    ['a target without an organisation', { targets: [{ ...target, org_id: undefined }] }, /targets\[0\] has no org_id/],
    ['a method that changes things', { targets: [{ ...target, method: 'POST' }] }, /targets\[0\]\.method/],
    ['a time that a timer cannot wait', { timeout_ms: 2_147_483_648, targets: [target] }, /timeout_ms must be a whole number from 1 to 600000/],
    ['a password in a URL', { targets: [{ ...target, url: 'http://user:secret@example.com/' }] }, /^(?!.*secret).*targets\[0\]\.url holds a user or password/],
    ['what is no URL', { targets: [{ ...target, url: 'example' }] }, /targets\[0\]\.url/],
    ['a URL of another kind', { targets: [{ ...target, url: 'ftp://example.com/' }] }, /targets\[0\]\.url/],
    ['a pair twice', { targets: [target, { ...target, org_id: org_id.toUpperCase() }] }, /targets\[1\] is a second target/],
  ]) {
    test(`${what} is refused before anything is probed`, () => {
      assert.throws(() => createMonitor({ config }), message);
    });
  }
});
