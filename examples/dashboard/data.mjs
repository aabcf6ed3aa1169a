// data.mjs: every call that the page makes to the API, and no more: no DOM, no global state. Give it a client of supabase-js
// (or of postgrest-js). The types are those of database.types.ts; what is jsonb there has its form below.

/** @typedef {import('./database.types.ts').Database['public']['Functions']} Functions */
/** @typedef {import('./database.types.ts').Database['public']['Enums']['integration_health_state']} Status */
/** @typedef {import('./database.types.ts').Database['public']['Enums']['integration_failure_cause']} Cause */
/** @typedef {{ days: 1 | 7 | 30 | 90, uptime_pct: number | null, coverage_pct: number | null }} Uptime */
/** @typedef {{ day: string, uptime_pct: number | null, coverage_pct: number | null, worst: Status | null }} UptimeDay */
/** @typedef {{ day: string, checks: number | null, p50_ms: number | null, p95_ms: number | null, max_ms: number | null }} LatencyDay */
/** @typedef {Functions['get_health_trend']['Returns'][number]} Check */
/**
 * @typedef {Omit<Functions['get_org_overview']['Returns'][number], 'uptime' | 'uptime_days' | 'latency_days' | 'checks'>
 *   & { uptime: Uptime[], uptime_days: UptimeDay[], latency_days: LatencyDay[], checks: Check[] }} Overview
 */
/** @typedef {Functions['get_org_incidents']['Returns'][number]} Incident */
/** @typedef {Functions['get_global_incidents']['Returns'][number]} GlobalIncident */
/** @typedef {Functions['get_maintenance']['Returns'][number]} Maintenance */
/** @typedef {Functions['get_org_syncs']['Returns'][number]} Sync */
/** @typedef {Functions['get_global_health_problems']['Returns'][number]} Problem */

/** What a call was answered by, when it was no success. */
export class ApiError extends Error {
  /** @param {{ error: { code?: string, message: string }, status: number }} answer */
  constructor({ error, status }) {
    super(error.message || `HTTP ${status}`);
    this.code = error.code;
    this.status = status;
    /** The token has expired, or is not accepted. */
    this.is_token = status === 401;
    /** No answer of the database: the network, the gateway, a time-out. */
    this.is_unreachable = status === 0 || status >= 502;
  }
}

/**
 * @param {any} client
 * @param {{ time_zone?: string, timeout_ms?: number }} [settings] time_zone: whose days are shown; the viewer's, if left out
 */
export function createData(client, { time_zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC', timeout_ms = 15_000 } = {}) {
  let zone = time_zone;

  async function ask(query) {
    const answer = await query.abortSignal(AbortSignal.timeout(timeout_ms));
    if (answer.error) throw new ApiError(answer);
    return answer.data;
  }
  const call = (name, args = {}) => ask(client.rpc(name, args));

  /**
   * A row for every integration type. A browser may know a time zone that the database does not: then the days are UTC's.
   * @param {string} org_id
   * @returns {Promise<Overview[]>}
   */
  async function overview(org_id) {
    try {
      return await call('get_org_overview', { org_id, time_zone: zone });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== '22023' || zone === 'UTC') throw error;
      zone = 'UTC';
      return overview(org_id);
    }
  }

  return {
    overview,
    /** @param {string} org_id @returns {Promise<Incident[]>} */
    incidents: (org_id, days = 30) => call('get_org_incidents', { org_id, days }),
    /** @param {string} org_id @returns {Promise<Sync[]>} */
    syncs: (org_id, hours = 24) => call('get_org_syncs', { org_id, hours }),
    /** @param {string} org_id @returns {Promise<Maintenance[]>} */
    maintenance: (org_id, days = 1) => call('get_maintenance', { org_id, days }),
    /** @param {string} incident_id @param {string} note @returns {Promise<string>} when */
    acknowledge: (incident_id, note) => call('acknowledge_incident', note ? { incident_id, note } : { incident_id }),

    /** All that the member's view shows: four requests. @param {string} org_id */
    async organisation(org_id) {
      const [overview_, incidents, syncs, maintenance] = await Promise.all([
        overview(org_id), this.incidents(org_id), this.syncs(org_id), this.maintenance(org_id),
      ]);
      return { org_id, overview: overview_, incidents, syncs, maintenance };
    },

    /** What a pair's drawer shows beyond the view, for a member. @param {string} org_id @param {string} integration_type */
    async pair(org_id, integration_type) {
      const of = (query) => ask(query.eq('integration_type', integration_type));
      const [checks, incidents, drift, missed, cold] = await Promise.all([
        call('get_health_trend', { org_id, integration_type, hours: 720 }),
        of(client.rpc('get_org_incidents', { org_id, days: 90 })),
        of(client.rpc('get_sync_drift', { org_id, hours: 168 })),
        of(client.rpc('get_missed_syncs', { org_id, hours: 168 })),
        of(client.rpc('get_cold_starts', { org_id, hours: 168 })),
      ]);
      return { org_id, integration_type, checks, incidents, drift, missed, cold };
    },

    /**
     * What a global admin may know of a pair of an organisation that is not his: its problem, if that is among
     * the first 10,000, and its incidents.
     * @param {string} org_id @param {string} integration_type
     * @returns {Promise<{ org_id: string, integration_type: string, problem: Problem | null, incidents: GlobalIncident[] }>}
     */
    async foreignPair(org_id, integration_type) {
      const of = (query) => ask(query.eq('org_id', org_id).eq('integration_type', integration_type));
      const [problems, incidents] = await Promise.all([
        of(client.rpc('get_global_health_problems', { max_rows: 10_000 })),
        of(client.rpc('get_global_incidents', { days: 90, max_rows: 10_000 })),
      ]);
      return { org_id, integration_type, problem: problems[0] ?? null, incidents };
    },

    /** All that the global view shows. */
    async everything({ days = 30, max_rows = 50 } = {}) {
      const [summary, uptime, problems, incidents, passive, backlog, syncs] = await Promise.all([
        call('get_global_health_summary'),
        call('get_global_uptime', { days }),
        call('get_global_health_problems', { max_rows }),
        ask(client.rpc('get_global_incidents', { days: 7, max_rows: 1000 }).is('org_id', null)),
        ask(client.from('integration_types')
          .select('integration_type, display_name, passive_since, passive_reason, passive_until').eq('monitoring_mode', 'passive').order('display_name')),
        call('get_alert_backlog', { max_rows }),
        call('get_global_sync_summary', { hours: 24 }),
      ]);
      return { days, max_rows, summary, uptime, problems, incidents, passive, backlog, syncs };
    },
  };
}
