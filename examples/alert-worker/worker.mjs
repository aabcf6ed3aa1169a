// worker.mjs: delivers the alerts that are due. Any number of workers may: the database hands an alert to one of them at a
// time, hands it to another when that one falls silent, and says when one that was not delivered may be tried again.
import { setTimeout as wait } from 'node:timers/promises';
import { deliver } from './deliver.mjs';
import { causes, tell } from './texts.mjs';

// createWorker({ supabase, config, log }): config is readConfig's. Returns run(ending), which delivers what is due, ends when
// nothing is, and returns how many alerts { delivered, failed }; after the signal ending it claims nothing more, and waits
// for what it has claimed. Throws when alerts cannot be claimed and nothing is being delivered.
export function createWorker({ supabase, config, log = console.log }) {
  const { endpoints, concurrency, lease_s, poll_ms, request_timeout_ms, finish_attempts, retry_ms } = config;

  // call(name, args, isAnswer): what the function returns. Whoever answers 200 and something else is no PostgREST.
  async function call(name, args, isAnswer) {
    const { data, error } = await supabase.rpc(name, args).abortSignal(AbortSignal.timeout(request_timeout_ms));
    if (error) throw new Error(`${name}: ${error.code} ${error.message}`);
    if (!isAnswer(data)) throw new Error(`${name}: the answer is not what the function returns`);
    return data;
  }
  const isText = (value) => typeof value === 'string' && value !== '';
  const isAlert = (row) => isText(row?.alert_id) && isText(row.kind) && Number.isInteger(row.attempt)
    && row.payload?.alert_id === row.alert_id;
  const claim = (max_rows) => call('claim_alerts', { max_rows, lease: `${lease_s} seconds` },
    (rows) => Array.isArray(rows) && rows.length <= max_rows && rows.every(isAlert));

  // The same report again changes nothing, so it can be sent again.
  async function finish(report, left = finish_attempts - 1) {
    try {
      return await call('finish_alert', report, (answer) => typeof answer === 'boolean');
    } catch (error) {
      if (left === 0) throw error;
      await wait(retry_ms);
      return finish(report, left - 1);
    }
  }

  // Delivered is what all endpoints took that want it; also what none wants.
  async function handOver(alert) {
    const { alert_id, kind, attempt, org_id } = alert;
    const wanting = endpoints.filter((endpoint) => (endpoint.kinds?.includes(kind) ?? true)
      && (endpoint.org_id === undefined || endpoint.org_id === org_id));
    const failures = [];
    await Promise.all(wanting.map((endpoint) => deliver(endpoint, alert, config)
      .catch((error) => failures.push({ text: `${endpoint.name}: ${tell(error)}`, detail: `${endpoint.name}: ${causes(error)}` }))));
    const delivered = failures.length === 0;
    const report = { alert_id, attempt, delivered, error: delivered ? null : failures.map(({ text }) => text).join('; ') };
    const counts = await finish(report);
    log([
      `alert ${alert_id} ${kind} attempt=${attempt}`, delivered ? 'delivered' : 'failed', ...failures.map(({ detail }) => detail),
      ...(counts ? [] : ['(reported before, or another worker has it)']),
    ].join(' '));
    return delivered ? 'delivered' : 'failed';
  }

  return {
    async run(ending) {
      const done = { delivered: 0, failed: 0 };
      const running = new Set();
      function begin(alert) {
        const work = handOver(alert)
          .then((outcome) => { done[outcome] += 1; })
          .catch((error) => log(`alert ${alert.alert_id} attempt=${alert.attempt} not reported: ${causes(error)}`))
          .finally(() => running.delete(work));
        running.add(work);
      }
      try {
        while (!ending?.aborted) {
          const free = concurrency - running.size;
          // While something is being delivered, a claim that fails is made again.
          const alerts = free === 0 ? [] : await claim(free).catch((error) => {
            if (running.size === 0) throw error;
            log(`alerts not claimed: ${causes(error)}`);
            return [];
          });
          alerts.forEach(begin);
          if (running.size === 0) break;
          // What ended during the claim has left room for what the claim did not ask for.
          if (alerts.length === free && running.size < concurrency) continue;
          // Slow deliveries hold no other up: it goes on when one has ended, or when there may be something new.
          const pause = new AbortController();
          const looking = alerts.length < free ? [wait(poll_ms, undefined, pause).catch(() => {})] : [];
          await Promise.race([...running, ...looking]);
          pause.abort();
        }
      } finally {
        await Promise.all(running);
      }
      return done;
    },
  };
}
