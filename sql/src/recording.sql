-- ---------------------------------------------------------------------------------------------
-- Recording of checks
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.record_health_check(
  org_id uuid, integration_type text, status @extschema@.integration_health_state,
  latency_ms integer DEFAULT NULL, http_status integer DEFAULT NULL, error text DEFAULT NULL,
  checked_at timestamptz DEFAULT pg_catalog.now(), retry_after integer DEFAULT NULL,
  cause @extschema@.integration_failure_cause DEFAULT NULL)
RETURNS @extschema@.integration_health_status
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO @extschema@.integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
          checked_at, cause)
  VALUES (record_health_check.org_id, record_health_check.integration_type,
          record_health_check.status, record_health_check.latency_ms,
          record_health_check.http_status, record_health_check.error,
          record_health_check.retry_after,
          COALESCE(record_health_check.checked_at, pg_catalog.now()), record_health_check.cause)
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms,
         http_status = EXCLUDED.http_status, error = EXCLUDED.error,
         retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at, cause = EXCLUDED.cause
  RETURNING s;
END;
COMMENT ON FUNCTION @extschema@.record_health_check(
  uuid, text, @extschema@.integration_health_state, integer, integer, text, timestamptz, integer,
  @extschema@.integration_failure_cause) IS
  'Records one check and returns the status row of the pair. latency_ms is in milliseconds, http_status is 100 to '
  '599, error has at most 2000 characters, checked_at is now() when null and never later than the recording, '
  'retry_after is the number of seconds that an HTTP 429 asked for, cause says why a check failed where http_status '
  'does not. A check older than the current one goes into the '
  'history only. Errors: 23502 when org_id, integration_type or status is null, 23503 for an unknown '
  'integration_type, 23514 for a value out of range, 42501 when the caller is not a writer.';

-- Round n holds the n-th check by time of each pair, in byte order of the keys, so that two callers, or a caller and a
-- writer who sorts the same way, cannot deadlock.
CREATE FUNCTION integration_health_private.entry_rounds(checks jsonb)
RETURNS TABLE (
  org_ids uuid[], types text[], statuses @extschema@.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[],
  causes @extschema@.integration_failure_cause[])
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.array_agg(o.org_id), pg_catalog.array_agg(o.integration_type), pg_catalog.array_agg(o.status),
         pg_catalog.array_agg(o.latency_ms), pg_catalog.array_agg(o.http_status), pg_catalog.array_agg(o.error),
         pg_catalog.array_agg(o.retry_after), pg_catalog.array_agg(o.checked_at), pg_catalog.array_agg(o.cause)
    FROM (SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error, e.cause,
                 e.retry_after::integer AS retry_after, COALESCE(e.checked_at, pg_catalog.now()) AS checked_at,
                 pg_catalog.row_number() OVER (PARTITION BY e.org_id, e.integration_type
                                               ORDER BY COALESCE(e.checked_at, pg_catalog.now()), e.place) AS round
            FROM ROWS FROM (pg_catalog.jsonb_to_recordset(entry_rounds.checks) AS (
                   org_id uuid, integration_type text, status @extschema@.integration_health_state, latency_ms integer,
                   http_status integer, error text, retry_after numeric, checked_at timestamptz,
                   cause @extschema@.integration_failure_cause))
                 WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
                                       checked_at, cause, place)
           ORDER BY round, e.org_id, e.integration_type COLLATE pg_catalog."C") AS o
   GROUP BY o.round ORDER BY o.round;
END;
COMMENT ON FUNCTION integration_health_private.entry_rounds(jsonb) IS
  'Returns the entries of an array of checks, as one row for each set that can be recorded in a single statement. '
  'Errors: 22P02, 22003, 22007 or 22008 when a value is not one of its type.';

