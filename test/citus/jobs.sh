# shellcheck shell=bash
# jobs.sh: what jobs do on every shard, and what is read of all of them.

check 0 'who calls what was put aside runs on shards' record_end -c "SELECT string_agg(DISTINCT f.proname, ' ' ORDER BY f.proname) FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.objid
  JOIN pg_proc AS g ON g.oid = d.refobjid WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass
  AND g.pronamespace = 'integration_health_citus'::regnamespace AND f.pronamespace <> g.pronamespace
  AND g.oid IN (SELECT original FROM integration_health_citus.replaced())"
