-- Kept samples: a reference table, so that each node can answer for the metrics. No shard writes it.

CREATE FUNCTION integration_health_private.note_job(job_name text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN false;
  END IF;
  INSERT INTO integration_health_private.kept_samples AS k (metric, labels, value)
  VALUES ('integration_health_job_last_success_timestamp_seconds', jsonb_build_object('job_name', job_name),
          extract(epoch FROM clock_timestamp()))
      ON CONFLICT (metric, labels) DO UPDATE SET value = EXCLUDED.value;
  RETURN true;
END
$$;
COMMENT ON FUNCTION integration_health_private.note_job(text) IS
  'Notes that the work of a job is done, if the transaction commits, and returns true; false, and nothing is noted, above READ '
  'COMMITTED. Another transaction that notes a job waits.';
