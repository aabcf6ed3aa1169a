// The receiver: takes what was signed with its secret, once, and nothing else.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { createReceiver } from './receiver.mjs';

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

describe('receiver', () => {
  let kept;
  let keep;
  let server;
  let port;

  async function start(changed) {
    server = createReceiver({ secret, keep: (alert, id) => keep(alert, id), ...changed });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    ({ port } = server.address());
  }
  beforeEach(() => {
    kept = [];
    keep = (alert, id) => kept.push([id, alert]);
    return start();
  });
  const stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  afterEach(stop);

  const signed = (id, body, { at = new Date(), by = secret } = {}) => ({
    'webhook-id': id, 'webhook-timestamp': String(Math.floor(at / 1000)), 'webhook-signature': new Webhook(by).sign(id, at, body),
  });
  const send = (body, headers, options) => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers, ...options }).then(({ status }) => status);

  test('keeps what was signed', async () => {
    const body = JSON.stringify({ kind: 'type_passive', display_name: 'æøå 😀' });
    assert.equal(await send(body, signed('a', body)), 204);
    assert.deepEqual(kept, [['a', JSON.parse(body)]]);
  });

  test('a double is answered, and not kept again', async () => {
    for (let i = 0; i < 3; i++) assert.equal(await send('{}', signed('a', '{}')), 204);
    assert.equal(await send('{}', signed('b', '{}')), 204);
    assert.deepEqual(kept.map(([id]) => id), ['a', 'b']);
  });

  test('a double that comes while the first is being kept waits for that', async () => {
    let release;
    let begun = 0;
    keep = () => new Promise((resolve) => {
      begun += 1;
      release = resolve;
    });
    const answers = [];
    const both = [1, 2].map(() => send('{}', signed('a', '{}')).then((status) => answers.push(status)));
    await wait(200);
    assert.deepEqual([begun, answers], [1, []]);
    release();
    await Promise.all(both);
    assert.deepEqual([begun, answers], [1, [204, 204]]);
  });

  test('what could not be kept is asked for again', async () => {
    keep = () => { throw new Error('the disk is full'); };
    assert.equal(await send('{}', signed('a', '{}')), 500);
    keep = () => Promise.reject(new Error('the database is gone'));
    assert.equal(await send('{}', signed('a', '{}')), 500);
    keep = (alert, id) => kept.push(id);
    assert.equal(await send('{}', signed('a', '{}')), 204);
    assert.deepEqual(kept, ['a']);
  });

  test('a wrong signature, body, id or time', async () => {
    const minutes = (n) => ({ at: new Date(Date.now() + n * 60_000) });
    for (const [what, headers] of Object.entries({
      'nothing': {},
      'no id': { ...signed('a', '{}'), 'webhook-id': '' },
      'another secret': signed('a', '{}', { by: secret.replace('AQ', 'AR') }),
      'another body': signed('a', '{ }'),
      'another id': { ...signed('a', '{}'), 'webhook-id': 'b' },
      'another time': { ...signed('a', '{}'), 'webhook-timestamp': signed('a', '{}', minutes(1))['webhook-timestamp'] },
      'too old': signed('a', '{}', minutes(-6)),
      'too new': signed('a', '{}', minutes(6)),
      'no time': { ...signed('a', '{}'), 'webhook-timestamp': 'now' },
      'an unknown scheme': { ...signed('a', '{}'), 'webhook-signature': signed('a', '{}')['webhook-signature'].replace('v1,', 'v0,') },
      'a scheme alone': { ...signed('a', '{}'), 'webhook-signature': 'v1' },
    })) assert.equal(await send('{}', headers), 401, what);
    assert.equal(await send('no json', signed('a', 'no json')), 401);
    assert.deepEqual(kept, []);
    assert.equal(await send('{}', { ...signed('a', '{}'), 'webhook-signature': `v1,AAAA ${signed('a', '{}')['webhook-signature']}` }), 204, 'one of several is enough');
  });

  test('only POST', async () => {
    assert.equal(await send(undefined, {}, { method: 'GET' }), 405);
    assert.equal(await send('{}', signed('a', '{}'), { method: 'PUT' }), 405);
  });

  test('a body that is too long is refused before it is read', async () => {
    await stop();
    await start({ max_bytes: 1000 });
    const fits = `{"x":"${'x'.repeat(992)}"}`;
    assert.equal(await send(fits, signed('a', fits)), 204);
    assert.equal(await send(`${fits} `, signed('b', `${fits} `)), 413);
    // With no Content-Length: as many bytes as the receiver takes.
    const status = await new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers: signed('c', '') }, (response) => resolve(response.statusCode));
      request.on('error', reject);
      for (let i = 0; i < 11; i++) request.write('x'.repeat(100));
    });
    assert.equal(status, 413);
    assert.deepEqual(kept.map(([id]) => id), ['a']);
  });

  test('who sends too slowly is cut off', async () => {
    await stop();
    await start({ request_ms: 300 });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 408 /);
    assert.equal(await send('{}', signed('a', '{}')), 204);
  });

  test('the oldest ids are forgotten', async () => {
    await stop();
    await start({ remembered: 2 });
    for (const id of ['a', 'b', 'b', 'c', 'a']) assert.equal(await send('{}', signed(id, '{}')), 204);
    assert.deepEqual(kept.map(([id]) => id), ['a', 'b', 'c', 'a']);
  });
});
