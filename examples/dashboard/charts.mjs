// charts.mjs: the charts as trees { name, attributes, children } of SVG, which dom.mjs draws. Pure, so that React or a test can
// take them as they are. Colours are classes (style.css); a status is told by the height and form of its bar, too. Every
// chart has a label that says in words what it shows; parts.mjs puts a table behind each.
import { count, date, milliseconds, moment, percent, utc } from './format.mjs';
import { causeOf, stateWords } from './state.mjs';

const el = (name, attributes, ...children) => ({ name, attributes, children: children.flat().filter(Boolean) });
const round = (number) => Math.round(number * 100) / 100;
const chart = (label, width, height, name, ...children) => el('svg', {
  class: `chart ${name}`, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label,
}, ...children);

// How high a bar of each status is, as a share of the chart.
const heights = { healthy: 0.62, degraded: 0.8, unhealthy: 1, unknown: 0.34 };

// bar(status, x, width, height): the shapes of one bar: healthy is whole and of middle height, degraded higher and cut once,
// unhealthy the highest and cut twice, unknown low; null, no data, a stub on the ground line.
export function bar(status, x, width, height) {
  const rect = (y, tall, name = status) => el('rect', { class: `bar ${name}`, x: round(x), y: round(y), width: round(width), height: round(tall) });
  if (!heights[status]) return [rect(height - 2, 2, 'nothing')];
  const tall = heights[status] * height;
  const top = height - tall;
  const gap = height / 12;
  if (status === 'degraded') return [rect(top, tall * 0.3), rect(top + tall * 0.3 + gap, tall * 0.7 - gap)];
  if (status === 'unhealthy') return [rect(top, tall * 0.22), rect(top + tall * 0.22 + gap, tall * 0.22), rect(top + tall * 0.44 + 2 * gap, tall * 0.56 - 2 * gap)];
  return [rect(top, tall)];
}

// bars(items, slots, width, height): a group for each item, at the right end; the slots before them stay empty stubs.
function bars(items, slots, width, height) {
  const step = width / slots;
  const empty = slots - items.length;
  const at = (n, status, title) => el('g', null,
    bar(status, n * step + step * 0.12, step * 0.76, height), title && el('title', null, title));
  return [...Array.from({ length: empty }, (_, n) => at(n, null)), ...items.map(({ status, title }, n) => at(empty + n, status, title))];
}

