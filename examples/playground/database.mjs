// database.mjs: PostgreSQL in this process, by PGlite, with the trusted edition of integration_health as the migration of
// hosted Supabase installs it.
import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';

export { PGlite };

const superuser = 'supabase_admin';
const read = (name) => readFile(new URL(name, import.meta.url), 'utf8');

// openDatabase(): in memory, and gone when the process ends. Its session may take on any role.
export async function openDatabase() {
  const db = await PGlite.create({ username: superuser, initDbStartParams: ['-U', superuser] });
  await db.exec(await read('supabase.sql'));
  const migration = await read('migration.sql');
  await db.transaction(async (tx) => {
    await tx.exec('SET LOCAL ROLE postgres');
    await tx.exec(migration);
  });
  return db;
}