CREATE FUNCTION integration_health_private.record_round(
  org_ids uuid[], types text[], statuses @extschema@.integration_health_state[], latencies integer[], http_statuses integer[],
  errors text[], retries integer[], times timestamptz[],
  causes @extschema@.integration_failure_cause[])
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  WITH recorded AS (
    INSERT INTO @extschema@.integration_health_status AS s
           (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)
    SELECT * FROM ROWS FROM (
      pg_catalog.unnest(org_ids), pg_catalog.unnest(types), pg_catalog.unnest(statuses), pg_catalog.unnest(latencies),
      pg_catalog.unnest(http_statuses), pg_catalog.unnest(errors), pg_catalog.unnest(retries), pg_catalog.unnest(times),
      pg_catalog.unnest(causes))
    ON CONFLICT (org_id, integration_type) DO UPDATE
       SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
           error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at,
           cause = EXCLUDED.cause
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM recorded;
END;
COMMENT ON FUNCTION integration_health_private.record_round(
  uuid[], text[], @extschema@.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[],
  @extschema@.integration_failure_cause[]) IS
  'Records checks of different pairs with the caller''s rights, and returns how many. Errors: those of '
  'integration_health_status.';

CREATE FUNCTION integration_health_private.record_entries(checks jsonb)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
  recorded integer := 0;
BEGIN
  FOR r IN SELECT * FROM integration_health_private.entry_rounds(checks) LOOP
    recorded := recorded + integration_health_private.record_round(
      r.org_ids, r.types, r.statuses, r.latencies, r.http_statuses, r.errors, r.retries, r.times,
      r.causes);
  END LOOP;
  RETURN recorded;
END
$$;
COMMENT ON FUNCTION integration_health_private.record_entries(jsonb) IS
  'Records the entries of an array with the caller''s rights, and returns how many. Errors: those of the tables and '
  'their types.';

CREATE FUNCTION integration_health_private.clip_values(message text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT "left"(pg_catalog.string_agg(integration_health_private.echo(p.part), '"' ORDER BY p.place), 1000)
    FROM pg_catalog.string_to_table(message, '"') WITH ORDINALITY AS p (part, place);
END;
COMMENT ON FUNCTION integration_health_private.clip_values(text) IS
  'Returns a message of the server with at most 100 characters of anything that it quotes, and 1000 in all.';

CREATE FUNCTION integration_health_private.refuse_entry(place bigint, problem text, detail text, choices text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  message text := format('checks[%s]: %s', place, problem);
  hint text := concat_ws(' ', choices, 'Nothing was recorded. Correct the entry and send all of them again.');
BEGIN
  IF detail <> '' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = message, DETAIL = detail, HINT = hint;
  END IF;
  RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = message, HINT = hint;
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_entry(bigint, text, text, text) IS
  'Refuses the entry at place, counted from 0, and says what is wrong with it; choices, unless it is null, is a '
  'sentence that says what would be right. Errors: 22023, always.';

CREATE FUNCTION integration_health_private.require_known_keys(checks jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  keys constant text[] := '{org_id,integration_type,status,latency_ms,http_status,error,checked_at,retry_after,cause}';
  bad record;
BEGIN
  IF checks IS NULL OR jsonb_typeof(checks) <> 'array' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'checks must be a JSON array of objects';
  END IF;
  -- Otherwise a misspelt key would be ignored silently, and a cast would round retry_after or read it from a string.
  SELECT e.place - 1 AS place, e.entry,
         CASE WHEN jsonb_typeof(e.entry) = 'object'
              THEN (SELECT k FROM jsonb_object_keys(e.entry) AS k WHERE k <> ALL (keys) LIMIT 1)
         END AS key
    INTO bad
    FROM jsonb_array_elements(checks) WITH ORDINALITY AS e (entry, place)
   WHERE CASE WHEN jsonb_typeof(e.entry) <> 'object' THEN true
              WHEN e.entry - keys <> '{}' THEN true
              WHEN COALESCE(e.entry -> 'retry_after', 'null') = 'null' THEN false
              WHEN jsonb_typeof(e.entry -> 'retry_after') <> 'number' THEN true
              ELSE (e.entry ->> 'retry_after')::numeric NOT BETWEEN 0 AND 31536000
                   OR (e.entry ->> 'retry_after')::numeric % 1 <> 0 END
   ORDER BY e.place LIMIT 1;
  IF FOUND THEN
    PERFORM integration_health_private.refuse_entry(
      bad.place,
      CASE WHEN jsonb_typeof(bad.entry) <> 'object' THEN 'the entry is not a JSON object'
           WHEN bad.key IS NOT NULL THEN format('unknown key "%s"', integration_health_private.echo(bad.key))
           ELSE 'retry_after is not a whole number of seconds from 0 to 31536000' END, NULL, NULL);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_known_keys(jsonb) IS
  'Checks the shape of an array of checks. Errors: 22023 when it is not an array, or an entry is not an object, has '
  'an unknown key, or has a retry_after that is not a whole number of seconds from 0 to 31536000.';

CREATE FUNCTION integration_health_private.blame_entry(checks jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  entry jsonb;
  place bigint;
  code text;
  problem text;
  detail text;
BEGIN
  FOR entry, place IN SELECT e.entry, e.place - 1
                        FROM jsonb_array_elements(checks) WITH ORDINALITY AS e (entry, place) ORDER BY e.place LOOP
    PERFORM integration_health_private.record_entries(jsonb_build_array(entry));
  END LOOP;
  -- Rolls all of them back.
  RAISE EXCEPTION USING ERRCODE = 'IH001';
EXCEPTION
  WHEN data_exception OR integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    -- Under this search_path the server qualifies the name of the type.
    problem := regexp_replace(problem, '(enum )\S+\.(integration_)', '\1\2');
    PERFORM integration_health_private.refuse_entry(
      place, integration_health_private.clip_values(problem), integration_health_private.clip_values(detail),
      CASE WHEN code = '23503' THEN
             format('The types are %s.', NULLIF(integration_health_private.echo(integration_health_private.type_names()), ''))
           WHEN code = '22P02' AND strpos(problem, 'integration_health_state') > 0
           THEN 'Use healthy, degraded, unhealthy or unknown.'
           WHEN code = '22P02' AND strpos(problem, 'integration_failure_cause') > 0
           THEN 'Use auth, rate_limited, configuration, server, timeout, dns, connect, tls or other, or leave it out.' END);
  WHEN SQLSTATE 'IH001' THEN
    NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.blame_entry(jsonb) IS
  'Records the entries of an array one by one, and rolls them back. Errors: 22023, naming the first entry that fails, '
  'and what is wrong with it.';

CREATE FUNCTION @extschema@.record_health_checks(checks jsonb)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_known_keys(checks);
  BEGIN
    RETURN integration_health_private.record_entries(checks);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    PERFORM integration_health_private.blame_entry(checks);
    -- Every entry can be recorded alone, but not all of them together.
    RAISE;
  END;
END
$$;
COMMENT ON FUNCTION @extschema@.record_health_checks(jsonb) IS
  'Records an array of objects with the keys org_id, integration_type and status and, optionally, latency_ms, '
  'http_status, error, cause, checked_at (as in record_health_check) and, for http_status 429, retry_after (the whole '
  'seconds that the external system asked for), all or none, and returns how many. Checks of one pair are recorded in '
  'the order of checked_at. Errors: 22023 with the position (from 0) of the first bad entry and what is wrong with '
  'it; 42501 when the caller is not a writer.';
