// install.mjs: makes a database of PGlite with the trusted edition of integration_health, as the migration of hosted Supabase
// installs it. In Node.js and in browsers.
const superuser = 'supabase_admin';

// install(PGlite, read): in memory, and gone when the process or page ends. Its session may take on any role. read(name) resolves to
// the text of a file of this directory.
export async function install(PGlite, read) {
  const db = await PGlite.create({ username: superuser, initDbStartParams: ['-U', superuser] });
  await db.exec(await read('supabase.sql'));
  const migration = await read('migration.sql');
  await db.transaction(async (tx) => {
    await tx.exec('SET LOCAL ROLE postgres');
    await tx.exec(migration);
  });
  return db;
}
