-- ---------------------------------------------------------------------------------------------
-- Leases of checks: hands each due pair to one monitor, and to no other until the pair is due again
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.has_waited(
  passive_until timestamptz, max_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT COALESCE(passive_until, '-infinity') <= moment
      OR pg_catalog.isfinite(passive_until)
         AND passive_until > moment + interval '1 microsecond' * integration_health_private.micros(max_backoff);
END;
COMMENT ON FUNCTION integration_health_private.has_waited(timestamptz, interval, timestamptz) IS
  'Returns whether the time for which a type asked to be left alone is over at moment. A time further ahead than '
  'max_backoff was set while the clock was wrong, and counts as over.';

CREATE FUNCTION integration_health_private.heal_monitors(moment timestamptz, max_rows integer)
RETURNS void
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_monitors'::regclass]);
  WITH ahead AS MATERIALIZED (
    SELECT d.org_id, t.integration_type, t.check_interval
      FROM @extschema@.integration_types t
     CROSS JOIN LATERAL (
           SELECT x.org_id FROM @extschema@.integration_monitors x
            WHERE x.integration_type = t.integration_type AND x.enabled
              AND x.due_at > heal_monitors.moment + t.max_backoff + t.max_backoff
            LIMIT heal_monitors.max_rows FOR NO KEY UPDATE SKIP LOCKED) AS d
  )
  UPDATE @extschema@.integration_monitors m
     SET claimed_at = CASE WHEN m.claimed_at > heal_monitors.moment THEN heal_monitors.moment ELSE m.claimed_at END,
         due_at = @extschema@.integration_monitor_first_due(m.org_id, m.integration_type, a.check_interval, heal_monitors.moment)
    FROM ahead a
   WHERE m.org_id = a.org_id AND m.integration_type = a.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.heal_monitors(timestamptz, integer) IS
  'Computes due_at again for at most max_rows pairs of each type that are due more than twice max_backoff after '
  'moment: only a clock that was ahead can have set that. Errors: 55000 as require_own_triggers.';

-- A single expression, so that it is inlined. A pair that was handed out before, and has since been due for more than
-- two intervals because nobody asked for work, is spread over the interval after the next: otherwise all such pairs
-- would stay due together from now on.
CREATE FUNCTION integration_health_private.next_lease(
  org_id uuid, integration_type text, claimed_at timestamptz, due_at timestamptz, failures integer, check_interval interval,
  max_backoff interval, moment timestamptz)
RETURNS TABLE (new_claimed_at timestamptz, new_due_at timestamptz)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT CASE WHEN r.ready_at <= moment THEN moment ELSE claimed_at END,
         CASE WHEN r.ready_at > moment THEN r.ready_at
              WHEN claimed_at < due_at AND due_at < moment - check_interval - check_interval
              THEN @extschema@.integration_monitor_first_due(org_id, integration_type, check_interval, r.next_due_at)
              ELSE r.next_due_at END
    FROM (SELECT @extschema@.integration_monitor_ready_at(
                   org_id, integration_type, CASE WHEN claimed_at > moment THEN moment ELSE claimed_at END,
                   check_interval, max_backoff, failures) AS ready_at,
                 @extschema@.integration_monitor_ready_at(
                   org_id, integration_type, moment, check_interval, max_backoff, 0) AS next_due_at) AS r;
END;
COMMENT ON FUNCTION integration_health_private.next_lease(
  uuid, text, timestamptz, timestamptz, integer, interval, interval, timestamptz) IS
  'Returns the new claimed_at and due_at of a pair that is due at moment and has that many failures in a row: handed '
  'out or, where its backoff has not ended, with claimed_at unchanged.';

CREATE FUNCTION integration_health_private.move_due_monitors(
  of_type text, check_interval interval, max_backoff interval, moment timestamptz, max_rows bigint)
RETURNS TABLE (org_id uuid, claimed_at timestamptz, due_at timestamptz)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT s.org_id, s.claimed_at, s.due_at FROM (
      SELECT pg_catalog.array_agg(m.org_id) AS org_ids, pg_catalog.array_agg(n.new_claimed_at) AS claimed_at,
             pg_catalog.array_agg(n.new_due_at) AS due_at
        FROM integration_health_private.lock_due_monitors(
               move_due_monitors.of_type, move_due_monitors.moment, move_due_monitors.max_rows) m
        LEFT JOIN @extschema@.integration_health_status h ON h.org_id = m.org_id AND h.integration_type = m.integration_type
       CROSS JOIN LATERAL integration_health_private.next_lease(
               m.org_id, m.integration_type, m.claimed_at, m.due_at, COALESCE(h.consecutive_failures, 0),
               move_due_monitors.check_interval, move_due_monitors.max_backoff, move_due_monitors.moment) n) d
   CROSS JOIN LATERAL integration_health_private.store_monitors(
           move_due_monitors.of_type, d.org_ids, d.claimed_at, d.due_at) s;
END;
COMMENT ON FUNCTION integration_health_private.move_due_monitors(text, interval, interval, timestamptz, bigint) IS
  'Applies next_lease to at most max_rows pairs of a type that are due at moment, and returns the rows as stored. '
  'Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.lease_pairs(
  type @extschema@.integration_types, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  -- How many pairs the claim may pass over that are due but still in backoff.
  may_pass_by bigint := 16 + 3 * wanted;
  leased bigint := 0;
  asked_for bigint;
  moved bigint;
  monitor record;
BEGIN
  WHILE leased < wanted AND may_pass_by > 0 LOOP
    asked_for := wanted - leased;
    moved := 0;
    FOR monitor IN SELECT m.* FROM integration_health_private.move_due_monitors(
      type.integration_type, type.check_interval, type.max_backoff, moment, asked_for) AS m
    LOOP
      moved := moved + 1;
      IF monitor.due_at IS NULL OR monitor.due_at <= moment THEN
        PERFORM integration_health_private.refuse_intrusion('integration_monitors');
      END IF;
      IF monitor.claimed_at = moment THEN
        leased := leased + 1;
        org_id := monitor.org_id;
        integration_type := type.integration_type;
        due_at := monitor.due_at;
        check_interval := type.check_interval;
        RETURN NEXT;
      ELSE
        may_pass_by := may_pass_by - 1;
      END IF;
    END LOOP;
    EXIT WHEN moved < asked_for;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_pairs(@extschema@.integration_types, timestamptz, bigint) IS
  'Hands out at most wanted pairs of a type that are due at moment, and skips those that somebody else is handing '
  'out; pairs in backoff wait until that ends. Errors: 55000 when something on the table keeps a pair due that was '
  'moved on.';

CREATE FUNCTION integration_health_private.lease_probe(type @extschema@.integration_types, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  -- Waits for no lock: whoever has locked the type, or the status of the pair, is about to change it.
  type := integration_health_private.lock_type(type.integration_type, true);
  IF type.integration_type IS NULL OR type.monitoring_mode <> 'passive'
     OR NOT integration_health_private.has_waited(type.passive_until, type.max_backoff, moment) THEN
    RETURN;
  END IF;
  SELECT * INTO org_id, integration_type, due_at, check_interval
    FROM integration_health_private.lease_pairs(type, moment, 1) AS c;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- The next probe waits twice as long as this one did, whether this one is not answered or is rate limited again.
  type.passive_until := moment + integration_health_private.backoff(
    type.check_interval, type.max_backoff, COALESCE(LEAST(type.probes, 1000), 0) + 2);
  type.probes := type.probes + 1;
  PERFORM integration_health_private.store_type(type);
  PERFORM integration_health_private.mark_probe(org_id, type.integration_type);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_probe(@extschema@.integration_types, timestamptz) IS
  'Hands out one pair of a passive type that has waited long enough, as its probe. Errors: 55000 as lease_pairs and '
  'store_type.';

-- The type whose pair is longest overdue comes first, so that no type starves another.
CREATE FUNCTION integration_health_private.due_types(moment timestamptz)
RETURNS SETOF text
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT d.integration_type FROM @extschema@.integration_types d
   CROSS JOIN LATERAL (SELECT (
           SELECT m.due_at FROM @extschema@.integration_monitors m
            WHERE m.integration_type = d.integration_type AND m.enabled AND m.due_at <= due_types.moment
            ORDER BY m.due_at LIMIT 1) OFFSET 0) AS o (due_at)
   WHERE (d.monitoring_mode = 'active' OR d.passive_until IS NOT NULL)
     AND integration_health_private.has_waited(d.passive_until, d.max_backoff, due_types.moment)
     AND o.due_at IS NOT NULL
   ORDER BY o.due_at, d.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.due_types(timestamptz) IS
  'Returns the types of which a pair may be handed out at moment; for a passive type, that pair is its probe.';

CREATE FUNCTION integration_health_private.lease_of_type(
  type @extschema@.integration_types, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF type.check_interval IS NULL OR type.max_backoff IS NULL THEN
    PERFORM integration_health_private.refuse_null_interval();
  ELSIF type.monitoring_mode = 'passive' THEN
    RETURN QUERY SELECT * FROM integration_health_private.lease_probe(type, moment);
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.lease_pairs(type, moment, wanted);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_of_type(@extschema@.integration_types, timestamptz, bigint) IS
  'Calls lease_probe for a passive type, lease_pairs for an active one. Errors: 55000 as these, or as '
  'refuse_null_interval.';

-- When all monitors are due, the planner would rather read and sort them all, so sequential scans are off. The penalty
-- for those would in turn trigger JIT compilation, so that is off, too.
CREATE FUNCTION integration_health_private.lease_checks(max_rows integer)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  wanted bigint := max_rows;
  leased bigint;
  of_type text;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.heal_monitors(moment, max_rows);
  FOR of_type IN SELECT t FROM integration_health_private.due_types(moment) AS t LOOP
    EXIT WHEN wanted <= 0;
    RETURN QUERY SELECT * FROM integration_health_private.lease_of_type(
      integration_health_private.latest_type(of_type), moment, wanted);
    GET DIAGNOSTICS leased = ROW_COUNT;
    wanted := wanted - leased;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.lease_checks(integer) IS 'Does the work of claim_due_health_checks.';

CREATE FUNCTION @extschema@.claim_due_health_checks(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT l.org_id, l.integration_type, l.due_at, l.check_interval
    FROM integration_health_private.lease_checks(claim_due_health_checks.max_rows) AS l;
END;
COMMENT ON FUNCTION @extschema@.claim_due_health_checks(integer) IS
  'Hands out at most max_rows due pairs of active types, each to one caller, and not again before its check_interval '
  'has passed. due_at is when the pair is due next, unless its check fails: then it waits check_interval * '
  '2^(failures - 1), at most max_backoff. Of a passive type whose passive_until has passed, one pair is handed out as '
  'a probe; the type becomes active again when that pair is checked and was not rate limited. Errors: 22023 when '
  'max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';
