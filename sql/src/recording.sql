-- ---------------------------------------------------------------------------------------------
-- Recording of checks
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.record_health_check(
  org_id uuid, integration_type text, status @extschema@.integration_health_state,
  latency_ms integer DEFAULT NULL, http_status integer DEFAULT NULL, error text DEFAULT NULL,
  checked_at timestamptz DEFAULT pg_catalog.now(), retry_after integer DEFAULT NULL)
RETURNS @extschema@.integration_health_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
          checked_at)
  VALUES (record_health_check.org_id, record_health_check.integration_type,
          record_health_check.status, record_health_check.latency_ms,
          record_health_check.http_status, record_health_check.error,
          record_health_check.retry_after,
          COALESCE(record_health_check.checked_at, pg_catalog.now()))
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error,
         retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at
  RETURNING s;
END;
COMMENT ON FUNCTION @extschema@.record_health_check(uuid, text, @extschema@.integration_health_state, integer, integer, text, timestamptz, integer) IS
  'Records one check and returns the status row of the pair: latency_ms in milliseconds, http_status 100 to 599, error at most 2000 characters, checked_at now() when null and no later than the recording, retry_after the seconds that an HTTP 429 asked for. A check older than the current one goes to the history only. Errors: 23502 org_id, integration_type or status is null, 23503 unknown integration_type, 23514 a value out of range, 42501 the caller is no writer.';

CREATE FUNCTION @extschema@.record_health_checks(checks jsonb)
RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_record_health_checks';
COMMENT ON FUNCTION @extschema@.record_health_checks(jsonb) IS
  'Records an array of objects with the keys org_id, integration_type, status and, as wanted, latency_ms, http_status, error, checked_at (as in record_health_check) and, for http_status 429, retry_after (whole seconds, what the external system asked for) in one go and returns how many. Checks of one pair are recorded in the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with it, nothing being recorded; 42501 the caller is no writer.';
