// database.mjs: PostgreSQL in this process, by PGlite.
import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { install } from './install.mjs';

export { PGlite };

// openDatabase(): see install.
export const openDatabase = () => install(PGlite, (name) => readFile(new URL(name, import.meta.url), 'utf8'));
