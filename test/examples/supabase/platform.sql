-- What a hosted project has and this server has not: pg_net and Vault, as their signatures and rights are documented. The
-- table stands for the queue from which pg_net's worker makes the calls. And a role like postgres there: no superuser.
CREATE ROLE project_owner LOGIN BYPASSRLS;
SELECT format('GRANT CREATE ON DATABASE %I TO project_owner', current_database()) \gexec
GRANT ALL ON SCHEMA public TO project_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE project_owner IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE project_owner IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE project_owner IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;

CREATE EXTENSION pg_cron;
GRANT USAGE ON SCHEMA cron TO project_owner;

CREATE SCHEMA net;
CREATE TABLE net.http_request_queue (
  id bigint GENERATED ALWAYS AS IDENTITY, url text NOT NULL, headers jsonb, body text, timeout_milliseconds int NOT NULL);
CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}',
  headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds int DEFAULT 5000)
RETURNS bigint LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO net.http_request_queue (url, headers, body, timeout_milliseconds)
  VALUES (url, headers, body::text, timeout_milliseconds) RETURNING id;
END;
GRANT USAGE ON SCHEMA net TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA net TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA net TO PUBLIC;

CREATE SCHEMA vault;
CREATE TABLE vault.secrets (name text UNIQUE, secret text NOT NULL);
CREATE VIEW vault.decrypted_secrets AS SELECT name, secret AS decrypted_secret FROM vault.secrets;
CREATE FUNCTION vault.create_secret(new_secret text, new_name text DEFAULT NULL)
RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
  INSERT INTO vault.secrets VALUES (new_name, new_secret);
END;
REVOKE ALL ON FUNCTION vault.create_secret FROM PUBLIC;
GRANT USAGE ON SCHEMA vault TO project_owner;
GRANT SELECT, DELETE ON vault.secrets, vault.decrypted_secrets TO project_owner;
GRANT EXECUTE ON FUNCTION vault.create_secret TO project_owner;
