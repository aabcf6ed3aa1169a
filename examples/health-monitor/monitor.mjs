// monitor.mjs: probes the external systems of many organisations over HTTP and records what it saw
// in integration_health. No framework and no import but ./record.mjs: it runs as it is in Node 18
// and later, Deno and Supabase Edge Functions. The caller brings the supabase-js client.
import { recordOnce } from './record.mjs';

const defaults = {
  timeout_ms: 10_000,          // no answer by then: unhealthy
  slow_ms: 2_000,              // a later answer is degraded
  concurrency: 10,             // probes at once
  record_attempts: 5,          // how often a recording is sent at most
  record_timeout_ms: 15_000,   // for one request to Supabase
  record_backoff_ms: 500,      // wait before the second attempt; doubles each time
  settle_ms: 20_000,           // see record.mjs
};

const pairOf = (target) => `${target.org_id} ${target.integration_type}`;

// readConfig(config): the config with its defaults; throws an Error that names what is wrong.
export function readConfig({ targets, ...settings }) {
  for (const [name, value] of Object.entries(settings)) {
    if (!(name in defaults)) throw new Error(`config: unknown setting "${name}"`);
    if (!Number.isInteger(value) || value < 1) throw new Error(`config: ${name} must be a whole number above 0`);
  }
  if (!Array.isArray(targets) || targets.length === 0) throw new Error('config: targets must be a list that is not empty');
  const pairs = new Set();
  targets.forEach((target, i) => {
    for (const key of ['org_id', 'integration_type', 'url']) {
      if (typeof target[key] !== 'string') throw new Error(`config: targets[${i}] has no ${key}`);
    }
    if (!/^https?:$/.test(new URL(target.url).protocol)) throw new Error(`config: targets[${i}].url is not http or https`);
    if (!['HEAD', 'GET'].includes(target.method ?? 'HEAD')) throw new Error(`config: targets[${i}].method is neither HEAD nor GET`);
    // Two results for one pair would make its status flap.
    if (pairs.has(pairOf(target))) throw new Error(`config: targets[${i}] is a second target of ${pairOf(target)}`);
    pairs.add(pairOf(target));
  });
  return { ...defaults, ...settings, targets };
}

// createMonitor({ supabase, config, log, fetch }): returns run(), which makes one round: probes
// every target, records, logs one line, and returns { checks, skipped, recorded, attempts }.
// run() throws when the checks could not be recorded. Keep the monitor between rounds where the
// host allows it: it remembers who asked to be left alone (Retry-After).
export function createMonitor({ supabase, config, log = console.log, fetch = globalThis.fetch }) {
  const settings = readConfig(config);
  const quietUntil = new Map();

  async function run() {
    const started = Date.now();
    const due = settings.targets.filter((target) => !(quietUntil.get(pairOf(target)) > started));
    const skipped = settings.targets.length - due.length;
    const results = await mapAtMost(settings.concurrency, due, (target) => probe(target, settings, fetch));
    results.forEach(({ retryAfterMs }, i) => {
      if (retryAfterMs) quietUntil.set(pairOf(due[i]), Date.now() + retryAfterMs);
      else quietUntil.delete(pairOf(due[i]));
    });
    const checks = results.map((result) => result.check);
    let outcome = { recorded: 0, attempts: 0 };
    if (checks.length > 0) outcome = await recordOnce(supabase, checks, settings);
    log(summaryLine(checks, skipped, outcome, Date.now() - started));
    if (outcome.error) throw new Error(`recording failed: ${outcome.error}`);
    return { checks, skipped, ...outcome };
  }

  return { run };
}

// probe(target, settings, fetch): one request; returns { check, retryAfterMs }. Never throws: that
// a system cannot be reached is a result.
export async function probe(target, settings, fetch = globalThis.fetch) {
  const check = { org_id: target.org_id, integration_type: target.integration_type, checked_at: new Date().toISOString() };
  const start = performance.now();
  const elapsed = () => Math.round(performance.now() - start);
  try {
    const response = await fetch(target.url, {
      method: target.method ?? 'HEAD',
      headers: target.headers,
      redirect: 'manual',      // one request a probe; a redirect is an answer
      signal: AbortSignal.timeout(settings.timeout_ms),
    });
    const latency_ms = elapsed();
    // The status is all that is wanted. A body that fails on its way is no matter.
    await response.body?.cancel().catch(() => {});
    const retryAfterMs = response.status === 429 ? retryAfter(response.headers.get('retry-after')) : 0;
    return { check: { ...check, latency_ms, ...judge(response.status, latency_ms, settings, retryAfterMs) }, retryAfterMs };
  } catch (error) {
    return { check: { ...check, latency_ms: null, http_status: null, status: 'unhealthy', error: reason(error, settings) }, retryAfterMs: 0 };
  }
}

// judge(...): what an answer means. 429 is no failure of the system: it works, and wants fewer checks.
function judge(status, latency_ms, { slow_ms }, retryAfterMs) {
  // integration_health knows 100 to 599; some systems answer 999.
  const http_status = status >= 100 && status <= 599 ? status : null;
  if (status === 429) {
    const wait = retryAfterMs ? `, retry after ${Math.ceil(retryAfterMs / 1000)} s` : '';
    return { status: 'degraded', http_status, error: `HTTP 429: rate limited${wait}` };
  }
  if (status < 200 || status > 399) return { status: 'unhealthy', http_status, error: `HTTP ${status}` };
  if (latency_ms >= slow_ms) return { status: 'degraded', http_status, error: `slow: ${latency_ms} ms` };
  return { status: 'healthy', http_status, error: null };
}

// retryAfter(header): milliseconds to wait, from seconds or a date; 0 for none, a day at most.
function retryAfter(header) {
  if (!header) return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Math.min(Math.max(ms || 0, 0), 86_400_000);
}

// reason(error, settings): why there was no answer, as text that the database takes: no control
// characters, no half surrogates, at most 2000 characters.
function reason(error, { timeout_ms }) {
  if (error.name === 'TimeoutError') return `no answer within ${timeout_ms} ms`;
  // fetch hides the cause one level down; with several addresses, one more.
  const cause = error.cause?.errors?.[0] ?? error.cause ?? error;
  const text = [cause.code, cause.message].filter(Boolean).join(': ') || String(error);
  return [...text].slice(0, 500).join('').replace(/[\p{Cc}\p{Cs}]/gu, ' ');
}

// mapAtMost(n, items, work): like Promise.all of work(item), but n at a time.
async function mapAtMost(n, items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(n, items.length) }, worker));
  return results;
}

// summaryLine(...): the one line that a run logs.
function summaryLine(checks, skipped, { recorded, attempts, error }, ms) {
  const count = (wanted) => checks.filter((check) => check.status === wanted).length;
  const limited = checks.filter((check) => check.http_status === 429).length;
  return [
    'health-monitor', `checks=${checks.length}`, `healthy=${count('healthy')}`, `degraded=${count('degraded')}`,
    `unhealthy=${count('unhealthy')}`, `rate_limited=${limited}`, `skipped=${skipped}`, `recorded=${recorded}`,
    `attempts=${attempts}`, `ms=${ms}`, ...(error ? [`error=${JSON.stringify(error)}`] : []),
  ].join(' ');
}
