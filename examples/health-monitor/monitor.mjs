// monitor.mjs: probes the external systems of many organisations over HTTP and records what it saw
// in integration_health. No framework and no import but the files beside it: it runs as it is
// in Node 18 and later, Deno and Supabase Edge Functions. The caller brings the supabase-js client.
import { causeOf } from './cause.mjs';
import { recordOnce, within } from './record.mjs';
import { retryAfter } from './retry_after.mjs';
import { tell } from './texts.mjs';
import { dueBatches, pairOf, registerTargets, unknownTypes } from './work.mjs';

// Each setting with its default, and the most that it may be; the least is 1. A timer of Node takes at most
// 2^31 - 1 ms, and makes 1 of more. PostgREST on Supabase cuts answers at 1000 rows: pairs beyond would be
// claimed and never heard of.
const limits = {
  claim_rows: [100, 1000],              // pairs claimed, probed and recorded at a time
  claim_batches: [10, 10_000],          // how many such batches a run takes on at most
  timeout_ms: [10_000, 600_000],        // no answer by then: unhealthy
  slow_ms: [2_000, 600_000],            // a later answer is degraded
  concurrency: [10, 1000],              // probes at once
  record_attempts: [5, 100],            // how often a recording is sent at most
  record_timeout_ms: [15_000, 600_000], // for one request to Supabase
  record_backoff_ms: [500, 60_000],     // wait before the second attempt; doubles each time
  settle_ms: [20_000, 600_000],         // see record.mjs
};
const defaults = {
  claim: true,                          // false: probe every target, each run; for trials
  ...Object.fromEntries(Object.entries(limits).map(([name, [value]]) => [name, value])),
};

// readConfig(config): the config with its defaults; throws an Error that names what is wrong.
export function readConfig({ targets, ...settings }) {
  for (const [name, value] of Object.entries(settings)) {
    if (!(name in defaults)) throw new Error(`config: unknown setting "${name}"`);
    if (name === 'claim') {
      if (typeof value !== 'boolean') throw new Error('config: claim must be true or false');
    } else if (!Number.isInteger(value) || value < 1 || value > limits[name][1]) {
      throw new Error(`config: ${name} must be a whole number from 1 to ${limits[name][1]}`);
    }
  }
  if (!Array.isArray(targets) || targets.length === 0) throw new Error('config: targets must be a list that is not empty');
  const pairs = new Set();
  targets.forEach((target, i) => {
    for (const key of ['org_id', 'integration_type', 'url']) {
      if (typeof target[key] !== 'string') throw new Error(`config: targets[${i}] has no ${key}`);
    }
    if (!URL.canParse(target.url) || !/^https?:$/.test(new URL(target.url).protocol)) throw new Error(`config: targets[${i}].url is not http or https`);
    if (new URL(target.url).username || new URL(target.url).password) throw new Error(`config: targets[${i}].url holds a user or password: put them into its headers`);
    if (!['HEAD', 'GET'].includes(target.method ?? 'HEAD')) throw new Error(`config: targets[${i}].method is neither HEAD nor GET`);
    // Two results for one pair would make its status flap.
    if (pairs.has(pairOf(target))) throw new Error(`config: targets[${i}] is a second target of ${pairOf(target)}`);
    pairs.add(pairOf(target));
  });
  return { ...defaults, ...settings, targets };
}

// longestBatch(config): how long it may take to probe a batch and to send what was seen, in ms; trouble with the
// recording may take longer.
export function longestBatch(config) {
  const { claim, claim_rows, concurrency, record_timeout_ms, targets, timeout_ms } = readConfig(config);
  return Math.ceil((claim ? claim_rows : targets.length) / concurrency) * timeout_ms + record_timeout_ms;
}

// withVariables(config, read): the config with read(NAME) in place of each ${NAME} in the headers of its targets, so that
// secrets stay out of the file. Leaves to readConfig what is no target or no text.
export function withVariables(config, read) {
  if (!Array.isArray(config.targets)) return config;
  const fill = (text) => (typeof text === 'string' ? text.replace(/\$\{(\w+)\}/g, (_, name) => read(name)) : text);
  const filled = (headers) => headers && Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, fill(text)]));
  return { ...config, targets: config.targets.map((target) => ({ ...target, headers: filled(target?.headers) })) };
}

