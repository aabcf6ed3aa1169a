-- The contract of section 2 of the design in PL/pgSQL, the obvious slow way: rows are appended to
-- the history and the oldest deleted, the counts are made anew after every statement. It is what
-- the extension is compared with (test/t/008_differential.pl), and shares no code with it.
CREATE SCHEMA reference;
SET search_path = reference;

CREATE TYPE integration_health_state AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
CREATE TYPE integration_failure_cause AS ENUM (
  'auth', 'rate_limited', 'configuration', 'server', 'timeout', 'dns', 'connect', 'tls', 'other');
CREATE TYPE integration_monitoring_mode AS ENUM ('active', 'passive');

CREATE TABLE integration_types (
  integration_type text COLLATE "C" PRIMARY KEY CHECK (integration_type ~ '^[a-z][a-z0-9_]{0,62}$'),
  display_name     text NOT NULL CHECK (display_name <> ''),
  check_interval   interval NOT NULL DEFAULT '15 minutes' CHECK (check_interval >= '15 minutes'),
  max_backoff      interval NOT NULL DEFAULT '24 hours' CHECK (max_backoff >= check_interval),
  monitoring_mode  integration_monitoring_mode NOT NULL DEFAULT 'active',
  passive_since    timestamptz,
  passive_reason   text,
  passive_until    timestamptz,
  planned_since    timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now()
);
INSERT INTO integration_types (integration_type, display_name)
VALUES ('xledger', 'Xledger'), ('dynamics', 'Microsoft Dynamics 365');

CREATE TABLE integration_health_status (
  org_id               uuid NOT NULL,
  integration_type     text COLLATE "C" NOT NULL REFERENCES integration_types,
  status               integration_health_state NOT NULL,
  latency_ms           integer CHECK (latency_ms >= 0),
  http_status          integer CHECK (http_status BETWEEN 100 AND 599),
  error                text CHECK (length(error) <= 2000),
  retry_after          integer CHECK (retry_after BETWEEN 0 AND 31536000),
  checked_at           timestamptz NOT NULL DEFAULT now() CHECK (isfinite(checked_at)),
  status_since         timestamptz NOT NULL,
  last_healthy_at      timestamptz,
  consecutive_failures integer NOT NULL CHECK (consecutive_failures >= 0),
  check_no             bigint NOT NULL CHECK (check_no >= 1),
  recorded_at          timestamptz NOT NULL,
  cause                integration_failure_cause,
  PRIMARY KEY (org_id, integration_type)
);

CREATE TABLE integration_health_history (
  org_id           uuid NOT NULL,
  integration_type text COLLATE "C" NOT NULL,
  slot             smallint NOT NULL,
  check_no         bigint NOT NULL,
  status           integration_health_state NOT NULL,
  latency_ms       integer CHECK (latency_ms >= 0),
  http_status      integer CHECK (http_status BETWEEN 100 AND 599),
  error            text CHECK (length(error) <= 2000),
  checked_at       timestamptz NOT NULL CHECK (isfinite(checked_at)),
  cause            integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, check_no)
);

CREATE TABLE integration_health_transitions (
  org_id           uuid NOT NULL,
  integration_type text COLLATE "C" NOT NULL,
  check_no         bigint NOT NULL,
  at               timestamptz NOT NULL,
  from_status      integration_health_state,
  to_status        integration_health_state NOT NULL,
  cause            integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, check_no)
);

CREATE TABLE integration_incidents (
  org_id           uuid NOT NULL,
  integration_type text COLLATE "C" NOT NULL,
  cause            integration_failure_cause,
  started_at       timestamptz NOT NULL,
  confirmed_at     timestamptz NOT NULL,
  resolved_at      timestamptz,
  failures         integer NOT NULL
);

-- When the failures in a row of a pair began. Outlives the pair, as what is put back goes on.
CREATE TABLE failing_since (org_id uuid, integration_type text, at timestamptz, PRIMARY KEY (org_id, integration_type));

CREATE TABLE integration_health_counts (
  integration_type text COLLATE "C" NOT NULL,
  status           integration_health_state NOT NULL,
  delta            bigint NOT NULL
);

-- Types that a current check of the transaction found rate limited, with the time that it was asked to
-- wait; they go passive when it commits.
CREATE TABLE rate_limits (integration_type text, until timestamptz);

