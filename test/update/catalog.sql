-- All that an installation consists of, in the schema of its API, :schema, and in the private one: a line for each object,
-- column, constraint, right, setting and comment, with nothing in it that differs from one database to another. An updated
-- installation has the same lines as a new one.
\set QUIET on
SET search_path = pg_catalog;
WITH space AS (
  SELECT n.oid, n.nspname FROM pg_namespace AS n WHERE n.nspname IN (:'schema', 'integration_health_private')
), relation AS (
  SELECT c.*, c.oid::regclass::text AS name FROM pg_class AS c JOIN space ON space.oid = c.relnamespace
   WHERE c.relname LIKE 'integration\_%' OR space.nspname = 'integration_health_private'
), routine AS (
  SELECT p.*, p.oid::regprocedure::text AS name FROM pg_proc AS p JOIN space ON space.oid = p.pronamespace
   WHERE space.nspname = 'integration_health_private'
      OR p.oid IN (SELECT to_regprocedure(substring(o.object, '^FUNCTION (.*)')) FROM integration_health_private.objects() AS o (object))
), acl (kind, name, acl, owner) AS (
  SELECT 'relation', r.name, COALESCE(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", r.relowner)), r.relowner
    FROM relation AS r WHERE r.relkind IN ('r', 'p', 'v', 'S')
  UNION ALL
  SELECT 'column', format('%s.%s', r.name, a.attname), a.attacl, r.relowner
    FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT 'function', f.name, COALESCE(f.proacl, acldefault('f', f.proowner)), f.proowner FROM routine AS f
  UNION ALL
  SELECT 'schema', n.nspname, COALESCE(n.nspacl, acldefault('n', n.nspowner)), n.nspowner
    FROM pg_namespace AS n WHERE n.nspname = 'integration_health_private'
), member AS (
  SELECT 'pg_class'::regclass AS classid, r.oid AS objid FROM relation AS r
  UNION ALL SELECT 'pg_proc'::regclass, f.oid FROM routine AS f
  UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type AS t JOIN space ON space.oid = t.typnamespace
             WHERE t.typname LIKE 'integration\_%' AND t.typtype = 'e'
  UNION ALL SELECT 'pg_namespace'::regclass, space.oid FROM space WHERE space.nspname = 'integration_health_private'
  UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
  UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
), line (line) AS (
  SELECT format('relation %s kind %s persistence %s access method %s options %s row security %s %s replica identity %s owner %s', r.name, r.relkind,
                r.relpersistence, (SELECT m.amname FROM pg_am AS m WHERE m.oid = r.relam), r.reloptions, r.relrowsecurity, r.relforcerowsecurity,
                r.relreplident, r.relowner::regrole)
    FROM relation AS r
  UNION ALL
  SELECT format('column %s.%s number %s type %s collation %s not null %s default %s generated %s identity %s storage %s statistics %s options %s', r.name, a.attname,
                row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
                pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity, a.attstorage, NULLIF(a.attstattarget, -1),
                -- 15.20 writes a number of its own into each column
                ARRAY(SELECT o FROM unnest(a.attoptions) AS o WHERE o NOT LIKE 'pg\_attver=%'))
    FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
   WHERE r.relkind IN ('r', 'p', 'v')
  UNION ALL
  SELECT format('index %s: %s', r.name, pg_get_indexdef(r.oid)) FROM relation AS r WHERE r.relkind IN ('i', 'I')
  UNION ALL
  SELECT format('constraint %s on %s: %s validated %s', k.conname, r.name, pg_get_constraintdef(k.oid), k.convalidated)
    FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
  UNION ALL
  SELECT format('trigger %s on %s: %s enabled %s', g.tgname, r.name, pg_get_triggerdef(g.oid), g.tgenabled)
    FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT format('policy %s on %s: %s permissive %s roles %s using %s check %s', p.polname, r.name, p.polcmd, p.polpermissive,
                p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
  UNION ALL
  SELECT format('function %s: %s owner %s cost %s rows %s support %s', f.name, pg_get_functiondef(f.oid), f.proowner::regrole, f.procost, f.prorows, f.prosupport)
    FROM routine AS f
  UNION ALL
  SELECT format('type %s: %s', t.oid::regtype, (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid))
    FROM pg_type AS t JOIN space ON space.oid = t.typnamespace WHERE t.typname LIKE 'integration\_%' AND t.typtype = 'e'
  UNION ALL
  SELECT format('right on %s %s: %s of %s by %s, grantable %s', acl.kind, acl.name, e.privilege_type, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
                e.grantor::regrole, e.is_grantable)
    FROM acl, aclexplode(acl.acl) AS e
  UNION ALL
  SELECT format('comment on %s %s: %s', i.type, i.identity, d.description)
    FROM member AS m JOIN pg_description AS d ON d.classoid = m.classid AND d.objoid = m.objid,
         pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
  UNION ALL
  SELECT format('member of the extension: %s %s', i.type, i.identity)
    FROM pg_extension AS x JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e',
         pg_identify_object(d.classid, d.objid, d.objsubid) AS i
   WHERE x.extname = 'integration_health'
  UNION ALL
  SELECT format('dumped: %s %s', c.relation, c.condition)
    FROM pg_extension AS x, unnest(x.extconfig::regclass[], x.extcondition) AS c (relation, condition) WHERE x.extname = 'integration_health'
)
SELECT replace(line, chr(10), chr(10) || '  ') FROM line ORDER BY line COLLATE "C";
