-- Tables

-- A row that belongs to no organisation lies with one of its shard.
CREATE TABLE @extschema@.anchors (
  org_id uuid NOT NULL,
  PRIMARY KEY (org_id)
);
COMMENT ON TABLE @extschema@.anchors IS 'An organisation of each shard, whether it exists or not: see fill_anchors().';
COMMENT ON COLUMN @extschema@.anchors.org_id IS 'Organisation.';

CREATE TABLE @extschema@.mode_notes (
  org_id           uuid NOT NULL,
  note_id          uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  integration_type text COLLATE pg_catalog."C" NOT NULL,
  asked_until      timestamptz,
  by_probe         boolean NOT NULL,
  answered         boolean NOT NULL,
  PRIMARY KEY (org_id, note_id)
);
COMMENT ON TABLE @extschema@.mode_notes IS
  'What checks have found out about the mode of a type and what is not done yet, since no shard may write integration_types.';
COMMENT ON COLUMN @extschema@.mode_notes.org_id IS 'An organisation of the shard.';
COMMENT ON COLUMN @extschema@.mode_notes.note_id IS 'Key.';
COMMENT ON COLUMN @extschema@.mode_notes.integration_type IS 'External system.';
COMMENT ON COLUMN @extschema@.mode_notes.asked_until IS 'Until when it asked to be left alone; null when it gave no time.';
COMMENT ON COLUMN @extschema@.mode_notes.by_probe IS 'Whether the check answered a probe.';
COMMENT ON COLUMN @extschema@.mode_notes.answered IS 'Whether the probe was answered; otherwise the check was rate limited.';

CREATE TABLE @extschema@.type_incidents (LIKE @extschema:integration_health@.integration_incidents INCLUDING CONSTRAINTS);
ALTER TABLE @extschema@.type_incidents ADD PRIMARY KEY (incident_id);
CREATE UNIQUE INDEX type_incidents_open ON @extschema@.type_incidents (integration_type) WHERE resolved_at IS NULL;
COMMENT ON TABLE @extschema@.type_incidents IS
  'The incidents of types, which integration_incidents cannot hold here: its rows are distributed by org_id.';
CREATE TABLE @extschema@.type_alerts (LIKE @extschema:integration_health@.integration_alerts INCLUDING CONSTRAINTS);
ALTER TABLE @extschema@.type_alerts ADD PRIMARY KEY (alert_id);
COMMENT ON TABLE @extschema@.type_alerts IS
  'The alerts of types and of all, which integration_alerts cannot hold here: its rows are distributed by org_id.';

-- Dumped, but for the anchors, which integration_health_distribute makes.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mode_notes', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.type_incidents', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.type_alerts', '');

ALTER TABLE @extschema@.anchors ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.mode_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.type_incidents ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.type_alerts ENABLE ROW LEVEL SECURITY;

WITH moved AS (DELETE FROM @extschema:integration_health@.integration_incidents WHERE org_id IS NULL RETURNING *)
INSERT INTO @extschema@.type_incidents SELECT * FROM moved;
WITH moved AS (DELETE FROM @extschema:integration_health@.integration_alerts WHERE org_id IS NULL RETURNING *)
INSERT INTO @extschema@.type_alerts SELECT * FROM moved;

DROP INDEX @extschema:integration_health@.integration_incidents_open_of_type;
ALTER TABLE @extschema:integration_health@.integration_incidents
  DROP CONSTRAINT integration_incidents_pkey,
  ADD CONSTRAINT integration_incidents_pkey PRIMARY KEY (org_id, incident_id);
CREATE INDEX integration_incidents_id ON @extschema:integration_health@.integration_incidents (incident_id);
ALTER TABLE @extschema:integration_health@.integration_alerts
  DROP CONSTRAINT integration_alerts_pkey,
  ADD CONSTRAINT integration_alerts_pkey PRIMARY KEY (org_id, alert_id);
CREATE INDEX integration_alerts_id ON @extschema:integration_health@.integration_alerts (alert_id);

-- Citus does not distribute a table with a policy that has a sub-select.
DO $$
DECLARE
  policy record;
  schema text := '@extschema:integration_health@';
BEGIN
  FOR policy IN
    SELECT p.polname AS name, p.polrelid::regclass AS of_table,
           pg_get_expr(p.polqual, p.polrelid) ~ 'org_id IS NULL' AS also_all
      FROM pg_policy AS p JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = p.polrelid AND d.deptype = 'e'
      JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
     WHERE e.extname = 'integration_health' AND pg_get_expr(p.polqual, p.polrelid) ~ 'org_ids'
  LOOP
    EXECUTE format(
      'ALTER POLICY %I ON %s USING (%s org_id = ANY (%4$s.integration_health_org_ids())'
      ' AND %4$s.integration_health_uncounted(org_id))',
      policy.name, policy.of_table, CASE WHEN policy.also_all THEN 'org_id IS NULL OR' ELSE '' END, schema);
  END LOOP;
END
$$;
