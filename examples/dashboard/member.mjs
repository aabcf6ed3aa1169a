// member.mjs: how one organisation's integrations are.
import { icon } from './charts.mjs';
import { draw, h, place } from './dom.mjs';
import { every } from './format.mjs';
import { charts, chartTables, errorText, incidentItem, legend, pairLink, section, summaryOf, table, time, uptime, badge } from './parts.mjs';
import { byUrgency, stateOf } from './state.mjs';

// showMember(root, data, actions): data as organisation() of data.mjs gives it; actions: { acknowledge, name(org_id) }.
export function showMember(root, data, actions) {
  const { org_id, overview, incidents, syncs, maintenance } = data;
  const open = incidents.filter((incident) => incident.resolved_at === null);
  const over = incidents.filter((incident) => incident.resolved_at !== null);
  const checked = byUrgency(overview).filter((row) => stateOf(row) !== 'never');
  const never = overview.filter((row) => stateOf(row) === 'never');
  const planned = maintenance.filter((window) => window.is_active || Date.parse(window.starts_at) > Date.now());
  place(root, [
    planned.length > 0 && { key: `${org_id} planned`, data: planned, build: () => plannedNotice(planned, overview) },
    open.length > 0 && {
      key: `${org_id} open`, data: open, build: () => section('open-incidents', 'Open incidents', h('ul', { class: 'incidents panel' }, open.map((incident) => incidentItem(incident, {
        acknowledge: actions.acknowledge, prefix: 'open', name: pairLink(org_id, incident.integration_type, incident.display_name),
      })))),
    },
    { key: `${org_id} integrations`, build: () => section('integrations', 'Integrations', legend(), h('ul', { class: 'cards' }), h('div', { class: 'rest' })) },
    { key: `${org_id} syncs`, data: syncs, build: () => section('syncs', 'Syncs', syncTable(org_id, syncs)) },
    {
      key: `${org_id} over`, data: over, build: () => section('past-incidents', 'Past incidents', over.length > 0
        ? pastIncidents(over, actions) : h('p', { class: 'empty' }, 'No incident was resolved in the last 30 days.')),
    },
  ]);
  place(root.querySelector('.cards'), checked.map((row) => ({ key: row.integration_type, data: row, build: () => card(org_id, row) })));
  place(root.querySelector('.rest'), [
    overview.length === 0 && { key: 'none', build: () => h('p', { class: 'empty' }, 'There is no such organisation, or you may not see it.') },
    overview.length > 0 && checked.length === 0 && { key: 'empty', build: () => h('p', { class: 'empty' }, 'Nothing was checked yet. What is checked appears with its first check.') },
    never.length > 0 && { key: 'never', data: never.map((row) => row.display_name), build: () => h('p', { class: 'never' }, 'Not checked yet: ', never.map((row) => row.display_name).join(', '), '.') },
  ]);
}

function card(org_id, row) {
  const id = `card-${row.integration_type}`;
  return h('li', { class: `card ${stateOf(row)}` },
    h('div', { class: 'head' },
      h('div', null,
        h('h3', null, pairLink(org_id, row.integration_type, row.display_name, id)),
        summaryOf(row),
        stateOf(row) !== 'healthy' && errorText(row.error)),
      uptime(row)),
    charts(row),
    chartTables(`${id}-figures`, row));
}

function plannedNotice(windows, overview) {
  const name = (type) => (type === null ? 'All integrations' : overview.find((row) => row.integration_type === type)?.display_name ?? type);
  return h('section', { class: 'notice', 'aria-label': 'Maintenance' }, windows.map((window) => h('p', null,
    draw(icon('planned')), h('strong', null, window.is_active ? 'Maintenance now' : 'Maintenance planned'), ` ${name(window.integration_type)}: `, h('bdi', null, window.reason),
    ', ', time(window.starts_at, 'moment'), ' to ', time(window.ends_at, 'moment'))));
}

const outcomes = { running: ['unknown', 'Running'], succeeded: ['healthy', 'Succeeded'], failed: ['unhealthy', 'Failed'] };

export const outcome = (sync) => (sync.last_outcome ? badge(...outcomes[sync.last_outcome] ?? ['unknown', sync.last_outcome]) : 'Never run');

// next(sync): when the next period begins.
export const next = (sync) => (sync.enabled ? time(sync.next_at) : 'Switched off');

function syncTable(org_id, syncs) {
  if (syncs.length === 0) return h('p', { class: 'empty' }, 'No sync is scheduled.');
  const number = (value) => (value > 0 ? h('strong', { class: 'count' }, String(value)) : '0');
  return h('div', { class: 'panel' }, table('Syncs, and what went wrong in the last 24 hours', ['Integration', 'Interval', 'Next', 'Last', 'Result', 'Late', 'Missed', 'Cold'], syncs.map((sync) => [
    pairLink(org_id, sync.integration_type, sync.display_name), every(sync.every), next(sync), time(sync.last_started_at),
    [outcome(sync), sync.last_outcome === 'failed' && errorText(sync.last_error)], number(sync.late), number(sync.missed), number(sync.cold_starts),
  ]), { numbers: [5, 6, 7], hidden_caption: true }));
}

function pastIncidents(over, actions) {
  const list = (incidents) => h('ul', { class: 'incidents' }, incidents.map((incident) => incidentItem(incident, { acknowledge: actions.acknowledge, prefix: 'past' })));
  return h('div', { class: 'panel' }, list(over.slice(0, 5)),
    over.length > 5 && h('details', { id: 'older-incidents' }, h('summary', null, `${over.length - 5} older`), list(over.slice(5))));
}
