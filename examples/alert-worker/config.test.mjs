// The configuration: what is wrong with it is named, and no secret is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readConfig } from './config.mjs';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const endpoint = { url: 'https://hooks.example.com/x', secret };
const none = () => assert.fail('reads a variable');

test('the defaults, and what an endpoint becomes', () => {
  const config = readConfig({ endpoints: [endpoint], lease_s: 90 }, none);
  assert.deepEqual([config.timeout_ms, config.lease_s, config.concurrency], [10_000, 90, 10]);
  const [{ name, url, webhooks, kinds, org_id, allow_private }] = config.endpoints;
  assert.deepEqual([name, url.href, webhooks.length, kinds, org_id, allow_private], ['hooks.example.com', endpoint.url, 1, undefined, undefined, false]);
});

test('secrets come from the environment, in a url, too', () => {
  const values = { KEY: secret, OLD: secret.replace('whsec_Bw', 'whsec_Cw'), TOKEN: 'a/b' };
  const { endpoints } = readConfig({ endpoints: [{ url: 'https://hooks.example.com/${TOKEN}', secret: ['${KEY}', '${OLD}'] }] }, (name) => values[name]);
  assert.equal(endpoints[0].url.href, 'https://hooks.example.com/a/b');
  const [one, other] = endpoints[0].webhooks.map((webhook) => webhook.sign('id', new Date(0), '{}'));
  assert.notEqual(one, other);
});

test('the example of the configuration is one', () => {
  const config = JSON.parse(readFileSync(new URL('config.example.json', import.meta.url), 'utf8'));
  const { endpoints } = readConfig(config, (name) => (name.endsWith('SECRET') ? secret : 'path'));
  assert.deepEqual(endpoints.map(({ name, org_id }) => [name, org_id]), [['on-call', undefined], ['customer 1', config.endpoints[1].org_id]]);
});

test('what is wrong is named', () => {
  const refused = (config, message) => assert.throws(() => readConfig(config, none), { message }, JSON.stringify(config));
  refused({}, 'config: endpoints must be a list that is not empty');
  refused({ endpoints: [] }, 'config: endpoints must be a list that is not empty');
  refused({ endpoints: [endpoint], retries: 3 }, 'config: unknown setting "retries"');
  for (const value of [0, -1, 1.5, '10', null, 1001]) refused({ endpoints: [endpoint], concurrency: value }, 'config: concurrency must be a whole number from 1 to 1000');
  refused({ endpoints: [endpoint], timeout_ms: 30_001 }, 'config: lease_s must be longer than timeout_ms and two requests (request_timeout_ms) together');

  const wrong = (changed, message) => refused({ endpoints: [endpoint, { ...endpoint, ...changed }] }, `config: endpoints[1]${message}`);
  refused({ endpoints: [null] }, 'config: endpoints[0] is no object');
  refused({ endpoints: ['https://hooks.example.com'] }, 'config: endpoints[0] is no object');
  wrong({ retries: 3 }, ' has the unknown key "retries"');
  wrong({ url: undefined }, ' has no url');
  wrong({ url: 'hooks.example.com' }, '.url is no URL');
  wrong({ url: 'http://hooks.example.com' }, '.url is not https, and allow_http is not set');
  wrong({ url: 'ftp://hooks.example.com', allow_http: true }, '.url is not https, and allow_http is not set');
  wrong({ url: 'https://user:password@hooks.example.com' }, '.url holds a user or password: the signature tells who is calling');
  wrong({ url: 'https://127.0.0.1/' }, '.url: its address is private, and allow_private is not set');
  wrong({ url: 'https://[::ffff:a9fe:a9fe]/' }, '.url: its address is private, and allow_private is not set');
  wrong({ allow_private: 'yes' }, '.allow_private and .allow_http are true or false');
  wrong({ kinds: [] }, '.kinds must be a list that is not empty');
  wrong({ kinds: 'incident_opened' }, '.kinds must be a list that is not empty');
  wrong({ kinds: ['incident_open'] }, '.kinds: there is no "incident_open"');
  wrong({ org_id: 'acme' }, '.org_id is no UUID');
  wrong({ name: 'a\nb' }, '.name must be 1 to 60 letters, digits, blanks, dots, hyphens');
  for (const missing of [undefined, [], [5], {}]) wrong({ secret: missing }, '.secret must be a text, or a list of some');
  for (const bad of ['', 'hunter2', 'whsec_', 'whsec_hunter2', secret.slice(6), secret.slice(0, 30), `${secret}${secret.slice(6)}`, `${secret} `, secret.slice(0, -1)]) {
    wrong({ secret: bad }, '.secret is not "whsec_" and 24 to 64 bytes in base64');
  }
});

test('private addresses and http, where they are allowed', () => {
  const { endpoints: [{ url, allow_private }] } = readConfig({ endpoints: [{ ...endpoint, url: 'http://[::1]:8080/', allow_private: true, allow_http: true }] }, none);
  assert.deepEqual([url.href, allow_private], ['http://[::1]:8080/', true]);
});
