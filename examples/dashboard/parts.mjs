// parts.mjs: what the views and the drawer are made of: times, statuses, charts with their tables, incidents.
import { bar, checkStrip, dayBars, icon, latencyLine } from './charts.mjs';
import { draw, h } from './dom.mjs';
import { ago, date, lasting, milliseconds, moment, percent, utc } from './format.mjs';
import { causeOf, stateOf, stateWords } from './state.mjs';

const texts = {
  ago: (iso) => ago(iso, Date.now()), lasting: (iso) => lasting(iso, Date.now()), moment: (iso) => moment(iso),
};

// time(iso, as): a time, as 'ago', 'lasting' or 'moment'; on hover in the viewer's zone and in UTC.
export function time(iso, as = 'ago') {
  if (!iso) return '–';
  return h('time', { datetime: iso, 'data-as': as, title: `${moment(iso)}\n${utc(iso)}` }, texts[as](iso));
}

// tick(root): moves on the times that count from now.
export function tick(root) {
  for (const element of root.querySelectorAll('time[data-as]')) {
    const text = texts[element.dataset.as](element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}

// badge(state): form, colour and word.
export const badge = (state, word = stateWords[state]) => h('span', { class: `badge ${state}` }, draw(icon(state)), word);

export const pairLink = (org_id, integration_type, text, id) => h('a', { href: `#/pair/${org_id}/${integration_type}`, id }, text);

// table(caption, head, rows, options): a real table in a box of its own that scrolls where it is too wide.
export function table(caption, head, rows, { hidden_caption = false, numbers = [] } = {}) {
  const cell = (tag, n, content, more) => h(tag, { class: numbers.includes(n) && 'number', ...more }, content);
  return h('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': caption }, h('table', null,
    h('caption', { class: hidden_caption && 'unseen' }, caption),
    h('thead', null, h('tr', null, head.map((text, n) => cell('th', n, text, { scope: 'col' })))),
    h('tbody', null, rows.map((row) => h('tr', null, row.map((content, n) => (n === 0 ? cell('th', n, content, { scope: 'row' }) : cell('td', n, content))))))));
}

// lateDetails(id, summary, build): details whose tables are made when they are opened: most never are.
export function lateDetails(id, summary, build) {
  const details = h('details', { id, class: 'figures' }, h('summary', null, summary));
  details.addEventListener('toggle', () => { if (details.open && details.children.length === 1) details.append(...build().filter(Boolean)); });
  return details;
}

const figure = (title, note, tree) => h('figure', null, h('figcaption', null, h('span', { class: 'what' }, title), note && h('span', { class: 'note' }, note)), draw(tree));

// charts(row): the three charts of a row of the overview.
export function charts(row) {
  const last = row.latency_days.findLast((day) => day.p50_ms !== null);
  return h('div', { class: 'charts' },
    figure('24 hours', row.checks.length > 0 ? `${row.checks.length} checks` : 'no check', checkStrip(row.checks)),
    figure('90 days', null, dayBars(row.uptime_days)),
    figure('Latency', last ? `p50 ${milliseconds(last.p50_ms)} · p95 ${milliseconds(last.p95_ms)}` : 'no data', latencyLine(row.latency_days)));
}

export const checkTable = (caption, checks) => table(caption, ['Time', 'Status', 'Latency', 'HTTP', 'Cause', 'Error'], [...checks].reverse().map((check) => [
  time(check.checked_at, 'moment'), badge(check.status), check.latency_ms === null ? '–' : milliseconds(check.latency_ms),
  check.http_status ?? '–', causeOf(check.cause) ?? '–', check.error === null ? '–' : h('span', { class: 'error', dir: 'auto' }, check.error),
]), { numbers: [2, 3] });

// chartTables(id, row): the tables behind the three charts, the latest first.
export const chartTables = (id, row, summary = 'Show as tables') => lateDetails(id, [summary, h('span', { class: 'unseen' }, `: ${row.display_name}`)], () => [
  checkTable(`${row.display_name}: checks of 24 hours`, row.checks),
  table(`${row.display_name}: availability by day`, ['Day', 'Uptime', 'Known', 'Worst'], [...row.uptime_days].reverse().map((day) => [
    date(day.day), percent(day.uptime_pct), percent(day.coverage_pct), day.worst === null ? '–' : badge(day.worst),
  ]), { numbers: [1, 2] }),
  table(`${row.display_name}: latency by day (UTC)`, ['Day', 'Checks', 'p50', 'p95', 'Highest'], [...row.latency_days].reverse().map((day) => [
    date(day.day), day.checks ?? '–', ...[day.p50_ms, day.p95_ms, day.max_ms].map((ms) => (ms === null ? '–' : milliseconds(ms))),
  ]), { numbers: [1, 2, 3, 4] }),
]);

const windows = { 1: '24 h', 7: '7 days', 30: '30 days', 90: '90 days' };

// uptime(row): the four windows; how much of each is known, where that is not all.
export const uptime = (row) => h('dl', { class: 'uptime' }, row.uptime.map(({ days, uptime_pct, coverage_pct }, n) => h('div', null,
  h('dt', null, n === 0 && 'Uptime ', windows[days] ?? `${days} days`),
  h('dd', { class: uptime_pct === null && 'none' }, percent(uptime_pct)),
  h('dd', { class: 'coverage', title: 'How much of the time is known' }, uptime_pct === null ? '' : `${percent(coverage_pct)} known`))));

// summaryOf(row): how a pair is: status, since when, why, when last checked.
export function summaryOf(row) {
  const state = stateOf(row);
  return h('p', { class: 'summary' },
    badge(state, state === 'stale' ? `Old data, last ${stateWords[row.status].toLowerCase()}` : undefined),
    row.monitoring_mode === 'passive' && badge('passive', 'Passive'),
    row.status_since && h('span', null, 'for ', time(row.status_since, 'lasting')),
    state !== 'healthy' && row.cause && h('span', null, causeOf(row.cause)),
    row.checked_at && h('span', null, 'checked ', time(row.checked_at)));
}

// errorText(text): as text only, in its own direction, so that it cannot turn its surroundings.
export const errorText = (text) => text && h('p', { class: 'error', dir: 'auto' }, text);

// acknowledging(incident, acknowledge, prefix): who is on it; or the button, which asks for a note. acknowledge(id, note)
// resolves when it is done and the page has new data.
export function acknowledging(incident, acknowledge, prefix) {
  if (incident.acknowledged_at) {
    return h('p', { class: 'taken' }, 'Acknowledged', incident.acknowledged_by && [' by ', h('bdi', null, incident.acknowledged_by)], ' ', time(incident.acknowledged_at),
      incident.note && [': ', h('q', { dir: 'auto' }, incident.note)]);
  }
  if (incident.resolved_at) return null;
  const id = `${prefix}-${incident.incident_id}`;
  const box = h('div', { class: 'acknowledge' });
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const button = h('button', { type: 'button', id: `${id}-button`, listen: { click: open } }, 'Acknowledge',
    h('span', { class: 'unseen' }, ` the incident of ${incident.display_name}`));
  function open() {
    const note = h('input', { id: `${id}-note`, maxlength: 2000, autocomplete: 'off' });
    const send = h('button', { type: 'submit' }, 'I am on it');
    const form = h('form', { 'data-editing': true, listen: { submit } },
      h('label', { for: `${id}-note` }, 'Note (may be left out)'), note, send, h('button', { type: 'button', class: 'quiet', listen: { click: close } }, 'Cancel'));
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      close();
    });
    async function submit(event) {
      event.preventDefault();
      send.disabled = true;
      trouble.textContent = '';
      try {
        await acknowledge(incident.incident_id, note.value.trim(), () => {
          box.replaceChildren();
          box.closest('[tabindex]')?.focus();
        });
      } catch (error) {
        trouble.textContent = error.message;
        send.disabled = false;
      }
    }
    box.replaceChildren(form, trouble);
    note.focus();
  }
  function close() {
    box.replaceChildren(button);
    button.focus();
  }
  box.append(button);
  return box;
}

