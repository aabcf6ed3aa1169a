-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_cleanup';
COMMENT ON FUNCTION @extschema@.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows, of history with checked_at, and of sync runs with their period and their end, longer ago than retention (a day or more), and returns how many; rows that a writer holds wait for the next run. Errors: 22023 retention is null or shorter than a day, or max_rows is null or below 1.';

CREATE FUNCTION @extschema@.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_mark_stale';
COMMENT ON FUNCTION @extschema@.mark_stale_health(integer) IS
  'Records status unknown for at most max_rows pairs of active types that were not checked for twice their check_interval, and returns how many. Errors: 22023 max_rows is null or below 1.';

CREATE FUNCTION @extschema@.integration_health_compact()
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_compact';
COMMENT ON FUNCTION @extschema@.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one for each type and status, and returns how many rows went. Blocks no writer, changes no count.';

CREATE FUNCTION @extschema@.schedule_integration_health_jobs(
  cleanup_schedule text DEFAULT '17 3 * * *', counts_schedule text DEFAULT '* * * * *',
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL)
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE c VOLATILE ROWS 4 AS 'MODULE_PATHNAME', 'ih_schedule_jobs';
COMMENT ON FUNCTION @extschema@.schedule_integration_health_jobs(text, text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in. warm_up_schedule null: every 30 seconds where pg_cron knows seconds (1.5), else every minute. Errors: 0A000 pg_cron is not in this database, 22023 another schedule is null; pg_cron''s own errors for a schedule it cannot read.';

CREATE FUNCTION @extschema@.unschedule_integration_health_jobs()
RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_unschedule_jobs';
COMMENT ON FUNCTION @extschema@.unschedule_integration_health_jobs() IS
  'Removes the caller''s pg_cron jobs of the extension and returns how many there were. Errors: 0A000 pg_cron is not in this database.';
