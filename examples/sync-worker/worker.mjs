// worker.mjs: runs the scheduled syncs that are due. Any number of workers may: the database lets one of
// them have a period, hands a period whose worker fell silent to another, and says when one that failed may
// be tried again.
import { causes, tell } from './texts.mjs';

const defaults = {
  lease: '10 minutes',         // how long a sync may take; after that another worker may have its period
  concurrency: 4,              // syncs at once
  list_ms: 10_000,             // how long a list of what is due may be used: a newer period may come
  finish_attempts: 3,          // how often the end of a sync is sent at most
  retry_ms: 1_000,             // before it is sent again
  request_timeout_ms: 15_000,  // for one request to Supabase
  cold_start: true,            // whether the first round had to wait for this process; not where a warm-up woke it
};
const keys = ['org_id', 'integration_type', 'scheduled_for', 'idempotency_key'];

// createWorker({ supabase, sync, log, ...settings }): returns run(ending, stopping), which does what is due, ends when
// nothing is, and returns how many syncs { succeeded, failed }; after the signal ending it begins nothing more, and
// waits for what it has begun. sync(run, signal) does the work and throws when it fails, a Told (texts.mjs) where the
// members of the organisation may read why; it gives run.idempotency_key to the external system, and stops when the
// signal says that the lease is about to end, or stopping that this process is.
export function createWorker({ supabase, sync, log = console.log, ...changed }) {
  const { lease, concurrency, list_ms, finish_attempts, retry_ms, request_timeout_ms, cold_start } = { ...defaults, ...changed };
  let nextIsCold = cold_start;

  // call(name, args, isAnswer): what the function returns. Whoever answers 200 and something else is no PostgREST.
  async function call(name, args, isAnswer) {
    const { data, error } = await supabase.rpc(name, args).abortSignal(AbortSignal.timeout(request_timeout_ms));
    if (error) throw Object.assign(new Error(`${name}: ${error.code} ${error.message}`), { code: error.code });
    if (!isAnswer(data)) throw new Error(`${name}: the answer is not what the function returns`);
    return data;
  }
  const isText = (value) => typeof value === 'string' && value !== '';
  const isRun = (run) => keys.every((key) => isText(run?.[key])) && Number.isInteger(run.attempt);

  const listDue = () => call('get_due_syncs', { max_rows: 10 * concurrency },
    (rows) => Array.isArray(rows) && rows.every((row) => keys.every((key) => isText(row?.[key]))));

  // The same report again changes nothing, so it can be sent again. 55000: another attempt took its place.
  async function finish(report, left = finish_attempts - 1) {
    try {
      return await call('finish_sync_run', report, (run) => isRun(run) && run.attempt === report.attempt && run.outcome === report.outcome);
    } catch (error) {
      if (error.code === '55000' || left === 0) throw error;
      await new Promise((resolve) => { setTimeout(resolve, retry_ms); });
      return finish(report, left - 1);
    }
  }

  // Returns the outcome that was reported, undefined where another worker has the period.
  async function runOne({ org_id, integration_type, scheduled_for }, cold, stopping) {
    const key = { org_id, integration_type, scheduled_for };
    const run = await call('claim_sync_run', { ...key, cold_start: cold, lease }, (claim) => isRun(claim) && typeof claim.claimed === 'boolean');
    if (!run.claimed) return undefined;
    const report = { ...key, attempt: run.attempt, outcome: 'succeeded', error: null };
    let detail = '';
    const leased = AbortSignal.timeout(0.9 * (Date.parse(run.lease_until) - Date.parse(run.started_at)));
    try {
      await sync(run, stopping ? AbortSignal.any([leased, stopping]) : leased);
    } catch (error) {
      report.outcome = 'failed';
      report.error = tell(error);
      detail = ` (${causes(error)})`;
    }
    await finish(report);
    log(`sync ${run.idempotency_key} attempt=${run.attempt} ${report.outcome} ${report.error ?? ''}`.trimEnd() + detail);
    return report.outcome;
  }

  return {
    async run(ending, stopping) {
      const cold = nextIsCold;
      nextIsCold = false;
      const done = { succeeded: 0, failed: 0 };
      const seen = new Set();    // a period is tried once a round, whatever becomes of it
      let due = [];
      let listed = -Infinity;
      let listing;

      // next(): a period that is due now, undefined when there is none. One list for all, made anew when it is old.
      async function next() {
        while (!ending?.aborted) {
          const period = due.shift();
          if (period && Date.now() - listed < list_ms) return period;
          listing ??= listDue().then((rows) => {
            listed = Date.now();
            due = rows.filter(({ idempotency_key }) => !seen.has(idempotency_key));
            due.forEach(({ idempotency_key }) => seen.add(idempotency_key));
          }).finally(() => { listing = undefined; });
          if (period) seen.delete(period.idempotency_key);
          await listing;
          if (due.length === 0) return undefined;
        }
        return undefined;
      }
      async function work() {
        for (let period = await next(); period; period = await next()) {
          const outcome = await runOne(period, cold, stopping).catch((error) => log(`sync ${period.idempotency_key} ${causes(error)}`));
          if (outcome) done[outcome] += 1;
        }
      }
      const results = await Promise.allSettled(Array.from({ length: concurrency }, work));
      const failed = results.find(({ status }) => status === 'rejected');
      if (failed) throw failed.reason;
      return done;
    },
  };
}