// tally(list): '90 healthy, 4 unhealthy', of statuses; null counts as no data.
function tally(list) {
  const words = ['unhealthy', 'degraded', 'unknown', 'healthy', null].map((status) => [list.filter((item) => item === status).length, status ?? 'without data']);
  return words.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`).join(', ');
}

/**
 * A strip of the last 96 checks, the oldest first.
 * @param {import('./data.mjs').Check[]} checks
 */
export function checkStrip(checks, options) {
  const shown = checks.slice(-96);
  const label = shown.length > 0 ? `${count(shown.length, 'check')} in 24 hours: ${tally(shown.map((check) => check.status))}` : 'No check in 24 hours';
  return chart(label, 480, 36, 'strip', bars(shown.map((check) => ({
    status: check.status,
    title: [
      `${moment(check.checked_at, options)} (${utc(check.checked_at)})`,
      [stateWords[check.status], causeOf(check.cause), check.latency_ms !== null && milliseconds(check.latency_ms)].filter(Boolean).join(', '),
    ].join('\n'),
  })), 96, 480, 36));
}

/**
 * A bar for each of 90 days, coloured by the worst of the day; a day without data is a grey stub. A dot under a bar: less than
 * 90 % of the day is known.
 * @param {import('./data.mjs').UptimeDay[]} days
 */
export function dayBars(days, options) {
  const label = `${count(days.length, 'day')}: ${tally(days.map((day) => (day.uptime_pct === null ? null : day.worst)))}`;
  const step = 480 / Math.max(days.length, 1);
  return chart(label, 480, 40, 'days',
    bars(days.map((day) => ({
      status: day.uptime_pct === null ? null : day.worst,
      title: `${date(day.day, options)}\n${day.uptime_pct === null ? 'No data' : `${percent(day.uptime_pct)} up, worst: ${stateWords[day.worst]}, ${percent(day.coverage_pct)} known`}`,
    })), Math.max(days.length, 1), 480, 36),
    days.map((day, n) => day.uptime_pct !== null && (day.coverage_pct ?? 0) < 90
      && el('rect', { class: 'hint', x: round(n * step + step * 0.3), y: 38, width: round(step * 0.4), height: 2 })));
}

// runs(days, name): the stretches of days that have the number, as [[index, number], ...]: a gap stays a gap.
function runs(days, name) {
  const list = [];
  days.forEach((day, n) => {
    if (day[name] === null || day[name] === undefined) return;
    if (n === 0 || days[n - 1][name] === null || days[n - 1][name] === undefined) list.push([]);
    list.at(-1).push([n, day[name]]);
  });
  return list;
}

/**
 * p50 and p95 of each day as lines, with the band between them.
 * @param {import('./data.mjs').LatencyDay[]} days
 */
export function latencyLine(days) {
  const [width, height, pad] = [480, 36, 2];
  const top = Math.max(1, ...days.map((day) => day.p95_ms ?? 0));
  const x = (n) => round(days.length < 2 ? width / 2 : (n / (days.length - 1)) * width);
  const y = (ms) => round(height - pad - (ms / top) * (height - 2 * pad));
  const path = (run) => run.map(([n, ms], i) => `${i ? 'L' : 'M'}${x(n)} ${y(ms)}`).join('');
  // a day alone would be a line of no length
  const line = (name) => (run) => el('path', { class: `line ${name}`, d: run.length > 1 ? path(run) : `M${x(run[0][0]) - 2} ${y(run[0][1])}h4` });
  const [median, high] = [runs(days, 'p50_ms'), runs(days, 'p95_ms')];
  const band = median.map((run, i) => run.length > 1 && high[i]?.length === run.length
    && el('path', { class: 'band', d: `${path(high[i])}${[...run].reverse().map(([n, ms]) => `L${x(n)} ${y(ms)}`).join('')}Z` }));
  const last = days.findLast((day) => day.p50_ms !== null);
  const label = last ? `Latency of ${count(days.length, 'day')}: on the last day with data p50 ${milliseconds(last.p50_ms)}, p95 ${milliseconds(last.p95_ms)}; the highest p95 was ${milliseconds(top)}` : 'No latency known';
  return chart(label, width, height, 'latency', el('line', { class: 'ground', x1: 0, x2: width, y1: height - 1, y2: height - 1 }), band, median.map(line('p50')), high.map(line('p95')));
}

/**
 * The shares of a row of the summary, [status, first, share], in percent of its width; no status that has none.
 * @param {{ total: number, healthy: number, degraded: number, unhealthy: number, unknown: number }} row
 * @returns {[string, number, number][]}
 */
export function shares(row) {
  let first = 0;
  return ['healthy', 'degraded', 'unhealthy', 'unknown'].filter((status) => row.total > 0 && row[status] > 0).map((status) => {
    const share = (row[status] / row.total) * 100;
    first += share;
    return /** @type {[string, number, number]} */ ([status, round(first - share), round(share)]);
  });
}

/**
 * How many pairs of a type are in which status, as one bar. A status that is there is at least seen.
 * @param {{ total: number, healthy: number, degraded: number, unhealthy: number, unknown: number }} row
 */
export function stackedBar(row) {
  const parts = shares(row);
  const label = row.total > 0 ? `Of ${count(row.total, 'pair')}: ${['healthy', 'degraded', 'unhealthy', 'unknown'].filter((status) => row[status] > 0).map((status) => `${row[status]} ${status}`).join(', ')}` : 'No pair';
  // a status has a height of its own, as in the other charts
  const tall = { healthy: 8, degraded: 10, unhealthy: 14, unknown: 5 };
  return chart(label, 200, 14, 'stack', row.total > 0
    ? parts.map(([status, first, share]) => el('rect', {
      class: `bar ${status}`, x: Math.min(first * 2, 198), y: (14 - tall[status]) / 2, width: Math.max(share * 2 - 0.8, 1.6), height: tall[status],
    }, el('title', null, `${row[status]} ${status}`)))
    : el('rect', { class: 'bar nothing', x: 0, y: 6, width: 200, height: 2 }));
}

// icon(state): the sign of a state: a form for each, not a colour alone. Decoration: the word stands beside it.
export function icon(state) {
  const forms = {
    healthy: [el('circle', { cx: 8, cy: 8, r: 7 }), el('path', { class: 'mark', d: 'M4.6 8.3l2.3 2.3 4.4-4.9' })],
    degraded: [el('path', { d: 'M8 1.2l7 12.8H1z' }), el('path', { class: 'mark', d: 'M8 6v3.6M8 11.6v.6' })],
    unhealthy: [el('path', { d: 'M5 1h6l4 4v6l-4 4H5l-4-4V5z' }), el('path', { class: 'mark', d: 'M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2' })],
    stale: [el('circle', { class: 'hollow', cx: 8, cy: 8, r: 6.4 }), el('path', { class: 'hollow', d: 'M8 4.2V8l2.6 1.7' })],
    unknown: [el('circle', { class: 'hollow dashed', cx: 8, cy: 8, r: 6.4 }), el('path', { class: 'hollow', d: 'M6.2 6.3a1.9 1.9 0 1 1 2.6 1.9c-.5.2-.8.5-.8 1v.3M8 11.4v.4' })],
    never: [el('circle', { class: 'hollow dashed', cx: 8, cy: 8, r: 6.4 })],
    passive: [el('rect', { x: 3, y: 2, width: 3.6, height: 12, rx: 1 }), el('rect', { x: 9.4, y: 2, width: 3.6, height: 12, rx: 1 })],
    planned: [el('rect', { class: 'hollow', x: 1.8, y: 3, width: 12.4, height: 11, rx: 1.5 }), el('path', { class: 'hollow', d: 'M1.8 6.6h12.4M5 1.4v3M11 1.4v3' })],
  };
  return el('svg', { class: `icon ${state}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, forms[state] ?? forms.unknown);
}
