// types.mjs: writes the TypeScript types of the extension, in the form of `supabase gen types`, from
// the catalog of a database that has it: columns of tables by name, comments the database's own.
// The catalog does not say which columns of a function's result can be null: those are that are
// null when the function is called on the least that can be recorded.
import { psql } from './stack.mjs';

// One query gives all of it as JSON. Only what authenticated or service_role may use is listed.
const catalog = `
WITH api AS (
  SELECT integration_health_private.schema_name()::regnamespace AS schema
), member AS (
  SELECT to_regclass(substring(o.object, '^TABLE (.*)')) AS relation, to_regprocedure(substring(o.object, '^FUNCTION (.*)')) AS function
    FROM integration_health_private.objects() AS o (object)
), usable AS (
  SELECT c.oid, c.relname FROM pg_class c, member m
   WHERE m.relation = c.oid AND c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT schema FROM api)
     AND has_any_column_privilege('authenticated', c.oid, 'SELECT')
), callable AS (
  SELECT p.* FROM pg_proc p, member m
   WHERE m.function = p.oid AND p.prorettype <> 'trigger'::regtype
     AND p.pronamespace = (SELECT schema FROM api) AND has_function_privilege('service_role', p.oid, 'EXECUTE')
)
SELECT json_build_object(
  'enums', (SELECT json_agg(json_build_object(
      'name', t.typname, 'comment', obj_description(t.oid, 'pg_type'),
      'values', (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)) ORDER BY t.typname)
    FROM pg_type t, api WHERE t.typnamespace = api.schema AND t.typname LIKE 'integration\\_%' AND t.typtype = 'e'),
  'tables', (SELECT json_agg(json_build_object(
      'name', u.relname, 'comment', obj_description(u.oid, 'pg_class'),
      'columns', (SELECT json_agg(json_build_object(
          'name', a.attname, 'type', t.typname, 'nullable', NOT a.attnotnull, 'comment', col_description(u.oid, a.attnum),
          'default', a.atthasdef, 'generated', a.attgenerated <> '',
          'insert', has_column_privilege('service_role', u.oid, a.attnum, 'INSERT'),
          'update', has_column_privilege('service_role', u.oid, a.attnum, 'UPDATE')) ORDER BY a.attname)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
       WHERE a.attrelid = u.oid AND a.attnum > 0 AND NOT a.attisdropped),
      'relationships', (SELECT coalesce(json_agg(json_build_object(
          'name', k.conname, 'to', r.relname,
          'columns', (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = ANY (k.conkey)),
          'toColumns', (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = k.confrelid AND attnum = ANY (k.confkey)))
          ORDER BY k.conname), '[]')
        FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid WHERE k.conrelid = u.oid AND k.contype = 'f')) ORDER BY u.relname)
    FROM usable u),
  'functions', (SELECT json_agg(json_build_object(
      'name', p.proname, 'comment', obj_description(p.oid, 'pg_proc'),
      'reader', has_function_privilege('authenticated', p.oid, 'EXECUTE'),
      'set', p.proretset, 'returns', r.typname, 'table', r.typtype = 'c',
      'args', (SELECT coalesce(json_agg(json_build_object(
          'name', p.proargnames[i], 'mode', coalesce(p.proargmodes[i], 'i'), 'default', pg_get_function_arg_default(p.oid, i),
          'type', (SELECT typname FROM pg_type WHERE oid = coalesce(p.proallargtypes[i], p.proargtypes[i - 1]))) ORDER BY i), '[]')
        FROM generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) AS i)) ORDER BY p.proname)
    FROM callable p JOIN pg_type r ON r.oid = p.prorettype)
)`;

