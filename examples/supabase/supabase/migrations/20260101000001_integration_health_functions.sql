-- The jobs that call the Edge Functions health-monitor and sync-worker, with pg_cron, pg_net and Vault, and those that
-- integration_health needs besides. It comes after the migration of integration_health.
--
-- What the calls need is in Vault, and nowhere else; until it is there, the jobs fail and say so:
--   SELECT vault.create_secret('https://PROJECT.supabase.co', 'project_url');
--   SELECT vault.create_secret('INTEGRATION_HEALTH_SECRET of the functions', 'integration_health_secret');

DO $$
BEGIN
  IF to_regnamespace('integration_health_private') IS NULL THEN
    RAISE EXCEPTION 'the migration of integration_health must come before this one'
      USING HINT = 'examples/supabase/copy-to writes both.';
  END IF;
  CREATE EXTENSION IF NOT EXISTS pg_cron;
  IF to_regnamespace('net') IS NULL THEN
    CREATE EXTENSION pg_net SCHEMA extensions;
  END IF;
END
$$;

-- No schema of the API: whoever may not use it cannot call the functions.
CREATE SCHEMA integration_health_functions;

CREATE FUNCTION integration_health_functions.secret(secret_name text)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  value text := (SELECT s.decrypted_secret FROM vault.decrypted_secrets AS s WHERE s.name = secret_name);
BEGIN
  IF coalesce(value, '') = '' THEN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('Vault has no secret named %s', secret_name),
      HINT = format('SELECT vault.create_secret(''...'', %L);', secret_name);
  END IF;
  RETURN value;
END
$$;
COMMENT ON FUNCTION integration_health_functions.secret(text) IS
  'A secret of Vault. Errors: 55000 there is none of this name.';

CREATE FUNCTION integration_health_functions.call(function_name text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- The function answers before it works; 30 seconds are for one that has to start first.
  RETURN net.http_post(
    url => rtrim(integration_health_functions.secret('project_url'), '/') || '/functions/v1/' || function_name,
    headers => jsonb_build_object(
      'Content-Type', 'application/json',
      'Authorization', 'Bearer ' || integration_health_functions.secret('integration_health_secret')),
    timeout_milliseconds => 30000);
END
$$;
COMMENT ON FUNCTION integration_health_functions.call(text) IS
  'Calls an Edge Function of this project through pg_net, and returns the number of the request; the answer comes to net._http_response. Errors: 55000 as secret().';

REVOKE ALL ON FUNCTION integration_health_functions.secret(text), integration_health_functions.call(text) FROM PUBLIC;

-- The monitor is called each minute; the worker only when there is something for it to do.
SELECT cron.schedule('health-monitor', '* * * * *', $$SELECT integration_health_functions.call('health-monitor')$$);
SELECT cron.schedule('sync-worker', '* * * * *', format(
  $$SELECT integration_health_functions.call('sync-worker') WHERE EXISTS (SELECT FROM %s.get_due_syncs(1))$$,
  integration_health_private.schema_name()));

DO $$
BEGIN
  EXECUTE format('SELECT FROM %s.schedule_integration_health_jobs()', integration_health_private.schema_name());
END
$$;
