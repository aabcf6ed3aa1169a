-- ---------------------------------------------------------------------------------------------
-- Kept samples: figures of the metrics that cannot be read at each scrape in a time that does not grow with the number of
-- pairs. The watch measures them, and each job notes when it was last done.
-- ---------------------------------------------------------------------------------------------

-- Not dumped: the next run of the jobs measures again.
-- @since 1.2
CREATE TABLE integration_health_private.kept_samples (
  metric text COLLATE pg_catalog."C" NOT NULL,
  labels jsonb NOT NULL,
  value  double precision NOT NULL,
  PRIMARY KEY (metric, labels)
) WITH (fillfactor = 50);
ALTER TABLE integration_health_private.kept_samples ENABLE ROW LEVEL SECURITY;
-- @end
COMMENT ON TABLE integration_health_private.kept_samples IS
  'Samples that get_health_metric_samples returns as they are. Written by the jobs of the extension.';
COMMENT ON COLUMN integration_health_private.kept_samples.metric IS 'Name of the metric.';
COMMENT ON COLUMN integration_health_private.kept_samples.labels IS 'Its labels, an object of strings.';
COMMENT ON COLUMN integration_health_private.kept_samples.value IS 'The value when it was last measured.';

-- A job that is run in two sessions at once waits for nobody: one of them notes it. Above READ COMMITTED a row that another
-- run has changed would cause a serialization failure.
CREATE FUNCTION integration_health_private.note_job(job_name text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name CONSTANT text := 'integration_health_job_last_success_timestamp_seconds';
  label CONSTANT jsonb := jsonb_build_object('job_name', job_name);
  moment CONSTANT double precision := extract(epoch FROM clock_timestamp());
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN false;
  END IF;
  PERFORM integration_health_private.require_own_triggers('integration_health_private.kept_samples');
  PERFORM FROM integration_health_private.kept_samples AS k
    WHERE k.metric = name AND k.labels = label FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE integration_health_private.kept_samples AS k SET value = moment WHERE k.metric = name AND k.labels = label;
    RETURN true;
  END IF;
  -- It is locked, or not there yet. An INSERT waits for who has locked the row, or is inserting it in a first run.
  IF EXISTS (SELECT FROM integration_health_private.kept_samples AS k WHERE k.metric = name AND k.labels = label)
     OR NOT pg_try_advisory_xact_lock('integration_health_private.kept_samples'::regclass::oid::bigint) THEN
    RETURN false;
  END IF;
  INSERT INTO integration_health_private.kept_samples AS k (metric, labels, value) VALUES (name, label, moment)
      ON CONFLICT (metric, labels) DO NOTHING;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION integration_health_private.note_job(text) IS
  'Notes that the work of a job is done, if the transaction commits, and returns true; false, and nothing is noted, when '
  'another transaction is doing the same work, or above READ COMMITTED. Errors: 55000 as require_own_triggers.';
