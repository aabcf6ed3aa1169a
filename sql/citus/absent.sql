-- What is not there yet

CREATE FUNCTION @extschema@.refuse(what text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format('%s is not available on Citus yet', what),
    HINT = 'docs/citus.md lists what is.';
END
$$;
COMMENT ON FUNCTION @extschema@.refuse(text) IS 'Raises 0A000.';

CREATE FUNCTION integration_health_private.keep_samples()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_samples() IS 'Keeps nothing, since nothing can read it: see read_samples.';

CREATE FUNCTION integration_health_private.read_samples()
RETURNS TABLE (metric text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.refuse('get_health_metrics');
END
$$;
COMMENT ON FUNCTION integration_health_private.read_samples() IS 'Raises 0A000: the metrics of the shards are not merged yet.';

CREATE FUNCTION integration_health_private.global_uptime(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.refuse('get_global_uptime');
END
$$;
COMMENT ON FUNCTION integration_health_private.global_uptime(timestamptz, timestamptz) IS
  'Raises 0A000: the uptime of the shards is not merged yet.';