CREATE FUNCTION switch_to_passive() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wait timestamptz;
BEGIN
  SELECT CASE WHEN NEW.until IS NOT NULL THEN LEAST(NEW.until, clock_timestamp() + t.max_backoff) END INTO wait
    FROM integration_types t WHERE t.integration_type = NEW.integration_type;
  UPDATE integration_types t
     SET monitoring_mode = 'passive', passive_since = clock_timestamp(), passive_reason = 'HTTP 429',
         passive_until = GREATEST(CASE WHEN t.passive_until > clock_timestamp() THEN t.passive_until END,
                                  COALESCE(wait, clock_timestamp() + t.check_interval))
   WHERE t.integration_type = NEW.integration_type AND t.monitoring_mode = 'active';
  UPDATE integration_types t SET passive_until = GREATEST(t.passive_until, wait)
   WHERE t.integration_type = NEW.integration_type;
  DELETE FROM rate_limits r WHERE r.integration_type = NEW.integration_type;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER a AFTER INSERT ON rate_limits DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION switch_to_passive();

CREATE FUNCTION note_rate_limit(s integration_health_status) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO rate_limits SELECT s.integration_type, s.checked_at + s.retry_after * interval '1 second' WHERE s.http_status = 429;
END;

-- Restored rows between their BEFORE and their AFTER trigger.
CREATE TABLE restored (org_id uuid, integration_type text, recorded_at timestamptz);