// On the least that can be recorded: a type never checked, a check of nothing but its result.
const leastRows = (schema) => `
SET search_path = "${schema}";
BEGIN;
SET LOCAL request.jwt.claims = '{"app_metadata": {"role": "global_admin"}}';
CREATE TEMPORARY TABLE org AS SELECT '11111111-1111-4111-8111-111111111111'::uuid AS id;
CREATE TEMPORARY TABLE recorded AS
  SELECT record_health_check(id, 'xledger', 'unhealthy') FROM org;
-- a schedule that somebody ran once, two hours ago; the period after that is missed, the next due
INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, planned_since, due_at, warm_up_for)
  SELECT id, 'xledger', '1 hour', now() - interval '2 hours', '-infinity', '-infinity', 'infinity' FROM org;
CREATE TEMPORARY TABLE claimed AS
  SELECT c.* FROM org, claim_sync_run(id, 'xledger', now() - interval '2 hours', true) AS c;
CREATE TEMPORARY TABLE finished AS
  SELECT finish_sync_run(id, 'xledger', now() - interval '2 hours', 1, 'succeeded') FROM org;
INSERT INTO claimed SELECT c.* FROM org, claim_sync_run(id, 'xledger', now() - interval '2 hours') AS c;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT id, 'xledger', '-infinity' FROM org;
-- incidents of no known cause, of the pair and of its type; alerts of the pair and of all
CREATE TEMPORARY TABLE confirmed AS SELECT record_health_check(id, 'xledger', 'unhealthy') FROM org;
INSERT INTO integration_incidents (incident_id, integration_type, started_at, confirmed_at, failures)
  VALUES (gen_random_uuid(), 'dynamics', now(), now(), 10);
CREATE TEMPORARY TABLE planned AS SELECT set_maintenance(NULL, NULL, now() - interval '100 days', now() + interval '1 hour', 'x');
CREATE TEMPORARY TABLE watched AS SELECT integration_health_watch();
UPDATE integration_alerts SET due_at = now();
CREATE TEMPORARY TABLE alerts AS SELECT * FROM claim_alerts();
UPDATE integration_alerts SET due_at = 'infinity' WHERE kind = 'monitor_silent';
SELECT json_object_agg(name, columns) FROM (
  SELECT name, coalesce(json_agg(DISTINCT key) FILTER (WHERE json_typeof(value) = 'null'), '[]') AS columns FROM (
    SELECT 'get_org_health_status' AS name, to_json(r) AS row FROM org, get_org_health_status(id) AS r
    UNION ALL SELECT 'get_health_trend', to_json(r) FROM org, get_health_trend(id, 'xledger') AS r
    UNION ALL SELECT 'get_global_health_summary', to_json(r) FROM get_global_health_summary() AS r
    UNION ALL SELECT 'get_global_health_problems', to_json(r) FROM get_global_health_problems() AS r
    UNION ALL SELECT 'claim_sync_run', to_json(r) FROM claimed AS r
    UNION ALL SELECT 'claim_due_health_checks', to_json(r) FROM claim_due_health_checks() AS r
    UNION ALL SELECT 'get_due_syncs', to_json(r) FROM get_due_syncs() AS r
    UNION ALL SELECT 'get_sync_drift', to_json(r) FROM org, get_sync_drift(id) AS r
    UNION ALL SELECT 'get_missed_syncs', to_json(r) FROM org, get_missed_syncs(id) AS r
    UNION ALL SELECT 'get_cold_starts', to_json(r) FROM org, get_cold_starts(id) AS r
    UNION ALL SELECT 'get_global_sync_summary', to_json(r) FROM get_global_sync_summary() AS r
    UNION ALL SELECT 'get_org_uptime', to_json(r) FROM org, get_org_uptime(id) AS r
    UNION ALL SELECT 'get_uptime_days', to_json(r) FROM org, get_uptime_days(id, 'dynamics') AS r
    UNION ALL SELECT 'get_org_overview', to_json(r) FROM org, get_org_overview(id) AS r
    UNION ALL SELECT 'get_org_syncs', to_json(r) FROM org, get_org_syncs(id) AS r
    UNION ALL SELECT 'get_latency_days', to_json(r) FROM org, get_latency_days(id, 'xledger') AS r
    UNION ALL SELECT 'get_global_uptime', to_json(r) FROM get_global_uptime() AS r
    UNION ALL SELECT 'get_org_incidents', to_json(r) FROM org, get_org_incidents(id) AS r
    UNION ALL SELECT 'get_global_incidents', to_json(r) FROM get_global_incidents() AS r
    UNION ALL SELECT 'get_maintenance', to_json(r) FROM org, get_maintenance(id) AS r
    UNION ALL SELECT 'get_global_maintenance', to_json(r) FROM get_global_maintenance() AS r
    UNION ALL SELECT 'claim_alerts', to_json(r) FROM alerts AS r
    UNION ALL SELECT 'get_alert_backlog', to_json(r) FROM get_alert_backlog() AS r
    -- pg_cron is not here, so nothing is known of the jobs; with it problem is null where there is none
    UNION ALL SELECT 'get_health_jobs', to_json(r) FROM get_health_jobs() AS r
    UNION ALL SELECT 'get_health_jobs', json_build_object('problem', NULL)
    UNION ALL SELECT 'get_health_metric_samples', to_json(r) FROM get_health_metric_samples() AS r
    UNION ALL SELECT 'integration_sync_last_period',
      json_build_object('', integration_sync_last_period('1 hour', now(), 'UTC', '2000-01-01'))
    UNION ALL SELECT 'integration_sync_next_period',
      json_build_object('', integration_sync_next_period('3650 days', '200000-01-01', 'UTC', '294276-12-31'))
  ) AS result, json_each(row) GROUP BY name
) AS nulls;
ROLLBACK;`;

// Cannot be called here; none of its columns can be null.
const needsCron = 'schedule_integration_health_jobs';

const scalars = {
  text: 'string', uuid: 'string', timestamptz: 'string', interval: 'string', date: 'string', regrole: 'string', bool: 'boolean',
  int2: 'number', int4: 'number', int8: 'number', float8: 'number', numeric: 'number', jsonb: 'Json', void: 'undefined',
  'application/openmetrics-text': 'string',
};

