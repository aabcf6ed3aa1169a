// drawer.mjs: one pair, (organisation, integration), beside the view. Its address can be shared.
import { h, place } from './dom.mjs';
import { every, interval } from './format.mjs';
import { next, outcome } from './member.mjs';
import { badge, charts, checkTable, chartTables, errorText, incidentItem, lateDetails, summaryOf, table, time, uptime } from './parts.mjs';
import { causeOf } from './state.mjs';

const facts = (list) => h('dl', { class: 'facts' }, list.filter(([, value]) => value !== null && value !== undefined && value !== false)
  .map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))));

const block = (title, ...content) => h('section', null, h('h3', null, title), content);

// showDrawer(dialog, pair, actions): pair: { org_id, integration_type, row, sync, detail, foreign, error }: row and sync of the
// member's view and detail as pair() of data.mjs gives it, or foreign as foreignPair() does; what is not there yet is null.
export function showDrawer(dialog, pair, actions) {
  const { org_id, integration_type, row, sync, detail, foreign, error } = pair;
  const key = `${org_id} ${integration_type}`;
  const known = row ?? foreign?.problem ?? foreign?.incidents[0] ?? null;
  const incidents = detail?.incidents ?? foreign?.incidents ?? null;
  const loading = !error && (row ? !detail : !foreign);
  place(dialog, [
    { key: `${key} head`, data: [known?.display_name, org_id], build: () => head(org_id, integration_type, known?.display_name ?? integration_type, actions) },
    error && { key: `${key} error`, data: error, build: () => h('p', { class: 'trouble', role: 'alert' }, error) },
    loading && { key: `${key} loading`, build: () => h('p', { class: 'empty', role: 'status' }, 'Loading…') },
    row && { key: `${key} row`, data: row, build: () => memberPart(row) },
    foreign && { key: `${key} foreign`, data: foreign.problem, build: () => foreignPart(foreign.problem) },
    incidents && {
      key: `${key} incidents`, data: incidents, build: () => block('Incidents of 90 days', incidents.length > 0
        ? h('ul', { class: 'incidents' }, incidents.map((incident) => incidentItem(incident, { acknowledge: actions.acknowledge, prefix: 'drawer', name: null })))
        : h('p', { class: 'empty' }, 'None.')),
    },
    detail && sync && { key: `${key} sync`, data: [sync, detail.drift, detail.missed, detail.cold], build: () => syncPart(sync, detail) },
    detail && {
      key: `${key} checks`, data: detail.checks, build: () => block('Last checks', detail.checks.length > 0
        ? lateDetails('drawer-checks', `The last ${detail.checks.length} checks`, () => [checkTable('The last checks', [...detail.checks].reverse())])
        : h('p', { class: 'empty' }, 'None in 30 days.')),
    },
  ]);
}

function head(org_id, integration_type, display_name, { close, name }) {
  const said = h('span', { role: 'status', class: 'said' });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      said.textContent = 'Copied';
    } catch {
      said.textContent = location.href;
    }
  };
  return h('header', null,
    h('div', null, h('h2', { id: 'drawer-title', tabindex: -1 }, display_name), h('p', { class: 'org', title: org_id }, h('bdi', null, name(org_id)))),
    h('div', { class: 'buttons' }, said, h('button', { type: 'button', class: 'quiet', id: 'copy-link', listen: { click: copy } }, 'Copy link'),
      h('button', { type: 'button', class: 'quiet', id: 'close-drawer', listen: { click: close } }, 'Close')));
}

function memberPart(row) {
  return h('div', { class: 'pair' }, summaryOf(row), errorText(row.error), facts([
    ['Last healthy', row.last_healthy_at && time(row.last_healthy_at)],
    ['Failures in a row', row.consecutive_failures > 0 && String(row.consecutive_failures)],
    ['HTTP status', row.http_status && String(row.http_status)],
    ['Monitoring', row.monitoring_mode === 'passive' ? 'Passive: the system asked to be left alone, syncs count as checks' : 'Active'],
  ]), uptime(row), charts(row), chartTables('drawer-figures', row));
}

function foreignPart(problem) {
  return h('div', { class: 'pair' },
    problem ? [h('p', { class: 'summary' }, badge(problem.status), h('span', null, 'for ', time(problem.status_since, 'lasting')), problem.cause && h('span', null, causeOf(problem.cause)), h('span', null, 'checked ', time(problem.checked_at))),
      errorText(problem.error),
      facts([['Last healthy', problem.last_healthy_at && time(problem.last_healthy_at)], ['Failures in a row', String(problem.consecutive_failures)], ['HTTP status', problem.http_status && String(problem.http_status)]])]
      : h('p', { class: 'summary' }, badge('unknown', 'Not among the problems')),
    h('p', { class: 'empty' }, 'You see its problems and incidents. Its checks and availability are shown to members of the organisation.'));
}

function syncPart(sync, { drift, missed, cold }) {
  const list = (id, rows, one, head_, cells) => rows.length > 0 && lateDetails(id, `${rows.length} ${one} in 7 days`, () => [table(`${one} in 7 days`, head_, rows.map(cells), { hidden_caption: true })]);
  return block('Sync', facts([
    ['Interval', every(sync.every)], ['Next', next(sync)], ['Last', time(sync.last_started_at)], ['Result', outcome(sync)],
    ['In 24 hours', `${sync.late} late, ${sync.missed} missed, ${sync.cold_starts} cold`],
  ]), sync.last_outcome === 'failed' && errorText(sync.last_error),
  list('drawer-late', drift, 'late', ['Due', 'Started', 'Late by', 'Result'], (run) => [time(run.scheduled_for, 'moment'), time(run.started_at, 'moment'), interval(run.drift), run.outcome]),
  list('drawer-missed', missed, 'missed', ['Due', 'Attempts', 'Given up'], (run) => [time(run.scheduled_for, 'moment'), run.attempts, run.given_up ? 'Yes' : 'No']),
  list('drawer-cold', cold, 'cold', ['Due', 'Started', 'Result'], (run) => [time(run.scheduled_for, 'moment'), time(run.started_at, 'moment'), run.outcome]));
}
