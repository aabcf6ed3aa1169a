-- The PL/pgSQL engine: which pairs are checked when.

-- @before ih_monitors_trigger
CREATE FUNCTION integration_health_private.refuse_null_interval()
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '55000',
    MESSAGE = 'column "check_interval" or "max_backoff" of table "integration_types" is null',
    HINT = 'Fill it, and set the column NOT NULL as it was created.';
END
$$;
COMMENT ON FUNCTION integration_health_private.refuse_null_interval() IS
  'Errors: 55000, always: a site has altered integration_types, and nobody can tell when a pair is due.';

CREATE FUNCTION integration_health_private.first_due_of(org_id uuid, integration_type text)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  pair record;
BEGIN
  SELECT t.check_interval, s.checked_at INTO pair
    FROM @extschema@.integration_types AS t
    LEFT JOIN @extschema@.integration_health_status AS s
      ON s.org_id = first_due_of.org_id AND s.integration_type = t.integration_type
   WHERE t.integration_type = first_due_of.integration_type;
  IF FOUND AND pair.check_interval IS NULL THEN
    PERFORM integration_health_private.refuse_null_interval();
  END IF;
  RETURN GREATEST(
    @extschema@.integration_monitor_first_due(org_id, integration_type, COALESCE(pair.check_interval, interval '15 minutes'), moment),
    LEAST(pair.checked_at, moment) + interval '1 microsecond' * integration_health_private.micros(pair.check_interval)
      + CASE WHEN pair.checked_at IS NULL THEN NULL::interval ELSE interval '0' END);
END
$$;
COMMENT ON FUNCTION integration_health_private.first_due_of(uuid, text) IS
  'When a new monitor of a pair is due: within the interval of its type, and not before an interval has passed since the last check that was recorded. Errors: 55000 as refuse_null_interval.';

-- @ih_monitors_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_RELID <> '@extschema@.integration_monitors'::regclass THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('table "%s" does not hold monitors', TG_TABLE_NAME);
  ELSIF TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'ROW' OR TG_OP = 'DELETE' OR TG_NARGS <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = '39P01',
      MESSAGE = 'function "integration_monitors_trigger" was called for an event it does not serve',
      HINT = 'It is attached by CREATE EXTENSION, and by nobody else.';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    -- Nothing was expected while it was disabled. Many may be enabled together: where they have become due meanwhile,
    -- they are spread.
    IF NEW.enabled AND NOT OLD.enabled THEN
      NEW.planned_since := clock_timestamp();
      IF NEW.due_at <= NEW.planned_since THEN
        NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
      END IF;
    END IF;
  ELSIF NEW.org_id IS NULL OR NEW.integration_type IS NULL THEN
    NULL;
  ELSIF NEW.due_at IS NOT NULL THEN
    PERFORM integration_health_private.hold_type(NEW.integration_type);
  ELSE
    NEW.due_at := integration_health_private.first_due_of(NEW.org_id, NEW.integration_type);
  END IF;
  RETURN NEW;
END
$$;

-- @before ih_monitor_first_due
-- Under another key a pair would be due at once, whatever was handed out.
CREATE TRIGGER zz_integration_monitors_key
  BEFORE UPDATE ON @extschema@.integration_monitors
  FOR EACH ROW WHEN ((NEW.org_id, NEW.integration_type) IS DISTINCT FROM (OLD.org_id, OLD.integration_type))
  EXECUTE FUNCTION integration_health_private.refuse_new_key();
COMMENT ON TRIGGER zz_integration_monitors_key ON @extschema@.integration_monitors IS
  'The key of a row never changes.';

