// The dashboard's TypeScript types are those of the database. With UPDATE_TYPES set, they are written
// instead: scripts/generate-types.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startStack } from './stack.mjs';
import { generateTypes } from './types.mjs';

const typesFile = new URL('../../examples/dashboard/database.types.ts', import.meta.url);

describe('types', () => {
  let stack;
  before(async () => { stack = await startStack({ database: 'types' }); });
  after(() => stack?.stop());

  test('examples/dashboard/database.types.ts is what scripts/generate-types makes', async () => {
    const types = await generateTypes(stack.database);
    if (process.env.UPDATE_TYPES) await writeFile(typesFile, types);
    else {
      const committed = (await readFile(typesFile, 'utf8')).split('\n');
      const changed = types.split('\n').findIndex((line, i) => line !== committed[i]);
      assert.ok(changed < 0, `stale: run scripts/generate-types; first difference in line ${changed + 1}`);
    }
  });
});
