// rounds.ts: the rounds of the monitor, with the targets of config.json.
import { connect, setting } from '../_shared/client.ts';
import { createMonitor, longestBatch, withVariables } from '../_shared/monitor.mjs';
import type { Instance, Round } from '../_shared/serve.ts';
import config from './config.json' with { type: 'json' };

// A batch is short, for an instance may have to end; what is left over is for the next call.
const defaults = { claim_rows: 50, concurrency: 50 };

export function startRounds({ seconds }: Instance): Round {
  const settings = withVariables({ ...defaults, ...config }, setting);
  const longest = longestBatch(settings) / 1000;
  if (longest > seconds / 3) {
    throw new Error(`config: a batch may take ${longest} s, longer than a third of WALL_CLOCK_SECONDS: lower claim_rows or timeout_ms`);
  }
  const monitor = createMonitor({ supabase: connect(), config: settings });
  return async (ending) => {
    const { checks, recorded, skipped, unknown } = await monitor.run(ending);
    return { checks: checks.length, recorded, skipped, unknown: unknown.length };
  };
}
