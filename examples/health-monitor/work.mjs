// work.mjs: asks the database which pairs are to be probed now. It hands out each pair to one monitor,
// no more often than the check_interval of its type allows: so any number of monitors may run side by
// side, and failing pairs, rate limits and what an admin switched off are no concern of theirs.
import { answerOf, describe } from './record.mjs';

// As the database writes them: a uuid in lower case.
export const pairOf = ({ org_id, integration_type }) => `${org_id.toLowerCase()} ${integration_type}`;

// ask(what, request, settings): the data of a request to Supabase; throws an Error when it failed. Not
// sent again: whether a claim without an answer was made is not known, and the next run asks anyway.
async function ask(what, request, { record_timeout_ms }) {
  const answer = await answerOf(request, record_timeout_ms);
  if (answer.error) throw new Error(`${what} failed: ${describe(answer)}`);
  return answer.data;
}

// registerTargets(supabase, settings): has the database hand out the pairs of all targets. Those that
// it knows stay as they are: set_monitor would switch on again what an admin switched off.
export async function registerTargets(supabase, settings) {
  // In one order, so that monitors that start together do not deadlock.
  const pairs = settings.targets.map(({ org_id, integration_type }) => ({ org_id, integration_type }))
    .sort((a, b) => (pairOf(a) < pairOf(b) ? -1 : 1));
  const options = { onConflict: 'org_id,integration_type', ignoreDuplicates: true };
  await ask('registering', supabase.from('integration_monitors').upsert(pairs, options), settings);
}

// dueBatches(supabase, settings): yields what is to be probed, as { targets, unknown }. A batch is
// claimed when the one before is done with: a monitor that dies costs the pairs of one batch a check.
export async function* dueBatches(supabase, settings) {
  if (!settings.claim) {
    yield { targets: await withoutPassive(supabase, settings), unknown: [] };
    return;
  }
  const targets = new Map(settings.targets.map((target) => [pairOf(target), target]));
  for (let batch = 1; batch <= settings.claim_batches; batch++) {
    const pairs = await ask('claiming', supabase.rpc('claim_due_health_checks', { max_rows: settings.claim_rows }), settings);
    const known = pairs.filter((pair) => targets.has(pairOf(pair)));
    yield { targets: known.map((pair) => targets.get(pairOf(pair))), unknown: pairs.filter((pair) => !known.includes(pair)) };
    if (pairs.length < settings.claim_rows) return;
  }
}

// withoutPassive(supabase, settings): the targets but those of types that asked not to be probed.
async function withoutPassive(supabase, settings) {
  const types = await ask('reading the types', supabase.from('integration_types').select('integration_type, monitoring_mode, passive_until'), settings);
  const quiet = types.filter((type) => type.monitoring_mode === 'passive' || Date.parse(type.passive_until) > Date.now());
  return settings.targets.filter((target) => !quiet.some((type) => type.integration_type === target.integration_type));
}
