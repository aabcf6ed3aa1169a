// rounds.ts: the rounds of the worker.
import { connect } from '../_shared/client.ts';
import type { Instance, Round } from '../_shared/serve.ts';
import { createWorker } from '../_shared/worker.mjs';
import { sync } from './sync.ts';

export function startRounds({ cold, seconds }: Instance): Round {
  // A lease as long as an instance may live: when it is over, nobody works on the period any more.
  const worker = createWorker({ supabase: connect(), sync, lease: `${seconds} seconds`, cold_start: cold });
  return (ending, stopping) => worker.run(ending, stopping);
}
