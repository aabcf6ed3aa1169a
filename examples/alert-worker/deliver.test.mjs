// A delivery, to real servers on loopback that take it, refuse it, hang, lie, and break off.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { readConfig } from './config.mjs';
import { deliver } from './deliver.mjs';
import { tell } from './texts.mjs';

const secretOf = (byte) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`;
const alert = {
  alert_id: 'aaaaaaaa-0000-4000-8000-00000000000a', kind: 'incident_opened', attempt: 1,
  payload: { kind: 'incident_opened', alert_id: 'aaaaaaaa-0000-4000-8000-00000000000a', display_name: 'Xledger æøå 😀' },
};

describe('delivery', () => {
  const opened = [];
  const requests = [];         // of the plain server
  let connections = [];        // of the raw one
  let says;                    // the body of the plain one's failures
  let talk;                    // what the raw one does with a connection
  let plain;
  let raw;
  let tls;

  // listen(server, address): returns its port. What is open is closed in the end.
  async function listen(server, address = '127.0.0.1', port = 0) {
    const sockets = new Set();
    server.on('connection', (socket) => {
      sockets.add(socket.on('error', () => {}));
      socket.on('close', () => sockets.delete(socket));
    });
    opened.push({ server, sockets });
    await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, address, resolve);
    });
    return server.address().port;
  }
  const record = (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
      const [, status, detail] = new URL(request.url, 'http://x').pathname.split('/');
      if (status === 'moved') response.writeHead(Number(detail), { Location: '/200' }).end();
      else if (status === 'echo') response.writeHead(404).end(`Cannot POST ${request.url}, signed ${request.headers['webhook-signature']}`);
      else response.writeHead(Number(status)).end(Number(status) < 300 ? '' : says);
    });
  };

  before(async () => {
    const dir = mkdtempSync(`${tmpdir()}/tls.`);
    const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost'], { stdio: 'ignore' });
    tls = `https://127.0.0.1:${await listen(https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, record))}`;
    rmSync(dir, { recursive: true });
    plain = `http://127.0.0.1:${await listen(http.createServer(record))}`;
    raw = `http://127.0.0.1:${await listen(net.createServer((socket) => {
      connections.push(socket);
      socket.once('data', () => talk(socket));
    }))}/`;
  });
  after(() => Promise.all(opened.map(({ server, sockets }) => new Promise((resolve) => {
    server.close(resolve);
    sockets.forEach((socket) => socket.destroy());
  }))));
  beforeEach(() => {
    requests.length = 0;
    connections = [];
    says = '';
  });

  // send(url, changed, settings): what is told of a delivery; 'delivered' when it was.
  async function send(url, changed, settings) {
    const config = { endpoints: [{ url, secret: secretOf(1), allow_private: true, allow_http: true, ...changed }] };
    const [endpoint] = readConfig(config).endpoints;
    return deliver(endpoint, alert, { timeout_ms: 30_000, ...settings }).then(() => 'delivered', tell);
  }
  const sendRaw = (answer, settings) => {
    talk = typeof answer === 'function' ? answer : (socket) => socket.end(answer);
    return send(raw, {}, settings);
  };

  test('a POST that Standard Webhooks verifies; the id is the alert\'s', async () => {
    assert.equal(await send(`${plain}/204?x=1`), 'delivered');
    const [{ method, path, headers, body }] = requests;
    assert.deepEqual([method, path, headers['content-type'], headers['webhook-id']], ['POST', '/204?x=1', 'application/json', alert.alert_id]);
    assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 10);
    assert.deepEqual(new Webhook(secretOf(1)).verify(body, headers), alert.payload);
    assert.throws(() => new Webhook(secretOf(2)).verify(body, headers));
  });

  test('with several secrets each verifies, so that one can be replaced', async () => {
    await send(`${plain}/204`, { secret: [secretOf(1), secretOf(2)] });
    const [{ headers, body }] = requests;
    for (const byte of [1, 2]) assert.deepEqual(new Webhook(secretOf(byte)).verify(body, headers), alert.payload);
    assert.throws(() => new Webhook(secretOf(3)).verify(body, headers));
  });

  test('2xx is success', async () => {
    for (const status of [200, 201, 202, 204, 299]) assert.equal(await send(`${plain}/${status}`), 'delivered', String(status));
  });

  test('a redirect is a failure and is not followed', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      assert.equal(await send(`${plain}/moved/${status}`), `HTTP ${status}: redirected, which is not followed`);
    }
    assert.equal(requests.length, 5);
    assert.equal(await send(`${plain}/304`), 'HTTP 304: redirected, which is not followed');
  });

  test('4xx and 5xx are failures, 410 too, with the beginning of what they say', async () => {
    assert.equal(await send(`${plain}/500`), 'HTTP 500');
    for (const [body, told] of [
      ['not now', 'not now'], ['å'.repeat(1000), 'å'.repeat(200)], ['😀'.repeat(1000), '😀'.repeat(200)], ['a\n\t b\0c\ud800', 'a b c\ufffd'],
    ]) {
      says = body;
      for (const status of [400, 401, 404, 410, 422, 429, 500, 502, 503, 599]) assert.equal(await send(`${plain}/${status}`), `HTTP ${status}: ${told}`);
    }
  });

  test('what an endpoint repeats of its URL and of the signature is not told', async () => {
    assert.equal(await send(`${plain}/echo/T024BE7LD/k3y%2Bs3cr3t?token=t0ps3cr3t`), 'HTTP 404: Cannot POST ..., signed ...');
    says = 'no hook has the key k3y+s3cr3t or the token t0ps3cr3t';
    assert.equal(await send(`${plain}/500/k3y%2Bs3cr3t?token=t0ps3cr3t`), 'HTTP 500: no hook has the key ... or the token ...');
  });

  test('an endpoint that recovers', async () => {
    let status = 503;
    const port = await listen(http.createServer((request, response) => request.resume().on('end', () => response.writeHead(status).end())));
    assert.equal(await send(`http://127.0.0.1:${port}/`), 'HTTP 503');
    status = 200;
    assert.equal(await send(`http://127.0.0.1:${port}/`), 'delivered');
  });

  test('no answer in time', async () => {
    const late = { timeout_ms: 300 };
    const start = performance.now();
    assert.equal(await sendRaw(() => {}, late), 'no answer in time', 'silent');
    assert.equal(await sendRaw((socket) => socket.write('HTTP/1.1 200 OK\r\nX-Wait: '), late), 'no answer in time', 'half an answer');
    assert.equal(await sendRaw(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      while (!socket.destroyed) {
        socket.write('X: y\r\n');
        await wait(50);
      }
    }, late), 'no answer in time', 'headers for ever, slowly');
    assert.equal(await sendRaw(async (socket) => {
      while (!socket.destroyed) {
        socket.write('HTTP/1.1 103 Early Hints\r\n\r\n');
        await wait(50);
      }
    }, late), 'no answer in time', 'never the answer itself');
    assert.ok(performance.now() - start < 10_000);
    await wait(50);
    assert.ok(connections.every((socket) => socket.destroyed || socket.readableEnded), 'the connections are closed');
  });

  test('an endless answer is not read to its end', async () => {
    for (const [status, told] of [['200 OK', 'delivered'], ['500 No', `HTTP 500: ${'x'.repeat(200)}`]]) {
      let sent = 0;
      const start = performance.now();
      assert.equal(await sendRaw((socket) => {
        socket.write(`HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n`);
        const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
        const more = () => {
          while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
        };
        socket.on('drain', more);
        more();
      }), told);
      assert.ok(performance.now() - start < 5000);
      await wait(100);
      assert.ok(sent < 64 << 20, `${sent} bytes were taken`);
    }
  });

  test('nor is one that never ends waited for', async () => {
    const start = performance.now();
    assert.equal(await sendRaw((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')), 'delivered');
    assert.equal(await sendRaw((socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nabc')), 'HTTP 500: abc');
    assert.ok(performance.now() - start < 10_000);
  });

  test('headers without end are no answer', async () => {
    assert.equal(await sendRaw((socket) => {
      const more = () => { while (!socket.destroyed && socket.write(`X-Header: ${'x'.repeat(1000)}\r\n`)); };
      socket.write('HTTP/1.1 200 OK\r\n');
      socket.on('drain', more);
      more();
    }), 'what answered does not speak HTTP');
  });

  test('a wrong Content-Length: the status counts', async () => {
    assert.equal(await sendRaw('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc'), 'delivered');
    assert.equal(await sendRaw('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc'), 'delivered');
    assert.equal(await sendRaw('HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\nabc'), 'HTTP 503: abc');
    assert.equal(await sendRaw('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'), 'what answered does not speak HTTP');
    assert.equal(await sendRaw((socket) => socket.write('HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\nabc', () => socket.resetAndDestroy())), 'HTTP 503: abc');
  });

  test('connections that fail', async () => {
    const closed = net.createServer();
    const port = await listen(closed);
    await new Promise((resolve) => { closed.close(resolve); });
    assert.equal(await send(`http://127.0.0.1:${port}/`), 'ECONNREFUSED: the connection was refused');
    assert.equal(await sendRaw((socket) => socket.resetAndDestroy()), 'ECONNRESET: the connection was reset');
    assert.equal(await sendRaw((socket) => socket.end()), 'ECONNRESET: the connection was reset');
    assert.equal(await sendRaw('SSH-2.0-OpenSSH_9.2\r\n'), 'what answered does not speak HTTP');
    assert.equal(await sendRaw('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'), 'the connection was closed without an answer');
    assert.equal(await send('http://name.invalid/'), 'ENOTFOUND: there is no such host');
  });

  test('TLS that fails', async () => {
    assert.equal(await send(`${tls}/200`), 'DEPTH_ZERO_SELF_SIGNED_CERT: the certificate is self-signed');
    assert.match(await send(`${plain.replace('http', 'https')}/200`), /: what answered does not speak TLS$/);
    assert.deepEqual(requests, []);
  });

  // Resolves names as the tests say, one answer after the other; the last one stays.
  function resolver(...answers) {
    const asked = [];
    const resolve = (hostname, options, callback) => {
      const addresses = answers[Math.min(asked.length, answers.length - 1)].map((address) => ({ address, family: 4 }));
      asked.push(hostname);
      process.nextTick(() => (options.all ? callback(null, addresses) : callback(null, addresses[0].address, 4)));
    };
    return { asked, resolve };
  }

  test('a name with a private address is not called', async () => {
    const { port } = new URL(plain);
    for (const addresses of [['127.0.0.1'], ['1.1.1.1', '127.0.0.1']]) {
      const { asked, resolve } = resolver(addresses);
      assert.equal(await send(`http://hooks.example.com:${port}/200`, { allow_private: false }, { resolve }), 'its address is private, and allow_private is not set');
      assert.deepEqual(asked, ['hooks.example.com']);
    }
    assert.equal(await send(`http://localhost:${port}/200`, { allow_private: false }), 'its address is private, and allow_private is not set');
    assert.deepEqual(requests, []);
  });

  test('a name is looked up once: the connection goes to what was checked', async () => {
    const { port } = new URL(plain);
    const second = [];
    await listen(http.createServer((request, response) => {
      second.push(request.url);
      response.end();
    }), '127.0.0.2', Number(port));
    const { asked, resolve } = resolver(['127.0.0.1'], ['127.0.0.2']);
    assert.equal(await send(`http://hooks.example.com:${port}/200`, {}, { resolve }), 'delivered');
    assert.deepEqual([asked, second], [['hooks.example.com'], []]);
    assert.equal(requests[0].headers.host, `hooks.example.com:${port}`);
    await send(`http://hooks.example.com:${port}/200`, {}, { resolve });
    assert.deepEqual([requests.length, second], [1, ['/200']], 'the next delivery looks again');
  });
});
