-- ---------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------

-- The only list of the rights that the extension grants. A reader gets SELECT on the columns that a table has when it
-- is granted, not on the table: ctid and xmin would reveal other organisations' rows. A writer needs UPDATE on the keys
-- for an upsert that sets them. Nobody gets REFERENCES, which reveals rows behind row-level security, or TRIGGER, which
-- runs code with the rights of others.
CREATE FUNCTION integration_health_private.rights()
RETURNS TABLE (reader boolean, writer boolean, privileges text, object text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES
  -- what authenticated reads
  (true, false, 'SELECT', 'TABLE %1$s.integration_types'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_status'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_history'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_transitions'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_health_days'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_incidents'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_maintenance'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_monitors'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_schedules'),
  (true, false, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (true, false, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  -- what service_role reads and writes
  (false, true, 'SELECT, INSERT, UPDATE, DELETE', 'TABLE %1$s.integration_types'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_health_status'),
  (false, true, 'INSERT (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, '
                'cause), '
                'UPDATE (org_id, integration_type, status, latency_ms, http_status, error, retry_after, checked_at, cause)',
   'TABLE %1$s.integration_health_status'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_history'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_transitions'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_days'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_incidents'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_maintenance'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_alerts'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_health_counts'),
  (false, true, 'SELECT', 'TABLE %1$s.integration_sync_runs'),
  (false, true, 'SELECT', 'TABLE integration_health_private.sync_plans'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_monitors'),
  (false, true, 'INSERT (org_id, integration_type, enabled, credential_expires_at), '
                'UPDATE (org_id, integration_type, enabled, credential_expires_at)',
   'TABLE %1$s.integration_monitors'),
  (false, true, 'SELECT, DELETE', 'TABLE %1$s.integration_sync_schedules'),
  (false, true, 'INSERT (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff), '
                'UPDATE (org_id, integration_type, every, anchor, time_zone, enabled, warm_up_url, max_attempts, retry_backoff)',
   'TABLE %1$s.integration_sync_schedules'),
-- @engine rights
-- @end
  -- what both call
  (true, true, 'USAGE', 'SCHEMA integration_health_private'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.require_claims()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.window_start(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.readable_since(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_health_status(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_trend(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.usable_time_zone(uuid, text, interval, timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.missed_syncs(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.sync_drift(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.missed_syncs_of(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.cold_starts(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.backoff(interval, interval, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.stale_at(timestamptz, integer, '
                          '%1$s.integration_monitoring_mode, interval, interval, timestamptz, boolean, timestamptz, '
                          'timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.days_start(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.readable_since_days(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.maintenance_of(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.planned_time(uuid, text, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.percentage(numeric, numeric)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.seconds(tstzmultirange)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.status_spans(uuid, text, tstzmultirange)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.incident_times(timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_uptime(uuid, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.require_time_zone(text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.uptime_days(uuid, text, integer, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.utc_day(timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.day_of_ring(uuid, text, date)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.latency_days(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_incidents(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_overview(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.org_syncs(uuid, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_org_ids()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_can_read(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_uncounted(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_health_status(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_trend(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_summary()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_health_problems(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.add_maintenance_as_admin(uuid, text, timestamptz, '
                          'timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.cut_maintenance_as_admin(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.acknowledge_own(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.revive_alert_as_admin(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.alert_backlog_for_admin(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_uptime(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_uptime_days(uuid, text, integer, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_uptime(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_latency_days(uuid, text, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_incidents(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_overview(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_org_syncs(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_incidents(integer, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.acknowledge_incident(uuid, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.set_maintenance(uuid, text, timestamptz, timestamptz, text)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.end_maintenance(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_maintenance(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_maintenance(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_alert_backlog(integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.retry_alert(uuid)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_is_late(interval)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_key(uuid, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_periods(interval, timestamptz, text, timestamptz, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_last_period(interval, timestamptz, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_next_period(interval, timestamptz, text, timestamptz)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_sync_drift(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_missed_syncs(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_cold_starts(uuid, integer)'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_global_sync_summary(integer)'),
  -- what service_role calls
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.micros(interval)'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.utc_text(timestamptz)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.send_event(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.echo(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.entry_rounds(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.type_names()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.record_round(uuid[], text[], '
                           '%1$s.integration_health_state[], integer[], integer[], text[], integer[], timestamptz[], '
                           '%1$s.integration_failure_cause[])'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.record_entries(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.require_known_keys(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.refuse_entry(bigint, text, text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.clip_values(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.blame_entry(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.take_warm_ups(timestamptz, timestamptz)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.has_http_post()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_checks(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.resume_monitoring(text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_run(uuid, text, timestamptz, boolean, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.finish_run(uuid, text, timestamptz, integer, '
                           '%1$s.integration_sync_outcome, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.record_health_check(uuid, text, %1$s.integration_health_state, '
                           'integer, integer, text, timestamptz, integer, %1$s.integration_failure_cause)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.record_health_checks(jsonb)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_cleanup(interval, integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.mark_stale_health(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_compact()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.cut_maintenance(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.acknowledge_any(uuid, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.lease_alerts(integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.end_lease(uuid, integer, boolean, text)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.revive_alert(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.alert_backlog_for_writer(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_alerts(integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.finish_alert(uuid, integer, boolean, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_health_watch(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_watch()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_cleanup()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_counts()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_stale()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.run_warm_up()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.cleanup_job()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.has_cron()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.health_jobs()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_jobs_for_admin()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION integration_health_private.health_samples()'),
  (true, true, 'EXECUTE', 'FUNCTION integration_health_private.health_samples_for_admin()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_metric_samples()'),
  (true, true, 'EXECUTE', 'FUNCTION %1$s.get_health_metrics()'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.forget_organisation(uuid)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.schedule_integration_health_jobs(text, text, text, text, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.unschedule_integration_health_jobs()'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.set_monitor(uuid, text, boolean)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_due_health_checks(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.resume_active_monitoring(text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_every_is_valid(interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.integration_sync_time_zone_is_valid(text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.set_sync_schedule(uuid, text, interval, timestamptz, text, boolean, text, '
                           'integer, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.get_due_syncs(integer)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.claim_sync_run(uuid, text, timestamptz, boolean, interval)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.finish_sync_run(uuid, text, timestamptz, integer, '
                           '%1$s.integration_sync_outcome, text)'),
  (false, true, 'EXECUTE', 'FUNCTION %1$s.dispatch_sync_warm_ups(interval)');
END;
COMMENT ON FUNCTION integration_health_private.rights() IS
  'Returns the rights that grant_integration_health grants: whether to the reader, whether to the writer, the '
  'privileges, and the object as GRANT names it, with %1$s for the schema of the extension.';

CREATE FUNCTION integration_health_private.schema_name()
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT c.relnamespace::pg_catalog.regnamespace::text FROM pg_catalog.pg_class c
   WHERE c.oid = '@extschema@.integration_types'::pg_catalog.regclass;
END;
COMMENT ON FUNCTION integration_health_private.schema_name() IS
  'Returns the schema of what applications call and read, quoted as SQL requires.';

-- @engine objects
CREATE FUNCTION integration_health_private.objects()
RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.format('%s %s', CASE o.type WHEN 'view' THEN 'TABLE' ELSE pg_catalog.upper(o.type) END, o.identity)
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
     AND d.refobjid = e.oid AND d.deptype = 'e'
   CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS o
   WHERE e.extname = 'integration_health' AND o.type IN ('schema', 'table', 'view', 'sequence', 'function')
   ORDER BY d.classid, d.objid;
END;
COMMENT ON FUNCTION integration_health_private.objects() IS
  'Returns the schema, tables, views and functions of the extension, as GRANT names them.';
-- @end

CREATE FUNCTION integration_health_private.oid_of(object text)
RETURNS oid
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT CASE pg_catalog.split_part(object, ' ', 1)
           WHEN 'TABLE' THEN pg_catalog.to_regclass(pg_catalog.substr(object, 7))::oid
           WHEN 'SCHEMA' THEN pg_catalog.to_regnamespace(pg_catalog.substr(object, 8))::oid
           WHEN 'FUNCTION' THEN pg_catalog.to_regprocedure(pg_catalog.substr(object, 10))::oid END;
END;
COMMENT ON FUNCTION integration_health_private.oid_of(text) IS
  'Returns the OID of a schema, table or function as GRANT names it; null when there is none.';

CREATE FUNCTION integration_health_private.parts()
RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.oid_of(o.object)::text FROM integration_health_private.objects() AS o (object)
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', a.attrelid, a.attname)
    FROM integration_health_private.objects() AS o (object)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = integration_health_private.oid_of(o.object)
   WHERE o.object ~ '^TABLE ' AND a.attnum > 0 AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION integration_health_private.parts() IS
  'Returns what rights can be granted on: the OIDs of the objects of the extension, and for each column of a table its '
  'OID and name.';

CREATE FUNCTION integration_health_private.grant_rights(grantee regrole, to_reader boolean, known text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  unknown text[] := ARRAY(SELECT integration_health_private.parts() EXCEPT SELECT unnest(known));
  command text;
BEGIN
  FOR command IN
    SELECT format('GRANT %s ON %s TO %s',
             CASE WHEN to_reader AND r.privileges = 'SELECT' THEN (
               SELECT format('SELECT (%s)', string_agg(quote_ident(substring(u, ' (.*)')), ', '))
                 FROM unnest(unknown) AS u WHERE u ^@ (i.object || ' '))
             ELSE r.privileges END, o.object, grantee)
      FROM integration_health_private.rights() AS r
     CROSS JOIN format(r.object, integration_health_private.schema_name()) AS o (object)
     CROSS JOIN LATERAL (SELECT integration_health_private.oid_of(o.object)::text) AS i (object)
     WHERE CASE WHEN to_reader THEN r.reader ELSE r.writer END
       AND EXISTS (SELECT FROM unnest(unknown) AS u WHERE split_part(u, ' ', 1) = i.object)
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.grant_rights(regrole, boolean, text[]) IS
  'Grants a role the rights of the reader, or of the writer, on all parts of the extension but those that are known: '
  'its rights on them stay as they are.';

-- Default privileges may give other roles (on Supabase: postgres) all rights on new tables. A trigger of such a role
-- would run with the owner's rights, and no other role may write what the extension maintains by itself.
CREATE FUNCTION integration_health_private.close_tables(objects oid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('REVOKE %s ON TABLE %s FROM %s', a.privilege_type, c.oid::regclass,
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid = ANY (objects) AND c.relkind IN ('r', 'p', 'v') AND a.grantee <> c.relowner
       AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE')
            OR a.privilege_type <> 'SELECT'
               AND (c.relname IN ('integration_health_history', 'integration_health_transitions', 'integration_health_days',
                                 'integration_health_counts', 'integration_incidents', 'integration_maintenance',
                                 'integration_alerts', 'integration_sync_runs')
                    OR c.relnamespace = 'integration_health_private'::regnamespace))
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION integration_health_private.close_tables(oid[]) IS
  'Leaves TRIGGER, REFERENCES and TRUNCATE on some of the tables to their owner, and with them all rights to write what '
  'the extension maintains by itself.';

-- By functions that no update has dropped: one that is created again is nobody's until holders() has told whose it is.
CREATE FUNCTION integration_health_private.holders()
RETURNS TABLE (role regrole, is_reader boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT a.grantee::pg_catalog.regrole, pg_catalog.bool_and(w.is_reader)
    FROM (VALUES ('FUNCTION %s.get_org_health_status(uuid)', true), ('FUNCTION %s.record_health_checks(jsonb)', false))
           AS w (object, is_reader)
    JOIN pg_catalog.pg_proc p
      ON p.oid = integration_health_private.oid_of(pg_catalog.format(w.object, integration_health_private.schema_name()))
   CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS a
   WHERE a.grantee <> p.proowner AND a.grantee <> 0
   GROUP BY a.grantee;
END;
COMMENT ON FUNCTION integration_health_private.holders() IS
  'Returns the readers and the writers: who may call get_global_health_summary, and record_health_checks.';

CREATE FUNCTION @extschema@.grant_integration_health(reader regrole, writer regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing oid;
  foreign_table text;
  revokes text[];
  roles text;
  command text;
BEGIN
  SELECT r INTO missing FROM pg_catalog.unnest(ARRAY[reader, writer]::oid[]) AS r
   WHERE r IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS a WHERE a.oid = r) LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = pg_catalog.format('role with OID %s does not exist', missing),
      HINT = 'Give the name of a role, or NULL for none.';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_roles AS a WHERE a.oid = writer AND NOT a.rolbypassrls AND NOT a.rolsuper) THEN
    RAISE WARNING USING ERRCODE = '55000',
      MESSAGE = pg_catalog.format('role %s is subject to row-level security and will not be able to record checks', writer),
      HINT = pg_catalog.format('ALTER ROLE %s BYPASSRLS, or make a policy for it.', writer);
  END IF;

  IF NOT pg_catalog.has_schema_privilege('integration_health_private', 'USAGE') THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'must be owner of table integration_types';
  END IF;
  SELECT c.relname INTO foreign_table
    FROM integration_health_private.objects() AS o (object)
    JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(pg_catalog.substring(o.object, '^TABLE (.*)'))
   WHERE NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
   ORDER BY c.oid LIMIT 1;
  IF foreign_table IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = pg_catalog.format('must be owner of table %s', foreign_table);
  END IF;

  roles := pg_catalog.concat_ws(', ', 'PUBLIC', pg_catalog.to_regrole('anon')::text, reader::text, writer::text);
  SELECT pg_catalog.array_agg(pg_catalog.format('REVOKE ALL ON %s FROM %s', o.object, roles)) INTO revokes
    FROM integration_health_private.objects() AS o (object);
  FOREACH command IN ARRAY revokes LOOP
    EXECUTE command;
  END LOOP;
  IF reader IS NOT NULL THEN
    PERFORM integration_health_private.grant_rights(reader, true, '{}');
  END IF;
  IF writer IS NOT NULL THEN
    PERFORM integration_health_private.grant_rights(writer, false, '{}');
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.grant_integration_health(regrole, regrole) IS
  'Revokes all rights on the extension''s tables and functions from PUBLIC, anon, reader and writer, then grants '
  'reader what authenticated has on Supabase, and writer what service_role has. A reader may SELECT the columns that '
  'the tables have now: call the function again after adding one. Either role may be null. For the owner of the '
  'extension. Warns when the writer lacks BYPASSRLS, because row-level security will keep it from recording. Errors: '
  '42704 when a role does not exist, 42501 when the caller does not own the extension''s tables.';

-- What a scraper needs of the rights of the writer.
CREATE FUNCTION @extschema@.grant_integration_health_metrics(scraper regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  PERFORM integration_health_private.require_arguments('{scraper}', ARRAY[scraper IS NULL]);
  IF NOT EXISTS (SELECT FROM pg_roles AS a WHERE a.oid = scraper) THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('role with OID %s does not exist', scraper::oid),
      HINT = 'Give the name of a role.';
  END IF;
  FOR command IN
    SELECT format('GRANT %s ON %s TO %s', r.privileges, format(r.object, integration_health_private.schema_name()), scraper)
      FROM integration_health_private.rights() AS r
     WHERE r.writer AND r.object IN (
             'SCHEMA integration_health_private', 'FUNCTION integration_health_private.health_samples()',
             'FUNCTION %1$s.get_health_metric_samples()', 'FUNCTION %1$s.get_health_metrics()')
  LOOP
    EXECUTE command;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.grant_integration_health_metrics(regrole) IS
  'Lets a role call get_health_metrics and get_health_metric_samples, and nothing else of the extension: for a monitoring '
  'system. REVOKE, or DROP OWNED BY, takes it back. For the owner of the extension. Errors: 22023 when scraper is null, 42704 '
  'when the role does not exist, 42501 when the caller does not own the functions.';

CREATE FUNCTION integration_health_private.grant_new_rights(known text[], readers regrole[], writers regrole[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  added oid[] := ARRAY(SELECT p FROM integration_health_private.parts() AS p WHERE p !~ ' ' EXCEPT SELECT unnest(known));
  roles text;
  added_object text;
  holder regrole;
BEGIN
  SELECT concat_ws(', ', 'PUBLIC', to_regrole('anon')::text, string_agg(h::text, ', ')) INTO roles
    FROM unnest(readers || writers) AS h;
  FOR added_object IN
    SELECT o.object FROM integration_health_private.objects() AS o (object)
     WHERE integration_health_private.oid_of(o.object) = ANY (added)
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', added_object, roles);
  END LOOP;
  FOREACH holder IN ARRAY readers LOOP
    PERFORM integration_health_private.grant_rights(holder, true, known);
  END LOOP;
  FOREACH holder IN ARRAY writers LOOP
    PERFORM integration_health_private.grant_rights(holder, false, known);
  END LOOP;
  PERFORM integration_health_private.close_tables(added);
END
$$;
COMMENT ON FUNCTION integration_health_private.grant_new_rights(text[], regrole[], regrole[]) IS
  'Ends an update: gives readers and writers their rights on what it has added. known are the parts, readers and writers '
  'the roles, of before it, since it may have replaced the functions that tell the roles.';

SELECT integration_health_private.complete_partitions();

SELECT @extschema@.grant_integration_health(
  pg_catalog.to_regrole('authenticated'), pg_catalog.to_regrole('service_role'));

SELECT integration_health_private.close_tables(ARRAY(
  SELECT integration_health_private.oid_of(o.object) FROM integration_health_private.objects() AS o (object)));
