-- What pg_upgrade must carry over: every row of every table, rights, settings, jobs, as text.
-- It runs in the old and in the new server alike.
\set QUIET on
SET timezone = 'UTC';
SELECT 'types ' || t::text FROM ih.integration_types t ORDER BY 1;
SELECT 'status ' || t::text FROM ih.integration_health_status t ORDER BY 1;
SELECT 'history ' || t::text FROM ih.integration_health_history t ORDER BY 1;
SELECT 'counts ' || t::text FROM ih.integration_health_counts t ORDER BY 1;
SELECT 'monitor ' || t::text FROM ih.integration_monitors t ORDER BY 1;
SELECT 'schedule ' || t::text FROM ih.integration_sync_schedules t ORDER BY 1;
SELECT 'run ' || t::text FROM ih.integration_sync_runs t ORDER BY 1;
SELECT format('job %s %s %s %s %s %s', jobid, jobname, schedule, command, username, active) FROM cron.job ORDER BY 1;
SELECT format('extension %s %s', extname, extversion) FROM pg_extension WHERE extname = 'integration_health';
SELECT format('rights %s %s', oid::regclass, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) a))
  FROM pg_class WHERE relnamespace = 'ih'::regnamespace AND relkind = 'r' ORDER BY 1;
SELECT format('column rights %s %s %s', attrelid::regclass, attname, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(attacl) a))
  FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'ih'::regnamespace) ORDER BY 1;
SELECT format('function rights %s %s', oid::regprocedure, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(proacl) a))
  FROM pg_proc WHERE pronamespace = 'ih'::regnamespace ORDER BY 1;
SELECT format('trigger %s %s', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
SELECT format('policy %s %s %s', tablename, policyname, qual) FROM pg_policies WHERE schemaname = 'ih' ORDER BY 1;
