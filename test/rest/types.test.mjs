// The dashboard's TypeScript types are those of the database. With UPDATE_TYPES set, they are written
// instead: scripts/generate-types.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startStack } from './stack.mjs';
import { granted, minutesAgo, orgA } from './suite.mjs';
import { globalAdmin, member, service } from './tokens.mjs';
import { generateTypes } from './types.mjs';

const dashboardPage = new URL('../../docs/dashboard.md', import.meta.url);
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

  test('the samples in docs/dashboard.md have the columns that the calls return, in their order', async () => {
    const checks = ['healthy', 'unhealthy'].map((status, i) => ({ org_id: orgA, integration_type: 'xledger', status, checked_at: minutesAgo(2 - i) }));
    granted(await stack.client(service).rpc('record_health_checks', { checks }));
    const [user, admin] = [stack.client(member(orgA)), stack.client(globalAdmin)];
    const calls = {
      get_org_health_status: user.rpc('get_org_health_status', { org_id: orgA }),
      get_health_trend: user.rpc('get_health_trend', { org_id: orgA, integration_type: 'xledger', hours: 24 }),
      integration_types: user.from('integration_types').select('integration_type, display_name, check_interval, monitoring_mode'),
      get_global_health_summary: admin.rpc('get_global_health_summary'),
      get_global_health_problems: admin.rpc('get_global_health_problems', { max_rows: 20 }),
    };
    const page = await readFile(dashboardPage, 'utf8');
    const samples = [...page.matchAll(/<!-- sample: (\w+) -->\n```json\n([^`]*)```/g)];
    assert.deepEqual(samples.map(([, name]) => name), Object.keys(calls));
    for (const [, name, sample] of samples) {
      const [row] = granted(await calls[name]);
      for (const shown of JSON.parse(sample)) assert.deepEqual(Object.keys(shown), Object.keys(row), name);
    }
  });
});
