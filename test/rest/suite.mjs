// suite.mjs: runs a group of tests twice, with the extension in public and in a schema of its own,
// each with a stack and a database for itself, and the people who appear in them.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { loggedErrors, startStack } from './stack.mjs';
import { anon, globalAdmin, member, service } from './tokens.mjs';

export const orgA = 'aaaaaaaa-0000-4000-8000-00000000000a';
export const orgB = 'bbbbbbbb-0000-4000-8000-00000000000b';
export const orgC = 'cccccccc-0000-4000-8000-00000000000c';
// An organisation that never was.
export const nowhere = 'dddddddd-0000-4000-8000-00000000000d';

export const people = {
  anon,
  service,
  memberOfA: member(orgA),
  memberOfB: member(orgB),
  memberOfBoth: member(orgA, orgB),
  memberOfNone: member(),
  globalAdmin,
};

// eachSchema(name, tests): calls tests(stack) within a describe for each schema. The stack is
// filled when the tests run; stack.as has a client for each of the people.
export function eachSchema(name, tests) {
  for (const schema of ['public', 'integration_health']) {
    describe(`${name}, extension in schema ${schema}`, () => {
      const stack = {};
      before(async () => {
        const database = `${name}_${schema}`.replace(/\W+/g, '_').toLowerCase();
        Object.assign(stack, await startStack({ database, schema }));
        stack.as = {};
        for (const [who, claims] of Object.entries(people)) stack.as[who] = stack.client(claims);
      });
      after(async () => {
        if (!stack.stop) return;
        await stack.stop();
        // PostgREST retries 40001 without a word, so only the server's log can tell.
        const errors = await loggedErrors(stack.database);
        assert.ok(!errors.includes('40001'), 'the server raised SQLSTATE 40001');
        assert.ok(!errors.includes('XX000'), 'the server raised an internal error');
      });
      tests(stack);
    });
  }
}

// refused(answer, status, sqlstate, message): asserts how a supabase-js call was refused.
export function refused(answer, status, sqlstate, message) {
  const told = `HTTP ${answer.status}, ${JSON.stringify(answer.error)}`;
  assert.ok(answer.error, `not refused: ${told}`);
  assert.equal(answer.error.code, sqlstate, told);
  assert.equal(answer.status, status, told);
  assert.equal(answer.data, null, told);
  if (message) assert.match(answer.error.message, message);
}

// granted(answer, status): asserts that a call succeeded, with this HTTP status where one is given,
// and returns its data.
export function granted(answer, status) {
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  if (status) assert.equal(answer.status, status);
  return answer.data;
}

// minutesAgo(n): a timestamp as an application sends it.
export const minutesAgo = (n) => new Date(Date.now() - n * 60_000).toISOString();