// generateTypes(database, schema): the text of the TypeScript file.
export async function generateTypes(database, schema = 'public') {
  const { enums, tables, functions } = JSON.parse(await psql(database, catalog));
  const nulls = JSON.parse(await psql(database, leastRows(schema)));

  // typeOf(name): the TypeScript type of a type of the database, as PostgREST sends it in JSON.
  function typeOf(name) {
    if (name.startsWith('_')) return `${typeOf(name.slice(1))}[]`;
    if (enums.some((each) => each.name === name)) return `Database["public"]["Enums"]["${name}"]`;
    if (tables.some((each) => each.name === name)) return `Database["public"]["Tables"]["${name}"]["Row"]`;
    if (!scalars[name]) throw new Error(`no TypeScript type for ${name}`);
    return scalars[name];
  }

  // orNull(name, column): of a function; '' stands for the result of one that returns a scalar.
  const orNull = (name, column) => (nulls[name]?.includes(column) ? ' | null' : '');

  const lines = [];
  const put = (depth, text) => lines.push(`${'  '.repeat(depth)}${text}`);
  const comment = (depth, text) => text && put(depth, `/** ${text.replaceAll('*/', '* /')} */`);

  function putTable({ name, comment: about, columns, relationships }) {
    comment(3, about);
    put(3, `${name}: {`);
    put(4, 'Row: {');
    for (const column of columns) {
      comment(5, column.comment);
      put(5, `${column.name}: ${typeOf(column.type)}${column.nullable ? ' | null' : ''}`);
    }
    put(4, '}');
    for (const [kind, allowed] of [['Insert', 'insert'], ['Update', 'update']]) {
      put(4, `${kind}: {`);
      for (const column of columns) {
        const optional = kind === 'Update' || column.nullable || column.default;
        // never: the database fills it.
        if (!column[allowed] || column.generated || /(Filled|Maintained) by a trigger/.test(column.comment)) put(5, `${column.name}?: never`);
        else put(5, `${column.name}${optional ? '?' : ''}: ${typeOf(column.type)}${column.nullable ? ' | null' : ''}`);
      }
      put(4, '}');
    }
    put(4, 'Relationships: [');
    for (const { name: foreignKey, columns: from, to, toColumns } of relationships) {
      put(5, `{ foreignKeyName: "${foreignKey}"; columns: ${JSON.stringify(from)}; isOneToOne: false; `
        + `referencedRelation: "${to}"; referencedColumns: ${JSON.stringify(toColumns)} },`);
    }
    put(4, ']');
    put(3, '}');
  }

  function putFunction({ name, comment: about, reader, set, returns, table, args }) {
    comment(3, `${about}${reader ? '' : ' For service_role.'}`);
    put(3, `${name}: {`);
    const given = args.filter((arg) => arg.mode === 'i');
    if (given.length === 0) put(4, 'Args: Record<PropertyKey, never>');
    else {
      put(4, 'Args: {');
      for (const arg of given) {
        const nullable = arg.default?.startsWith('NULL') ? ' | null' : '';
        put(5, `${arg.name}${arg.default ? '?' : ''}: ${typeOf(arg.type)}${nullable}`);
      }
      put(4, '}');
    }
    const columns = args.filter((arg) => 'to'.includes(arg.mode));
    if (columns.length > 0) {
      if (!nulls[name] && name !== needsCron) throw new Error(`not known which columns of ${name} can be null`);
      put(4, 'Returns: {');
      for (const column of columns) {
        put(5, `${column.name}: ${typeOf(column.type)}${orNull(name, column.name)}`);
      }
      put(4, `}${set ? '[]' : ''}`);
    } else put(4, `Returns: ${typeOf(returns)}${set ? '[]' : ''}${orNull(name, '')}`);
    if (table) put(4, `SetofOptions: { from: "*"; to: "${returns}"; isOneToOne: true; isSetofReturn: false }`);
    put(3, '}');
  }

  put(0, '// Made by scripts/generate-types from the catalog of a database with the extension: do not edit. For');
  put(0, '// createClient<Database>(...). With the extension in another schema, rename "public".');
  put(0, '');
  put(0, 'export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]');
  put(0, '');
  put(0, 'export type Database = {');
  put(1, 'public: {');
  put(2, 'Tables: {');
  tables.forEach(putTable);
  put(2, '}');
  put(2, 'Views: Record<never, never>');
  put(2, 'Functions: {');
  functions.forEach(putFunction);
  put(2, '}');
  put(2, 'Enums: {');
  for (const { name, comment: about, values } of enums) {
    comment(3, about);
    put(3, `${name}: ${values.map((value) => JSON.stringify(value)).join(' | ')}`);
  }
  put(2, '}');
  put(2, 'CompositeTypes: Record<never, never>');
  put(1, '}');
  put(0, '}');
  return `${lines.join('\n')}\n`;
}
