-- Rights: whoever may call a function may call what has taken its place, and the other way round

CREATE FUNCTION @extschema@.replaced()
RETURNS TABLE (original regprocedure, replacement regprocedure)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT o.oid::regprocedure, r.oid::regprocedure
    FROM pg_catalog.pg_proc o
    JOIN pg_catalog.pg_proc r ON r.proname = o.proname AND r.proargtypes = o.proargtypes AND r.oid <> o.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = r.pronamespace
   WHERE o.pronamespace = '@extschema@'::regnamespace
     AND n.nspname IN ('integration_health_private', '@extschema:integration_health@')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = o.oid AND d.deptype = 'e'
                        AND e.extname = 'integration_health_citus');
END;
COMMENT ON FUNCTION @extschema@.replaced() IS
  'Returns the functions that were put aside, and those that have taken their places.';

CREATE FUNCTION @extschema@.copy_rights(from_function regprocedure, to_function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  grantee regrole;
BEGIN
  EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', to_function);
  FOR grantee IN
    SELECT a.grantee::regrole FROM pg_proc AS p, aclexplode(p.proacl) AS a
     WHERE p.oid = from_function AND a.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', to_function, grantee);
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.copy_rights(regprocedure, regprocedure) IS
  'Lets those call to_function who may call from_function, and not everybody.';

CREATE FUNCTION @extschema@.grant_helpers()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  holder record;
BEGIN
  FOR holder IN SELECT h.role, h.is_reader FROM integration_health_private.holders() AS h LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA @extschema@ TO %s', holder.role);
    EXECUTE format(
      'GRANT EXECUTE ON FUNCTION @extschema@.is_on_shard(), @extschema@.shard_of(uuid), @extschema@.on_shard(oid, text, jsonb), '
      '@extschema@.on_shard_of(uuid, text, jsonb), @extschema@.for_organisation(uuid, text, jsonb), '
      'integration_health_private.enter_shard(oid) TO %s', holder.role);
    IF NOT holder.is_reader THEN
      EXECUTE format(
        'GRANT EXECUTE ON FUNCTION @extschema@.write_for_organisation(uuid, text, jsonb), @extschema@.lease_checks(integer), '
        '@extschema@.lease_alerts(integer, interval) TO %s', holder.role);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.grant_helpers() IS
  'Lets readers and writers call what finds the shard of an organisation. What runs there has their rights.';

DO $$
BEGIN
  PERFORM @extschema@.put_aside('@extschema:integration_health@.grant_integration_health(regrole, regrole)');
END
$$;

CREATE FUNCTION @extschema@.grant_on_node(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
  roles text := concat_ws(', ', 'PUBLIC', to_regrole('anon')::text, reader::text, writer::text);
BEGIN
  FOR command IN SELECT format('REVOKE ALL ON FUNCTION %s FROM %s', r.replacement, roles) FROM @extschema@.replaced() AS r LOOP
    EXECUTE command;
  END LOOP;
  PERFORM @extschema@.grant_integration_health(reader, writer);
  FOR command IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s, %s TO %s', f.original, f.replacement, h.role)
      FROM integration_health_private.rights() AS r
      JOIN @extschema@.replaced() AS f
        ON f.replacement = integration_health_private.oid_of(format(r.object, integration_health_private.schema_name()))
      JOIN (VALUES (reader, true), (writer, false)) AS h (role, is_reader)
        ON h.role IS NOT NULL AND CASE WHEN h.is_reader THEN r.reader ELSE r.writer END
  LOOP
    EXECUTE command;
  END LOOP;
  PERFORM @extschema@.grant_helpers();
END
$$;
COMMENT ON FUNCTION @extschema@.grant_on_node(regrole, regrole) IS
  'Does on this node what grant_integration_health does. Errors: as that.';

CREATE FUNCTION @extschema@.grant_on_worker(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET citus.enable_ddl_propagation = off SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @extschema@.grant_on_node(reader, writer);
END
$$;
COMMENT ON FUNCTION @extschema@.grant_on_worker(regrole, regrole) IS
  'Does on a worker what grant_integration_health does, and nothing on other nodes. Errors: as that.';

CREATE FUNCTION @extschema:integration_health@.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  failed text;
BEGIN
  IF NOT pg_catalog.citus_is_coordinator() THEN
    PERFORM @extschema@.grant_on_worker(reader, writer);
    RETURN;
  END IF;
  -- Citus takes grants on tables to the other nodes, but not those on functions of an extension.
  SELECT string_agg(format('%s:%s: %s', n.nodename, n.nodeport, r.result), '; ') INTO failed
    FROM pg_catalog.run_command_on_workers(format('SELECT @extschema@.grant_on_worker(%L, %L)', reader, writer)) AS r
    JOIN pg_catalog.pg_dist_node AS n ON n.nodename = r.nodename AND n.nodeport = r.nodeport
   WHERE NOT r.success;
  IF failed IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'a node did not grant the rights', DETAIL = failed,
      HINT = 'Correct the cause, and call the function again.';
  END IF;
  PERFORM @extschema@.grant_on_node(reader, writer);
END
$$;
COMMENT ON FUNCTION @extschema:integration_health@.grant_integration_health(regrole, regrole) IS
  'Grants the rights of a reader and of a writer, on all nodes when called on the coordinator: see integration_health. To be '
  'called again after citus_add_node. Errors: 42704 when a role does not exist, 42501 when the caller does not own the tables, '
  '55000 when another node reports an error.';

DO $$
DECLARE
  function regprocedure;
BEGIN
  FOR function IN
    SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
      JOIN pg_extension AS e ON e.oid = d.refobjid
     WHERE d.deptype = 'e' AND e.extname = 'integration_health_citus'
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
  END LOOP;
  PERFORM @extschema@.copy_rights(r.original, r.replacement) FROM @extschema@.replaced() AS r;
  PERFORM @extschema@.grant_helpers();
END
$$;
