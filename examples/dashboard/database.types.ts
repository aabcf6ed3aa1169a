// Made by scripts/generate-types from the catalog of a database with the extension: do not edit. For
// createClient<Database>(...). With the extension in another schema, rename "public".

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      /** The last 96 checks of each (org_id, integration_type): a ring of slots, written by the trigger of integration_health_status and by the cleanup alone. */
      integration_health_history: {
        Row: {
          /** Running number of the check, as in integration_health_status when it was recorded. */
          check_no: number
          /** When the check was made. */
          checked_at: string
          /** What went wrong. */
          error: string | null
          /** HTTP status code; null when there was no HTTP response. */
          http_status: number | null
          /** External system. */
          integration_type: string
          /** True where a newer check was known when this one was recorded; else null. */
          is_late: boolean | null
          /** Response time in milliseconds; null when there was no response. */
          latency_ms: number | null
          /** Organisation. */
          org_id: string
          /** Place in the ring, check_no modulo 96. */
          slot: number
          /** Result of the check. */
          status: Database["public"]["Enums"]["integration_health_state"]
        }
        Insert: {
          check_no?: never
          checked_at?: never
          error?: never
          http_status?: never
          integration_type?: never
          is_late?: never
          latency_ms?: never
          org_id?: never
          slot?: never
          status?: never
        }
        Update: {
          check_no?: never
          checked_at?: never
          error?: never
          http_status?: never
          integration_type?: never
          is_late?: never
          latency_ms?: never
          org_id?: never
          slot?: never
          status?: never
        }
        Relationships: [
        ]
      }
      /** The latest status of each (org_id, integration_type). Writing a row records a check. */
      integration_health_status: {
        Row: {
          /** Running number of the recorded checks of the pair, from 1, without a gap. Kept by the trigger. */
          check_no: number
          /** When the check was made. Defaults to now(), also in an UPDATE that does not set it. */
          checked_at: string
          /** unhealthy adds one, healthy and degraded reset to 0, unknown leaves it. Kept by the trigger. */
          consecutive_failures: number
          /** What went wrong, at most 2000 characters; null when nothing did. */
          error: string | null
          /** HTTP status code, 100 to 599; null when there was no HTTP response. */
          http_status: number | null
          /** External system, a row of integration_types. Never changes. */
          integration_type: string
          /** True from when the pair was handed out to probe its passive type until it is checked; else null. Kept by claims and the trigger. */
          is_probe: boolean | null
          /** checked_at of the last healthy check; null when there was none. Kept by the trigger. */
          last_healthy_at: string | null
          /** Response time in milliseconds, 0 or more; null when there was no response. */
          latency_ms: number | null
          /** Organisation. Never changes. */
          org_id: string
          /** When the check was recorded. Kept by the trigger. */
          recorded_at: string
          /** Seconds, 0 to 31536000, that the external system asked to be left alone for (Retry-After, RFC 9110); null when it did not. */
          retry_after: number | null
          /** Result of the check. */
          status: Database["public"]["Enums"]["integration_health_state"]
          /** checked_at of the first check of the present run of equal statuses. Kept by the trigger. */
          status_since: string
        }
        Insert: {
          check_no?: never
          checked_at?: string
          consecutive_failures?: never
          error?: string | null
          http_status?: number | null
          integration_type: string
          is_probe?: never
          last_healthy_at?: never
          latency_ms?: number | null
          org_id: string
          recorded_at?: never
          retry_after?: number | null
          status: Database["public"]["Enums"]["integration_health_state"]
          status_since?: never
        }
        Update: {
          check_no?: never
          checked_at?: string
          consecutive_failures?: never
          error?: string | null
          http_status?: number | null
          integration_type?: string
          is_probe?: never
          last_healthy_at?: never
          latency_ms?: number | null
          org_id?: string
          recorded_at?: never
          retry_after?: number | null
          status?: Database["public"]["Enums"]["integration_health_state"]
          status_since?: never
        }
        Relationships: [
          { foreignKeyName: "integration_health_status_integration_type_fkey"; columns: ["integration_type"]; isOneToOne: false; referencedRelation: "integration_types"; referencedColumns: ["integration_type"] },
        ]
      }
      /** The pairs that are to be checked, handed out by claim_due_health_checks. */
      integration_monitors: {
        Row: {
          /** When the pair was handed out last; null when it never was. Kept by claims. */
          claimed_at: string | null
          /** When the pair may be handed out next. Filled by a trigger, moved by claims, and by checks that fail, or end a row of failures. */
          due_at: string
          /** Whether the pair is handed out. */
          enabled: boolean
          /** External system. */
          integration_type: string
          /** Organisation. */
          org_id: string
          /** When the monitor was enabled again last; null when it was never disabled. No check is missed before. Kept by a trigger. */
          planned_since: string | null
        }
        Insert: {
          claimed_at?: never
          due_at?: never
          enabled?: boolean
          integration_type: string
          org_id: string
          planned_since?: never
        }
        Update: {
          claimed_at?: never
          due_at?: never
          enabled?: boolean
          integration_type?: string
          org_id?: string
          planned_since?: never
        }
        Relationships: [
          { foreignKeyName: "integration_monitors_integration_type_fkey"; columns: ["integration_type"]; isOneToOne: false; referencedRelation: "integration_types"; referencedColumns: ["integration_type"] },
        ]
      }
      /** The ledger of scheduled syncs: one row for each period that somebody ran, written by claim_sync_run, finish_sync_run and the cleanup alone. */
      integration_sync_runs: {
        Row: {
          /** How often the period was claimed. Reports of an earlier attempt are refused. */
          attempt: number
          /** Whether the worker had to be started for the current attempt. */
          cold_start: boolean
          /** How long after its time the current attempt was claimed; negative: before. */
          drift: string | null
          /** What went wrong, at most 2000 characters; null when nothing did. */
          error: string | null
          /** When the current attempt ended; null while it runs. */
          finished_at: string | null
          /** org_id:integration_type:period, the same for all attempts: for the external system. */
          idempotency_key: string | null
          /** External system. */
          integration_type: string
          /** When somebody else may claim the run if it has not ended; null when it has. */
          lease_until: string | null
          /** Organisation. */
          org_id: string
          /** running until the current attempt has ended, then succeeded or failed. */
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          /** The period, a time of the schedule. */
          scheduled_for: string
          /** When the current attempt was claimed. */
          started_at: string
        }
        Insert: {
          attempt?: never
          cold_start?: never
          drift?: never
          error?: never
          finished_at?: never
          idempotency_key?: never
          integration_type?: never
          lease_until?: never
          org_id?: never
          outcome?: never
          scheduled_for?: never
          started_at?: never
        }
        Update: {
          attempt?: never
          cold_start?: never
          drift?: never
          error?: never
          finished_at?: never
          idempotency_key?: never
          integration_type?: never
          lease_until?: never
          org_id?: never
          outcome?: never
          scheduled_for?: never
          started_at?: never
        }
        Relationships: [
        ]
      }
      /** When the sync of each (org_id, integration_type) is to run: at anchor and then every interval. */
      integration_sync_schedules: {
        Row: {
          /** The first period. */
          anchor: string
          /** When a period can be claimed next: the first one after the last that succeeded or was given up, or of the present plan, or when the last that failed may be tried again; infinity: none. Kept by a trigger and finish_sync_run. */
          due_at: string
          /** Whether the sync may be claimed, and is missed when nobody runs it. */
          enabled: boolean
          /** Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or more. */
          every: string
          /** External system. */
          integration_type: string
          /** How often a period may be claimed, 1 to 100; then it is given up. */
          max_attempts: number
          /** Organisation. */
          org_id: string
          /** Since when every, anchor, time_zone and enabled are as they are. Kept by a trigger; what was before is in sync_plans. */
          planned_since: string
          /** Runs up to this period are deleted, so that it cannot be claimed any more. Kept by integration_health_cleanup. */
          pruned_until: string | null
          /** How long a period waits after its first attempt failed, doubled with each further one, at most an hour or retry_backoff; 0 to 1 day. */
          retry_backoff: string
          /** Where days and months are counted, a name of pg_timezone_names. Looked up by a trigger when somebody sets it: what a dump brings may have left the time zones of this system, and is skipped with a warning then. */
          time_zone: string
          /** The next period to send a warm-up for. Kept by a trigger and dispatch_sync_warm_ups. */
          warm_up_for: string
          /** Where to POST shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no secrets. Null: no warm-up. */
          warm_up_url: string | null
        }
        Insert: {
          anchor: string
          due_at?: never
          enabled?: boolean
          every: string
          integration_type: string
          max_attempts?: number
          org_id: string
          planned_since?: never
          pruned_until?: never
          retry_backoff?: string
          time_zone?: never
          warm_up_for?: never
          warm_up_url?: string | null
        }
        Update: {
          anchor?: string
          due_at?: never
          enabled?: boolean
          every?: string
          integration_type?: string
          max_attempts?: number
          org_id?: string
          planned_since?: never
          pruned_until?: never
          retry_backoff?: string
          time_zone?: never
          warm_up_for?: never
          warm_up_url?: string | null
        }
        Relationships: [
          { foreignKeyName: "integration_sync_schedules_integration_type_fkey"; columns: ["integration_type"]; isOneToOne: false; referencedRelation: "integration_types"; referencedColumns: ["integration_type"] },
        ]
      }
      /** The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows. */
      integration_types: {
        Row: {
          /** Time between two active checks of a pair; 15 minutes to 366 days. */
          check_interval: string
          /** When the row was made. Filled by a trigger: a row that brings it along is a restored one and replaces the seed of the same key. */
          created_at: string
          /** Name to show to people. */
          display_name: string
          /** Key: a lower-case identifier of at most 63 characters. */
          integration_type: string
          /** Longest wait between two active checks of a failing pair, or before a rate limited type is probed; check_interval to 366 days. */
          max_backoff: string
          /** active: probed every check_interval; passive: one pair is probed when passive_until has passed, and none where that is null. */
          monitoring_mode: Database["public"]["Enums"]["integration_monitoring_mode"]
          /** Why the type went passive; null in active mode. */
          passive_reason: string | null
          /** When the type went passive; null in active mode. */
          passive_since: string | null
          /** When a passive type is probed: as long as the external system asked for (Retry-After), at most max_backoff; where it did not, check_interval, doubled with each probe. Null: never. Claims wait for it in active mode, too. */
          passive_until: string | null
          /** When the type became active again, or its intervals shorter; null when they never did. No check is missed before. Kept by a trigger. */
          planned_since: string | null
          /** Probes handed out since the type went passive. Kept by claims. */
          probes: number
        }
        Insert: {
          check_interval?: string
          created_at?: never
          display_name: string
          integration_type: string
          max_backoff?: string
          monitoring_mode?: Database["public"]["Enums"]["integration_monitoring_mode"]
          passive_reason?: string | null
          passive_since?: string | null
          passive_until?: string | null
          planned_since?: never
          probes?: number
        }
        Update: {
          check_interval?: string
          created_at?: never
          display_name?: string
          integration_type?: string
          max_backoff?: string
          monitoring_mode?: Database["public"]["Enums"]["integration_monitoring_mode"]
          passive_reason?: string | null
          passive_since?: string | null
          passive_until?: string | null
          planned_since?: never
          probes?: number
        }
        Relationships: [
        ]
      }
      /** What enabled schedules were before they changed or were disabled: their periods may be missed as well. */
      sync_plans: {
        Row: {
          /** As in integration_sync_schedules. */
          anchor: string
          /** As in integration_sync_schedules. */
          every: string
          /** External system. */
          integration_type: string
          /** Organisation. */
          org_id: string
          /** When the plan began to hold. */
          since: string
          /** As in integration_sync_schedules. */
          time_zone: string
          /** When it ceased to: not included. */
          until: string
        }
        Insert: {
          anchor?: never
          every?: never
          integration_type?: never
          org_id?: never
          since?: never
          time_zone?: never
          until?: never
        }
        Update: {
          anchor?: never
          every?: never
          integration_type?: never
          org_id?: never
          since?: never
          time_zone?: never
          until?: never
        }
        Relationships: [
        ]
      }
    }
    Views: Record<never, never>
    Functions: {
      /** Hands out at most max_rows pairs of active types that are due, each to one caller, and not again before its check_interval has passed: due_at is when it is due next, unless its check fails: then it waits check_interval * 2^(failures - 1), at most max_backoff. Of a passive type whose passive_until has passed, one pair is handed out as a probe: the type is active again when it is checked and was not rate limited. Errors: 22023 max_rows is null or below 1. For service_role. */
      claim_due_health_checks: {
        Args: {
          max_rows?: number
        }
        Returns: {
          org_id: string
          integration_type: string
          due_at: string
          check_interval: string
        }[]
      }
      /** Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until lease (1 second to 1 day) has passed. A run that failed, when its retry_backoff has passed, or whose lease ran out can be claimed again, max_attempts times in all; one that succeeded never. Warns when it starts later than integration_health.max_drift. Errors: 22023 an argument is null or out of range, no schedule, scheduled_for is no period of it, lies more than a minute ahead, or is older than the ledger; 55000 the schedule is disabled. For service_role. */
      claim_sync_run: {
        Args: {
          org_id: string
          integration_type: string
          scheduled_for: string
          cold_start?: boolean
          lease?: string
        }
        Returns: {
          org_id: string
          integration_type: string
          scheduled_for: string
          attempt: number
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          started_at: string
          finished_at: string | null
          lease_until: string | null
          drift: string
          cold_start: boolean
          error: string | null
          idempotency_key: string
          claimed: boolean
        }
      }
      /** Calls the warm_up_url of each schedule with a period within ahead (1 second to 1 day), once a period, with net.http_post of pg_net where the caller may use it, else as an event on the channel integration_health; returns how many. Warns of a URL that pg_net refuses. Errors: 22023 ahead is null or out of range. For service_role. */
      dispatch_sync_warm_ups: {
        Args: {
          ahead?: string
        }
        Returns: number
      }
      /** Ends an attempt as succeeded or failed and returns its run; the same report again changes nothing. Where the type is in passive mode it is also recorded as a check, healthy or unhealthy. Errors: 22023 an argument is null, nobody has claimed the run, or outcome is running; 23514 error has more than 2000 characters; 55000 another attempt has taken its place, or it has ended with the other outcome. For service_role. */
      finish_sync_run: {
        Args: {
          org_id: string
          integration_type: string
          scheduled_for: string
          attempt: number
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          error?: string | null
        }
        Returns: Database["public"]["Tables"]["integration_sync_runs"]["Row"]
        SetofOptions: { from: "*"; to: "integration_sync_runs"; isOneToOne: true; isSetofReturn: false }
      }
      /** Deletes all that is kept of an organisation: status, history, counts, monitors, schedules and the ledger of its syncs. Returns the number of status rows, monitors, schedules and runs that went. Checks that are recorded later begin anew. Errors: 22023 org_id is null, 55000 a trigger or rule of somebody else on the tables. For service_role. */
      forget_organisation: {
        Args: {
          org_id: string
        }
        Returns: number
      }
      /** The runs of the last hours (1 to 720), by their period, whose worker had to be started first, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_cold_starts: {
        Args: {
          org_id: string
          hours?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          scheduled_for: string
          started_at: string
          drift: string
          attempt: number
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
        }[]
      }
      /** For sync workers: the last period of at most max_rows enabled schedules, where it can be claimed: nobody has run it, or its last attempt failed and its wait is over, or the lease of that ran out, and it is not given up. Those that can be claimed longest come first; attempts is how many there were. Errors: 22023 max_rows is null or below 1. For service_role. */
      get_due_syncs: {
        Args: {
          max_rows?: number
        }
        Returns: {
          org_id: string
          integration_type: string
          scheduled_for: string
          attempts: number
          idempotency_key: string
        }[]
      }
      /** At most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting first. Errors: 42501 as get_global_health_summary, 22023 when max_rows is null or below 1, or for malformed claims, 55000 as get_global_health_summary. */
      get_global_health_problems: {
        Args: {
          max_rows?: number
        }
        Returns: {
          org_id: string
          integration_type: string
          display_name: string
          status: Database["public"]["Enums"]["integration_health_state"]
          latency_ms: number | null
          http_status: number | null
          error: string | null
          checked_at: string
          status_since: string
          last_healthy_at: string | null
          consecutive_failures: number
        }[]
      }
      /** For every integration type, by display name, the number of organisations in each status, and the percentage that is healthy (rounded down to two decimals, null when there are none). Errors: 42501 unless a claim at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 malformed claims, 55000 row-level security binds the owner of the function. */
      get_global_health_summary: {
        Args: Record<PropertyKey, never>
        Returns: {
          integration_type: string
          display_name: string
          monitoring_mode: Database["public"]["Enums"]["integration_monitoring_mode"]
          total: number
          healthy: number
          degraded: number
          unhealthy: number
          unknown: number
          healthy_pct: number | null
        }[]
      }
      /** For every integration type, by display name, the number of enabled schedules of all organisations and, of the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how many periods were missed (as get_missed_syncs), the longest drift, and how many of the missed ones have no attempt left. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_global_sync_summary: {
        Args: {
          hours?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          schedules: number
          succeeded: number
          failed: number
          running: number
          late: number
          missed: number
          cold_starts: number
          max_drift: string | null
          given_up: number
        }[]
      }
      /** For each pg_cron job of the extension its schedule, the role it runs as, whether it is active, and when its last run began, how that ended and what it said; problem says in words what is wrong, null where nothing is. A row also for a job that is not scheduled. For the writer, the owner and global admins. Errors: 42501 as get_global_health_summary for readers without the admin role, 22023 malformed claims. */
      get_health_jobs: {
        Args: Record<PropertyKey, never>
        Returns: {
          job_name: string
          schedule: string | null
          owner: string | null
          active: boolean | null
          last_started_at: string | null
          last_status: string | null
          last_message: string | null
          problem: string | null
        }[]
      }
      /** The checks of (org_id, integration_type) within the last hours (1 to 720), newest first, at most 96; latency in milliseconds. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_health_trend: {
        Args: {
          org_id: string
          integration_type: string
          hours?: number
        }
        Returns: {
          checked_at: string
          status: Database["public"]["Enums"]["integration_health_state"]
          latency_ms: number | null
          http_status: number | null
          error: string | null
          check_no: number
        }[]
      }
      /** The periods of the last hours (1 to 720) that nobody ran (attempts 0), whose lease ran out before an end was reported, or that failed max_attempts times, newest first; overdue is the time since, given_up whether no attempt is left. A period counts when it is later than integration_health.max_drift, by the schedule as it was then, and as far as the cleanup has left the ledger. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_missed_syncs: {
        Args: {
          org_id: string
          hours?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          scheduled_for: string
          overdue: string
          attempts: number
          given_up: boolean
        }[]
      }
      /** The health of the organisation org_id: one row for every integration type, by display name; status unknown where never checked, latency in milliseconds, is_stale when no check came in twice the time in which one should have: the check_interval, or the backoff that the monitor of a failing pair waits (null where never checked, false where no check is expected). No rows for a caller who may not see the organisation. Errors: 22023 malformed claims. */
      get_org_health_status: {
        Args: {
          org_id: string
        }
        Returns: {
          integration_type: string
          display_name: string
          status: Database["public"]["Enums"]["integration_health_state"]
          latency_ms: number | null
          http_status: number | null
          error: string | null
          checked_at: string | null
          status_since: string | null
          last_healthy_at: string | null
          consecutive_failures: number
          is_stale: boolean | null
          monitoring_mode: Database["public"]["Enums"]["integration_monitoring_mode"]
        }[]
      }
      /** The runs of the last hours (1 to 720), by their period, that started later than integration_health.max_drift, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_sync_drift: {
        Args: {
          org_id: string
          hours?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          scheduled_for: string
          started_at: string
          drift: string
          attempt: number
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          cold_start: boolean
        }[]
      }
      /** Whether the caller may see the organisation org_id: its claims name it, or row-level security does not apply to the caller. Null: false. Errors: 22023 request.jwt.claims cannot be read, whoever asks. */
      integration_health_can_read: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** Deletes at most max_rows rows, of history with checked_at, and of sync runs with their period and their end, longer ago than retention (a day or more), and returns how many; rows that a writer holds wait for the next run. Also mends what a clock that was ahead has left. Errors: 22023 retention is null or shorter than a day, or max_rows is null or below 1, 55000 a trigger or rule of somebody else on the tables. For service_role. */
      integration_health_cleanup: {
        Args: {
          retention?: string
          max_rows?: number
        }
        Returns: number
      }
      /** Folds the rows of integration_health_counts into one for each type and status, and returns how many rows went. Blocks no writer, changes no count. For service_role. */
      integration_health_compact: {
        Args: Record<PropertyKey, never>
        Returns: number
      }
      /** The organisations that the claims in request.jwt.claims name: the first of the paths in integration_health.org_claims that is there, a string or an array of strings. Empty without claims, and when they cannot be read or one of the values is no UUID: policies call it, and an error would tell of the rows that are there. */
      integration_health_org_ids: {
        Args: Record<PropertyKey, never>
        Returns: string[]
      }
      /** True. Stands in the policies, so that the planner's estimates tell nothing of rows that the caller may not see. */
      integration_health_uncounted: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** Whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 minute to 3660 days, not both. For service_role. */
      integration_sync_every_is_valid: {
        Args: {
          every: string
        }
        Returns: boolean
      }
      /** Whether drift is more than integration_health.max_drift. */
      integration_sync_is_late: {
        Args: {
          drift: string
        }
        Returns: boolean
      }
      /** The idempotency key of a period: org_id:integration_type:period, the period in UTC as ISO 8601. */
      integration_sync_key: {
        Args: {
          org_id: string
          integration_type: string
          scheduled_for: string
        }
        Returns: string
      }
      /** The last period of a schedule that is not after at; null before its anchor. Errors: 22023 no valid schedule. */
      integration_sync_last_period: {
        Args: {
          every: string
          anchor: string
          time_zone: string
          at: string
        }
        Returns: string | null
      }
      /** The first period of a schedule after a time. Errors: 22023 no valid schedule. */
      integration_sync_next_period: {
        Args: {
          every: string
          anchor: string
          time_zone: string
          after: string
        }
        Returns: string | null
      }
      /** The periods of a schedule from since to until, both included, in order. Errors: 22023 no valid schedule, or more than 100000 periods. */
      integration_sync_periods: {
        Args: {
          every: string
          anchor: string
          time_zone: string
          since: string
          until: string
        }
        Returns: string[]
      }
      /** Whether time_zone is the name of a time zone, spelt as in pg_timezone_names. For service_role. */
      integration_sync_time_zone_is_valid: {
        Args: {
          time_zone: string
        }
        Returns: boolean
      }
      /** Records status unknown for at most max_rows pairs that are stale: those that were not checked in twice the time in which they should have been, which is the check_interval, or the backoff that the monitor of a failing pair waits; pairs of passive types and with disabled monitors are not. Returns how many. Errors: 22023 max_rows is null or below 1, 55000 a trigger or rule of somebody else on the tables. For service_role. */
      mark_stale_health: {
        Args: {
          max_rows?: number
        }
        Returns: number
      }
      /** Records one check and returns the status row of the pair: latency_ms in milliseconds, http_status 100 to 599, error at most 2000 characters, checked_at now() when null and no later than the recording, retry_after the seconds that an HTTP 429 asked for. A check older than the current one goes to the history only. Errors: 23502 org_id, integration_type or status is null, 23503 unknown integration_type, 23514 a value out of range, 42501 the caller is no writer. For service_role. */
      record_health_check: {
        Args: {
          org_id: string
          integration_type: string
          status: Database["public"]["Enums"]["integration_health_state"]
          latency_ms?: number | null
          http_status?: number | null
          error?: string | null
          checked_at?: string
          retry_after?: number | null
        }
        Returns: Database["public"]["Tables"]["integration_health_status"]["Row"]
        SetofOptions: { from: "*"; to: "integration_health_status"; isOneToOne: true; isSetofReturn: false }
      }
      /** Records an array of objects with the keys org_id, integration_type, status and, as wanted, latency_ms, http_status, error, checked_at (as in record_health_check) and, for http_status 429, retry_after (whole seconds, what the external system asked for) in one go and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it, nothing being recorded; 42501 the caller is no writer. For service_role. */
      record_health_checks: {
        Args: {
          checks: Json
        }
        Returns: number
      }
      /** Puts a type back into active mode and returns its row; pairs that are overdue, 10000 of them at most, are spread over the next check_interval, whatever passive_until said: that is cleared. Errors: 22023 no such type. For service_role. */
      resume_active_monitoring: {
        Args: {
          integration_type: string
        }
        Returns: Database["public"]["Tables"]["integration_types"]["Row"]
        SetofOptions: { from: "*"; to: "integration_types"; isOneToOne: true; isSetofReturn: false }
      }
      /** Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in and belongs to the writer or the owner. A superuser takes over the jobs of another role. warm_up_schedule null: every 30 seconds where pg_cron knows seconds (1.5), else every minute. Warns when the last run of one of them failed. Errors: 0A000 pg_cron is not in this database, 22023 another schedule is null, 55000 another role has scheduled them; pg_cron's own errors for a schedule it cannot read. For service_role. */
      schedule_integration_health_jobs: {
        Args: {
          cleanup_schedule?: string
          counts_schedule?: string
          stale_schedule?: string
          warm_up_schedule?: string | null
        }
        Returns: {
          job_id: number
          job_name: string
          schedule: string
          command: string
        }[]
      }
      /** Says whether the pair is to be checked, and returns its row; where enabled is null or left out it stays as it is, true for a new pair. A new pair is due within the check_interval of its type. Errors: 23502 org_id or integration_type is null, 23503 unknown integration_type, 42501 the caller is no writer. For service_role. */
      set_monitor: {
        Args: {
          org_id: string
          integration_type: string
          enabled?: boolean | null
        }
        Returns: Database["public"]["Tables"]["integration_monitors"]["Row"]
        SetofOptions: { from: "*"; to: "integration_monitors"; isOneToOne: true; isSetofReturn: false }
      }
      /** Makes the schedule of a pair, or changes it, and returns its row: periods at anchor and then every interval, days and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are where they are null or left out; a new schedule has true, 5 and 1 minute. Errors: 23502 another argument than those and warm_up_url is null, 23503 unknown integration_type, 23514 an argument is not allowed, 42501 the caller is no writer. For service_role. */
      set_sync_schedule: {
        Args: {
          org_id: string
          integration_type: string
          every: string
          anchor: string
          time_zone?: string
          enabled?: boolean | null
          warm_up_url?: string | null
          max_attempts?: number | null
          retry_backoff?: string | null
        }
        Returns: Database["public"]["Tables"]["integration_sync_schedules"]["Row"]
        SetofOptions: { from: "*"; to: "integration_sync_schedules"; isOneToOne: true; isSetofReturn: false }
      }
      /** Removes the pg_cron jobs of the extension that the caller has scheduled, of all roles where it is a superuser, and returns how many there were: 0 where pg_cron is not in this database. For service_role. */
      unschedule_integration_health_jobs: {
        Args: Record<PropertyKey, never>
        Returns: number
      }
    }
    Enums: {
      /** Result of a health check: healthy, degraded (works, but slowly or in part), unhealthy, unknown (nobody could tell). */
      integration_health_state: "healthy" | "degraded" | "unhealthy" | "unknown"
      /** active: the monitor probes the external system; passive: it does not, only scheduled syncs tell. */
      integration_monitoring_mode: "active" | "passive"
      /** State of one run of a scheduled sync. */
      integration_sync_outcome: "running" | "succeeded" | "failed"
    }
    CompositeTypes: Record<never, never>
  }
}
