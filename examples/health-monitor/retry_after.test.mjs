// Every form of Retry-After, wherever the clock of this machine stands.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfter } from './retry_after.mjs';

const now = Date.UTC(2026, 10, 25, 12, 0, 0);

for (const zone of ['UTC', 'Asia/Kolkata', 'America/St_Johns']) {
  test(`dates are GMT in ${zone}`, () => {
    process.env.TZ = zone;
    for (const header of ['Wed, 25 Nov 2026 12:02:00 GMT', 'Wednesday, 25-Nov-26 12:02:00 GMT', 'Wed Nov 25 12:02:00 2026', '2026-11-25T12:02:00Z', '2026-11-25T13:02:00+01:00']) {
      assert.equal(retryAfter(header, now), 120, header);
    }
  });
}

test('seconds, also where they are no whole number, or padded, or out of bounds', () => {
  for (const [header, seconds] of [
    ['0', 0], ['120', 120], [' 120 ', 120], ['+5', 5], ['1.5', 2], ['0.2', 1], ['-1', 0], ['99999999', 31_536_000], ['9'.repeat(400), 31_536_000],
  ]) assert.equal(retryAfter(header, now), seconds, header);
});

test('a date that has passed is 0, one far away a year', () => {
  assert.equal(retryAfter('Tue, 24 Nov 2026 12:00:00 GMT', now), 0);
  assert.equal(retryAfter('Sunday, 06-Nov-94 08:49:37 GMT', now), 0, '1994, not 2094');
  assert.equal(retryAfter('Sun Nov  6 08:49:37 1994', now), 0);
  assert.equal(retryAfter('Wed, 25 Nov 2099 12:00:00 GMT', now), 31_536_000);
});

test('what is no Retry-After says nothing', () => {
  for (const header of ['', null, undefined, 'soon', '1e3', '0x10', '12 s', '1,5', 'Wed, 31 Feb 2026 12:00:00 GMT', 'Wed, 25 Nov 2026 25:00:00 GMT', 'Wed, 25 Foo 2026 12:00:00 GMT', '2026-11-25', '2026-11-25T12:00:00', 'Infinity', 'NaN', '--1', '1.', '.5']) {
    assert.equal(retryAfter(header, now), null, String(header));
  }
});
