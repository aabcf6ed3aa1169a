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
          /** checked_at of the last healthy check; null when there was none. Kept by the trigger. */
          last_healthy_at: string | null
          /** Response time in milliseconds, 0 or more; null when there was no response. */
          latency_ms: number | null
          /** Organisation. Never changes. */
          org_id: string
          /** When the check was recorded. Kept by the trigger. */
          recorded_at: string
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
          last_healthy_at?: never
          latency_ms?: number | null
          org_id: string
          recorded_at?: never
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
          last_healthy_at?: never
          latency_ms?: number | null
          org_id?: string
          recorded_at?: never
          status?: Database["public"]["Enums"]["integration_health_state"]
          status_since?: never
        }
        Relationships: [
          { foreignKeyName: "integration_health_status_integration_type_fkey"; columns: ["integration_type"]; isOneToOne: false; referencedRelation: "integration_types"; referencedColumns: ["integration_type"] },
        ]
      }
      /** The kinds of external system. Seeded with xledger and dynamics; sites add and edit rows. */
      integration_types: {
        Row: {
          /** Time between two active checks of a pair; 15 minutes or more. */
          check_interval: string
          /** When the row was made. Filled by a trigger: a row that brings it along is a restored one and replaces the seed of the same key. */
          created_at: string
          /** Name to show to people. */
          display_name: string
          /** Key: a lower-case identifier of at most 63 characters. */
          integration_type: string
          /** Longest wait between two active checks of a failing pair; not below check_interval. */
          max_backoff: string
          /** active: probed every check_interval; passive: never probed. */
          monitoring_mode: Database["public"]["Enums"]["integration_monitoring_mode"]
          /** Why the type went passive; null in active mode. */
          passive_reason: string | null
          /** When the type went passive; null in active mode. */
          passive_since: string | null
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
        }
        Relationships: [
        ]
      }
    }
    Views: Record<never, never>
    Functions: {
      /** At most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting first. Errors: 42501 as get_global_health_summary, 22023 when max_rows is null or below 1, or for malformed claims. */
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
      /** For every integration type, by display name, the number of organisations in each status, and the percentage that is healthy (null when there are none). Errors: 42501 unless a claim at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 malformed claims. */
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
      /** The health of the organisation org_id: one row for every integration type, by display name; status unknown where never checked, latency in milliseconds, is_stale when an active type was checked longer ago than twice its check_interval (null where never checked). No rows for a caller who may not see the organisation. Errors: 22023 malformed claims. */
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
      /** Whether the caller may see the organisation org_id: its claims name it, or row-level security does not apply to the caller. Null: false. Errors: 22023 malformed claims. */
      integration_health_can_read: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** Deletes at most max_rows history rows with checked_at longer ago than retention and returns how many; rows that a writer holds wait for the next run. Errors: 22023 retention is null or not positive, or max_rows is null or below 1. For service_role. */
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
      /** The organisations that the claims in request.jwt.claims name: the first of the paths in integration_health.org_claims that is there, a string or an array of strings. Empty without claims. Errors: 22023 malformed claims, or a value that is no uuid. */
      integration_health_org_ids: {
        Args: Record<PropertyKey, never>
        Returns: string[]
      }
      /** The time that lies hours before now(). Errors: 22023 when hours is null or outside 1 to 720. */
      integration_health_trend_start: {
        Args: {
          hours: number
        }
        Returns: string
      }
      /** True. Stands in the policies, so that the planner's estimates tell nothing of rows that the caller may not see. */
      integration_health_uncounted: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** Records status unknown for at most max_rows pairs of active types that were not checked for twice their check_interval, and returns how many. Errors: 22023 max_rows is null or below 1. For service_role. */
      mark_stale_health: {
        Args: {
          max_rows?: number
        }
        Returns: number
      }
      /** Records one check and returns the status row of the pair: latency_ms in milliseconds, http_status 100 to 599, error at most 2000 characters, checked_at now() when null. A check older than the current one goes to the history only. Errors: 23502 org_id, integration_type or status is null, 23503 unknown integration_type, 23514 a value out of range, 42501 the caller is no writer. For service_role. */
      record_health_check: {
        Args: {
          org_id: string
          integration_type: string
          status: Database["public"]["Enums"]["integration_health_state"]
          latency_ms?: number | null
          http_status?: number | null
          error?: string | null
          checked_at?: string
        }
        Returns: Database["public"]["Tables"]["integration_health_status"]["Row"]
        SetofOptions: { from: "*"; to: "integration_health_status"; isOneToOne: true; isSetofReturn: false }
      }
      /** Records an array of objects with the keys org_id, integration_type, status and, as wanted, latency_ms, http_status, error, checked_at (as in record_health_check) in one go and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it, nothing being recorded; 42501 the caller is no writer. For service_role. */
      record_health_checks: {
        Args: {
          checks: Json
        }
        Returns: number
      }
      /** Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in. Errors: 0A000 pg_cron is not in this database, 22023 a schedule is null; pg_cron's own errors for a schedule it cannot read. For service_role. */
      schedule_integration_health_jobs: {
        Args: {
          cleanup_schedule?: string
          counts_schedule?: string
          stale_schedule?: string
        }
        Returns: {
          job_id: number
          job_name: string
          schedule: string
          command: string
        }[]
      }
      /** Removes the caller's pg_cron jobs of the extension and returns how many there were. Errors: 0A000 pg_cron is not in this database. For service_role. */
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