// incidentItem(incident, options): one incident as an item of a list.
export function incidentItem(incident, { acknowledge, prefix, name }) {
  const open = incident.resolved_at === null;
  return h('li', { class: `incident ${open ? 'open' : 'over'}`, id: `${prefix}-${incident.incident_id}`, tabindex: -1 },
    h('div', null,
      h('p', { class: 'head' }, draw(icon(open ? 'unhealthy' : 'healthy')), name !== null && h('strong', null, name ?? incident.display_name), h('span', null, open ? 'Open' : 'Resolved'),
        h('span', null, causeOf(incident.cause) ?? 'Cause unknown')),
      h('p', { class: 'detail' }, open ? ['since ', time(incident.started_at, 'moment'), ', for ', time(incident.started_at, 'lasting')]
        : [time(incident.started_at, 'moment'), ' to ', time(incident.resolved_at, 'moment'), `, ${lasting(incident.started_at, Date.parse(incident.resolved_at))}`],
      ` · ${incident.failures} ${incident.failures === 1 ? 'failure' : 'failures'}`)),
    acknowledging(incident, acknowledge, prefix));
}

// section(id, title, ...content): with a heading that names it.
export const section = (id, title, ...content) => h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), ...content);

export const legend = () => h('p', { class: 'legend' }, ['healthy', 'degraded', 'unhealthy', 'unknown', 'none'].map((status) => h('span', null,
  draw({ name: 'svg', attributes: { class: 'key', viewBox: '0 0 6 14', 'aria-hidden': 'true' }, children: bar(status, 1, 4, 14) }), status === 'none' ? 'No data' : stateWords[status])));
