// worker.mjs: runs the scheduled syncs that are due. Any number of workers may: the database lets one of
// them have a period, and hands a period whose worker fell silent to another.
const defaults = {
  lease: '10 minutes',         // how long a sync may take; after that another worker may have its period
  max_attempts: 5,             // a period that was tried so often is left alone
  finish_attempts: 3,          // how often the end of a sync is sent at most
  retry_ms: 1_000,             // before it is sent again
  request_timeout_ms: 15_000,  // for one request to Supabase
};

// createWorker({ supabase, sync, log, ...settings }): returns run(), which does what is due, one after the
// other. sync(run, signal) does the work and throws when it fails; it gives run.idempotency_key to the
// external system, and stops when the signal says that the lease is about to end.
export function createWorker({ supabase, sync, log = console.log, ...changed }) {
  const { lease, max_attempts, finish_attempts, retry_ms, request_timeout_ms } = { ...defaults, ...changed };
  let cold_start = true;       // the first syncs had to wait for this process

  async function call(name, args) {
    const { data, error } = await supabase.rpc(name, args).abortSignal(AbortSignal.timeout(request_timeout_ms));
    if (error) throw Object.assign(new Error(`${name}: ${error.code} ${error.message}`), { code: error.code });
    return data;
  }

  // The same report again changes nothing, so it can be sent again. 55000: another attempt took its place.
  async function finish(report, left = finish_attempts - 1) {
    try {
      return await call('finish_sync_run', report);
    } catch (error) {
      if (error.code === '55000' || left === 0) throw error;
      await new Promise((resolve) => { setTimeout(resolve, retry_ms); });
      return finish(report, left - 1);
    }
  }

  async function runOne({ org_id, integration_type, scheduled_for }, cold) {
    const key = { org_id, integration_type, scheduled_for };
    const run = await call('claim_sync_run', { ...key, cold_start: cold, lease });
    if (!run.claimed) return;
    const report = { ...key, attempt: run.attempt, outcome: 'succeeded', error: null };
    try {
      await sync(run, AbortSignal.timeout(0.9 * (Date.parse(run.lease_until) - Date.parse(run.started_at))));
    } catch (error) {
      report.outcome = 'failed';
      report.error = [...String(error?.message ?? error)].slice(0, 500).join('').replace(/[\p{Cc}\p{Cs}]/gu, ' ');
    }
    await finish(report);
    log(`sync ${run.idempotency_key} attempt=${run.attempt} ${report.outcome} ${report.error ?? ''}`.trimEnd());
  }

  return {
    async run() {
      const due = await call('get_due_syncs');
      const cold = cold_start;
      cold_start = false;
      for (const period of due.filter(({ attempts }) => attempts < max_attempts)) {
        await runOne(period, cold).catch((error) => log(`sync ${period.idempotency_key} ${error.message}`));
      }
    },
  };
}
