-- ---------------------------------------------------------------------------------------------
-- Maintenance: planned windows. Their time does not count into the uptime, and no alert of a pair is sent during them;
-- checks go on, and what is still broken at the end alerts then.
-- ---------------------------------------------------------------------------------------------

-- @since 1.1
CREATE TABLE @extschema@.integration_maintenance (
  maintenance_id   uuid NOT NULL,
  org_id           uuid,
  integration_type text COLLATE pg_catalog."C",
  starts_at        timestamptz NOT NULL,
  ends_at          timestamptz NOT NULL,
  reason           text NOT NULL,
  created_by       text,
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (maintenance_id),
  CONSTRAINT ends_at_is_after_starts_at CHECK (ends_at > starts_at),
  CONSTRAINT maintenance_is_at_most_366_days
    CHECK (CASE WHEN pg_catalog.isfinite(starts_at) AND pg_catalog.isfinite(ends_at)
                THEN ends_at - starts_at <= interval '366 days' ELSE false END),
  CONSTRAINT reason_is_1_to_200_characters CHECK (reason <> '' AND pg_catalog.length(reason) <= 200)
);
CREATE INDEX integration_maintenance_time ON @extschema@.integration_maintenance (ends_at);
ALTER TABLE @extschema@.integration_maintenance ENABLE ROW LEVEL SECURITY;
CREATE POLICY integration_maintenance_read ON @extschema@.integration_maintenance
  FOR SELECT USING (org_id IS NULL
                    OR org_id = ANY ((SELECT @extschema@.integration_health_org_ids())::uuid[])
                    AND @extschema@.integration_health_uncounted(org_id));
CREATE VIEW integration_health_private.maintenance WITH (security_invoker = true) AS
  SELECT m.maintenance_id, m.org_id, m.integration_type, m.starts_at, m.ends_at, m.reason, m.created_by, m.created_at
    FROM @extschema@.integration_maintenance m;
-- @end
COMMENT ON TABLE @extschema@.integration_maintenance IS
  'Planned maintenance, written by set_maintenance and end_maintenance.';
COMMENT ON COLUMN @extschema@.integration_maintenance.maintenance_id IS 'Key.';
COMMENT ON COLUMN @extschema@.integration_maintenance.org_id IS 'Organisation; null: all of them.';
COMMENT ON COLUMN @extschema@.integration_maintenance.integration_type IS 'External system; null: all of them.';
COMMENT ON COLUMN @extschema@.integration_maintenance.starts_at IS 'When it begins.';
COMMENT ON COLUMN @extschema@.integration_maintenance.ends_at IS 'When it ends: the first moment after it.';
COMMENT ON COLUMN @extschema@.integration_maintenance.reason IS
  'Why, in 1 to 200 characters. Organisations that it concerns may read it.';
COMMENT ON COLUMN @extschema@.integration_maintenance.created_by IS
  'sub of the claims of whoever made it; null when they have none.';
COMMENT ON COLUMN @extschema@.integration_maintenance.created_at IS 'When it was made.';
COMMENT ON INDEX @extschema@.integration_maintenance_time IS 'Finds what is planned from some time on.';
COMMENT ON POLICY integration_maintenance_read ON @extschema@.integration_maintenance IS
  'Callers see what concerns all organisations, or one that their claims name.';
COMMENT ON VIEW integration_health_private.maintenance IS 'integration_maintenance, for PL/pgSQL (see names.sql).';

CREATE FUNCTION integration_health_private.planned_time(of_org uuid, of_type text, since timestamptz, until timestamptz)
RETURNS tstzmultirange
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.range_agg(pg_catalog.tstzrange(m.starts_at, m.ends_at)), '{}'::tstzmultirange)
         * pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
    FROM @extschema@.integration_maintenance m
   WHERE m.ends_at > since AND m.starts_at < until AND (m.org_id IS NULL OR m.org_id = of_org)
     AND (m.integration_type IS NULL OR m.integration_type = of_type);
END;
COMMENT ON FUNCTION integration_health_private.planned_time(uuid, text, timestamptz, timestamptz) IS
  'Returns when between since and until a pair was under maintenance; of_org null: when all pairs of the type were.';

CREATE FUNCTION integration_health_private.add_maintenance(
  of_org uuid, of_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id uuid := gen_random_uuid();
BEGIN
  PERFORM integration_health_private.require_arguments(
    '{starts_at,ends_at,reason}', ARRAY[starts_at IS NULL, ends_at IS NULL, reason IS NULL]);
  IF of_type IS NOT NULL THEN
    PERFORM integration_health_private.require_type(of_type);
  END IF;
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_maintenance'));
  INSERT INTO integration_health_private.maintenance (
    maintenance_id, org_id, integration_type, starts_at, ends_at, reason, created_by, created_at)
  VALUES (id, of_org, of_type, $3, $4, $5, integration_health_private.claimed_subject(), now());
  RETURN id;
END
$$;
COMMENT ON FUNCTION integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text) IS
  'Does the work of set_maintenance, for callers who may.';

