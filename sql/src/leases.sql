-- ---------------------------------------------------------------------------------------------
-- Leases of checks: which pairs a monitor process is handed, so that no other gets them until they are due again
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
  'Whether the time that a type asked for has passed at a moment. One that is farther away than any that is ever set '
  'was set while the clock was wrong.';

CREATE FUNCTION integration_health_private.heal_monitors(moment timestamptz, max_rows integer)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_monitors'::regclass]);
  UPDATE @extschema@.integration_monitors m
     SET claimed_at = CASE WHEN m.claimed_at > heal_monitors.moment THEN heal_monitors.moment ELSE m.claimed_at END,
         due_at = @extschema@.integration_monitor_first_due(m.org_id, m.integration_type, t.check_interval, heal_monitors.moment)
    FROM @extschema@.integration_types t
   WHERE t.integration_type = m.integration_type
     AND m.ctid = ANY (ARRAY(
       SELECT d.place FROM @extschema@.integration_types l CROSS JOIN LATERAL (
         SELECT x.ctid AS place FROM @extschema@.integration_monitors x
          WHERE x.integration_type = l.integration_type AND x.enabled
            AND x.due_at > heal_monitors.moment + l.max_backoff + l.max_backoff
          LIMIT heal_monitors.max_rows FOR NO KEY UPDATE SKIP LOCKED) AS d));
END;
COMMENT ON FUNCTION integration_health_private.heal_monitors(timestamptz, integer) IS
  'Says anew when at most max_rows pairs of each type are due that a clock which was ahead has left due where none '
  'can be by the rules. Errors: 55000 as require_own_triggers.';

-- One expression, so that it is inlined. A pair that was handed out before, and has been due for two intervals since,
-- for nobody asked, is spread over the interval after the next: from now on all of them would be due together.
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
  'What claimed_at and due_at of a pair become that is due at a moment and has so many failures in a row: handed '
  'out, or, where its backoff has not ended, claimed_at as it was.';

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
  'Moves at most max_rows pairs of a type on that are due at a moment, by next_lease, and returns what they are now. '
  'Errors: 55000 as store_monitors.';

CREATE FUNCTION integration_health_private.lease_pairs(
  type @extschema@.integration_types, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  -- Pairs that are due and may not be handed out, for they have failed, are passed by: so many at most.
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
  'Hands out at most wanted pairs of a type that are due at a moment, and not those that somebody else is handing '
  'out; pairs in backoff wait until that ends. Errors: 55000 something keeps a pair due that was moved on.';

CREATE FUNCTION integration_health_private.lease_probe(type @extschema@.integration_types, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  -- Nothing is waited for: who has locked the type, or the status of the pair, is about to change them.
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
  -- It waits for the answer twice as long as the last time, and so does the next probe where that is limited again.
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

-- The one whose pair is overdue most comes first: none starves another.
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
  'The types of which a pair may be handed out at a moment; of a passive one it is the probe.';

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
  'lease_probe of a passive type, lease_pairs of an active one. Errors: 55000 as these, or a site has altered the '
  'type.';

-- When all monitors are due the planner would rather read and sort them all; a seqscan's penalty in turn would have
-- the plan compiled.
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
COMMENT ON FUNCTION integration_health_private.lease_checks(integer) IS 'What claim_due_health_checks does.';

CREATE FUNCTION @extschema@.claim_due_health_checks(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT l.org_id, l.integration_type, l.due_at, l.check_interval
    FROM integration_health_private.lease_checks(claim_due_health_checks.max_rows) AS l;
END;
COMMENT ON FUNCTION @extschema@.claim_due_health_checks(integer) IS
  'Hands out at most max_rows pairs of active types that are due, each to one caller, and not again before its '
  'check_interval has passed: due_at is when it is due next, unless its check fails: then it waits check_interval * '
  '2^(failures - 1), at most max_backoff. Of a passive type whose passive_until has passed, one pair is handed out '
  'as a probe: the type is active again when it is checked and was not rate limited. Errors: 22023 max_rows is null '
  'or below 1.';
