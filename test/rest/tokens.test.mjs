// Who gets in: good, expired, forged and malformed tokens, and whose claims count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachSchema, granted, orgA, orgB, people, refused } from './suite.mjs';
import { member, mint, sign, unsigned } from './tokens.mjs';

eachSchema('tokens', (stack) => {
  // answers(key, rights): what the bearer of a token is told about org A.
  const statusWith = (key) => stack.clientWith(key).rpc('get_org_health_status', { org_id: orgA });
  const rowsFor = async (claims) => granted(await stack.client(claims).rpc('get_org_health_status', { org_id: orgA })).length;
  const summaryFor = (claims) => stack.client(claims).rpc('get_global_health_summary');

  test('a member of the organisation gets in', async () => {
    assert.equal(await rowsFor(people.memberOfA), 2);
  });

  test('no token at all: 401', async () => {
    const answer = await stack.request('/rpc/get_org_health_status', { method: 'POST', body: { org_id: orgA } });
    assert.equal(answer.status, 401);
    assert.equal(answer.json.code, '42501');
  });

  test('the anonymous key: 401', async () => refused(await statusWith(stack.anonKey), 401, '42501'));

  test('an expired token: 401', async () => {
    refused(await statusWith(stack.token(people.memberOfA, -60)), 401, 'PGRST301', /JWT expired/);
  });

  test('a token signed with another secret: 401', async () => {
    refused(await statusWith(mint('not the secret of this server, not at all', people.memberOfA)), 401, 'PGRST301');
    refused(await statusWith(mint('not the secret of this server, not at all', people.service)), 401, 'PGRST301');
  });

  test('a token without a signature: 401', async () => {
    refused(await statusWith(unsigned(people.memberOfA)), 401, 'PGRST301');
  });

  test('a token whose claims were changed after it was signed: 401', async () => {
    const [header, , signature] = stack.token(people.memberOfB).split('.');
    const claims = Buffer.from(JSON.stringify(people.memberOfA)).toString('base64url');
    refused(await statusWith(`${header}.${claims}.${signature}`), 401, 'PGRST301');
  });

  test('no token at all, but rubbish: 401', async () => refused(await statusWith('rubbish'), 401, 'PGRST301'));

  test('a token that names a database role which nobody may take: 403', async () => {
    refused(await statusWith(sign(stack.secret, { role: 'supabase_admin' })), 403, '42501', /set role/);
  });

  test('a token without a role is anonymous, whatever organisation it names: 401', async () => {
    refused(await statusWith(sign(stack.secret, { app_metadata: { org_id: orgA } })), 401, '42501');
  });

  test('an anonymous token that names an organisation or global_admin stays anonymous: 401', async () => {
    const claims = { role: 'anon', app_metadata: { org_id: orgA, role: 'global_admin' } };
    refused(await stack.client(claims).rpc('get_org_health_status', { org_id: orgA }), 401, '42501');
    refused(await summaryFor(claims), 401, '42501');
  });

  test('org_id at the top of the token, as a custom access token hook writes it, counts', async () => {
    assert.equal(await rowsFor({ role: 'authenticated', org_id: orgA }), 2);
    assert.equal(await rowsFor({ role: 'authenticated', org_id: [orgB, orgA] }), 2);
  });

  test('app_metadata.org_id goes before org_id', async () => {
    assert.equal(await rowsFor({ role: 'authenticated', org_id: orgA, app_metadata: { org_id: orgB } }), 0);
  });

  test('user_metadata, which users write themselves, opens no organisation', async () => {
    for (const user_metadata of [{ org_id: orgA }, { app_metadata: { org_id: orgA } }]) {
      assert.equal(await rowsFor({ role: 'authenticated', user_metadata }), 0);
      assert.equal(await rowsFor({ ...member(orgB), user_metadata }), 0);
    }
    assert.equal(await rowsFor({ role: 'authenticated', raw_user_meta_data: { org_id: orgA } }), 0);
  });

  test('user_metadata makes no global admin: 403', async () => {
    for (const user_metadata of [{ role: 'global_admin' }, { user_role: 'global_admin' }, { app_metadata: { role: 'global_admin' } }]) {
      refused(await summaryFor({ ...member(orgA), user_metadata }), 403, '42501', /role global_admin is required/);
    }
  });

  test('global_admin counts in app_metadata.role and in user_role, alone or among others', async () => {
    for (const claims of [
      { app_metadata: { role: 'global_admin' } }, { app_metadata: { role: ['support', 'global_admin'] } },
      { user_role: 'global_admin' }, { user_role: ['global_admin'] },
    ]) granted(await summaryFor({ role: 'authenticated', ...claims }));
  });

  test('a role that only resembles global_admin is none: 403', async () => {
    for (const role of ['Global_Admin', 'global_admin ', 'not_global_admin', 'global_admin,x', '', []]) {
      refused(await summaryFor({ role: 'authenticated', app_metadata: { role } }), 403, '42501');
    }
  });

  test('a claim that is no organisation id is an error, never access: 400', async () => {
    for (const org_id of ['*', '', 'null', `${orgA} `, `${orgA},${orgB}`, 7, true, { id: orgA }, [orgA, 7], [[orgA]]]) {
      const answer = await stack.client({ role: 'authenticated', app_metadata: { org_id } })
        .rpc('get_org_health_status', { org_id: orgA });
      refused(answer, 400, '22023');
      assert.ok(!answer.error.message.includes(orgA), 'the error repeats what was in the token');
    }
  });

  test('an organisation claim that is null or empty sees nothing', async () => {
    assert.equal(await rowsFor({ role: 'authenticated', app_metadata: { org_id: null } }), 0);
    assert.equal(await rowsFor({ role: 'authenticated', app_metadata: { org_id: [] } }), 0);
    assert.equal(await rowsFor({ role: 'authenticated', app_metadata: null }), 0);
  });
});
