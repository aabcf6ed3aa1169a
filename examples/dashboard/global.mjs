// global.mjs: how the integrations of all organisations are, for global admins.
import { icon, stackedBar } from './charts.mjs';
import { draw, h, place } from './dom.mjs';
import { interval, percent } from './format.mjs';
import { badge, errorText, incidentItem, pairLink, section, table, time } from './parts.mjs';
import { alertWords, causeOf } from './state.mjs';

// showGlobal(root, data, actions): data as everything() of data.mjs gives it; actions: { acknowledge, name(org_id) }.
export function showGlobal(root, data, actions) {
  const { summary, uptime, problems, incidents, passive, backlog, syncs, days, max_rows } = data;
  const open = incidents.filter((incident) => incident.resolved_at === null);
  const over = incidents.filter((incident) => incident.resolved_at !== null);
  place(root, [
    open.length > 0 && {
      key: 'global outages', data: open, build: () => section('outages', 'Outages of a whole type', h('ul', { class: 'incidents panel' },
        open.map((incident) => incidentItem(incident, { acknowledge: actions.acknowledge, prefix: 'outage' })))),
    },
    passive.length > 0 && { key: 'global passive', data: passive, build: () => section('passive', 'Passive types', passiveTable(passive)) },
    { key: 'global types', data: [summary, uptime, days], build: () => section('types', 'Types', typeTable(summary, uptime, days)) },
    { key: 'global problems', data: problems, build: () => section('problems', 'Problems', problemTable(problems, max_rows, actions)) },
    { key: 'global backlog', data: backlog, build: () => section('backlog', 'Alert backlog', backlogTable(backlog, max_rows, actions, summary)) },
    { key: 'global syncs', data: syncs, build: () => section('global-syncs', 'Syncs of 24 hours', syncTable(syncs)) },
    over.length > 0 && {
      key: 'global over', data: over, build: () => section('past-outages', 'Past outages of a whole type', h('ul', { class: 'incidents panel' },
        over.map((incident) => incidentItem(incident, { acknowledge: actions.acknowledge, prefix: 'outage' })))),
    },
  ]);
}

const panel = (...content) => h('div', { class: 'panel' }, content);
const empty = (text) => h('p', { class: 'empty' }, text);
const loud = (number) => (number > 0 ? h('strong', { class: 'count' }, String(number)) : String(number));

function typeTable(summary, uptime, days) {
  if (summary.length === 0) return empty('There is no integration type.');
  return panel(table('Types of integrations', ['Type', 'Pairs by status', 'Healthy', 'Degraded', 'Unhealthy', 'Unknown', `Uptime, ${days} days`, 'Known'], summary.map((row) => {
    const known = uptime.find((one) => one.integration_type === row.integration_type);
    return [
      [row.display_name, row.monitoring_mode === 'passive' && [' ', badge('passive', 'Passive')]], draw(stackedBar(row)),
      row.healthy, row.degraded, loud(row.unhealthy), row.unknown, percent(known?.uptime_pct ?? null), percent(known?.coverage_pct ?? null),
    ];
  }), { numbers: [2, 3, 4, 5, 6, 7], hidden_caption: true }));
}

function passiveTable(passive) {
  return panel(table('Types that are left alone', ['Type', 'Since', 'Why', 'Resumes'], passive.map((type) => [
    [draw(icon('passive')), ' ', type.display_name], time(type.passive_since), errorText(type.passive_reason) ?? '–',
    type.passive_until === null ? 'By hand only' : [time(type.passive_until), ' by a probe'],
  ]), { hidden_caption: true }));
}

function problemTable(problems, max_rows, { name }) {
  if (problems.length === 0) return empty('Every pair is healthy.');
  return panel(
    table('Pairs that are not healthy', ['Integration', 'Organisation', 'Status', 'For', 'Cause', 'Failures', 'Error'], problems.map((row) => [
      pairLink(row.org_id, row.integration_type, row.display_name, `problem-${row.org_id}-${row.integration_type}`),
      h('bdi', { title: row.org_id }, name(row.org_id)), badge(row.status), time(row.status_since, 'lasting'), causeOf(row.cause) ?? '–', row.consecutive_failures, errorText(row.error) ?? '–',
    ]), { numbers: [5], hidden_caption: true }),
    problems.length === max_rows && h('p', { class: 'more' }, `The first ${max_rows}: the worst and longest-lasting.`));
}

const alertStates = { dead: ['unhealthy', 'Given up'], waiting: ['unknown', 'Waiting'], claimed: ['unknown', 'Being delivered'], held: ['unknown', 'Held'] };

function backlogTable(backlog, max_rows, { name }, summary) {
  const typeName = (type) => (type ? summary.find((row) => row.integration_type === type)?.display_name ?? type : 'All');
  if (backlog.length === 0) return empty('Every alert is delivered.');
  return panel(
    table('Alerts that are not delivered', ['Alert', 'Organisation', 'Type', 'State', 'Made', 'Due', 'Attempts', 'Last error'], backlog.map((alert) => [
      alertWords[alert.kind] ?? alert.kind, alert.org_id ? h('bdi', { title: alert.org_id }, name(alert.org_id)) : 'All', typeName(alert.integration_type),
      badge(...alertStates[alert.state] ?? ['unknown', alert.state]), time(alert.created_at), Number.isNaN(Date.parse(alert.due_at)) ? '–' : time(alert.due_at), alert.attempt, errorText(alert.error) ?? '–',
    ]), { numbers: [6], hidden_caption: true }),
    backlog.length === max_rows && h('p', { class: 'more' }, `The first ${max_rows}.`));
}

function syncTable(syncs) {
  if (syncs.every((row) => row.schedules === 0 && row.succeeded + row.failed + row.running + row.missed === 0)) return empty('No sync is scheduled.');
  return panel(table('Syncs by type, of the last 24 hours', ['Type', 'Schedules', 'Succeeded', 'Failed', 'Running', 'Late', 'Missed', 'Given up', 'Cold', 'Longest drift'], syncs.map((row) => [
    row.display_name, row.schedules, row.succeeded, loud(row.failed), row.running, loud(row.late), loud(row.missed), loud(row.given_up), row.cold_starts, row.max_drift ? interval(row.max_drift) : '–',
  ]), { numbers: [1, 2, 3, 4, 5, 6, 7, 8, 9], hidden_caption: true }));
}
