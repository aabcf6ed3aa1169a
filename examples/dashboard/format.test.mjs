// Times, durations and percentages as people read them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, clock, count, date, duration, enumerate, every, interval, lasting, milliseconds, moment, percent, utc } from './format.mjs';

test('a percentage is never rounded up, and null is no data', () => {
  for (const [value, text] of [[100, '100 %'], [99.999, '99.99 %'], [99.91, '99.91 %'], [99.9, '99.9 %'], [0, '0 %'], [66.66, '66.66 %'], [33, '33 %'], [null, 'no data'], [undefined, 'no data']]) {
    assert.equal(percent(value), text);
  }
});

test('a duration has its two greatest units, rounded down', () => {
  const [s, min, h, d] = [1000, 60_000, 3_600_000, 86_400_000];
  for (const [ms, text] of [
    [0, '0 s'], [999, '0 s'], [45 * s, '45 s'], [59_999, '59 s'], [min, '1 min'], [12 * min + 59 * s, '12 min'], [h, '1 h'], [3 * h + 20 * min, '3 h 20 min'], [24 * h - 1, '23 h 59 min'],
    [d, '1 d'], [5 * d + 4 * h + 59 * min, '5 d 4 h'], [41 * d + 5 * h, '41 d'], [-5 * s, '0 s'], [null, '–'], [NaN, '–'],
  ]) assert.equal(duration(ms), text);
});

test('times count from now, in both directions', () => {
  const now = Date.parse('2026-05-04T12:00:00Z');
  assert.equal(ago('2026-05-04T11:48:00Z', now), '12 min ago');
  assert.equal(ago('2026-05-04T15:00:00+00:00', now), 'in 3 h');
  assert.equal(ago('2026-05-04T12:00:04Z', now), 'just now');
  assert.equal(lasting('2026-05-04T08:40:00Z', now), '3 h 20 min');
});

test('times are those of the zone, and of UTC', () => {
  const oslo = { time_zone: 'Europe/Oslo' };
  assert.equal(clock('2026-05-04T22:15:07Z', oslo), '00:15');
  assert.equal(moment('2026-05-04T22:15:07Z', oslo), '5 May 2026, 00:15');
  assert.equal(moment('2026-01-04T22:15:07Z', oslo), '4 Jan 2026, 23:15');
  assert.equal(utc('2026-05-05T00:15:07.25+02:00'), '2026-05-04 22:15:07 UTC');
});

test('a day of the calendar is the same in every zone', () => {
  const before = process.env.TZ;
  for (const zone of ['Pacific/Kiritimati', 'America/Los_Angeles', 'UTC']) {
    process.env.TZ = zone;
    assert.equal(date('2026-05-04'), 'Mon 4 May 2026', zone);
  }
  process.env.TZ = before ?? '';
  if (before === undefined) delete process.env.TZ;
});

test('latencies', () => {
  for (const [ms, text] of [[0, '0 ms'], [999, '999 ms'], [1000, '1.0 s'], [2612, '2.6 s'], [30_000, '30 s'], [null, 'no data']]) assert.equal(milliseconds(ms), text);
});

test('intervals as PostgreSQL writes them', () => {
  for (const [text, words] of [
    ['01:00:00', '1 h'], ['00:15:00', '15 min'], ['02:30:00', '2 h 30 min'], ['00:00:45', '45 s'], ['00:07:31.2', '7 min'], ['1 day', '1 day'], ['2 days', '2 days'], ['1 mon', '1 month'],
    ['1 year 2 mons 3 days 04:05:06', '1 year 2 months 3 days 4 h 5 min'], ['-00:05:00', '-5 min'], ['00:00:00', '0 s'], [null, '–'],
  ]) assert.equal(interval(text), words);
  for (const [text, words] of [['01:00:00', 'every hour'], ['1 day', 'every day'], ['7 days', 'every week'], ['1 mon', 'every month'], ['00:15:00', 'every 15 min'], ['2 days', 'every 2 days']]) {
    assert.equal(every(text), words);
  }
});

test('lists and counts', () => {
  assert.equal(enumerate([]), '');
  assert.equal(enumerate(['A']), 'A');
  assert.equal(enumerate(['A', 'B']), 'A and B');
  assert.equal(enumerate(['A', 'B', 'C', 'D']), 'A, B, C and D');
  assert.equal(enumerate(['A', 'B', 'C', 'D', 'E']), 'A, B, C and 2 more');
  assert.deepEqual([count(1, 'problem'), count(3, 'problem'), count(0, 'day')], ['1 problem', '3 problems', '0 days']);
});
