-- The PL/pgSQL engine: the folding of the counts.

-- @ih_compact
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_counts'::regclass]);
  -- Only sums with more than one row are folded, and rows that another fold holds are left to it.
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
