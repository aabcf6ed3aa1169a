-- The functions of one alert or incident, of which the caller does not say whose it is

CREATE FUNCTION @extschema@.replace_by_search(function regprocedure, of_table regclass, key name, of_type text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.replace_by(function, format(
            '%s LANGUAGE plpgsql SECURITY DEFINER AS $f$ '
            'DECLARE owner uuid; BEGIN SELECT t.org_id INTO owner FROM %s AS t WHERE t.%I = $1; '
            'IF owner IS NULL THEN RETURN %s; END IF; '
            'RETURN (SELECT (j #>> ''{}'')::%s FROM @extschema@.write_for_organisation(owner, %s) AS j); END $f$',
            @extschema@.head_of(function), of_table, key, of_type, format_type(p.prorettype, NULL),
            @extschema@.call_of(function)))
     FROM pg_proc AS p WHERE p.oid = function;
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by_search(regprocedure, regclass, name, text) IS
  'Replaces a function whose first argument is the key of a row by one that finds out whose row it is, and calls it on the shard '
  'of that organisation, or evaluates of_type if the row is nobody''s.';

DO $$
BEGIN
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.end_lease(uuid, integer, boolean, text)', '@extschema:integration_health@.integration_alerts',
    'alert_id', '@extschema@.end_type_lease($1, $2, $3, $4)');
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.revive_alert(uuid)', '@extschema:integration_health@.integration_alerts', 'alert_id',
    '@extschema@.revive_type_alert($1)');
  PERFORM @extschema@.replace_by_search(
    'integration_health_private.acknowledge_any(uuid, text)', '@extschema:integration_health@.integration_incidents',
    'incident_id', '@extschema@.acknowledge_type($1, $2)');
END
$$;