// createMonitor({ supabase, config, log, fetch }): returns run(ending), which makes one round: probes the
// targets that are due, records, logs one line, and returns { checks, skipped, unknown, recorded,
// attempts }. skipped targets were not due; unknown pairs were, but have no target here. run() throws
// when something could not be claimed or recorded. The first run registers the targets. After the signal
// ending no more batches are claimed; the one in hand is recorded.
export function createMonitor({ supabase, config, log = console.log, fetch = globalThis.fetch }) {
  const settings = readConfig(config);
  let registered = !settings.claim;

  async function run(ending) {
    const started = Date.now();
    const total = { checks: [], unknown: [], recorded: 0, attempts: 0 };
    let failure;
    try {
      // Types may come and go while the process runs.
      const strange = await unknownTypes(supabase, { ...settings, targets: config.targets });
      for (const type of strange) log(`health-monitor: no integration type "${type}": its targets are left out`);
      if (strange.length > 0) failure = new Error(`unknown integration types: ${strange.join(', ')}`);
      settings.targets = config.targets.filter(({ integration_type }) => !strange.includes(integration_type));
      if (!registered) await registerTargets(supabase, settings);
      registered = settings.claim ? strange.length === 0 : true;
      for await (const { targets, unknown } of dueBatches(supabase, settings, ending)) {
        total.unknown.push(...unknown);
        await probeAndRecord(targets, total);
      }
    } catch (error) {
      failure = error;
    }
    const skipped = config.targets.length - total.checks.length;
    log(summaryLine(total, skipped, failure, Date.now() - started));
    if (failure) throw failure;
    return { ...total, skipped };
  }

  async function probeAndRecord(targets, total) {
    if (targets.length === 0) return;
    const checks = await mapAtMost(settings.concurrency, targets, (target) => probe(target, settings, fetch));
    total.checks.push(...checks);
    const { recorded, attempts, error } = await recordOnce(supabase, checks, settings);
    total.recorded += recorded;
    total.attempts += attempts;
    if (error) throw new Error(`recording failed: ${error}`);
  }

  return { run };
}

// probe(target, settings, fetch): one request; returns the check. Never throws: that a system cannot
// be reached is a result.
export async function probe(target, settings, fetch = globalThis.fetch) {
  const check = { org_id: target.org_id, integration_type: target.integration_type, checked_at: new Date().toISOString() };
  const start = performance.now();
  const elapsed = () => Math.round(performance.now() - start);
  try {
    const response = await within(settings.timeout_ms, (signal) => fetch(target.url, {
      method: target.method ?? 'HEAD',
      headers: target.headers,
      redirect: 'manual',      // one request a probe; a redirect is an answer
      signal,
    }));
    const latency_ms = elapsed();
    // The status is all that is wanted. A body that fails on its way is no matter.
    await response.body?.cancel().catch(() => {});
    return { ...check, latency_ms, ...judge(response, latency_ms, target, settings) };
  } catch (error) {
    const told = error?.name === 'TimeoutError' ? `no answer within ${settings.timeout_ms} ms` : tell(error);
    return { ...check, latency_ms: null, http_status: null, status: 'unhealthy', error: told, cause: causeOf(error) };
  }
}

// judge(...): what an answer means. 429 is no failure of the system: it works, and wants fewer checks.
// The database remembers it, and for how long; retry_after is only there where the system said it. The cause is the
// database's to tell, from http_status, but where that does not tell it.
function judge({ status, headers }, latency_ms, { method = 'HEAD' }, { slow_ms }) {
  // integration_health knows 100 to 599; some systems answer 999.
  const http_status = status >= 100 && status <= 599 ? status : null;
  if (status === 429) {
    const retry_after = retryAfter(headers.get('retry-after'));
    if (retry_after === null) return { status: 'degraded', http_status, error: 'HTTP 429: rate limited' };
    return { status: 'degraded', http_status, error: `HTTP 429: rate limited, retry after ${retry_after} s`, retry_after };
  }
  // Not implemented for HEAD says little of the system: the target is wrong.
  if ((status === 405 || status === 501) && method === 'HEAD') return { status: 'unhealthy', http_status, error: `HTTP ${status}: it does not answer HEAD; the target needs "method": "GET"`, cause: 'configuration' };
  if (http_status === null) return { status: 'unhealthy', http_status, error: `HTTP ${status}`, cause: 'other' };
  if (status < 200 || status > 399) return { status: 'unhealthy', http_status, error: `HTTP ${status}` };
  if (latency_ms >= slow_ms) return { status: 'degraded', http_status, error: `slow: ${latency_ms} ms` };
  return { status: 'healthy', http_status, error: null };
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
function summaryLine({ checks, unknown, recorded, attempts }, skipped, failure, ms) {
  const count = (wanted) => checks.filter((check) => check.status === wanted).length;
  const limited = checks.filter((check) => check.http_status === 429).length;
  return [
    'health-monitor', `checks=${checks.length}`, `healthy=${count('healthy')}`, `degraded=${count('degraded')}`,
    `unhealthy=${count('unhealthy')}`, `rate_limited=${limited}`, `skipped=${skipped}`, `unknown=${unknown.length}`,
    `recorded=${recorded}`, `attempts=${attempts}`, `ms=${ms}`, ...(failure ? [`error=${JSON.stringify(failure.message)}`] : []),
  ].join(' ');
}
