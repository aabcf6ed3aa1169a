-- ---------------------------------------------------------------------------------------------
-- Partitions: on a big server, the tables of what is kept about pairs are partitioned by a hash of org_id, all of them into
-- the same partitions. These are in this schema, and nobody but their owner has a right on them, since statements name the
-- tables. Each table is created plain, and partitioned before anything refers to it.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.partitions_of(of_table regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.inhrelid::regclass FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = of_table AND c.relispartition
   ORDER BY i.inhrelid;
END;
COMMENT ON FUNCTION integration_health_private.partitions_of(regclass) IS
  'Returns the partitions of a table; none when it is not partitioned.';

CREATE FUNCTION integration_health_private.logical_table(part oid)
RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'logical_table';
COMMENT ON FUNCTION integration_health_private.logical_table(oid) IS
  'Returns the table that statements name when they mean this one: its parent, if it is a partition, or the table that Citus '
  'has distributed, if it is a shard of that, or itself.';

-- @engine shard
CREATE FUNCTION integration_health_private.enter_shard(part oid)
RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'enter_shard';
COMMENT ON FUNCTION integration_health_private.enter_shard(oid) IS
  'From now to the end of the calling function, which must have a SET clause, statements that name the tables of the extension '
  'read and write this shard of Citus and those of the same organisations. Returns false, and does nothing, when the table is '
  'no shard. Errors: 0A000 when such a statement writes or locks integration_types or integration_maintenance.';
-- @end

CREATE FUNCTION integration_health_private.partitions()
RETURNS SETOF regclass
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT c.oid::regclass FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'integration_health_private' AND c.relispartition AND c.relkind = 'r';
END;
COMMENT ON FUNCTION integration_health_private.partitions() IS 'Returns the partitions of all tables.';

CREATE FUNCTION integration_health_private.wanted_partitions()
RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted text := COALESCE(NULLIF(current_setting('integration_health.partitions', true), ''), '0');
BEGIN
  IF wanted !~ '^[0-9]{1,4}$' OR wanted::integer > 1024 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'integration_health.partitions must be between 0 and 1024',
      HINT = 'Choose 32 for some ten million pairs, and 0 for plain tables.';
  END IF;
  RETURN wanted::integer;
END
$$;
COMMENT ON FUNCTION integration_health_private.wanted_partitions() IS
  'Returns the setting integration_health.partitions; 0, for none, when it is not set. Errors: 22023 when it is not a number '
  'from 0 to 1024.';

CREATE FUNCTION integration_health_private.partition_table(created regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  table_name name;
  table_schema name;
  options text;
  keys text[];
  key text;
  partitions integer;
  part text;
BEGIN
  SELECT c.relname, n.nspname, COALESCE('WITH (' || array_to_string(c.reloptions, ', ') || ')', '')
    INTO table_name, table_schema, options
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = created;
  IF table_name = 'integration_health_status' THEN
    partitions := integration_health_private.wanted_partitions();
  ELSE
    SELECT count(*) INTO partitions
      FROM integration_health_private.partitions_of(format('%I.integration_health_status', table_schema)::regclass);
  END IF;
  IF partitions = 0 THEN
    RETURN;
  END IF;

  keys := ARRAY(SELECT format('ADD CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint AS k
                 WHERE k.conrelid = created AND k.contype IN ('p', 'f') ORDER BY k.contype DESC);
  EXECUTE format('ALTER TABLE %s RENAME TO %I', created, table_name || '_plain');
  EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (org_id)',
                 table_schema, table_name, created);
  EXECUTE format('DROP TABLE %s', created);
  FOREACH key IN ARRAY keys LOOP
    EXECUTE format('ALTER TABLE %I.%I %s', table_schema, table_name, key);
  END LOOP;
  FOR remainder IN 0 .. partitions - 1 LOOP
    part := format('integration_health_private.%I', table_name || '_p' || remainder);
    EXECUTE format('CREATE TABLE %s PARTITION OF %I.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                   part, table_schema, table_name, partitions, remainder, options);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('COMMENT ON TABLE %s IS %L', part, 'A partition of ' || table_name || '.');
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.partition_table(regclass) IS
  'Replaces a table that has just been created, and has rows of pairs, by a partitioned one, if integration_health_status is '
  'partitioned, or is the table and is to be. Errors: 22023 as wanted_partitions.';

-- Rows have the same triggers in a partition as in the table, but a statement that names a partition has only that one's.
CREATE FUNCTION integration_health_private.complete_partitions()
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing record;
BEGIN
  FOR missing IN
    SELECT g.oid, g.tgrelid::regclass AS of_table, p AS part
      FROM integration_health_private.objects() AS o (object)
      JOIN pg_trigger AS g ON g.tgrelid = to_regclass(substring(o.object, '^TABLE (.*)'))
     CROSS JOIN integration_health_private.partitions_of(g.tgrelid) AS p
     -- The bits for row level (1) and TRUNCATE (32).
     WHERE g.tgtype & 33 = 0 AND NOT EXISTS (SELECT FROM pg_trigger AS x WHERE x.tgrelid = p AND x.tgname = g.tgname)
  LOOP
    EXECUTE replace(pg_get_triggerdef(missing.oid), format(' ON %s ', missing.of_table), format(' ON %s ', missing.part));
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.complete_partitions() IS
  'Gives partitions the triggers for statements that their tables have.';
