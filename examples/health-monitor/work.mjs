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
  return answer;
}

// askRows(what, request, settings, keys): ask, for rows that have a text in each of the keys. Anything else
// that answers 200, a login page or a gateway, is no answer.
async function askRows(what, request, settings, keys) {
  const { data, status } = await ask(what, request, settings);
  if (!Array.isArray(data) || !data.every((row) => keys.every((key) => typeof row?.[key] === 'string'))) {
    throw new Error(`${what} failed: HTTP ${status}: the answer is no list of ${keys.join(', ')}`);
  }
  return data;
}

// unknownTypes(supabase, settings): the types of the targets that the database does not have.
export async function unknownTypes(supabase, settings) {
  const types = await askRows('reading the types', supabase.from('integration_types').select('integration_type'), settings, ['integration_type']);
  const known = new Set(types.map(({ integration_type }) => integration_type));
  return [...new Set(settings.targets.map(({ integration_type }) => integration_type))].filter((type) => !known.has(type)).sort();
}

// registerTargets(supabase, settings): has the database hand out the pairs of all targets. Those that
// it knows stay as they are: set_monitor would switch on again what an admin switched off.
export async function registerTargets(supabase, settings) {
  // In one order, so that monitors that start together do not deadlock.
  const pairs = settings.targets.map(({ org_id, integration_type }) => ({ org_id, integration_type }))
    .sort((a, b) => (pairOf(a) < pairOf(b) ? -1 : 1));
  const options = { onConflict: 'org_id,integration_type', ignoreDuplicates: true };
  const { status } = await ask('registering', supabase.from('integration_monitors').upsert(pairs, options), settings);
  if (status !== 200 && status !== 201) throw new Error(`registering failed: HTTP ${status}: the answer is none of PostgREST`);
}

// dueBatches(supabase, settings, ending): yields what is to be probed, as { targets, unknown }. A batch is
// claimed when the one before is done with: a monitor that dies costs the pairs of one batch a check. None is
// claimed after the signal ending.
export async function* dueBatches(supabase, settings, ending) {
  if (!settings.claim) {
    yield { targets: await withoutPassive(supabase, settings), unknown: [] };
    return;
  }
  const targets = new Map(settings.targets.map((target) => [pairOf(target), target]));
  for (let batch = 1; batch <= settings.claim_batches && !ending?.aborted; batch++) {
    const pairs = await askRows('claiming', supabase.rpc('claim_due_health_checks', { max_rows: settings.claim_rows }), settings, ['org_id', 'integration_type']);
    const known = pairs.filter((pair) => targets.has(pairOf(pair)));
    yield { targets: known.map((pair) => targets.get(pairOf(pair))), unknown: pairs.filter((pair) => !known.includes(pair)) };
    if (pairs.length < settings.claim_rows) return;
  }
}

// withoutPassive(supabase, settings): the targets but those of types that asked not to be probed.
async function withoutPassive(supabase, settings) {
  const types = await askRows('reading the types', supabase.from('integration_types').select('integration_type, monitoring_mode, passive_until'), settings, ['integration_type', 'monitoring_mode']);
  const quiet = types.filter((type) => type.monitoring_mode === 'passive' || Date.parse(type.passive_until) > Date.now());
  return settings.targets.filter((target) => !quiet.some((type) => type.integration_type === target.integration_type));
}
