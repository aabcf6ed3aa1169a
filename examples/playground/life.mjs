// life.mjs: lets a world of world.mjs go on: health monitor, sync worker, alert worker and jobs of a product, in one. What they
// ask, claim and report are the calls that they would make.
import { dataOf } from './past.mjs';
import { mix } from './world.mjs';

// createLife(as, world, { beat, seed, clock, log }): returns step(), which does what is to be done at the moment. Now and then a
// system of somebody fails; then it is checked once a beat, in milliseconds, and is well again after 4 to 10 of them. clock():
// the time; log(line): told of what happens.
export function createLife(as, world, { beat = 15_000, seed = 1, clock = Date.now, log = () => {} } = {}) {
  const service = as({ role: 'service_role' });
  const call = async (name, args) => dataOf(await service.rpc(name, args));
  const names = new Map(world.pairs.map((pair) => [`${pair.org_id} ${pair.integration_type}`, pair]));
  let steps = 0;
  let outage;                // { pair, to, checked }
  let running = [];          // syncs that this worker has claimed

  // chance(salt): a number from 0 to below 1, another one at each step.
  const chance = (salt) => mix(seed, steps, salt);

  async function record(pairs, at) {
    const checks = pairs.map((pair) => pair && world.find(pair, at)).filter(Boolean);
    if (checks.length > 0) await call('record_health_checks', { checks });
    return checks;
  }

  async function monitor(at) {
    const due = await call('claim_due_health_checks', { max_rows: 100 });
    await record(due.map(({ org_id, integration_type }) => names.get(`${org_id} ${integration_type}`)), at);
  }

  async function fail(at) {
    if (!outage) {
      if (chance(1) > 0.2) return;
      // every other time with the first organisation, so that somebody who looks at one sees something
      const well = world.pairs.filter((pair) => world.stateOf(pair, at) === 'fine' && pair.integration_type !== 'webshop');
      const own = well.filter((pair) => pair.org_id === world.pairs[0].org_id);
      const among = chance(2) < 0.5 && own.length > 0 ? own : well;
      const pair = among[Math.floor(chance(3) * among.length)];
      if (!pair) return;
      const kind = ['server', 'timeout', 'connect'][Math.floor(chance(4) * 3)];
      const to = at + beat * (4 + 6 * chance(5));
      pair.outages.push({ kind, from: at, to });
      outage = { pair, to, checked: -Infinity };
      log(`${pair.integration_type} of ${pair.org_id} fails: ${kind}`);
    }
    if (at - outage.checked < beat) return;
    outage.checked = at;
    const [check] = await record([outage.pair], at);
    if (check?.status !== 'unhealthy') {
      log(`${outage.pair.integration_type} of ${outage.pair.org_id} is well again`);
      outage = undefined;
    }
  }

  async function sync() {
    for (const run of running) {
      const fails = chance(6) < 0.15;
      await call('finish_sync_run', { ...run, outcome: fails ? 'failed' : 'succeeded', error: fails ? 'HTTP 502: Bad Gateway' : null });
    }
    running = [];
    for (const { org_id, integration_type, scheduled_for } of await call('get_due_syncs', { max_rows: 10 })) {
      if (integration_type === 'crm') continue;      // whose worker was never deployed
      const [run] = [await call('claim_sync_run', { org_id, integration_type, scheduled_for, cold_start: chance(7) < 0.3 })].flat();
      if (run.claimed) running.push({ org_id, integration_type, scheduled_for, attempt: run.attempt });
    }
  }

  async function tell() {
    for (const { alert_id, attempt, kind, integration_type } of await call('claim_alerts', { max_rows: 20 })) {
      const delivered = mix(seed, steps, attempt, alert_id.charCodeAt(0)) < 0.85;
      await call('finish_alert', { alert_id, attempt, delivered, error: delivered ? null : 'HTTP 502' });
      log(`alert ${kind} of ${integration_type ?? 'all types'}${delivered ? '' : ': not delivered'}`);
    }
  }

  return async function step() {
    steps += 1;
    const at = clock();
    await monitor(at);
    await fail(at);
    await sync();
    // what pg_cron would call
    await call('mark_stale_health');
    await call('integration_health_watch');
    await tell();
  };
}
