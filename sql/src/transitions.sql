-- ---------------------------------------------------------------------------------------------
-- Transitions: the log of changes of the status. The transitions of a pair chain without a gap, and the last one leads to
-- the status that the pair has. The first of a pair has no from_status.
-- ---------------------------------------------------------------------------------------------

-- @since 1.1
CREATE TABLE @extschema@.integration_health_transitions (
  org_id           uuid NOT NULL,
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  check_no         bigint NOT NULL,
  at               timestamptz NOT NULL,
  from_status      @extschema@.integration_health_state,
  to_status        @extschema@.integration_health_state NOT NULL,
  cause            @extschema@.integration_failure_cause,
  PRIMARY KEY (org_id, integration_type, check_no),
  CONSTRAINT status_changes CHECK (from_status IS DISTINCT FROM to_status),
  CONSTRAINT at_is_finite CHECK (pg_catalog.isfinite(at)),
  CONSTRAINT check_no_is_positive CHECK (check_no >= 1::bigint)
);
SELECT integration_health_private.partition_table('@extschema@.integration_health_transitions');
CREATE INDEX integration_health_transitions_time ON @extschema@.integration_health_transitions (at);
ALTER TABLE @extschema@.integration_health_transitions ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_health_transitions_read ON @extschema@.integration_health_transitions
  FOR SELECT USING (org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.transitions WITH (security_invoker = true) AS
  SELECT t.org_id, t.integration_type, t.check_no, t.at, t.from_status, t.to_status, t.cause
    FROM @extschema@.integration_health_transitions t;
-- @end
COMMENT ON TABLE @extschema@.integration_health_transitions IS
  'Changes of the status of each (org_id, integration_type), for 90 days: appended when a check has another status than '
  'the one before, and by nobody else.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.org_id IS 'Organisation.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.check_no IS 'Number of the check that changed the status.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.at IS 'When that check was made: status_since from then on.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.from_status IS
  'Status before; null for the first check of a pair, and where an update to version 1.1 did not know it.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.to_status IS 'Status from then on.';
COMMENT ON COLUMN @extschema@.integration_health_transitions.cause IS
  'Cause that the check gave; null when it gave none, and for healthy.';
COMMENT ON INDEX @extschema@.integration_health_transitions_time IS
  'Serves reports on all organisations, and the cleanup.';
COMMENT ON POLICY integration_health_transitions_read ON @extschema@.integration_health_transitions IS
  'Callers see the organisations that their claims name.';

COMMENT ON VIEW integration_health_private.transitions IS 'integration_health_transitions, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.append_transitions(
  org_ids uuid[], integration_types text[], check_nos bigint[], at timestamptz[], was @extschema@.integration_health_state[],
  is_now @extschema@.integration_health_state[], causes @extschema@.integration_failure_cause[])
RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  written bigint;
BEGIN
  PERFORM integration_health_private.require_own_triggers(
    integration_health_private.relation('integration_health_transitions'));
  -- A transition is there already if a trigger of the site has written the row that is being written, which PostgreSQL is
  -- about to refuse (27000).
  INSERT INTO integration_health_private.transitions AS t (
    org_id, integration_type, check_no, at, from_status, to_status, cause)
  SELECT c.* FROM unnest($1, $2, $3, $4, $5, $6, $7) AS c (org_id, integration_type, check_no, at, was, is_now, cause)
   WHERE c.was IS DISTINCT FROM c.is_now
      ON CONFLICT (org_id, integration_type, check_no) DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written < cardinality(check_nos)
     AND EXISTS (SELECT FROM unnest($1, $2, $3, $5, $6) AS c (org_id, integration_type, check_no, was, is_now)
                  WHERE c.was IS DISTINCT FROM c.is_now
                    AND NOT EXISTS (SELECT FROM integration_health_private.transitions AS t
                                     WHERE t.org_id = c.org_id AND t.integration_type = c.integration_type
                                       AND t.check_no = c.check_no)) THEN
    PERFORM integration_health_private.refuse_intrusion('integration_health_transitions');
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.append_transitions(
  uuid[], text[], bigint[], timestamptz[], @extschema@.integration_health_state[], @extschema@.integration_health_state[],
  @extschema@.integration_failure_cause[]) IS
  'Appends the transitions among these checks. Errors: 55000 as require_own_triggers, or when a rule or trigger of the site '
  'kept a row from being written.';

-- What is left tells the status at any later time: the first transition that is left has it in from_status, and where none
-- is left the pair has had its status since.
CREATE FUNCTION integration_health_private.expire_transitions(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(
    VARIADIC ARRAY['@extschema@.integration_health_transitions'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT x.org_id, x.integration_type, x.check_no FROM @extschema@.integration_health_transitions x
     WHERE x.at < expire_transitions.cutoff
     ORDER BY x.at LIMIT expire_transitions.max_rows FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM @extschema@.integration_health_transitions t USING old o
     WHERE t.org_id = o.org_id AND t.integration_type = o.integration_type AND t.check_no = o.check_no
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.expire_transitions(timestamptz, bigint) IS
  'Deletes at most max_rows transitions of before cutoff, and returns how many. Errors: 55000 as require_own_triggers.';