CREATE FUNCTION copy_check(s integration_health_status, check_no bigint, checked_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO integration_health_history
  VALUES (s.org_id, s.integration_type, copy_check.check_no % 96, copy_check.check_no, s.status,
          s.latency_ms, s.http_status, s.error, copy_check.checked_at, s.cause);
  DELETE FROM integration_health_history h
   WHERE h.org_id = s.org_id AND h.integration_type = s.integration_type
     AND h.check_no <= copy_check.check_no - 96;
END $$;

CREATE FUNCTION known_cause(s integration_health_status) RETURNS integration_failure_cause LANGUAGE sql
  RETURN CASE WHEN s.status = 'healthy' THEN NULL
              WHEN s.cause IS NOT NULL THEN s.cause
              WHEN s.http_status IN (401, 403, 407) THEN 'auth'
              WHEN s.http_status = 429 THEN 'rate_limited'
              WHEN s.http_status / 100 = 4 THEN 'configuration'
              WHEN s.http_status / 100 = 5 THEN 'server' END::integration_failure_cause;

-- Two failures in a row make an incident, or one with a wrong credential.
CREATE FUNCTION note_incident(s integration_health_status) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF s.status = 'unhealthy' THEN
    IF s.consecutive_failures = 1 THEN
      INSERT INTO failing_since VALUES (s.org_id, s.integration_type, s.checked_at)
        ON CONFLICT (org_id, integration_type) DO UPDATE SET at = EXCLUDED.at;
    END IF;
    UPDATE integration_incidents i SET failures = failures + 1, cause = COALESCE(i.cause, s.cause)
     WHERE i.org_id = s.org_id AND i.integration_type = s.integration_type AND i.resolved_at IS NULL;
    IF NOT FOUND AND (s.consecutive_failures >= 2 OR s.cause = 'auth') THEN
      INSERT INTO integration_incidents
      SELECT s.org_id, s.integration_type, s.cause, COALESCE((
               SELECT f.at FROM failing_since f WHERE f.org_id = s.org_id AND f.integration_type = s.integration_type),
             s.checked_at), s.checked_at, NULL, s.consecutive_failures;
    END IF;
  ELSIF s.status IN ('healthy', 'degraded') THEN
    UPDATE integration_incidents i SET resolved_at = s.checked_at
     WHERE i.org_id = s.org_id AND i.integration_type = s.integration_type AND i.resolved_at IS NULL;
  END IF;
END $$;

-- A check is never later than its recording.
CREATE FUNCTION made_at(checked_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE
  RETURN CASE WHEN isfinite(checked_at) THEN LEAST(checked_at, clock_timestamp()) ELSE checked_at END;

CREATE FUNCTION before_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.check_no IS NULL) <> (NEW.recorded_at IS NULL) THEN
    RAISE 'one of the pair' USING ERRCODE = '22023';
  END IF;
  IF NEW.check_no IS NOT NULL THEN
    INSERT INTO restored VALUES (NEW.org_id, NEW.integration_type, NEW.recorded_at);
    RETURN NEW;
  END IF;
  IF NEW.status IS NULL OR NEW.checked_at IS NULL THEN
    RAISE 'null' USING ERRCODE = '23502';
  END IF;
  NEW.checked_at := made_at(NEW.checked_at);
  NEW.status_since := NEW.checked_at;
  NEW.last_healthy_at := CASE WHEN NEW.status = 'healthy' THEN NEW.checked_at END;
  NEW.consecutive_failures := (NEW.status = 'unhealthy')::integer;
  NEW.check_no := 1;
  NEW.cause := known_cause(NEW);
  NEW.recorded_at := clock_timestamp();
  RETURN NEW;
END $$;

CREATE FUNCTION after_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM restored r
   WHERE r.org_id = NEW.org_id AND r.integration_type = NEW.integration_type
     AND r.recorded_at = NEW.recorded_at;
  IF NOT FOUND THEN
    PERFORM copy_check(NEW, 1, NEW.checked_at);
    INSERT INTO integration_health_transitions VALUES (NEW.org_id, NEW.integration_type, 1, NEW.checked_at, NULL, NEW.status, NEW.cause);
    PERFORM note_incident(NEW);
    PERFORM note_rate_limit(NEW);
  END IF;
  RETURN NULL;
END $$;

-- Fires for updates that name the column of its argument only: the next function cannot see which do.
CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('reference.sets', concat(current_setting('reference.sets', true), ' ', TG_ARGV[0]), true);
  RETURN NEW;
END $$;

CREATE FUNCTION before_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  set_columns text[] := string_to_array(ltrim(current_setting('reference.sets', true)), ' ');
BEGIN
  PERFORM set_config('reference.sets', '', true);
  set_columns := COALESCE(set_columns, '{}');
  IF NEW.org_id <> OLD.org_id OR NEW.integration_type <> OLD.integration_type THEN
    RAISE 'key' USING ERRCODE = '22023';
  END IF;
  IF set_columns = '{}' THEN
    RETURN OLD;
  END IF;
  IF NOT 'latency_ms' = ANY (set_columns) THEN NEW.latency_ms := NULL; END IF;
  IF NOT 'http_status' = ANY (set_columns) THEN NEW.http_status := NULL; END IF;
  IF NOT 'error' = ANY (set_columns) THEN NEW.error := NULL; END IF;
  IF NOT 'retry_after' = ANY (set_columns) THEN NEW.retry_after := NULL; END IF;
  IF NOT 'cause' = ANY (set_columns) THEN NEW.cause := NULL; END IF;
  IF NOT 'checked_at' = ANY (set_columns) THEN NEW.checked_at := now(); END IF;
  IF NEW.status IS NULL OR NEW.checked_at IS NULL THEN
    RAISE 'null' USING ERRCODE = '23502';
  END IF;
  NEW.checked_at := made_at(NEW.checked_at);
  NEW.cause := known_cause(NEW);
  PERFORM copy_check(NEW, OLD.check_no + 1, NEW.checked_at);

  IF NEW.checked_at < OLD.checked_at THEN
    NEW := OLD;
  ELSE
    IF (NEW.http_status, NEW.checked_at, NEW.retry_after) IS DISTINCT FROM (OLD.http_status, OLD.checked_at, OLD.retry_after) THEN
      PERFORM note_rate_limit(NEW);
    END IF;
    IF NEW.status <> OLD.status THEN
      INSERT INTO integration_health_transitions
      VALUES (NEW.org_id, NEW.integration_type, OLD.check_no + 1, NEW.checked_at, OLD.status, NEW.status, NEW.cause);
    END IF;
    NEW.status_since := CASE WHEN NEW.status = OLD.status THEN OLD.status_since ELSE NEW.checked_at END;
    NEW.last_healthy_at := CASE WHEN NEW.status = 'healthy' THEN NEW.checked_at ELSE OLD.last_healthy_at END;
    NEW.consecutive_failures := CASE NEW.status WHEN 'unhealthy' THEN OLD.consecutive_failures + 1
                                                WHEN 'unknown' THEN OLD.consecutive_failures
                                                ELSE 0 END;
    PERFORM note_incident(NEW);
  END IF;
  NEW.check_no := OLD.check_no + 1;
  NEW.recorded_at := clock_timestamp();
  RETURN NEW;
END $$;

CREATE FUNCTION after_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM integration_health_history h
   WHERE h.org_id = OLD.org_id AND h.integration_type = OLD.integration_type;
  DELETE FROM integration_health_transitions t
   WHERE t.org_id = OLD.org_id AND t.integration_type = OLD.integration_type;
  DELETE FROM integration_incidents i
   WHERE i.org_id = OLD.org_id AND i.integration_type = OLD.integration_type;
  RETURN NULL;
END $$;

CREATE FUNCTION after_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM integration_health_history;
  DELETE FROM integration_health_transitions;
  DELETE FROM integration_incidents;
  RETURN NULL;
END $$;

CREATE FUNCTION count_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM integration_health_counts;
  INSERT INTO integration_health_counts
  SELECT integration_type, status, count(*) FROM integration_health_status GROUP BY 1, 2;
  RETURN NULL;
END $$;

CREATE TRIGGER a BEFORE INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION before_insert();
CREATE TRIGGER b0 BEFORE UPDATE OF status ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('status');
CREATE TRIGGER b1 BEFORE UPDATE OF latency_ms ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('latency_ms');
CREATE TRIGGER b2 BEFORE UPDATE OF http_status ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('http_status');
CREATE TRIGGER b3 BEFORE UPDATE OF error ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('error');
CREATE TRIGGER b4 BEFORE UPDATE OF retry_after ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('retry_after');
CREATE TRIGGER b5 BEFORE UPDATE OF checked_at ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('checked_at');
CREATE TRIGGER b6 BEFORE UPDATE OF cause ON integration_health_status FOR EACH ROW EXECUTE FUNCTION sets('cause');
CREATE TRIGGER c BEFORE UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION before_update();
CREATE TRIGGER d AFTER INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION after_insert();
CREATE TRIGGER e AFTER DELETE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION after_delete();
CREATE TRIGGER f AFTER TRUNCATE ON integration_health_status EXECUTE FUNCTION after_truncate();
CREATE TRIGGER g AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON integration_health_status EXECUTE FUNCTION count_again();

CREATE FUNCTION record_health_check(
  org_id uuid, integration_type text, status integration_health_state,
  latency_ms integer DEFAULT NULL, http_status integer DEFAULT NULL, error text DEFAULT NULL,
  checked_at timestamptz DEFAULT now(), retry_after integer DEFAULT NULL, cause integration_failure_cause DEFAULT NULL)
RETURNS integration_health_status LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  result integration_health_status;
BEGIN
  INSERT INTO integration_health_status AS s
         (org_id, integration_type, status, latency_ms, http_status, error, checked_at, retry_after, cause)
  VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, now()), $8, $9)
  ON CONFLICT (org_id, integration_type) DO UPDATE
     SET status = $3, latency_ms = $4, http_status = $5, error = $6, checked_at = COALESCE($7, now()), retry_after = $8,
         cause = $9
  RETURNING s.* INTO result;
  RETURN result;
