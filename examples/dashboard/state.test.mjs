// What the rows mean for people, and what a token says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readClaims } from './claims.mjs';
import { ApiError } from './data.mjs';
import { byUrgency, causeOf, globalBanner, memberBanner, stateOf } from './state.mjs';

const row = (display_name, status, more) => ({ display_name, status, checked_at: '2026-05-04T12:00:00Z', is_stale: false, ...more });
const never = (name) => row(name, 'unknown', { checked_at: null, is_stale: null });
const rows = [row('A', 'healthy'), never('B'), row('C', 'unhealthy'), row('D', 'healthy', { is_stale: true }), row('E', 'degraded'), row('F', 'unknown'), row('G', 'unhealthy', { is_stale: true })];

test('a silent monitor makes any status old; what was never checked is no unknown', () => {
  assert.deepEqual(rows.map(stateOf), ['healthy', 'never', 'unhealthy', 'stale', 'degraded', 'unknown', 'stale']);
  assert.deepEqual(byUrgency(rows).map((one) => one.display_name), ['C', 'E', 'D', 'G', 'F', 'A', 'B']);
});

test('the banner: all fine, n problems, or old data', () => {
  const says = (list, options) => memberBanner(list, options);
  assert.deepEqual(says(rows), { level: 'unhealthy', text: '2 problems: C is unhealthy, E is degraded. Nothing new from D and G' });
  assert.deepEqual(says([row('A', 'healthy'), row('B', 'healthy'), never('C')]), { level: 'healthy', text: 'All fine: 2 integrations are healthy' });
  assert.deepEqual(says([row('A', 'healthy'), row('E', 'degraded')]), { level: 'degraded', text: '1 problem: E is degraded' });
  assert.deepEqual(says([row('A', 'healthy'), row('D', 'healthy', { is_stale: true })]), { level: 'stale', text: 'Old data. Nothing new from D' });
  assert.deepEqual(says([row('A', 'healthy'), row('F', 'unknown')]), { level: 'unknown', text: 'No result from F' });
  assert.deepEqual(says([never('B')]), { level: 'never', text: 'No integration has been checked yet' });
  assert.deepEqual(says([]), { level: 'never', text: 'There is nothing to show for this organisation' });
  // what could not be refreshed is not said to be fine now
  assert.deepEqual(says([row('A', 'healthy')], { old_since: Date.parse('2026-05-04T12:03:00Z'), time_zone: 'UTC' }), { level: 'stale', text: 'Old data, from 12:03. All fine: A is healthy' });
});

test('the banner over all organisations', () => {
  const of = (healthy, degraded, unhealthy, unknown) => ({ healthy, degraded, unhealthy, unknown, total: healthy + degraded + unhealthy + unknown });
  const open = { display_name: 'Bank feed', resolved_at: null };
  assert.deepEqual(globalBanner({ summary: [of(5, 0, 0, 0), of(2, 0, 0, 0)], incidents: [{ ...open, resolved_at: 'then' }] }), { level: 'healthy', text: 'All fine: all 7 pairs are healthy' });
  assert.deepEqual(globalBanner({ summary: [of(5, 1, 2, 0)], incidents: [open] }), { level: 'unhealthy', text: 'Bank feed fails for many organisations. 2 unhealthy, 1 degraded of 8 pairs' });
  assert.deepEqual(globalBanner({ summary: [of(5, 0, 0, 1)], incidents: [] }), { level: 'unknown', text: '1 unknown of 6 pairs' });
  assert.equal(globalBanner({ summary: [of(0, 0, 0, 0)], incidents: [] }).level, 'never');
});

test('a cause that is newer than the page stays as it is', () => {
  assert.deepEqual(['auth', 'quota', null].map(causeOf), ['Sign-in refused', 'quota', null]);
});

test('the claims of a token, where the database looks for them', () => {
  const org = '11111111-1111-4111-8111-111111111111', other = '22222222-2222-4222-8222-222222222222';
  const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
  const read = (claims, settings) => { const { organisations, is_admin } = readClaims(token(claims), settings); return [organisations, is_admin]; };
  assert.deepEqual(read({ app_metadata: { org_id: org } }), [[org], false]);
  assert.deepEqual(read({ org_id: [org, other.toUpperCase(), org] }), [[org, other], false]);
  assert.deepEqual(read({ app_metadata: { org_id: other }, org_id: org }), [[other], false]);
  assert.deepEqual(read({ app_metadata: { role: 'global_admin' } }), [[], true]);
  assert.deepEqual(read({ user_role: ['editor', 'global_admin'] }), [[], true]);
  assert.deepEqual(read({ role: 'authenticated', user_metadata: { role: 'global_admin', org_id: org } }), [[], false]);
  assert.deepEqual(read({ tenant: org, role: 'boss' }, { org_claims: ['tenant'], admin_role: 'boss' }), [[org], true]);
  assert.equal(readClaims(token({ sub: 'søren' })).subject, 'søren');
  for (const nonsense of ['', 'x', 'a.b.c', 'e30.bnVsbA.x', undefined]) assert.deepEqual(readClaims(nonsense), { subject: null, organisations: [], is_admin: false });
});

test('errors: of the token, of the network, and what the database refuses', () => {
  const of = (status, code) => { const { is_token, is_unreachable } = new ApiError({ error: { code, message: 'm' }, status }); return [is_token, is_unreachable]; };
  assert.deepEqual([of(401, 'PGRST301'), of(401, '42501'), of(0), of(503), of(502), of(403, '42501'), of(500, '57014')], [
    [true, false], [true, false], [false, true], [false, true], [false, true], [false, false], [false, false],
  ]);
});
