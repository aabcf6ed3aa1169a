-- The PL/pgSQL engine: record_health_checks, with the caller's own rights. What makes a check valid is said by the
-- tables' constraints alone: all entries are tried at once, and only if that fails one by one, to name the bad one.

-- @before ih_record_health_checks
CREATE FUNCTION integration_health_private.record_entries(checks jsonb)
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  entries record;
  written integer;
  recorded integer := 0;
BEGIN
  -- The n-th check of a pair by time goes in round n, in the order of the keys, as bytes: two callers, or one and a
  -- writer who sorts, cannot deadlock.
  FOR entries IN
    SELECT array_agg(o.org_id) AS org_ids, array_agg(o.integration_type) AS types, array_agg(o.status) AS statuses,
           array_agg(o.latency_ms) AS latencies, array_agg(o.http_status) AS http_statuses, array_agg(o.error) AS errors,
           array_agg(o.retry_after) AS retries, array_agg(o.checked_at) AS times
      FROM (SELECT e.org_id, e.integration_type, e.status, e.latency_ms, e.http_status, e.error,
                   e.retry_after::integer AS retry_after, COALESCE(e.checked_at, now()) AS checked_at,
                   row_number() OVER (PARTITION BY e.org_id, e.integration_type
                                      ORDER BY COALESCE(e.checked_at, now()), e.place) AS round
              FROM ROWS FROM (jsonb_to_recordset(checks) AS (
                     org_id uuid, integration_type text, status @extschema@.integration_health_state, latency_ms integer,
                     http_status integer, error text, retry_after numeric, checked_at timestamptz))
                   WITH ORDINALITY AS e (org_id, integration_type, status, latency_ms, http_status, error, retry_after,
                                         checked_at, place)
             ORDER BY round, e.org_id, e.integration_type COLLATE "C") AS o
     GROUP BY o.round ORDER BY o.round
  LOOP
    INSERT INTO @extschema@.integration_health_status AS s
           (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at)
    SELECT * FROM unnest(entries.org_ids, entries.types, entries.statuses, entries.latencies, entries.http_statuses,
                         entries.errors, entries.retries, entries.times)
    ON CONFLICT (org_id, integration_type) DO UPDATE
       SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, http_status = EXCLUDED.http_status,
           error = EXCLUDED.error, retry_after = EXCLUDED.retry_after, checked_at = EXCLUDED.checked_at;
    GET DIAGNOSTICS written = ROW_COUNT;
    recorded := recorded + written;
  END LOOP;
  RETURN recorded;
END
$$;
COMMENT ON FUNCTION integration_health_private.record_entries(jsonb) IS
  'Records the entries of an array with the caller''s rights, and returns how many. Errors: those of the tables and their types.';

CREATE FUNCTION integration_health_private.clip_values(message text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT "left"(pg_catalog.string_agg(integration_health_private.echo(p.part), '"' ORDER BY p.place), 1000)
    FROM pg_catalog.string_to_table(message, '"') WITH ORDINALITY AS p (part, place);
END;
COMMENT ON FUNCTION integration_health_private.clip_values(text) IS
  'A message of the server''s with no more than 100 characters of anything that it quotes, and 1000 in all.';

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
  'Errors: 22023, always: what is wrong with the entry at place, from 0; choices, where it is not null, is a sentence that says what would be right.';

CREATE FUNCTION integration_health_private.require_known_keys(checks jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  keys constant text[] := '{org_id,integration_type,status,latency_ms,http_status,error,checked_at,retry_after}';
  bad record;
BEGIN
  IF checks IS NULL OR jsonb_typeof(checks) <> 'array' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'checks must be a JSON array of objects';
  END IF;
  -- A misspelt key would be lost in silence; a cast would round a retry_after, or read it from a string.
  SELECT e.place - 1 AS place, e.entry,
         CASE WHEN jsonb_typeof(e.entry) = 'object' THEN (SELECT k FROM jsonb_object_keys(e.entry) AS k WHERE k <> ALL (keys) LIMIT 1)
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
  'Errors: 22023 checks is no array, or an entry is no object, has a key that means nothing, or a retry_after that is no whole number of seconds.';

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
  -- All of them are taken back.
  RAISE EXCEPTION USING ERRCODE = 'IH001';
EXCEPTION
  WHEN data_exception OR integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    -- With our search_path the server qualifies it.
    problem := replace(problem, '@extschema@.integration_health_state', 'integration_health_state');
    PERFORM integration_health_private.refuse_entry(
      place, integration_health_private.clip_values(problem), integration_health_private.clip_values(detail),
      CASE WHEN code = '23503' THEN (
             SELECT format('The types are %s.', integration_health_private.echo(
                      string_agg(t.integration_type, ', ' ORDER BY t.integration_type)))
               FROM @extschema@.integration_types AS t HAVING count(*) > 0)
           WHEN code = '22P02' AND strpos(problem, 'integration_health_state') > 0
           THEN 'Use healthy, degraded, unhealthy or unknown.' END);
  WHEN SQLSTATE 'IH001' THEN
    NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.blame_entry(jsonb) IS
  'Records the entries of an array one by one, and takes them back. Errors: 22023 names the first that fails, and what is wrong with it.';

-- @ih_record_health_checks
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_known_keys(checks);
  BEGIN
    RETURN integration_health_private.record_entries(checks);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    PERFORM integration_health_private.blame_entry(checks);
    -- Together they fail, one by one they do not.
    RAISE;
  END;
END
$$;