END $$;

CREATE FUNCTION record_health_checks(checks jsonb) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  entry jsonb;
  recorded integer := 0;
BEGIN
  FOR entry IN SELECT e FROM jsonb_array_elements(checks) WITH ORDINALITY AS a (e, place)
                ORDER BY COALESCE((e ->> 'checked_at')::timestamptz, now()), place
  LOOP
    PERFORM record_health_check((entry ->> 'org_id')::uuid, entry ->> 'integration_type',
      (entry ->> 'status')::integration_health_state, (entry ->> 'latency_ms')::integer,
      (entry ->> 'http_status')::integer, entry ->> 'error', (entry ->> 'checked_at')::timestamptz,
      (entry ->> 'retry_after')::numeric::integer, (entry ->> 'cause')::integration_failure_cause);
    recorded := recorded + 1;
  END LOOP;
  RETURN recorded;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
  RAISE '%', SQLERRM USING ERRCODE = '22023';
END $$;

CREATE FUNCTION integration_health_cleanup(retention interval DEFAULT '30 days') RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  deleted bigint;
BEGIN
  DELETE FROM integration_health_history WHERE checked_at < now() - retention;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END $$;

CREATE FUNCTION mark_stale_health(max_rows integer DEFAULT 10000) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  s integration_health_status;
  marked bigint := 0;
BEGIN
  FOR s IN SELECT st.* FROM integration_health_status st JOIN integration_types t USING (integration_type)
            WHERE t.monitoring_mode = 'active' AND st.status <> 'unknown'
              AND GREATEST(st.checked_at, t.planned_since, t.passive_until) < now() - 2 * t.check_interval
            ORDER BY st.org_id, st.integration_type LIMIT max_rows
  LOOP
    PERFORM record_health_check(s.org_id, s.integration_type, 'unknown', error => 'no check since '
      || to_char(s.checked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
    marked := marked + 1;
  END LOOP;
  RETURN marked;
END $$;

CREATE FUNCTION integration_health_compact() RETURNS bigint LANGUAGE sql RETURN 0;

CREATE FUNCTION resume_active_monitoring(name text) RETURNS integration_types LANGUAGE plpgsql AS $$
DECLARE
  result integration_types;
BEGIN
  UPDATE integration_types t
     SET monitoring_mode = 'active', passive_since = NULL, passive_reason = NULL,
         passive_until = NULL,
         planned_since = CASE WHEN t.monitoring_mode = 'passive' THEN clock_timestamp() ELSE t.planned_since END
   WHERE t.integration_type = name RETURNING t.* INTO result;
  IF result IS NULL OR NOT FOUND THEN
    RAISE 'no such type' USING ERRCODE = '22023';
  END IF;
  RETURN result;
END $$;

GRANT USAGE ON SCHEMA reference TO service_role;
GRANT ALL ON ALL TABLES IN SCHEMA reference TO service_role;
