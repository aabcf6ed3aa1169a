// Made by scripts/generate-types from the catalog of a database with the extension: do not edit. For
// createClient<Database>(...). With the extension in another schema, rename "public".

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      /** Number of checks and their latencies, of each (org_id, integration_type) and UTC day: a ring of 90 days, each written by the first check of a later day. */
      integration_health_days: {
        Row: {
          /** Number of checks made on that day, of the last 96 before the day was closed. */
          checks: number
          /** Day in UTC. */
          day: string
          /** External system. */
          integration_type: string
          /** Highest of the same latencies. */
          max_ms: number | null
          /** Organisation. */
          org_id: string
          /** Median latency in milliseconds, of the checks that were healthy or degraded; null when none of them had one. */
          p50_ms: number | null
          /** 95th percentile of the same latencies. */
          p95_ms: number | null
          /** Place in the ring: days since 2000-01-01, modulo 90. */
          slot: number
        }
        Insert: {
          checks?: never
          day?: never
          integration_type?: never
          max_ms?: never
          org_id?: never
          p50_ms?: never
          p95_ms?: never
          slot?: never
        }
        Update: {
          checks?: never
          day?: never
          integration_type?: never
          max_ms?: never
          org_id?: never
          p50_ms?: never
          p95_ms?: never
          slot?: never
        }
        Relationships: [
        ]
      }
      /** The last 96 checks of each (org_id, integration_type): a ring of slots, written only by the trigger of integration_health_status and by the cleanup. */
      integration_health_history: {
        Row: {
          /** Why the check failed; null when that is not known. */
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          /** Number of the check: check_no in integration_health_status when it was recorded. */
          check_no: number
          /** When the check was made. */
          checked_at: string
          /** What went wrong. */
          error: string | null
          /** HTTP status code; null when there was no HTTP response. */
          http_status: number | null
          /** External system. */
          integration_type: string
          /** True when a newer check had been recorded before this one; otherwise null. */
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
          cause?: never
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
          cause?: never
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
          /** Why the check failed. If it is not given, the trigger derives it from http_status; null when that does not tell, and for a healthy check. */
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          /** Number of the check among those recorded for the pair, from 1, without gaps. Maintained by the trigger. */
          check_no: number
          /** When the check was made. Defaults to now(), also in an UPDATE that does not set it. */
          checked_at: string
          /** Number of failures in a row: unhealthy adds one, healthy and degraded reset it to 0, unknown leaves it as it is. Maintained by the trigger. */
          consecutive_failures: number
          /** What went wrong, at most 2000 characters; null when nothing did. */
          error: string | null
          /** HTTP status code, 100 to 599; null when there was no HTTP response. */
          http_status: number | null
          /** External system, a row of integration_types. Never changes. */
          integration_type: string
          /** True from the time the pair is handed out to probe its passive type until it is checked; otherwise null. Maintained by claims and the trigger. */
          is_probe: boolean | null
          /** checked_at of the last healthy check; null when there was none. Maintained by the trigger. */
          last_healthy_at: string | null
          /** Response time in milliseconds, 0 or more; null when there was no response. */
          latency_ms: number | null
          /** Organisation. Never changes. */
          org_id: string
          /** When the check was recorded. Maintained by the trigger. */
          recorded_at: string
          /** Seconds, 0 to 31536000, for which the external system asked to be left alone (Retry-After, RFC 9110); null when it did not. */
          retry_after: number | null
          /** Result of the check. */
          status: Database["public"]["Enums"]["integration_health_state"]
          /** checked_at of the first check since which the status has not changed. Maintained by the trigger. */
          status_since: string
        }
        Insert: {
          cause?: Database["public"]["Enums"]["integration_failure_cause"] | null
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
          cause?: Database["public"]["Enums"]["integration_failure_cause"] | null
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
      /** Changes of the status of each (org_id, integration_type), for 90 days: appended when a check has another status than the one before, and by nobody else. */
      integration_health_transitions: {
        Row: {
          /** When that check was made: status_since from then on. */
          at: string
          /** Cause that the check gave; null when it gave none, and for healthy. */
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          /** Number of the check that changed the status. */
          check_no: number
          /** Status before; null for the first check of a pair, and where an update to version 1.1 did not know it. */
          from_status: Database["public"]["Enums"]["integration_health_state"] | null
          /** External system. */
          integration_type: string
          /** Organisation. */
          org_id: string
          /** Status from then on. */
          to_status: Database["public"]["Enums"]["integration_health_state"]
        }
        Insert: {
          at?: never
          cause?: never
          check_no?: never
          from_status?: never
          integration_type?: never
          org_id?: never
          to_status?: never
        }
        Update: {
          at?: never
          cause?: never
          check_no?: never
          from_status?: never
          integration_type?: never
          org_id?: never
          to_status?: never
        }
        Relationships: [
        ]
      }
      /** Confirmed outages of pairs and types. Written by the extension. */
      integration_incidents: {
        Row: {
          /** When somebody took it on; null if nobody has. */
          acknowledged_at: string | null
          /** Who did: sub of the claims; null when they have none. */
          acknowledged_by: string | null
          /** When an alert was last made; null while there is none, because of maintenance or an incident of the type. */
          alerted_at: string | null
          /** Cause that the first failing check with one gave; null when none gave any. */
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          /** When the check was made that reached failure_threshold; of a type, when the watch found it. */
          confirmed_at: string
          /** Number of failing checks; of a type, the highest number of failing pairs. */
          failures: number
          /** Key. */
          incident_id: string
          /** External system. */
          integration_type: string
          /** What they noted, at most 2000 characters. */
          note: string | null
          /** Organisation; null for an incident of the type. */
          org_id: string | null
          /** When the check was made that reached success_threshold; null while the incident is open. */
          resolved_at: string | null
          /** When the first failing check was made. */
          started_at: string
        }
        Insert: {
          acknowledged_at?: never
          acknowledged_by?: never
          alerted_at?: never
          cause?: never
          confirmed_at?: never
          failures?: never
          incident_id?: never
          integration_type?: never
          note?: never
          org_id?: never
          resolved_at?: never
          started_at?: never
        }
        Update: {
          acknowledged_at?: never
          acknowledged_by?: never
          alerted_at?: never
          cause?: never
          confirmed_at?: never
          failures?: never
          incident_id?: never
          integration_type?: never
          note?: never
          org_id?: never
          resolved_at?: never
          started_at?: never
        }
        Relationships: [
        ]
      }
      /** Planned maintenance, written by set_maintenance and end_maintenance. */
      integration_maintenance: {
        Row: {
          /** When it was made. */
          created_at: string
          /** sub of the claims of whoever made it; null when they have none. */
          created_by: string | null
          /** When it ends: the first moment after it. */
          ends_at: string
          /** External system; null: all of them. */
          integration_type: string | null
          /** Key. */
          maintenance_id: string
          /** Organisation; null: all of them. */
          org_id: string | null
          /** Why, in 1 to 200 characters. Organisations that it concerns may read it. */
          reason: string
          /** When it begins. */
          starts_at: string
        }
        Insert: {
          created_at?: never
          created_by?: never
          ends_at?: never
          integration_type?: never
          maintenance_id?: never
          org_id?: never
          reason?: never
          starts_at?: never
        }
        Update: {
          created_at?: never
          created_by?: never
          ends_at?: never
          integration_type?: never
          maintenance_id?: never
          org_id?: never
          reason?: never
          starts_at?: never
        }
        Relationships: [
        ]
      }
      /** The pairs to be checked, which claim_due_health_checks hands out. */
      integration_monitors: {
        Row: {
          /** When the pair was last handed out; null if it never was. Maintained by claims. */
          claimed_at: string | null
          /** When the credential of the pair expires; null when that is not known. Alerts say so 14, 7 and 1 days before. */
          credential_expires_at: string | null
          /** When the pair may be handed out next. Filled by a trigger; changed by claims, and by checks that fail or end a series of failures. */
          due_at: string
          /** Whether the pair is handed out. */
          enabled: boolean
          /** External system. */
          integration_type: string
          /** Organisation. */
          org_id: string
          /** When the monitor was last enabled again; null if it never was. No check is expected before this time. Maintained by a trigger. */
          planned_since: string | null
        }
        Insert: {
          claimed_at?: never
          credential_expires_at?: string | null
          due_at?: never
          enabled?: boolean
          integration_type: string
          org_id: string
          planned_since?: never
        }
        Update: {
          claimed_at?: never
          credential_expires_at?: string | null
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
      /** The ledger of scheduled syncs: one row for each period that somebody ran, written only by claim_sync_run and finish_sync_run, and deleted by the cleanup and forget_organisation. */
      integration_sync_runs: {
        Row: {
          /** Number of the current attempt: how often the period has been claimed. Reports of an earlier attempt are refused. */
          attempt: number
          /** Whether the worker had to be started for the current attempt. */
          cold_start: boolean
          /** How long after its time the current attempt was claimed; negative if before. */
          drift: string | null
          /** What went wrong, at most 2000 characters; null when nothing did. */
          error: string | null
          /** When the current attempt ended; null while it runs. */
          finished_at: string | null
          /** Key for the external system, the same for all attempts: org_id:integration_type:period. */
          idempotency_key: string | null
          /** External system. */
          integration_type: string
          /** When somebody else may claim the run if it has not ended by then; null once it has. */
          lease_until: string | null
          /** Organisation. */
          org_id: string
          /** running until the current attempt ends, then succeeded or failed. */
          outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          /** The period: a time of the schedule. */
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
      /** When the sync of each (org_id, integration_type) is to run: at anchor, and from then on at intervals of every. */
      integration_sync_schedules: {
        Row: {
          /** The first period. */
          anchor: string
          /** When a period can be claimed next: the first period of the current plan, or the first after the last one that succeeded or was given up, or the time when the last one that failed may be tried again; infinity: none. Maintained by a trigger and finish_sync_run. */
          due_at: string
          /** Whether periods may be claimed, and count as missed when nobody runs them. */
          enabled: boolean
          /** Time between two periods: days and months, counted on the clocks of time_zone, or an elapsed time of 1 minute or more. */
          every: string
          /** External system. */
          integration_type: string
          /** How often a period may be claimed before it is given up, 1 to 100. */
          max_attempts: number
          /** Organisation. */
          org_id: string
          /** When every, anchor, time_zone or enabled last changed. Maintained by a trigger; earlier plans are in sync_plans. */
          planned_since: string
          /** Runs up to this period have been deleted, so these periods can no longer be claimed. Maintained by integration_health_cleanup. */
          pruned_until: string | null
          /** How long a period waits after its first attempt failed, 0 to 1 day; doubled with each further attempt, up to an hour, or up to retry_backoff if that is longer. */
          retry_backoff: string
          /** Where days and months are counted: a name from pg_timezone_names. Looked up by a trigger when somebody sets it, but not in a restored row: a schedule whose time zone this system does not have is skipped with a warning. */
          time_zone: string
          /** The next period to send a warm-up for. Maintained by a trigger and dispatch_sync_warm_ups. */
          warm_up_for: string
          /** URL to POST to shortly before each period, to wake the worker; http or https, at most 2000 ASCII characters, no secrets. Null: no warm-up. */
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
          time_zone?: string
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
          time_zone?: string
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
          /** Time between two checks of a pair in active mode; 15 minutes to 366 days. */
          check_interval: string
          /** When the row was created. Filled by a trigger: a row inserted with a value is a restored one, and replaces the seed of the same key. */
          created_at: string
          /** Name to show to people. */
          display_name: string
          /** Number of failures in a row, 1 to 20, that make an incident of a pair; 1 is enough for cause auth. */
          failure_threshold: number
          /** Key: a lower-case identifier of at most 63 characters. */
          integration_type: string
          /** Longest wait between two checks of a failing pair, or before a rate-limited type is probed; check_interval to 366 days. */
          max_backoff: string
          /** active: pairs are checked every check_interval; passive: one pair is probed after passive_until, and none while that is null. */
          monitoring_mode: Database["public"]["Enums"]["integration_monitoring_mode"]
          /** Why the type went passive; null in active mode. */
          passive_reason: string | null
          /** When the type went passive; null in active mode. */
          passive_since: string | null
          /** When a passive type is probed next: after the time that the external system asked for (Retry-After), at most max_backoff; if it asked for none, after check_interval, doubled with each probe. Null: never. Claims wait for this time in active mode, too. */
          passive_until: string | null
          /** When the type last became active again, or its intervals were shortened; null if neither has happened. No check is expected before this time. Maintained by a trigger. */
          planned_since: string | null
          /** Number of probes handed out since the type went passive. Maintained by claims. */
          probes: number
          /** Number of healthy or degraded checks in a row, 1 to 20, that resolve an incident of a pair. */
          success_threshold: number
        }
        Insert: {
          check_interval?: string
          created_at?: never
          display_name: string
          failure_threshold?: number
          integration_type: string
          max_backoff?: string
          monitoring_mode?: Database["public"]["Enums"]["integration_monitoring_mode"]
          passive_reason?: string | null
          passive_since?: string | null
          passive_until?: string | null
          planned_since?: never
          probes?: number
          success_threshold?: number
        }
        Update: {
          check_interval?: string
          created_at?: never
          display_name?: string
          failure_threshold?: number
          integration_type?: string
          max_backoff?: string
          monitoring_mode?: Database["public"]["Enums"]["integration_monitoring_mode"]
          passive_reason?: string | null
          passive_since?: string | null
          passive_until?: string | null
          planned_since?: never
          probes?: number
          success_threshold?: number
        }
        Relationships: [
        ]
      }
    }
    Views: Record<never, never>
    Functions: {
      /** Says that the caller has taken on an incident, with a note of at most 2000 characters, and returns when: nobody is reminded of it any more. Later calls replace who, when and the note. For members of the organisation, global admins and the writer. Errors: 42501 for others, whether there is such an incident or not; 22023 when incident_id is null, there is no such incident, or the claims are malformed; 23514 when the note is too long; 55000 when somebody else has a trigger or rule on the tables. */
      acknowledge_incident: {
        Args: {
          incident_id: string
          note?: string | null
        }
        Returns: string
      }
      /** Hands out at most max_rows alerts that are due, each to one caller, who delivers it and reports by finish_alert. What is not reported within lease (1 second to 1 day) is handed out again, so an alert may be delivered twice, with the same alert_id. The alert that a pair has an incident waits for 60 seconds, in case its whole type fails. Errors: 22023 when max_rows is null or below 1, or lease is null or out of range; 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      claim_alerts: {
        Args: {
          max_rows?: number
          lease?: string
        }
        Returns: {
          alert_id: string
          kind: string
          org_id: string | null
          integration_type: string | null
          attempt: number
          payload: Json
        }[]
      }
      /** Hands out at most max_rows due pairs of active types, each to one caller, and not again before its check_interval has passed. due_at is when the pair is due next, unless its check fails: then it waits check_interval * 2^(failures - 1), at most max_backoff. Of a passive type whose passive_until has passed, one pair is handed out as a probe; the type becomes active again when that pair is checked and was not rate limited. Errors: 22023 when max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
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
      /** Claims a period of a schedule and returns its run; claimed is true for the one caller who is to run it now, until lease (1 second to 1 day) has passed. A run that failed and whose retry_backoff has passed, or whose lease ran out, can be claimed again, max_attempts times in all; one that succeeded never. Warns when the run starts later than integration_health.max_drift. Errors: 22023 when an argument is null or out of range, there is no schedule, or scheduled_for is not a period of it, lies more than a minute ahead, or is older than the ledger; 55000 when the schedule is disabled, or somebody else has a trigger or rule on the tables. For service_role. */
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
      /** Calls the warm_up_url of each schedule with a period within ahead (1 second to 1 day), once per period, and returns how many. Uses net.http_post of pg_net if the caller may, otherwise an event on the channel integration_health. Warns of a URL that pg_net refuses. Errors: 22023 when ahead is null or out of range, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      dispatch_sync_warm_ups: {
        Args: {
          ahead?: string
        }
        Returns: number
      }
      /** Ends maintenance now; one that has not begun is cancelled as if it had never been planned. Returns true, or false when it had ended already. For the writer and global admins. Errors: 22023 when maintenance_id is null or there is no such maintenance, 42501 for readers without the admin role. */
      end_maintenance: {
        Args: {
          maintenance_id: string
        }
        Returns: boolean
      }
      /** Reports whether an alert was delivered, by the attempt that claim_alerts handed out, and returns true. If it was not, error says why (the first 2000 characters are kept), and the alert is handed out again after 5 seconds, 5 minutes, 30 minutes, 2, 5, 10 and 10 hours; then it is given up, and get_alert_backlog shows it. Returns false, and changes nothing, when the alert was delivered before or no longer exists, or a failure is reported of an attempt that is not the last. Errors: 22023 when alert_id, attempt or delivered is null, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      finish_alert: {
        Args: {
          alert_id: string
          attempt: number
          delivered: boolean
          error?: string | null
        }
        Returns: boolean
      }
      /** Ends an attempt as succeeded or failed and returns its run; repeating the same report changes nothing. If the type is in passive mode, the end is also recorded as a check, healthy or unhealthy. Errors: 22023 when an argument other than error is null, nobody has claimed the run, or outcome is running; 23514 when error has more than 2000 characters; 55000 when another attempt has taken over, this one has ended with the other outcome, or somebody else has a trigger or rule on the tables. For service_role. */
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
      /** Deletes all that is stored about an organisation: status, history and what follows from them, monitors, schedules and the ledger of its syncs, maintenance and alerts. Returns the number of status rows, monitors, schedules and runs deleted. Checks that are recorded later start anew. Errors: 22023 when org_id is null, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      forget_organisation: {
        Args: {
          org_id: string
        }
        Returns: number
      }
      /** Returns at most max_rows alerts that are not delivered: first those that are dead, given up after the eighth attempt, then the others by due_at. state is dead, waiting (for its time, or for somebody to claim it), claimed (a worker is delivering it), or held (an earlier alert of the same incident comes first); error is what the last failed attempt reported. For the writer and global admins. Errors: 42501 for readers without the admin role, 22023 when max_rows is null or below 1, or for malformed claims, 55000 when row-level security applies to the owner of the function. */
      get_alert_backlog: {
        Args: {
          max_rows?: number
        }
        Returns: {
          alert_id: string
          kind: string
          org_id: string | null
          integration_type: string | null
          state: string
          created_at: string
          due_at: string | null
          attempt: number
          error: string | null
        }[]
      }
      /** Returns the runs for periods of the last hours (1 to 720) whose worker had to be started first, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
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
      /** For sync workers: returns at most max_rows periods that can be claimed, of each enabled schedule only the last one: nobody has run it, or its last attempt failed and its wait is over, or the lease of that attempt ran out, and it has not been given up. Those claimable longest come first; attempts is how many there were. Errors: 22023 when max_rows is null or below 1, 55000 when row-level security applies to the owner of the function. For service_role. */
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
      /** Returns at most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting first. Errors: 42501 and 55000 as get_global_health_summary, 22023 when max_rows is null or below 1, or for malformed claims. */
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
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
        }[]
      }
      /** Returns for every integration type, by display name, the number of organisations in each status, and the percentage that is healthy (rounded down to two decimals, null when there are none). Errors: 42501 unless a claim at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 for malformed claims, 55000 when row-level security applies to the owner of the function. */
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
      /** Returns at most max_rows incidents of all organisations that are open or were resolved within the last days (1 to 90): the open ones first, of these the types' own (org_id is null), then the latest. Errors: 42501 as get_global_health_summary, 22023 when days is null or outside 1 to 90, max_rows is null or below 1, or for malformed claims, 55000 when row-level security applies to the owner of the function. */
      get_global_incidents: {
        Args: {
          days?: number
          max_rows?: number
        }
        Returns: {
          incident_id: string
          org_id: string | null
          integration_type: string
          display_name: string
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          started_at: string
          confirmed_at: string
          resolved_at: string | null
          failures: number
          acknowledged_at: string | null
          acknowledged_by: string | null
          note: string | null
        }[]
      }
      /** Returns all maintenance, as get_maintenance; org_id is null when it concerns all organisations. Errors: 42501 as get_global_health_summary, 22023 when days is null or outside 1 to 90, or for malformed claims, 55000 when row-level security applies to the owner of the function. */
      get_global_maintenance: {
        Args: {
          days?: number
        }
        Returns: {
          maintenance_id: string
          org_id: string | null
          integration_type: string | null
          starts_at: string
          ends_at: string
          is_active: boolean
          reason: string
          created_by: string | null
        }[]
      }
      /** Returns for every integration type, by display name, the number of enabled schedules of all organisations and, for the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how many periods were missed (as in get_missed_syncs), the longest drift, and how many missed periods have no attempt left. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed claims, 55000 when row-level security applies to the owner of the function. */
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
      /** Returns for every integration type, by display name, how available it was for all organisations within the last days (1 to 90): the columns of get_org_uptime, as sums over the pairs of the type that are there now (pairs), seconds of pairs; the percentages are of these sums. incidents and mttr are of the incidents of pairs. Its cost grows with the transitions in the window, not with the pairs that had none. Errors: 42501 as get_global_health_summary, 22023 when days is null or outside 1 to 90, or for malformed claims, 55000 when row-level security applies to the owner of the function. */
      get_global_uptime: {
        Args: {
          days?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          uptime_pct: number | null
          coverage_pct: number | null
          healthy_s: number
          degraded_s: number
          unhealthy_s: number
          unknown_s: number
          planned_s: number
          incidents: number
          mttr: string | null
          pairs: number
        }[]
      }
      /** Returns for each pg_cron job of the extension its schedule, the role it runs as, whether it is active, and when its last run began, how that ended and what it said; problem says in words what is wrong, and is null when nothing is. A job that is not scheduled has a row, too. For the writer, the owner and global admins. Errors: 42501 as get_global_health_summary for readers without the admin role, 22023 for malformed claims. */
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
      /** Returns the metrics of all organisations together, by type, one row for each sample: the name of the metric, its kind (gauge or info), unit and help as OpenMetrics defines them, its labels, an object of strings, and the value. Reads a few rows of each type; what the watch measures is as old as its last run, and absent before the first. For the writer, global admins, and roles that grant_integration_health_metrics has let. Errors: 42501 as get_global_health_summary for others, 22023 for malformed claims, 55000 when row-level security applies to the owner of the function. */
      get_health_metric_samples: {
        Args: Record<PropertyKey, never>
        Returns: {
          metric: string
          kind: string
          unit: string | null
          help: string
          labels: Json
          value: number
        }[]
      }
      /** Returns what get_health_metric_samples does as a text in the exposition format of OpenMetrics 1.0, for Prometheus: PostgREST 12 and later answers GET /rpc/get_health_metrics with it where the scraper accepts application/openmetrics-text. Errors: as get_health_metric_samples. */
      get_health_metrics: {
        Args: Record<PropertyKey, never>
        Returns: string
      }
      /** Returns the checks of (org_id, integration_type) within the last hours (1 to 720), newest first, at most 96; latency_ms is in milliseconds. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
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
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
        }[]
      }
      /** Returns how fast a pair answered on each of the last days (1 to 90) in UTC: one row a day, the oldest first, today so far the last; checks is the number of checks made on that day (of the last 96), and p50_ms, p95_ms and max_ms are the median, the 95th percentile and the highest latency in milliseconds of those that were healthy or degraded. Null where nothing is known. No rows for a caller who may not see the organisation, or for a type that is not there. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims. */
      get_latency_days: {
        Args: {
          org_id: string
          integration_type: string
          days?: number
        }
        Returns: {
          day: string
          checks: number | null
          p50_ms: number | null
          p95_ms: number | null
          max_ms: number | null
        }[]
      }
      /** Returns the maintenance that concerns an organisation: what is planned, what is going on (is_active), and what ended within the last days (1 to 90), latest first. integration_type is null when it concerns all types. No rows for a caller who may not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims. */
      get_maintenance: {
        Args: {
          org_id: string
          days?: number
        }
        Returns: {
          maintenance_id: string
          integration_type: string | null
          all_organisations: boolean
          starts_at: string
          ends_at: string
          is_active: boolean
          reason: string
        }[]
      }
      /** Returns the periods of the last hours (1 to 720) that nobody ran (attempts 0), whose lease ran out before an end was reported, or that failed max_attempts times, newest first; overdue is the time since the period, given_up whether no attempt is left. A period counts once it is later than integration_health.max_drift, by the schedule as it was then, and as far back as the cleanup has left the ledger. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
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
      /** Returns the health of the organisation org_id: one row for every integration type, by display name. status is unknown for a pair never checked, latency_ms is in milliseconds, and is_stale is true when no check came in twice the time in which one was expected: the check_interval, or the backoff that the monitor of a failing pair waits (null when never checked, false when no check is expected). No rows for a caller who may not see the organisation. Errors: 22023 for malformed claims. */
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
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
        }[]
      }
      /** Returns the incidents of an organisation that are open (resolved_at is null) or were resolved within the last days (1 to 90), the open ones first, then the latest. No rows for a caller who may not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims. */
      get_org_incidents: {
        Args: {
          org_id: string
          days?: number
        }
        Returns: {
          incident_id: string
          integration_type: string
          display_name: string
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          started_at: string
          confirmed_at: string
          resolved_at: string | null
          failures: number
          acknowledged_at: string | null
          acknowledged_by: string | null
          note: string | null
        }[]
      }
      /** Returns all that a page about the organisation org_id shows of its integrations: the rows of get_org_health_status, and of each integration, as arrays of JSON objects: uptime, with the days (1, 7, 30 and 90), uptime_pct and coverage_pct of get_org_uptime; uptime_days, the rows of get_uptime_days for 90 days in time_zone, a name of pg_timezone_names; latency_days, the rows of get_latency_days for 90 days in UTC; and checks, the rows of get_health_trend for 24 hours, but the oldest first. No rows for a caller who may not see the organisation. Errors: 22023 for an unknown time_zone or malformed claims. */
      get_org_overview: {
        Args: {
          org_id: string
          time_zone?: string
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
          cause: Database["public"]["Enums"]["integration_failure_cause"] | null
          uptime: Json
          uptime_days: Json
          latency_days: Json
          checks: Json
        }[]
      }
      /** Returns the schedules of the organisation org_id, by display name: next_at, the next period, null where the schedule is not enabled; the last period that somebody ran, with when it started and finished, its outcome and error, null where there was none; and of the periods of the last hours (1 to 720) how many get_sync_drift, get_missed_syncs and get_cold_starts list: late, missed and cold_starts. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
      get_org_syncs: {
        Args: {
          org_id: string
          hours?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          every: string
          enabled: boolean
          next_at: string
          last_scheduled_for: string
          last_started_at: string
          last_finished_at: string
          last_outcome: Database["public"]["Enums"]["integration_sync_outcome"]
          last_error: string | null
          late: number
          missed: number
          cold_starts: number
        }[]
      }
      /** Returns how available the integrations of an organisation were within the last days (1 to 90) of 24 hours: one row for every integration type, by display name. A status holds until a check finds another one. uptime_pct is the share of healthy and degraded in the time that was healthy, degraded or unhealthy; coverage_pct is the share of that time in the window without maintenance. Both are rounded down to two decimals, and null where there is no such time. The seconds in each status (healthy_s, degraded_s, unhealthy_s, unknown_s) are without maintenance, whose seconds are planned_s; the time before the first check is in none of them. incidents is the number of those that started, or were open, in the window, mttr the mean time from start to end of those that were resolved in it, null when none was. No rows for a caller who may not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims. */
      get_org_uptime: {
        Args: {
          org_id: string
          days?: number
        }
        Returns: {
          integration_type: string
          display_name: string
          uptime_pct: number | null
          coverage_pct: number | null
          healthy_s: number
          degraded_s: number
          unhealthy_s: number
          unknown_s: number
          planned_s: number
          incidents: number
          mttr: string | null
        }[]
      }
      /** Returns the runs for periods of the last hours (1 to 720) that started later than integration_health.max_drift, newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims. */
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
      /** Returns how available a pair was on each of the last days (1 to 90) of the calendar of time_zone, a name of pg_timezone_names: one row a day, the oldest first, today so far the last. uptime_pct and coverage_pct are those of get_org_uptime, of one day; uptime_pct is null, never 100, for a day without data. worst is the worst status that the pair had outside maintenance: unhealthy, degraded, unknown, healthy, in this order; null without data. No rows for a caller who may not see the organisation, or for a type that is not there. Errors: 22023 when days is null or outside 1 to 90, for an unknown time_zone, or for malformed claims. */
      get_uptime_days: {
        Args: {
          org_id: string
          integration_type: string
          days?: number
          time_zone?: string
        }
        Returns: {
          day: string
          uptime_pct: number | null
          coverage_pct: number | null
          worst: Database["public"]["Enums"]["integration_health_state"] | null
        }[]
      }
      /** Returns whether the caller may see the organisation org_id: the claims name it, or row-level security does not apply to the caller. False for null. Errors: 22023 when request.jwt.claims cannot be read, for any caller. */
      integration_health_can_read: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** Deletes at most max_rows rows and returns how many: history whose checked_at, and sync runs whose period and end, are longer ago than retention (a day or more); and transitions, resolved incidents, ended maintenance, and alerts of no open incident, that are longer ago than retention and 90 days. Rows that a writer has locked wait for the next run. Also corrects what a clock that was ahead has left. Errors: 22023 when retention is null or shorter than a day, or max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      integration_health_cleanup: {
        Args: {
          retention?: string
          max_rows?: number
        }
        Returns: number
      }
      /** Folds the rows of integration_health_counts into one per type and status, and returns how many rows it replaced. Blocks no writer, and changes no count. Errors: 55000 when somebody else has a trigger or rule on the table. For service_role. */
      integration_health_compact: {
        Args: Record<PropertyKey, never>
        Returns: number
      }
      /** Returns the organisations that the claims in request.jwt.claims name: the value of the first path in integration_health.org_claims that exists, a string or an array of strings. Empty without claims, and when they cannot be read or a value is not a UUID: policies call this function, and an error would reveal which rows exist. */
      integration_health_org_ids: {
        Args: Record<PropertyKey, never>
        Returns: string[]
      }
      /** Returns true. The policies call it so that the planner's estimates reveal nothing about rows that the caller may not see. */
      integration_health_uncounted: {
        Args: {
          org_id: string
        }
        Returns: boolean
      }
      /** For a job of every minute: opens and resolves the incidents of types, resolves incidents of pairs whose success_threshold is above 1, and writes the alerts that no check makes, at most max_rows of each kind: of open incidents whose maintenance has ended, reminders, a silent monitor, credentials that expire soon, and missed syncs. Measures what get_health_metrics reports of incidents, alerts and syncs. Returns how many alerts it wrote. Errors: 22023 when max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      integration_health_watch: {
        Args: {
          max_rows?: number
        }
        Returns: number
      }
      /** Returns whether a schedule may have the interval every: days and months (at most 3660 and 120), or a time from 1 minute to 3660 days, but not both. For service_role. */
      integration_sync_every_is_valid: {
        Args: {
          every: string
        }
        Returns: boolean
      }
      /** Returns whether drift is longer than integration_health.max_drift. */
      integration_sync_is_late: {
        Args: {
          drift: string
        }
        Returns: boolean
      }
      /** Returns the idempotency key of a period: org_id:integration_type:period, with the period in UTC as ISO 8601. */
      integration_sync_key: {
        Args: {
          org_id: string
          integration_type: string
          scheduled_for: string
        }
        Returns: string
      }
      /** Returns the last period of a schedule that is not after at; null before its anchor. Errors: 22023 when the schedule is not valid. */
      integration_sync_last_period: {
        Args: {
          every: string
          anchor: string
          time_zone: string
          at: string
        }
        Returns: string | null
      }
      /** Returns the first period of a schedule that is after the time after; null when it is too far away. Errors: 22023 when the schedule is not valid. */
      integration_sync_next_period: {
        Args: {
          every: string
          anchor: string
          time_zone: string
          after: string
        }
        Returns: string | null
      }
      /** Returns the periods of a schedule from since to until, both included, in order. Errors: 22023 when the schedule is not valid, or there are more than 100000 periods. */
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
      /** Returns whether time_zone is the name of a time zone, spelt as in pg_timezone_names. For service_role. */
      integration_sync_time_zone_is_valid: {
        Args: {
          time_zone: string
        }
        Returns: boolean
      }
      /** Records status unknown for at most max_rows pairs that are stale, and returns how many. A pair is stale when it was not checked in twice the time in which it should have been: the check_interval, or the backoff that the monitor of a failing pair waits. Pairs of passive types, or with disabled monitors, are not stale. Errors: 22023 when max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      mark_stale_health: {
        Args: {
          max_rows?: number
        }
        Returns: number
      }
      /** Records one check and returns the status row of the pair. latency_ms is in milliseconds, http_status is 100 to 599, error has at most 2000 characters, checked_at is now() when null and never later than the recording, retry_after is the number of seconds that an HTTP 429 asked for, cause says why a check failed where http_status does not. A check older than the current one goes into the history only. Errors: 23502 when org_id, integration_type or status is null, 23503 for an unknown integration_type, 23514 for a value out of range, 42501 when the caller is not a writer. For service_role. */
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
          cause?: Database["public"]["Enums"]["integration_failure_cause"] | null
        }
        Returns: Database["public"]["Tables"]["integration_health_status"]["Row"]
        SetofOptions: { from: "*"; to: "integration_health_status"; isOneToOne: true; isSetofReturn: false }
      }
      /** Records an array of objects with the keys org_id, integration_type and status and, optionally, latency_ms, http_status, error, cause, checked_at (as in record_health_check) and, for http_status 429, retry_after (the whole seconds that the external system asked for), all or none, and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it; 42501 when the caller is not a writer. For service_role. */
      record_health_checks: {
        Args: {
          checks: Json
        }
        Returns: number
      }
      /** Puts a type back into active mode, whatever its passive_until, which is cleared, and returns its row. Overdue pairs, at most 10000 of them, are spread over the next check_interval. Errors: 22023 when there is no such type, 55000 when somebody else has a trigger or rule on the tables. For service_role. */
      resume_active_monitoring: {
        Args: {
          integration_type: string
        }
        Returns: Database["public"]["Tables"]["integration_types"]["Row"]
        SetofOptions: { from: "*"; to: "integration_types"; isOneToOne: true; isSetofReturn: false }
      }
      /** Lets an alert that was given up be handed out again, with all its attempts, and returns true; false when it was not given up. For the writer and global admins. Errors: 22023 when alert_id is null, 42501 for readers without the admin role. */
      retry_alert: {
        Args: {
          alert_id: string
        }
        Returns: boolean
      }
      /** Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in and is a member of the writer or the owner. Returns the jobs. A superuser takes over the jobs of another role. warm_up_schedule null: every 30 seconds if pg_cron knows seconds (1.5), otherwise every minute. Warns when the last run of one of them failed. Errors: 0A000 when pg_cron is not in this database, 22023 when another schedule is null, 55000 when another role has scheduled them; pg_cron's own errors for a schedule that it cannot read. For service_role. */
      schedule_integration_health_jobs: {
        Args: {
          cleanup_schedule?: string
          counts_schedule?: string
          stale_schedule?: string
          warm_up_schedule?: string | null
          watch_schedule?: string
        }
        Returns: {
          job_id: number
          job_name: string
          schedule: string
          command: string
        }[]
      }
      /** Plans maintenance of a pair or, where org_id or integration_type is null, of all pairs of the other, or of all; from starts_at to before ends_at, which may lie in the past. Returns its maintenance_id. That time counts as planned, not as up or down, and alerts of incidents wait for its end. For the writer and global admins. Errors: 22023 when starts_at, ends_at or reason is null, or there is no such type; 23514 when ends_at is not after starts_at, the window is longer than 366 days, or reason is empty or longer than 200 characters; 42501 for readers without the admin role. */
      set_maintenance: {
        Args: {
          org_id: string
          integration_type: string
          starts_at: string
          ends_at: string
          reason: string
        }
        Returns: string
      }
      /** Sets whether the pair is to be checked, and returns its row. If enabled is null or omitted, it stays as it is; it is true for a new pair. A new pair is due within the check_interval of its type. Errors: 23502 when org_id or integration_type is null, 23503 for an unknown integration_type, 42501 when the caller is not a writer. For service_role. */
      set_monitor: {
        Args: {
          org_id: string
          integration_type: string
          enabled?: boolean | null
        }
        Returns: Database["public"]["Tables"]["integration_monitors"]["Row"]
        SetofOptions: { from: "*"; to: "integration_monitors"; isOneToOne: true; isSetofReturn: false }
      }
      /** Creates or changes the schedule of a pair, and returns its row: periods at anchor and from then on at intervals of every, with days and months counted in time_zone. enabled, max_attempts and retry_backoff stay as they are if they are null or omitted; a new schedule has true, 5 and 1 minute. Errors: 23502 when an argument other than those and warm_up_url is null, 23503 for an unknown integration_type, 23514 when an argument is not allowed, 42501 when the caller is not a writer. For service_role. */
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
      /** Removes the pg_cron jobs of the extension that the caller has scheduled, or those of all roles if it is a superuser, and returns how many there were: 0 when pg_cron is not in this database. For service_role. */
      unschedule_integration_health_jobs: {
        Args: Record<PropertyKey, never>
        Returns: number
      }
    }
    Enums: {
      /** Why a check failed. By HTTP status: auth (401, 403, 407), rate_limited (429), configuration (other 4xx), server (5xx). Without a response: dns (the name was not resolved), connect (no connection), tls (no secure one), timeout. And other. */
      integration_failure_cause: "auth" | "rate_limited" | "configuration" | "server" | "timeout" | "dns" | "connect" | "tls" | "other"
      /** Result of a health check: healthy, degraded (works, but slowly or only in part), unhealthy, unknown (could not be determined). */
      integration_health_state: "healthy" | "degraded" | "unhealthy" | "unknown"
      /** active: the monitor checks the external system regularly; passive: the system is left alone except for single probes, and scheduled syncs are recorded as checks. */
      integration_monitoring_mode: "active" | "passive"
      /** State of one run of a scheduled sync. */
      integration_sync_outcome: "running" | "succeeded" | "failed"
    }
    CompositeTypes: Record<never, never>
  }
}
