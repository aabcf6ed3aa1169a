// What the charts draw, and what they say in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, checkStrip, dayBars, icon, latencyLine, shares, stackedBar } from './charts.mjs';
import { states } from './state.mjs';

// all(tree, name): the elements of this name.
const all = (tree, name) => [...(tree.name === name ? [tree] : []), ...(tree.children ?? []).flatMap((child) => (typeof child === 'string' ? [] : all(child, name)))];
const classes = (tree) => all(tree, 'g').map((group) => [...new Set(all(group, 'rect').map((rect) => rect.attributes.class))].join());
const check = (status, more) => ({ checked_at: '2026-05-04T12:00:00Z', status, latency_ms: 80, http_status: 200, error: null, check_no: 1, cause: null, ...more });

test('each status has a bar of its own form', () => {
  const forms = ['healthy', 'degraded', 'unhealthy', 'unknown', null].map((status) => bar(status, 0, 4, 36).map(({ attributes }) => [attributes.y, attributes.height].join()).join(' '));
  assert.equal(new Set(forms).size, 5);
  for (const status of ['healthy', 'degraded', 'unhealthy', 'unknown']) {
    for (const { attributes } of bar(status, 0, 4, 36)) {
      assert.equal(attributes.class, `bar ${status}`);
      assert.ok(attributes.y >= 0 && attributes.height > 0 && attributes.y + attributes.height <= 36.01, status);
    }
  }
});

test('each state has an icon of its own form', () => {
  const forms = [...states, 'passive', 'planned'].map((state) => JSON.stringify(icon(state).children));
  assert.equal(new Set(forms).size, forms.length);
});

test('the strip has 96 places, filled from the right, the oldest first', () => {
  const strip = checkStrip([check('healthy'), check('unhealthy', { cause: 'timeout', latency_ms: null })], { time_zone: 'UTC' });
  const places = classes(strip);
  assert.equal(places.length, 96);
  assert.deepEqual(places.slice(93), ['bar nothing', 'bar healthy', 'bar unhealthy']);
  assert.equal(strip.attributes['aria-label'], '2 checks in 24 hours: 1 unhealthy, 1 healthy');
  assert.deepEqual(all(strip, 'title').map(({ children }) => children[0]), [
    '4 May 2026, 12:00 (2026-05-04 12:00:00 UTC)\nHealthy, 80 ms', '4 May 2026, 12:00 (2026-05-04 12:00:00 UTC)\nUnhealthy, No answer in time',
  ]);
  assert.equal(classes(checkStrip(Array.from({ length: 200 }, () => check('healthy')))).length, 96);
  assert.equal(checkStrip([]).attributes['aria-label'], 'No check in 24 hours');
});

test('a day without data is grey, whatever else it says; a day that is hardly known has a dot', () => {
  const days = [
    { day: '2026-05-01', uptime_pct: null, coverage_pct: 0, worst: null }, { day: '2026-05-02', uptime_pct: null, coverage_pct: null, worst: 'healthy' },
    { day: '2026-05-03', uptime_pct: 100, coverage_pct: 50, worst: 'healthy' }, { day: '2026-05-04', uptime_pct: 99.91, coverage_pct: 100, worst: 'unhealthy' },
  ];
  const chart = dayBars(days);
  assert.deepEqual(classes(chart), ['bar nothing', 'bar nothing', 'bar healthy', 'bar unhealthy']);
  assert.equal(chart.attributes['aria-label'], '4 days: 1 unhealthy, 1 healthy, 2 without data');
  assert.equal(all(chart, 'rect').filter(({ attributes }) => attributes.class === 'hint').length, 1);
  assert.deepEqual(all(chart, 'title').map(({ children }) => children[0]), [
    'Fri 1 May 2026\nNo data', 'Sat 2 May 2026\nNo data', 'Sun 3 May 2026\n100 % up, worst: Healthy, 50 % known', 'Mon 4 May 2026\n99.91 % up, worst: Unhealthy, 100 % known',
  ]);
});

test('the lines of latency have gaps where nothing is known, and stay within the chart', () => {
  const day = (p50_ms, p95_ms = p50_ms === null ? null : p50_ms * 2) => ({ day: '2026-05-01', checks: 3, p50_ms, p95_ms, max_ms: p95_ms });
  const chart = latencyLine([day(100), day(120), day(null), day(90), day(null), day(null), day(200), day(210)]);
  const lines = all(chart, 'path').filter(({ attributes }) => attributes.class === 'line p50').map(({ attributes }) => attributes.d);
  assert.equal(lines.length, 3);
  assert.match(lines[0], /^M0 [\d.]+L68\.57 [\d.]+$/);
  assert.match(lines[1], /^M[\d.]+ [\d.]+h4$/, 'a day alone is a dash');
  assert.equal(all(chart, 'path').filter(({ attributes }) => attributes.class === 'band').length, 2);
  for (const d of lines) for (const [, y] of d.matchAll(/[ML][\d.]+ ([\d.]+)/g)) assert.ok(y >= 2 && y <= 34, d);
  assert.match(chart.attributes['aria-label'], /on the last day with data p50 210 ms, p95 420 ms; the highest p95 was 420 ms$/);
  assert.equal(latencyLine([day(null)]).attributes['aria-label'], 'No latency known');
  for (const broken of [[], [day(0, 0)], [day(1)]]) assert.doesNotMatch(JSON.stringify(latencyLine(broken)), /NaN|Infinity|null|undefined/);
});

test('a stacked bar adds up to the whole, and a rare status is seen', () => {
  const row = { total: 30_000, healthy: 29_990, degraded: 0, unhealthy: 9, unknown: 1 };
  assert.deepEqual(shares(row).map(([status]) => status), ['healthy', 'unhealthy', 'unknown']);
  assert.ok(Math.abs(shares(row).reduce((sum, [, , share]) => sum + share, 0) - 100) < 0.05);
  const bars = all(stackedBar(row), 'rect');
  assert.ok(bars.every(({ attributes }) => attributes.width >= 1.6 && attributes.x + attributes.width <= 200.01), JSON.stringify(bars));
  assert.equal(stackedBar(row).attributes['aria-label'], 'Of 30000 pairs: 29990 healthy, 9 unhealthy, 1 unknown');
  assert.deepEqual(shares({ total: 0, healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 }), []);
  assert.equal(stackedBar({ total: 0, healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 }).attributes['aria-label'], 'No pair');
});
