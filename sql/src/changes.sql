-- ---------------------------------------------------------------------------------------------
-- What follows from checks. The engine calls follow_checks for the few checks from which something follows, as many at once
-- as it can, and count_change when a pair is deleted.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.append_count(
  integration_type text, status @extschema@.integration_health_state, delta bigint)
RETURNS @extschema@.integration_health_counts
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'append_count';
COMMENT ON FUNCTION integration_health_private.append_count(text, @extschema@.integration_health_state, bigint) IS
  'Adds delta to the number of pairs of a type that have a status, and returns the appended row. Errors: 55000 as '
  'require_own_triggers, or when a rule or trigger of the site kept the row from being written.';

CREATE FUNCTION integration_health_private.fold_counts()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_counts'::regclass]);
  -- Only sums with more than one row are folded. Rows that another fold has locked are left to it.
  WITH crowded AS MATERIALIZED (
    SELECT c.integration_type, c.status FROM @extschema@.integration_health_counts c
     GROUP BY c.integration_type, c.status HAVING pg_catalog.count(*) > 1
  ), gone AS (
    DELETE FROM @extschema@.integration_health_counts d
     WHERE d.ctid = ANY (ARRAY(
       SELECT c.ctid FROM @extschema@.integration_health_counts c
         JOIN crowded k ON c.integration_type = k.integration_type AND c.status = k.status
          FOR UPDATE OF c SKIP LOCKED))
    RETURNING d.integration_type, d.status, d.delta
  ), kept AS (
    INSERT INTO @extschema@.integration_health_counts (integration_type, status, delta)
    SELECT g.integration_type, g.status, pg_catalog.sum(g.delta)::bigint FROM gone g
     GROUP BY g.integration_type, g.status HAVING pg_catalog.sum(g.delta) <> 0
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.fold_counts() IS
  'Does the work of integration_health_compact. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION @extschema@.integration_health_compact()
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.note_job('integration_health_counts');
  SELECT integration_health_private.fold_counts();
END;
COMMENT ON FUNCTION @extschema@.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one per type and status, and returns how many rows it replaced. '
  'Blocks no writer, and changes no count. Errors: 55000 when somebody else has a trigger or rule on the table.';

CREATE FUNCTION integration_health_private.count_pairs(
  integration_type text, was @extschema@.integration_health_state, is_now @extschema@.integration_health_state, pairs bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, was, -pairs);
  END IF;
  IF is_now IS NOT NULL THEN
    PERFORM integration_health_private.append_count(integration_type, is_now, pairs);
  END IF;
  -- Keeps the table small where no job runs. Not above READ COMMITTED, where a row that another fold has deleted would
  -- cause a serialization failure.
  IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
    PERFORM integration_health_private.fold_counts();
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.count_pairs(
  text, @extschema@.integration_health_state, @extschema@.integration_health_state, bigint) IS
  'Counts pairs that changed from one status to another; was is null for new pairs, is_now for deleted ones. Folds the '
  'counts once in a thousand calls. Errors: 55000 when a trigger or rule of the site is in the way.';

CREATE FUNCTION integration_health_private.count_change(
  integration_type text, was @extschema@.integration_health_state, is_now @extschema@.integration_health_state)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.count_pairs($1, $2, $3, 1);
END
$$;
COMMENT ON FUNCTION integration_health_private.count_change(
  text, @extschema@.integration_health_state, @extschema@.integration_health_state) IS
  'Calls count_pairs for a single pair. Errors: as count_pairs.';

CREATE FUNCTION integration_health_private.send_change(event text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  sent integer;
BEGIN
  -- Events take memory: after 10000 of them, a transaction sends one overflow event instead of the rest.
  sent := COALESCE(NULLIF(current_setting('integration_health_private.changes_sent', true), ''), '0')::integer;
  IF sent < 10000 THEN
    PERFORM integration_health_private.send_event(event);
  ELSIF sent = 10000 THEN
    PERFORM integration_health_private.send_event('{"event": "overflow"}');
  ELSE
    RETURN;
  END IF;
  PERFORM set_config('integration_health_private.changes_sent', (sent + 1)::text, true);
END
$$;
COMMENT ON FUNCTION integration_health_private.send_change(text) IS
  'Sends an event of which a transaction may have very many.';

CREATE FUNCTION integration_health_private.send_transitions(
  org_ids uuid[], integration_types text[], was @extschema@.integration_health_state[],
  is_now @extschema@.integration_health_state[], checked_at timestamptz[], check_nos bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.send_change(format(
            '{"event": "status", "org_id": "%s", "integration_type": %s, "from": %s, "to": "%s", "checked_at": "%s", '
            '"check_no": %s}',
            c.org_id, to_json(c.integration_type), COALESCE(to_json(c.was)::text, 'null'), c.is_now,
            integration_health_private.utc_text(c.checked_at), c.check_no))
     FROM unnest($1, $2, $3, $4, $5, $6) AS c (org_id, integration_type, was, is_now, checked_at, check_no)
    WHERE c.was IS DISTINCT FROM c.is_now;
END
$$;
COMMENT ON FUNCTION integration_health_private.send_transitions(
  uuid[], text[], @extschema@.integration_health_state[], @extschema@.integration_health_state[], timestamptz[], bigint[]) IS
  'Sends the events of the transitions among these checks.';

-- @from 1.1
DROP FUNCTION integration_health_private.move_monitor(@extschema@.integration_monitors, @extschema@.integration_types, integer);
-- @end
CREATE FUNCTION integration_health_private.move_monitors(org_ids uuid[], integration_types text[], failures integer[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Does not wait for a claim that has locked a monitor: it is handing the pair out, or has read the failures itself.
  PERFORM integration_health_private.store_monitors(
            n.integration_type, array_agg(n.org_id), array_agg(n.claimed_at),
            array_agg(CASE WHEN n.failures > 0 THEN GREATEST(n.due_at, n.ready_at) ELSE LEAST(n.due_at, n.ready_at) END))
     FROM (SELECT (l.monitor).org_id, (l.monitor).integration_type, (l.monitor).claimed_at, (l.monitor).due_at, l.failures,
                  integration_health_private.ready_at(
                    (l.monitor).org_id, (l.monitor).integration_type, LEAST((l.monitor).claimed_at, clock_timestamp()),
                    (l.type).check_interval, (l.type).max_backoff, l.failures) AS ready_at
             FROM (SELECT integration_health_private.lock_monitor(c.org_id, c.integration_type) AS monitor,
                          integration_health_private.latest_type(c.integration_type) AS type, c.failures
                     FROM unnest($1, $2, $3) AS c (org_id, integration_type, failures) OFFSET 0) AS l
            WHERE (l.monitor).claimed_at IS NOT NULL OFFSET 0) AS n
    GROUP BY n.integration_type;
END
$$;
COMMENT ON FUNCTION integration_health_private.move_monitors(uuid[], text[], integer[]) IS
  'Sets due_at of the monitors of different pairs after checks that left the pairs with that many failures in a row. Errors: '
  '55000 as store_monitors.';

CREATE FUNCTION integration_health_private.forget_changes(org_id uuid, integration_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    integration_health_private.relation('integration_health_transitions'),
    integration_health_private.relation('integration_health_days'),
    integration_health_private.relation('integration_incidents'),
    integration_health_private.relation('integration_alerts'));
  DELETE FROM integration_health_private.transitions AS t WHERE t.org_id = $1 AND t.integration_type = $2;
  DELETE FROM integration_health_private.days AS d WHERE d.org_id = $1 AND d.integration_type = $2;
  DELETE FROM integration_health_private.incidents AS i WHERE i.org_id = $1 AND i.integration_type = $2;
  DELETE FROM integration_health_private.alerts AS a WHERE a.org_id = $1 AND a.integration_type = $2;
END
$$;
COMMENT ON FUNCTION integration_health_private.forget_changes(uuid, text) IS
  'Deletes the transitions, days, incidents and alerts of a pair. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.follow_checks(
  org_ids uuid[], integration_types text[], was @extschema@.integration_health_state[],
  is_now @extschema@.integration_health_state[], failures_before integer[], failures integer[], checked_at timestamptz[],
  check_nos bigint[], http_statuses integer[], causes @extschema@.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET enable_seqscan = off SET jit = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF was IS DISTINCT FROM is_now THEN
    PERFORM integration_health_private.append_transitions($1, $2, $8, $7, $3, $4, $10);
    PERFORM integration_health_private.count_pairs(c.integration_type, c.was, c.is_now, count(*))
       FROM unnest($2, $3, $4) AS c (integration_type, was, is_now)
      WHERE c.was IS DISTINCT FROM c.is_now
      GROUP BY c.integration_type, c.was, c.is_now;
    PERFORM integration_health_private.send_transitions($1, $2, $3, $4, $7, $8);
  END IF;

  IF failures <> failures_before THEN
    PERFORM integration_health_private.follow_failures(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.failures), array_agg(c.checked_at),
              array_agg(c.cause))
       FROM unnest($1, $2, $5, $6, $7, $10) AS c (org_id, integration_type, failures_before, failures, checked_at, cause)
      WHERE c.failures > c.failures_before
     HAVING count(*) > 0;
    PERFORM integration_health_private.follow_recoveries(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.checked_at))
       FROM unnest($1, $2, $5, $6, $7) AS c (org_id, integration_type, failures_before, failures, checked_at)
      WHERE c.failures < c.failures_before
     HAVING count(*) > 0;
    -- After one failure a pair waits no longer than after none; after a second one it does.
    PERFORM integration_health_private.move_monitors(
              array_agg(c.org_id), array_agg(c.integration_type), array_agg(c.failures))
       FROM unnest($1, $2, $3, $5, $6) AS c (org_id, integration_type, was, failures_before, failures)
      WHERE c.was IS NOT NULL AND c.failures_before <> c.failures AND (c.failures_before > 1 OR c.failures > 1)
     HAVING count(*) > 0;
  END IF;

  IF array_position(was, NULL) IS NOT NULL THEN
    -- Not left to commit, as it is for later checks, because a deferred trigger would have to fire for every new row.
    PERFORM integration_health_private.end_passive_mode(
              integration_health_private.latest_type(f.integration_type), f.org_ids, false)
       FROM (SELECT c.integration_type, array_agg(c.org_id) AS org_ids
               FROM unnest($1, $2, $3, $9) AS c (org_id, integration_type, was, http_status)
              WHERE c.was IS NULL AND c.http_status IS DISTINCT FROM 429
              GROUP BY c.integration_type) AS f;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_checks(
  uuid[], text[], @extschema@.integration_health_state[], @extschema@.integration_health_state[], integer[], integer[],
  timestamptz[], bigint[], integer[], @extschema@.integration_failure_cause[]) IS
  'Called by the engine after checks of different pairs that are the first of their pair, or changed the status or the number '
  'of failures in a row: appends the transitions, counts and reports them, opens and resolves incidents, moves monitors, and '
  'ends the passive mode of a type if the first check of a pair answers its probe. An element of was is null for the first '
  'check of a pair. Errors: 55000 when a trigger or rule of the site is in the way.';

-- What a session calls that loaded the library of version 1.0 before the extension was updated, however far.
CREATE FUNCTION integration_health_private.follow_change(
  org_id uuid, integration_type text, was @extschema@.integration_health_state, is_now @extschema@.integration_health_state,
  failures_before integer, failures integer, checked_at timestamptz, check_no bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.follow_checks(
    ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6], ARRAY[$7], ARRAY[$8], '{NULL}', '{NULL}');
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_change(
  uuid, text, @extschema@.integration_health_state, @extschema@.integration_health_state, integer, integer,
  timestamptz, bigint) IS
  'Calls follow_checks for the engine of version 1.0, which knows neither days nor causes. Errors: as follow_checks.';

CREATE FUNCTION integration_health_private.follow_first_check(
  org_id uuid, integration_type text, status @extschema@.integration_health_state, http_status integer, checked_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.follow_checks(
    ARRAY[$1], ARRAY[$2], '{NULL}', ARRAY[$3], '{0}', ARRAY[CASE $3::text WHEN 'unhealthy' THEN 1 ELSE 0 END], ARRAY[$5],
    '{1}', ARRAY[$4], '{NULL}');
END
$$;
COMMENT ON FUNCTION integration_health_private.follow_first_check(
  uuid, text, @extschema@.integration_health_state, integer, timestamptz) IS
  'Calls follow_checks for the engine of version 1.0, after the first check of a pair. Errors: as follow_checks.';
