// deliver.mjs: the delivery of an alert to an endpoint: one POST, signed by the Standard Webhooks scheme.
import http from 'node:http';
import https from 'node:https';
import { publicLookup, requirePublic } from './addresses.mjs';
import { Told } from './texts.mjs';

const read_bytes = 4096;      // of an answer: the rest is not read
const read_ms = 1000;         // for the body of an answer
const shown = 200;            // characters of it that are told

// deliver(endpoint, alert, { timeout_ms, resolve }): resolves when the endpoint has answered 2xx. Otherwise throws: a Told
// where the endpoint answered, or must not be called; else what Node threw. endpoint is one of readConfig's. The id is the
// alert's, and so the same for each attempt; the time and the signature are the attempt's. resolve is for tests.
export async function deliver({ url, webhooks, allow_private }, { alert_id, payload }, { timeout_ms, resolve }) {
  const body = JSON.stringify(payload);
  const now = new Date();
  const signatures = webhooks.map((webhook) => webhook.sign(alert_id, now, body));
  if (!allow_private) requirePublic(url.hostname);
  const { status, text } = await post(url, body, {
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      'User-Agent': 'integration-health-alert-worker',
      'webhook-id': alert_id,
      'webhook-timestamp': Math.floor(now / 1000),
      'webhook-signature': signatures.join(' '),
    },
    agent: false,             // a connection of its own, to the address that was checked for it
    lookup: allow_private ? resolve : publicLookup(resolve),
    signal: AbortSignal.timeout(timeout_ms),
  });
  if (status >= 200 && status < 300) return;
  if (status >= 300 && status < 400) throw new Told(`HTTP ${status}: redirected, which is not followed`);
  const told = withoutSecrets(text, url, signatures).replace(/\s+/g, ' ').trim();
  throw new Told(`HTTP ${status}${told && `: ${[...told].slice(0, shown).join('')}`}`);
}

// post(url, body, options): the status of the answer, and the beginning of its body as text.
function post(url, body, options) {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, { method: 'POST', ...options });
    request.on('response', (response) => resolve(beginningOf(response).then((text) => ({ status: response.statusCode, text }))));
    request.on('error', (error) => reject(error.code?.startsWith('HPE_') ? new Told('what answered does not speak HTTP') : error));
    request.on('close', () => reject(new Told('the connection was closed without an answer')));
    request.end(body);
  });
}

// beginningOf(response): never fails. The status has been told; how the body ends does not matter.
function beginningOf(response) {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const end = () => {
      clearTimeout(timer);
      response.destroy();
      resolve(bytes.toString());
    };
    const timer = setTimeout(end, read_ms);
    response.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]).subarray(0, read_bytes);
      if (bytes.length === read_bytes) end();
    });
    for (const event of ['end', 'error', 'close']) response.on(event, end);
  });
}

// withoutSecrets(text, url, signatures): an answer may repeat what it was sent, and the path of a webhook's URL may be all
// that keeps others from calling it.
function withoutSecrets(text, url, signatures) {
  const parts = [...url.pathname.split('/'), ...url.searchParams.values()].filter((part) => part.length >= 8);
  return [url.pathname + url.search, url.pathname, ...parts, ...parts.map(decode), ...signatures]
    .filter((secret) => secret.length > 1)
    .reduce((rest, secret) => rest.replaceAll(secret, '...'), text);
}
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
