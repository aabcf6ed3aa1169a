-- ---------------------------------------------------------------------------------------------
-- Days: latencies of each pair and UTC day, kept longer than the ring keeps the checks
-- ---------------------------------------------------------------------------------------------

-- @since 1.1
CREATE TABLE @extschema@.integration_health_days (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  slot             smallint NOT NULL,
  day              date NOT NULL,
  checks           integer NOT NULL,
  p50_ms           integer,
  p95_ms           integer,
  max_ms           integer,
  PRIMARY KEY (org_id, integration_type, slot),
  CONSTRAINT slot_is_day_mod_90 CHECK (slot = ((day - '2000-01-01'::date) % 90 + 90) % 90),
  CONSTRAINT checks_is_positive CHECK (checks >= 1)
);
SELECT integration_health_private.partition_table('@extschema@.integration_health_days');
ALTER TABLE @extschema@.integration_health_days ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_health_days_read ON @extschema@.integration_health_days
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.days WITH (security_invoker = true) AS
  SELECT d.org_id, d.integration_type, d.slot, d.day, d.checks, d.p50_ms, d.p95_ms, d.max_ms
    FROM @extschema@.integration_health_days d;
-- @end
COMMENT ON TABLE @extschema@.integration_health_days IS
  'Number of checks and their latencies, of each (org_id, integration_type) and UTC day: a ring of 90 days, each written '
  'by the first check of a later day.';
COMMENT ON COLUMN @extschema@.integration_health_days.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_health_days.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_days.slot IS 'Place in the ring: days since 2000-01-01, modulo 90.';
COMMENT ON COLUMN @extschema@.integration_health_days.day IS 'Day in UTC.';
COMMENT ON COLUMN @extschema@.integration_health_days.checks IS
  'Number of checks made on that day, of the last 96 before the day was closed.';
COMMENT ON COLUMN @extschema@.integration_health_days.p50_ms IS
  'Median latency in milliseconds, of the checks that were healthy or degraded; null when none of them had one.';
COMMENT ON COLUMN @extschema@.integration_health_days.p95_ms IS '95th percentile of the same latencies.';
COMMENT ON COLUMN @extschema@.integration_health_days.max_ms IS 'Highest of the same latencies.';
COMMENT ON POLICY integration_health_days_read ON @extschema@.integration_health_days IS
  'Callers see the organisations that their claims name.';
COMMENT ON VIEW integration_health_private.days IS 'integration_health_days, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.day_of_ring(org_id uuid, integration_type text, day date)
RETURNS TABLE (checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
  SELECT pg_catalog.count(*)::integer,
         pg_catalog.percentile_disc(0.5) WITHIN GROUP (ORDER BY h.latency_ms) FILTER (WHERE h.status <= 'degraded'),
         pg_catalog.percentile_disc(0.95) WITHIN GROUP (ORDER BY h.latency_ms) FILTER (WHERE h.status <= 'degraded'),
         pg_catalog.max(h.latency_ms) FILTER (WHERE h.status <= 'degraded')
    FROM @extschema@.integration_health_history h
   WHERE h.org_id = day_of_ring.org_id AND h.integration_type = day_of_ring.integration_type
     AND integration_health_private.utc_day(h.checked_at) = day_of_ring.day;
END;
COMMENT ON FUNCTION integration_health_private.day_of_ring(uuid, text, date) IS
  'Returns what the history tells about a day of a pair. A failed check has no latency that counts: it may be a time-out, '
  'or an error that came fast.';

CREATE FUNCTION integration_health_private.close_day(org_id uuid, integration_type text, at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  this_day date := integration_health_private.utc_day(at);
BEGIN
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_health_days'));
  INSERT INTO integration_health_private.days AS d (org_id, integration_type, slot, day, checks, p50_ms, p95_ms, max_ms)
  SELECT $1, $2, (((this_day - '2000-01-01'::date) % 90) + 90) % 90, this_day, r.checks, r.p50_ms, r.p95_ms, r.max_ms
    FROM integration_health_private.day_of_ring($1, $2, this_day) AS r
   WHERE r.checks > 0
      ON CONFLICT (org_id, integration_type, slot) DO UPDATE
     SET day = EXCLUDED.day, checks = EXCLUDED.checks, p50_ms = EXCLUDED.p50_ms, p95_ms = EXCLUDED.p95_ms,
         max_ms = EXCLUDED.max_ms
   WHERE d.day < EXCLUDED.day;
END
$$;
COMMENT ON FUNCTION integration_health_private.close_day(uuid, text, timestamptz) IS
  'Called by the engine before the first check of a UTC day is in the ring, with the time of the check before: writes the '
  'day of that check, unless it is written already. Errors: 55000 as require_own_triggers.';
