// One request with a thousand checks: all of them or none.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { eachSchema, granted, refused } from './suite.mjs';

eachSchema('bulk', (stack) => {
  const rows = () => Array.from({ length: 1000 }, (_, i) => ({
    org_id: randomUUID(), integration_type: i % 2 ? 'xledger' : 'dynamics', status: 'healthy', latency_ms: i, http_status: 200,
  }));
  const upsert = (batch) => stack.as.service.from('integration_health_status').upsert(batch, { onConflict: 'org_id,integration_type' });
  const count = async (table) => {
    const answer = await stack.as.service.from(table).select('*', { count: 'exact', head: true });
    assert.equal(answer.error, null);
    return answer.count;
  };
  const counts = async () => [
    await count('integration_health_status'), await count('integration_health_history'), await stack.sql(
      `SELECT coalesce(sum(delta), 0) FROM "${stack.schema}".integration_health_counts`,
    ),
  ];

  test('upsert of 1,000 rows, twice: 1,000 current rows, 2,000 checks, and the counts agree', async () => {
    const batch = rows();
    granted(await upsert(batch), 201);
    assert.deepEqual(await counts(), [1000, 1000, '1000']);
    granted(await upsert(batch.map((row) => ({ ...row, status: 'degraded' }))), 200);
    assert.deepEqual(await counts(), [1000, 2000, '1000']);
    const [xledger] = granted(await stack.as.globalAdmin.rpc('get_global_health_summary').eq('integration_type', 'xledger'));
    assert.deepEqual([xledger.total, xledger.degraded, xledger.healthy], [500, 500, 0]);
  });

  test('upsert of 1,000 rows with .select() returns each of them', async () => {
    const batch = rows();
    const answer = granted(await upsert(batch).select('org_id, check_no'), 201);
    assert.deepEqual(answer, batch.map(({ org_id }) => ({ org_id, check_no: 1 })));
  });

  test('a bad row among 1,000 changes nothing', async () => {
    const before = await counts();
    for (const [bad, http, sqlstate] of [
      [{ latency_ms: -1 }, 400, '23514'], [{ status: 'fine' }, 400, '22P02'], [{ integration_type: 'telepathy' }, 409, '23503'],
      [{ org_id: 'acme' }, 400, '22P02'], [{ status: null }, 400, '23502'],
    ]) {
      const batch = rows();
      Object.assign(batch[777], bad);
      refused(await upsert(batch), http, sqlstate);
      refused(await stack.as.service.rpc('record_health_checks', { checks: batch }), 400, '22023', /checks\[777\]/);
    }
    assert.deepEqual(await counts(), before);
  });

  test('record_health_checks of 1,000 checks in one call', async () => {
    const [status, history] = await counts();
    assert.equal(granted(await stack.as.service.rpc('record_health_checks', { checks: rows() })), 1000);
    const now = await counts();
    assert.deepEqual(now.slice(0, 2), [status + 1000, history + 1000]);
    assert.equal(now[2], String(now[0]));
  });
});
