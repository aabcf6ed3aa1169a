-- Functions in the place of others: those move to this schema, where they work on a shard

CREATE FUNCTION @extschema@.put_aside(function regprocedure)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SET SCHEMA @extschema@', function);
END
$$;
COMMENT ON FUNCTION @extschema@.put_aside(regprocedure) IS 'Moves a function to this schema.';

CREATE FUNCTION @extschema@.replace_by(function regprocedure, definition text)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := function::text;
BEGIN
  PERFORM @extschema@.put_aside(function);
  EXECUTE definition;
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, obj_description(function, 'pg_proc'));
END
$$;
COMMENT ON FUNCTION @extschema@.replace_by(regprocedure, text) IS
  'Moves a function to this schema, and puts one in its place, with the same comment, that the definition creates.';

CREATE FUNCTION @extschema@.head_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.format('CREATE FUNCTION %s.%I(%s) RETURNS %s %s SET search_path = pg_catalog, pg_temp',
           p.pronamespace::regnamespace, p.proname, pg_catalog.pg_get_function_arguments(p.oid),
           pg_catalog.pg_get_function_result(p.oid), CASE p.provolatile WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END)
    FROM pg_catalog.pg_proc p WHERE p.oid = function;
END;
COMMENT ON FUNCTION @extschema@.head_of(regprocedure) IS
  'Returns the beginning of the definition of a function with the name, arguments, result and volatility of this one.';

CREATE FUNCTION @extschema@.columns_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.name, pg_catalog.format_type(a.type, NULL)), ', ' ORDER BY a.place)
    FROM pg_catalog.pg_proc p
   CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.proallargtypes), pg_catalog.unnest(p.proargmodes),
                                 pg_catalog.unnest(p.proargnames)) WITH ORDINALITY AS a (type, mode, name, place)
   WHERE p.oid = function AND a.mode IN ('t', 'o');
END;
COMMENT ON FUNCTION @extschema@.columns_of(regprocedure) IS
  'Returns the columns of the rows that a function returns, as a column definition list; null when it returns a type.';

-- The query has its arguments from the members "0", "1", ... of the object $1.
CREATE FUNCTION @extschema@.call_of(function regprocedure)
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.format('%L, jsonb_build_object(%s)',
           pg_catalog.format('SELECT to_jsonb(f) FROM @extschema@.%I(%s) AS f', p.proname, pg_catalog.string_agg(
             pg_catalog.format('($1 ->> %L)::%s', i - 1, pg_catalog.format_type(p.proargtypes[i - 1], NULL)), ', ' ORDER BY i)
             FILTER (WHERE i IS NOT NULL)),
           pg_catalog.string_agg(pg_catalog.format('%L, $%s', i - 1, i), ', ' ORDER BY i) FILTER (WHERE i IS NOT NULL))
    FROM pg_catalog.pg_proc p LEFT JOIN LATERAL pg_catalog.generate_series(1, p.pronargs) AS i ON true
   WHERE p.oid = function GROUP BY p.oid;
END;
COMMENT ON FUNCTION @extschema@.call_of(regprocedure) IS
  'Returns the arguments with which for_organisation and others call a function, moved to this schema, as the body of one with '
  'the same arguments writes them: the query, whose rows are JSON, and its args.';

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
     AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = o.oid AND d.deptype = 'e'
                        AND e.extname = 'integration_health_citus');
END;
COMMENT ON FUNCTION @extschema@.replaced() IS
  'Returns the functions that were put aside, and those that have taken their places.';
