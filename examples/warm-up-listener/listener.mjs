// listener.mjs: hears the events of integration_health. For a warm_up it POSTs to the worker's URL, the
// others it prints. Its connection may break at any time: it connects again, for ever. What was sent in
// the meantime is not heard; a worker that was not warmed up starts cold, and that is all.
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';

const defaults = {
  timeout_ms: 10_000,        // for a worker to answer, and the database
  heartbeat_ms: 30_000,      // a connection that died without a word is noticed by then
  retry_ms: 500,             // before the second attempt to connect; doubles, up to retry_max_ms
  retry_max_ms: 30_000,
};

// startListener({ connection, origins, authorization, log, ...settings }): connection is what pg.Client
// takes, origins are those that URLs may have, authorization is sent to them if given. Returns stop().
export function startListener({ connection, origins, authorization, log = console.log, ...changed }) {
  const settings = { ...defaults, ...changed };
  const ending = new AbortController();
  const pause = (ms) => wait(ms, undefined, { signal: ending.signal }).catch(() => {});

  // Listens until the connection is lost; throws the reason. Calls connected() when it listens.
  async function listen(connected) {
    const client = new pg.Client({
      ...connection, application_name: 'warm-up-listener', keepAlive: true,
      connectionTimeoutMillis: settings.timeout_ms, query_timeout: settings.timeout_ms,
    });
    const lost = new Promise((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the connection has ended')));
    });
    lost.catch(() => {});
    client.on('notification', ({ payload }) => receive(payload));
    try {
      await client.connect();
      await client.query('LISTEN integration_health');
      connected();
      while (!ending.signal.aborted) {
        await Promise.race([lost, pause(settings.heartbeat_ms)]);
        await client.query('SELECT 1');
      }
    } finally {
      await Promise.race([client.end().catch(() => {}), wait(1000)]);
    }
  }

  // Never throws. Whoever can log in to the database can send anything on the channel.
  async function receive(payload) {
    let event;
    try {
      event = JSON.parse(payload);
    } catch {
      log(`no event: ${JSON.stringify(payload)}`);
      return;
    }
    const line = JSON.stringify(event);
    log(event?.event === 'warm_up' ? `${line}: ${await warmUp(event)}` : line);
  }

  // late(): fails when a worker has had its time.
  async function late() {
    await wait(settings.timeout_ms, undefined, { ref: false });
    throw new Error(`timeout: no answer within ${settings.timeout_ms} ms`);
  }

  // warmUp(event): POSTs what pg_net would, once; returns what became of it.
  async function warmUp({ url, ...body }) {
    const start = performance.now();
    try {
      if (!origins.includes(new URL(url).origin)) return 'not called: its origin is not among those allowed';
      const request = fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) },
        body: JSON.stringify(body),
        redirect: 'manual',      // it could lead anywhere
        signal: AbortSignal.timeout(settings.timeout_ms),
      });
      // fetch in Debian's Node 18 may lose the signal, and waits for five minutes then.
      const response = await Promise.race([request, late()]);
      await response.body?.cancel().catch(() => {});
      return `HTTP ${response.status} after ${Math.round(performance.now() - start)} ms`;
    } catch (error) {
      return `failed: ${(error.cause ?? error).message}`;
    }
  }

  async function run() {
    let delay = settings.retry_ms;
    while (!ending.signal.aborted) {
      try {
        await listen(() => {
          delay = settings.retry_ms;
          log('listening');
        });
      } catch (error) {
        if (ending.signal.aborted) return;
        log(`not connected: ${error.message}; again in ${delay} ms`);
        await pause(delay);
        delay = Math.min(delay * 2, settings.retry_max_ms);
      }
    }
  }

  const running = run();
  return async () => {
    ending.abort();
    await running;
  };
}