CREATE FUNCTION integration_health_private.add_maintenance_as_admin(
  of_org uuid, of_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.add_maintenance(of_org, of_type, starts_at, ends_at, reason);
END
$$;
COMMENT ON FUNCTION integration_health_private.add_maintenance_as_admin(uuid, text, timestamptz, timestamptz, text) IS
  'Calls add_maintenance for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.set_maintenance(
  org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, reason text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege(
       'integration_health_private.add_maintenance(uuid, text, timestamptz, timestamptz, text)', 'EXECUTE') THEN
    RETURN integration_health_private.add_maintenance(org_id, integration_type, starts_at, ends_at, reason);
  END IF;
  RETURN integration_health_private.add_maintenance_as_admin(org_id, integration_type, starts_at, ends_at, reason);
END
$$;
COMMENT ON FUNCTION @extschema@.set_maintenance(uuid, text, timestamptz, timestamptz, text) IS
  'Plans maintenance of a pair or, where org_id or integration_type is null, of all pairs of the other, or of all; from '
  'starts_at to before ends_at, which may lie in the past. Returns its maintenance_id. That time counts as planned, not '
  'as up or down, and alerts of incidents wait for its end. For the writer and global admins. Errors: 22023 when '
  'starts_at, ends_at or reason is null, or there is no such type; 23514 when ends_at is not after starts_at, the window '
  'is longer than 366 days, or reason is empty or longer than 200 characters; 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.cut_maintenance(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  PERFORM integration_health_private.require_arguments('{maintenance_id}', ARRAY[id IS NULL]);
  PERFORM integration_health_private.require_own_triggers(integration_health_private.relation('integration_maintenance'));
  DELETE FROM integration_health_private.maintenance AS m WHERE m.maintenance_id = id AND m.starts_at >= moment;
  IF FOUND THEN
    RETURN true;
  END IF;
  UPDATE integration_health_private.maintenance AS m SET ends_at = moment
   WHERE m.maintenance_id = id AND m.ends_at > moment;
  IF FOUND THEN
    RETURN true;
  END IF;
  IF NOT EXISTS (SELECT FROM integration_health_private.maintenance AS m WHERE m.maintenance_id = id) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there is no such maintenance',
      HINT = 'get_maintenance() lists what is planned.';
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION integration_health_private.cut_maintenance(uuid) IS
  'Does the work of end_maintenance, for callers who may.';

CREATE FUNCTION integration_health_private.cut_maintenance_as_admin(id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN integration_health_private.cut_maintenance(id);
END
$$;
COMMENT ON FUNCTION integration_health_private.cut_maintenance_as_admin(uuid) IS
  'Calls cut_maintenance for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.end_maintenance(maintenance_id uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF has_function_privilege('integration_health_private.cut_maintenance(uuid)', 'EXECUTE') THEN
    RETURN integration_health_private.cut_maintenance(maintenance_id);
  END IF;
  RETURN integration_health_private.cut_maintenance_as_admin(maintenance_id);
END
$$;
COMMENT ON FUNCTION @extschema@.end_maintenance(uuid) IS
  'Ends maintenance now; one that has not begun is cancelled as if it had never been planned. Returns true, or false when '
  'it had ended already. For the writer and global admins. Errors: 22023 when maintenance_id is null or there is no such '
  'maintenance, 42501 for readers without the admin role.';

CREATE FUNCTION integration_health_private.maintenance_of(of_org uuid, since timestamptz)
RETURNS TABLE (
  maintenance_id uuid, integration_type text, all_organisations boolean, starts_at timestamptz, ends_at timestamptz,
  is_active boolean, reason text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.maintenance_id, m.integration_type, m.org_id IS NULL, m.starts_at, m.ends_at,
         m.starts_at <= pg_catalog.now() AND m.ends_at > pg_catalog.now(), m.reason
    FROM @extschema@.integration_maintenance m
   WHERE m.ends_at > maintenance_of.since AND (m.org_id IS NULL OR m.org_id = maintenance_of.of_org)
     AND @extschema@.integration_health_can_read(maintenance_of.of_org)
   ORDER BY m.starts_at DESC, m.maintenance_id;
END;
COMMENT ON FUNCTION integration_health_private.maintenance_of(uuid, timestamptz) IS 'Runs the query of get_maintenance.';

CREATE FUNCTION @extschema@.get_maintenance(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  maintenance_id uuid, integration_type text, all_organisations boolean, starts_at timestamptz, ends_at timestamptz,
  is_active boolean, reason text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.maintenance_of(get_maintenance.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_maintenance(uuid, integer) IS
  'Returns the maintenance that concerns an organisation: what is planned, what is going on (is_active), and what ended '
  'within the last days (1 to 90), latest first. integration_type is null when it concerns all types. No rows for a '
  'caller who may not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.global_maintenance(since timestamptz)
RETURNS TABLE (
  maintenance_id uuid, org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, is_active boolean,
  reason text, created_by text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT m.maintenance_id, m.org_id, m.integration_type, m.starts_at, m.ends_at,
         m.starts_at <= pg_catalog.now() AND m.ends_at > pg_catalog.now(), m.reason, m.created_by
    FROM @extschema@.integration_maintenance m
   WHERE m.ends_at > global_maintenance.since
   ORDER BY m.starts_at DESC, m.maintenance_id;
END;
COMMENT ON FUNCTION integration_health_private.global_maintenance(timestamptz) IS
  'Runs the query of get_global_maintenance.';

CREATE FUNCTION @extschema@.get_global_maintenance(days integer DEFAULT 30)
RETURNS TABLE (
  maintenance_id uuid, org_id uuid, integration_type text, starts_at timestamptz, ends_at timestamptz, is_active boolean,
  reason text, created_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_all_rows(integration_health_private.relation('integration_maintenance'));
  RETURN QUERY SELECT * FROM integration_health_private.global_maintenance(since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_maintenance(integer) IS
  'Returns all maintenance, as get_maintenance; org_id is null when it concerns all organisations. Errors: 42501 as '
  'get_global_health_summary, 22023 when days is null or outside 1 to 90, or for malformed claims, 55000 when row-level '
  'security applies to the owner of the function.';
