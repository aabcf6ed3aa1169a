// state.mjs: what the rows mean for people: words for statuses and causes, which row comes first, what the banner says. Pure.
import { clock, count, enumerate } from './format.mjs';

// The order is that of urgency.
export const states = ['unhealthy', 'degraded', 'stale', 'unknown', 'healthy', 'never'];

export const stateWords = {
  unhealthy: 'Unhealthy', degraded: 'Degraded', stale: 'Old data', unknown: 'Unknown', healthy: 'Healthy', never: 'Not checked yet',
};

export const causeWords = {
  auth: 'Sign-in refused', rate_limited: 'Too many requests', configuration: 'Wrong configuration', server: 'Error in the other system',
  timeout: 'No answer in time', dns: 'Host name not found', connect: 'No connection', tls: 'No secure connection', other: 'Another reason',
};

export const alertWords = {
  incident_opened: 'Incident opened', incident_reminded: 'Incident still open', incident_resolved: 'Incident resolved', sync_late: 'Sync late',
  sync_missed: 'Sync missed', type_passive: 'Type passive', type_active: 'Type active again', monitor_silent: 'Monitor silent',
  credential_expires: 'Credential expires',
};

// causeOf(cause): in words; a cause that is newer than this page stays as it is.
export const causeOf = (cause) => (cause ? causeWords[cause] ?? cause : null);

/**
 * What a row of the overview is, for people: its status, unless that is old or there is none.
 * @param {{ status: string, checked_at: string | null, is_stale: boolean | null }} row
 */
export function stateOf(row) {
  if (row.checked_at === null) return 'never';
  return row.is_stale ? 'stale' : row.status;
}

// byUrgency(rows): a sorted copy; equal ones stay in the order of the database, by display name.
export const byUrgency = (rows) => [...rows].sort((a, b) => states.indexOf(stateOf(a)) - states.indexOf(stateOf(b)));

const named = (rows) => enumerate(rows.map((row) => row.display_name));

// old(banner, since, options): the same, of data that could not be refreshed.
const old = ({ text }, since, options) => ({ level: 'stale', text: `Old data, from ${clock(since, options)}. ${text}` });

/**
 * The banner over an organisation.
 * @param {import('./data.mjs').Overview[]} rows
 * @param {{ old_since?: number | null, locale?: string, time_zone?: string }} [options] old_since: when the rows were read, if they cannot be refreshed
 * @returns {{ level: string, text: string }} level: one of states
 */
export function memberBanner(rows, { old_since = null, ...options } = {}) {
  const banner = judge(rows);
  return old_since ? old(banner, old_since, options) : banner;
}

function judge(rows) {
  const of = (state) => rows.filter((row) => stateOf(row) === state);
  const [unhealthy, degraded, stale, unknown, healthy] = states.map(of);
  const problems = [...unhealthy, ...degraded];
  const silent = stale.length > 0 && `Nothing new from ${named(stale)}`;
  if (problems.length > 0) {
    const words = [[unhealthy, 'unhealthy'], [degraded, 'degraded']].filter(([list]) => list.length > 0)
      .map(([list, word]) => `${named(list)} ${list.length === 1 ? 'is' : 'are'} ${word}`);
    return { level: unhealthy.length > 0 ? 'unhealthy' : 'degraded', text: [`${count(problems.length, 'problem')}: ${words.join(', ')}`, silent].filter(Boolean).join('. ') };
  }
  if (silent) return { level: 'stale', text: `Old data. ${silent}` };
  if (unknown.length > 0) return { level: 'unknown', text: `No result from ${named(unknown)}` };
  if (healthy.length > 0) return { level: 'healthy', text: healthy.length === 1 ? `All fine: ${healthy[0].display_name} is healthy` : `All fine: ${healthy.length} integrations are healthy` };
  return { level: 'never', text: rows.length > 0 ? 'No integration has been checked yet' : 'There is nothing to show for this organisation' };
}

/**
 * The banner over all organisations.
 * @param {{ summary: any[], incidents: any[] }} data
 */
export function globalBanner({ summary, incidents }, { old_since = null, ...options } = {}) {
  const sum = (status) => summary.reduce((total, row) => total + row[status], 0);
  const outages = incidents.filter((incident) => incident.resolved_at === null);
  const numbers = ['unhealthy', 'degraded', 'unknown'].filter((status) => sum(status) > 0).map((status) => `${sum(status)} ${status}`);
  const total = sum('total');
  const level = outages.length > 0 || sum('unhealthy') > 0 ? 'unhealthy' : sum('degraded') > 0 ? 'degraded' : sum('unknown') > 0 ? 'unknown' : total > 0 ? 'healthy' : 'never';
  const text = [
    outages.length > 0 && `${named(outages)} ${outages.length === 1 ? 'fails' : 'fail'} for many organisations`,
    numbers.length > 0 && `${numbers.join(', ')} of ${count(total, 'pair')}`,
    level === 'healthy' && `All fine: ${total === 1 ? 'the one pair is' : `all ${total} pairs are`} healthy`,
    level === 'never' && 'No integration of any organisation has been checked yet',
  ].filter(Boolean).join('. ');
  return old_since ? old({ text }, old_since, options) : { level, text };
}