CREATE FUNCTION integration_health_private.share_of(length bigint, org_id uuid, integration_type text, seed bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT (pg_catalog.uuid_hash_extended(org_id, pg_catalog.hashtextextended(integration_type COLLATE pg_catalog."C", seed))
          & 9223372036854775807) % (length + 1);
END;
COMMENT ON FUNCTION integration_health_private.share_of(bigint, uuid, text, bigint) IS
  'A part of length, 0 to length: always the same one for a pair and a seed, different ones for different pairs.';

-- @ih_monitor_first_due
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT since + interval '1 microsecond' * integration_health_private.share_of(
           GREATEST(integration_health_private.micros(check_interval) - 1, 0), org_id, integration_type, 0);
END;

-- @ih_monitor_ready_at
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shortest bigint := integration_health_private.micros(check_interval);
  limit_of_wait bigint := integration_health_private.micros(max_backoff);
  wait bigint;
  longest bigint;
BEGIN
  IF org_id IS NULL OR integration_type IS NULL OR shortest IS NULL OR limit_of_wait IS NULL OR failures IS NULL THEN
    RETURN NULL;
  ELSIF claimed_at IS NULL OR NOT isfinite(claimed_at) THEN
    RETURN COALESCE(claimed_at, '-infinity');
  END IF;
  wait := integration_health_private.micros(integration_health_private.backoff(check_interval, max_backoff, failures));
  longest := CASE WHEN wait > limit_of_wait - wait / 10 THEN limit_of_wait ELSE wait + wait / 10 END;
  shortest := GREATEST(longest - wait / 10, shortest);
  RETURN claimed_at + interval '1 microsecond' * (
    shortest + CASE WHEN longest > shortest
                    THEN integration_health_private.share_of(longest - shortest, org_id, integration_type,
                                                             (extract(epoch FROM claimed_at) * 1000000)::bigint)
                    ELSE 0 END);
END
$$;

-- @ih_backoff
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT interval '1 microsecond' * GREATEST(
    integration_health_private.micros(check_interval)::float8,
    LEAST(integration_health_private.micros(check_interval) * pg_catalog.power(2, LEAST(GREATEST(failures - 1, 0), 60)),
          integration_health_private.micros(max_backoff)::float8));
END;

-- @before ih_claim_checks
CREATE FUNCTION integration_health_private.has_waited(passive_until timestamptz, max_backoff interval, moment timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT COALESCE(passive_until, '-infinity') <= moment
      OR pg_catalog.isfinite(passive_until)
         AND passive_until > moment + interval '1 microsecond' * integration_health_private.micros(max_backoff);
END;
COMMENT ON FUNCTION integration_health_private.has_waited(timestamptz, interval, timestamptz) IS
  'Whether the time that a type asked for has passed at a moment. One that is farther away than any that is ever set was set while the clock was wrong.';

CREATE FUNCTION integration_health_private.heal_monitors(moment timestamptz, max_rows integer)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE @extschema@.integration_monitors AS m
     SET claimed_at = LEAST(m.claimed_at, moment),
         due_at = @extschema@.integration_monitor_first_due(m.org_id, m.integration_type, t.check_interval, moment)
    FROM @extschema@.integration_types AS t
   WHERE t.integration_type = m.integration_type
     AND m.ctid = ANY (ARRAY(
       SELECT d.place FROM @extschema@.integration_types AS l CROSS JOIN LATERAL (
         SELECT x.ctid AS place FROM @extschema@.integration_monitors AS x
          WHERE x.integration_type = l.integration_type AND x.enabled
            AND x.due_at > moment + l.max_backoff + l.max_backoff
          LIMIT max_rows FOR NO KEY UPDATE SKIP LOCKED) AS d));
END
$$;
COMMENT ON FUNCTION integration_health_private.heal_monitors(timestamptz, integer) IS
  'Says anew when at most max_rows pairs of each type are due that a clock which was ahead has left due where none can be by the rules.';

CREATE FUNCTION integration_health_private.claim_pairs(of_type text, moment timestamptz, wanted bigint)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  may_pass_by bigint := 16 + 3 * wanted;
  claimed bigint := 0;
  asked_for bigint;
  moved bigint;
  monitor record;
BEGIN
  -- Pairs that are due and may not be handed out, for they have failed, are passed by: so many at most.
  WHILE claimed < wanted AND may_pass_by > 0 LOOP
    asked_for := wanted - claimed;
    moved := 0;
    FOR monitor IN
      UPDATE @extschema@.integration_monitors AS m
         SET (claimed_at, due_at) = (
           -- One that was handed out before, and has been due for two intervals since, for nobody claimed, is spread over
           -- the interval after the next: from now on all of them would be due together.
           SELECT CASE WHEN r.ready_at <= moment THEN moment ELSE m.claimed_at END,
                  CASE WHEN r.ready_at > moment THEN r.ready_at
                       WHEN m.claimed_at < m.due_at AND m.due_at < moment - r.check_interval - r.check_interval
                       THEN @extschema@.integration_monitor_first_due(m.org_id, m.integration_type, r.check_interval, r.next_due_at)
                       ELSE r.next_due_at END
             FROM (SELECT t.check_interval,
                          @extschema@.integration_monitor_ready_at(
                            m.org_id, m.integration_type, moment, t.check_interval, t.max_backoff, 0) AS next_due_at,
                          @extschema@.integration_monitor_ready_at(
                            m.org_id, m.integration_type, CASE WHEN m.claimed_at > moment THEN moment ELSE m.claimed_at END,
                            t.check_interval, t.max_backoff,
                            COALESCE((SELECT s.consecutive_failures FROM @extschema@.integration_health_status AS s
                                       WHERE s.org_id = m.org_id AND s.integration_type = m.integration_type), 0)) AS ready_at
                     FROM @extschema@.integration_types AS t WHERE t.integration_type = m.integration_type OFFSET 0) AS r)
       WHERE m.ctid = ANY (ARRAY(
         SELECT d.ctid FROM @extschema@.integration_monitors AS d
          WHERE d.integration_type = of_type AND d.enabled AND d.due_at <= moment
          ORDER BY d.due_at LIMIT asked_for FOR NO KEY UPDATE SKIP LOCKED))
      RETURNING m.org_id, m.integration_type, m.due_at, m.claimed_at = moment AS is_claimed,
                (SELECT t.check_interval FROM @extschema@.integration_types AS t
                  WHERE t.integration_type = m.integration_type) AS check_interval
    LOOP
      moved := moved + 1;
      IF monitor.due_at IS NULL OR monitor.due_at <= moment THEN
        PERFORM integration_health_private.refuse_intrusion('integration_monitors');
      END IF;
      IF monitor.is_claimed THEN
        claimed := claimed + 1;
        org_id := monitor.org_id;
        integration_type := monitor.integration_type;
        due_at := monitor.due_at;
        check_interval := monitor.check_interval;
        RETURN NEXT;
      ELSE
        may_pass_by := may_pass_by - 1;
      END IF;
    END LOOP;
    EXIT WHEN moved < asked_for;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.claim_pairs(text, timestamptz, bigint) IS
  'Hands out at most wanted pairs of a type that are due at a moment, and not those that another claim holds; pairs in backoff wait until that ends. Errors: 55000 something keeps a pair due that was moved on.';

CREATE FUNCTION integration_health_private.claim_probe(of_type text, moment timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, due_at timestamptz, check_interval interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  type @extschema@.integration_types;
  written bigint;
BEGIN
  -- Nothing is waited for: who has locked the type, or the status of the pair, is about to change them.
  SELECT t.* INTO type FROM @extschema@.integration_types AS t
   WHERE t.integration_type = of_type FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND OR type.monitoring_mode <> 'passive'
     OR NOT integration_health_private.has_waited(type.passive_until, type.max_backoff, moment) THEN
    RETURN;
  END IF;
  SELECT * INTO org_id, integration_type, due_at, check_interval
    FROM integration_health_private.claim_pairs(of_type, moment, 1) AS c;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- It waits for the answer twice as long as the last time, and so does the next probe where that is limited again.
  UPDATE @extschema@.integration_types AS t
     SET probes = t.probes + 1,
         passive_until = moment + integration_health_private.backoff(
           t.check_interval, t.max_backoff, COALESCE(LEAST(t.probes, 1000), 0) + 2)
   WHERE t.integration_type = of_type;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> 1 THEN
    PERFORM integration_health_private.refuse_intrusion('integration_types');
  END IF;
  PERFORM FROM @extschema@.integration_health_status AS s
    WHERE s.org_id = claim_probe.org_id AND s.integration_type = of_type FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE @extschema@.integration_health_status AS s SET is_probe = true
     WHERE s.org_id = claim_probe.org_id AND s.integration_type = of_type;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION integration_health_private.claim_probe(text, timestamptz) IS
  'Hands out one pair of a passive type that has waited long enough, as its probe. Errors: 55000 as claim_pairs, or a trigger or rule of the site keeps the type as it is.';

-- @ih_claim_checks
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  moment timestamptz := clock_timestamp();
  wanted bigint := max_rows;
  claimed bigint;
  due record;
BEGIN
  PERFORM integration_health_private.require_max_rows(max_rows);
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_monitors', '@extschema@.integration_types', '@extschema@.integration_health_status']::regclass[]);
  PERFORM integration_health_private.heal_monitors(moment, max_rows);
  -- The type whose pair is overdue most comes first: none starves another.
  FOR due IN
    SELECT d.integration_type, d.is_passive, d.has_rules FROM (
      SELECT t.integration_type, t.check_interval IS NOT NULL AND t.max_backoff IS NOT NULL AS has_rules,
             t.monitoring_mode = 'passive' AS is_passive,
             (SELECT m.due_at FROM @extschema@.integration_monitors AS m
               WHERE m.integration_type = t.integration_type AND m.enabled AND m.due_at <= moment
               ORDER BY m.due_at LIMIT 1) AS due_at
        FROM @extschema@.integration_types AS t
       WHERE (t.monitoring_mode = 'active' OR t.passive_until IS NOT NULL)
         AND integration_health_private.has_waited(t.passive_until, t.max_backoff, moment)) AS d
     WHERE d.due_at IS NOT NULL ORDER BY d.due_at, d.integration_type
  LOOP
    EXIT WHEN wanted <= 0;
    IF NOT due.has_rules THEN
      PERFORM integration_health_private.refuse_null_interval();
    END IF;
    IF due.is_passive THEN
      RETURN QUERY SELECT * FROM integration_health_private.claim_probe(due.integration_type, moment);
    ELSE
      RETURN QUERY SELECT * FROM integration_health_private.claim_pairs(due.integration_type, moment, wanted);
    END IF;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    wanted := wanted - claimed;
  END LOOP;
END
$$;

-- @ih_resume_monitoring
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_type IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'integration_type must not be null';
  END IF;
  PERFORM FROM @extschema@.integration_types AS t
    WHERE t.integration_type = resume_active_monitoring.integration_type FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('there is no integration type "%s"', integration_health_private.echo(integration_type)),
      HINT = 'The types are the rows of integration_types.';
  END IF;
  RETURN integration_health_private.resume_type(integration_type);
END
$$;
