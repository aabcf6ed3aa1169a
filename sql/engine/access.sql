-- The PL/pgSQL engine: the claims of the caller.

-- @before integration_health_org_ids
CREATE FUNCTION integration_health_private.read_claims(OUT claims jsonb, OUT problem text, OUT detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  given text := current_setting('request.jwt.claims', true);
BEGIN
  IF given IS NULL OR given = '' THEN
    RETURN;
  END IF;
  claims := given;
  IF jsonb_typeof(claims) <> 'object' THEN
    claims := NULL;
    problem := 'request.jwt.claims is not a JSON object';
  END IF;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  problem := 'request.jwt.claims is not valid JSON';
  detail := "left"(SQLERRM, 100);
END
$$;
COMMENT ON FUNCTION integration_health_private.read_claims() IS
  'Returns the JSON object in request.jwt.claims, null when there is none; problem and detail say why it cannot be '
  'read.';

CREATE FUNCTION integration_health_private.claim_paths(paths text)
RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.regexp_split_to_table(pg_catalog.btrim(paths, E' \t\n\r'), '\s*,\s*');
END;
COMMENT ON FUNCTION integration_health_private.claim_paths(text) IS 'Returns the paths in a setting, in order.';

CREATE FUNCTION integration_health_private.claim_at(
  claims jsonb, path text, OUT is_there boolean, OUT strings text[], OUT problem text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  value jsonb := claims;
  key text;
BEGIN
  is_there := false;
  FOREACH key IN ARRAY string_to_array(path, '.') LOOP
    IF jsonb_typeof(value) <> 'object' THEN
      RETURN;
    END IF;
    value := value -> key;
    IF value IS NULL OR jsonb_typeof(value) = 'null' THEN
      RETURN;
    END IF;
  END LOOP;
  is_there := true;
  IF jsonb_typeof(value) = 'string' THEN
    strings := ARRAY[value #>> '{}'];
  ELSIF jsonb_typeof(value) = 'array'
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS e WHERE jsonb_typeof(e) <> 'string') THEN
    strings := ARRAY(SELECT jsonb_array_elements_text(value));
  ELSE
    problem := format('claim "%s" in request.jwt.claims is neither a string nor an array of strings', key);
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.claim_at(jsonb, text) IS
  'Returns the strings in the claim at a path of keys. is_there is false for a claim that is null; problem is set for '
  'one that is neither a string nor an array of strings.';

CREATE FUNCTION integration_health_private.claimed_orgs(OUT orgs uuid[], OUT problem text, OUT detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  document record;
  claim record;
  path text;
BEGIN
  orgs := '{}';
  SELECT * INTO document FROM integration_health_private.read_claims();
  problem := document.problem;
  detail := document.detail;
  IF document.claims IS NULL THEN
    RETURN;
  END IF;
  FOR path IN SELECT integration_health_private.claim_paths(s.org_claims) FROM integration_health_private.setting() AS s LOOP
    SELECT * INTO claim FROM integration_health_private.claim_at(document.claims, path);
    IF claim.is_there THEN
      problem := claim.problem;
      IF problem IS NULL THEN
        orgs := claim.strings::uuid[];
      END IF;
      RETURN;
    END IF;
  END LOOP;
EXCEPTION WHEN data_exception THEN
  problem := 'an organisation in request.jwt.claims is not a UUID';
  detail := "left"(SQLERRM, 100);
END
$$;
COMMENT ON FUNCTION integration_health_private.claimed_orgs() IS
  'Returns the organisations that request.jwt.claims names; none when there is a problem.';

-- @integration_health_org_ids
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT c.orgs FROM integration_health_private.claimed_orgs() AS c);
END
$$;

-- @before integration_health_can_read
CREATE FUNCTION integration_health_private.raise_problem(problem text, detail text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF problem IS NOT NULL AND detail IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem, DETAIL = detail;
  ELSIF problem IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem;
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.raise_problem(text, text) IS
  'Raises a problem as an error, if there is one. Errors: 22023, with the problem as its message.';

-- @integration_health_can_read
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  caller record;
BEGIN
  SELECT * INTO caller FROM integration_health_private.claimed_orgs();
  PERFORM integration_health_private.raise_problem(caller.problem, caller.detail);
  RETURN org_id IS NOT NULL
         AND (NOT row_security_active('@extschema@.integration_health_status') OR org_id = ANY (caller.orgs));
END
$$;

-- @uncounted_support

-- @integration_health_uncounted
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  -- The planner expects each of these conditions to hold for one row in 200, whatever the column contains.
  SELECT pg_catalog.uuid_cmp(org_id, org_id) = 0 AND -pg_catalog.uuid_cmp(org_id, org_id) = 0
         AND pg_catalog.abs(pg_catalog.uuid_cmp(org_id, org_id)) = 0 AND pg_catalog.uuid_cmp(org_id, org_id) * 2 = 0;
END;

-- @require_claims
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.raise_problem(c.problem, c.detail)
     FROM integration_health_private.claimed_orgs() AS c;
END
$$;

-- @require_admin_role
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  document record;
  claim record;
  setting record;
  path text;
  example text;
  key text;
  is_admin boolean := false;
BEGIN
  SELECT * INTO document FROM integration_health_private.read_claims();
  SELECT * INTO setting FROM integration_health_private.setting();
  IF document.claims IS NOT NULL THEN
    -- A claim that cannot be read is an error if it comes before the one that names the role; later ones are not read.
    FOR path IN SELECT integration_health_private.claim_paths(setting.role_claims) LOOP
      SELECT * INTO claim FROM integration_health_private.claim_at(document.claims, path);
      document.problem := COALESCE(claim.problem, document.problem);
      is_admin := COALESCE(setting.admin_role = ANY (claim.strings), false);
      EXIT WHEN is_admin;
    END LOOP;
  END IF;
  PERFORM integration_health_private.raise_problem(document.problem, document.detail);
  IF NOT is_admin THEN
    example := to_json(setting.admin_role);
    FOR key IN SELECT k FROM integration_health_private.claim_paths(setting.role_claims) WITH ORDINALITY AS p (path, place),
                             unnest(string_to_array(p.path, '.')) WITH ORDINALITY AS u (k, depth)
                WHERE p.place = 1 ORDER BY u.depth DESC LOOP
      example := '{' || to_json(key) || ':' || example || '}';
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = '42501',
      MESSAGE = format('permission denied: role %s is required', setting.admin_role),
      HINT = format('A claim in request.jwt.claims must name it: %s. '
                    'In psql: SELECT set_config(''request.jwt.claims'', %L, false).',
                    setting.role_claims, example);
  END IF;
END
$$;
