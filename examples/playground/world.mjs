// world.mjs: a made-up product with its customers, their integrations, and what a health check of each would find at any time: up
// to the moment it is made for, and after it. The same moment and seed make the same world, so that a test knows what to expect.
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

// How often a health monitor checks a pair.
export const interval = 15 * minute;

// The systems. max_backoff: how long a failing pair waits at most, as a site would set it.
export const types = [
  ['xledger', 'Xledger'], ['dynamics', 'Microsoft Dynamics 365'], ['payroll', 'Payroll'], ['webshop', 'Webshop'],
  ['bank', 'Bank payments'], ['tax', 'Tax reporting'], ['invoices', 'E-invoices'], ['crm', 'CRM'],
  ['warehouse', 'Warehouse'], ['hours', 'Time sheets'],
].map(([integration_type, display_name]) => ({ integration_type, display_name, max_backoff: '1 hour' }));

const id = (n) => `d0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

// The customers, and which systems each has connected.
export const organisations = [
  ['Fjordheim Entreprenør AS', types.map((type) => type.integration_type)],
  ['Bakken & Lund Regnskap AS', ['xledger', 'dynamics', 'webshop', 'warehouse']],
  ['Nordavind Logistikk AS', ['xledger', 'payroll', 'bank', 'warehouse']],
  ['Solberg Eiendom AS', ['xledger', 'bank', 'tax', 'invoices', 'hours']],
  ['Kvist Interiør AS', ['dynamics', 'webshop', 'bank', 'crm']],
  ['Havbris Sjømat AS', ['xledger', 'bank', 'warehouse', 'hours']],
  ['Tindevegen Bygg AS', ['dynamics', 'payroll', 'bank', 'invoices']],
  ['Mosebekk Trelast AS', ['xledger', 'webshop', 'bank', 'warehouse', 'crm']],
  ['Lysning Helse AS', ['dynamics', 'bank', 'tax', 'payroll']],
  ['Grønnfjell Energi AS', ['xledger', 'bank', 'tax', 'invoices', 'hours']],
  ['Sandvika Transport AS', ['xledger', 'payroll', 'bank']],
  ['Elvebakk Mekaniske AS', ['dynamics', 'bank', 'warehouse', 'hours']],
  ['Vestrand Hotell AS', ['dynamics', 'payroll', 'bank', 'crm']],
  ['Ringstad Barnehager', ['xledger', 'bank', 'invoices', 'hours']],
].map(([name, has], n) => ({ org_id: id(n + 1), name, types: has }));

const [fjordheim, bakken, nordavind, , kvist] = organisations;
// Those who look, and the claims of their tokens.
const member = ({ org_id, name }, who, what) => ({
  name: `${who} of ${name.split(' ')[0]}: ${what}`,
  org_id,
  claims: { role: 'authenticated', sub: who.toLowerCase().replace(' ', '.'), app_metadata: { org_id } },
});
export const viewers = {
  memberOfA: member(fjordheim, 'Kari Nordmann', 'a bit of everything'),
  memberOfB: member(bakken, 'Ola Hansen', 'all is well'),
  memberOfC: member(nordavind, 'Nina Berg', 'old data'),
  globalAdmin: { name: 'Per Vakt, global admin', claims: { role: 'authenticated', sub: 'per.vakt', app_metadata: { role: 'global_admin' } } },
};

// signIn(sign): these people, and one whose token has expired, for picker.mjs. sign(claims, seconds): a token that is good for so
// long, or, if that is left out, for as long as anybody may look.
export function signIn(sign) {
  return [
    ...Object.entries(viewers).map(([who, { name, claims }]) => ({ who, name, token: sign(claims) })),
    { who: 'expired', name: 'Somebody whose token has expired', token: sign(viewers.memberOfA.claims, -60) },
  ];
}

// mix(...numbers): a number from 0 to below 1 that they decide.
export function mix(...numbers) {
  let h = 0x811c9dc5;
  for (const n of numbers) {
    h = Math.imul(h ^ (n | 0), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  }
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4eb2f);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

const failures = {
  server: { http_status: 503, latency_ms: 240, error: 'HTTP 503: Service Unavailable' },
  auth: { http_status: 401, latency_ms: 95, error: 'HTTP 401: the client secret has expired' },
  timeout: { cause: 'timeout', error: 'no answer within 10000 ms' },
  connect: { cause: 'connect', error: 'ECONNREFUSED: the connection was refused' },
};

// The median latency of each system in milliseconds.
const usual = { xledger: 140, dynamics: 290, payroll: 210, webshop: 90, bank: 260, tax: 360, invoices: 170, crm: 130, warehouse: 180, hours: 110 };

// Above this a check is degraded.
const slow = 1500;

// createWorld({ now, seed, days }): what is and was until now, a time in milliseconds; days: for how long.
export function createWorld({ now, seed = 1, days = 90 }) {
  // from the start of a day in UTC, so that the first of the days is whole
  const begins = Math.floor(now / day) * day - days * day;
  const midnight = (daysAgo) => Math.floor(now / day) * day - daysAgo * day;

  const pairs = organisations.flatMap(({ org_id, types: has }) => has.map((integration_type) => ({ org_id, integration_type, since: begins })));
  pairs.forEach((pair, n) => Object.assign(pair, { dice: mix(seed, n), phase: Math.floor(mix(seed, n, 1) * interval / 1000) * 1000 }));
  const pairOf = (org, integration_type) => pairs.find((pair) => pair.org_id === org.org_id && pair.integration_type === integration_type);

  // What went wrong, when and with whom; no org_id: all who have the system.
  const outages = [
    { integration_type: 'bank', kind: 'server', from: midnight(12) + 9 * hour, to: midnight(12) + 13 * hour },
    { integration_type: 'bank', kind: 'timeout', from: now - 50 * minute, to: now + 25 * minute },
    { ...fjordheim, integration_type: 'tax', kind: 'auth', from: now - 51 * hour, to: Infinity },
    { ...kvist, integration_type: 'crm', kind: 'auth', from: now - 20 * hour, to: Infinity },
    { ...fjordheim, integration_type: 'invoices', kind: 'connect', from: midnight(33) + 5 * hour, to: midnight(33) + 7 * hour },
  ];
  pairOf(fjordheim, 'crm').since = now - 40 * day;

  // Nobody checked.
  const silences = [
    { ...fjordheim, integration_type: 'invoices', from: midnight(20) + 15 * hour, to: midnight(15) + 8 * hour },
    { ...nordavind, integration_type: 'warehouse', from: now - 3 * hour, to: Infinity },
  ];

  // Planned work of a system, with all who have it: on Sundays from 00:00 to 04:00, and once for a whole day. It is down for less.
  const maintenance = [{ from: midnight(30), to: midnight(29), reason: 'move to a new data centre' }];
  for (let start = begins; start < now; start += day) {
    if (new Date(start).getUTCDay() === 0) maintenance.push({ from: start, to: start + 4 * hour, reason: 'weekly update' });
  }
  outages.push(...maintenance.map(({ from, to }) => ({ integration_type: 'hours', kind: 'server', from: from + 30 * minute, to: to - 75 * minute })));

  const concerning = (pair, events) => events.filter((event) => event.integration_type === pair.integration_type
    && (!event.org_id || event.org_id === pair.org_id));
  for (const pair of pairs) Object.assign(pair, { outages: concerning(pair, outages), silences: concerning(pair, silences) });
  const during = (at) => ({ from, to }) => from <= at && at < to;

  // dice(pair, salt, n): a number from 0 to below 1 for the n-th time of something.
  const dice = (pair, salt, n) => mix(pair.dice * 2 ** 32, salt, n);

  // A system that fails for one to four checks, now and then.
  function flaps(pair, at) {
    const block = Math.floor(at / (8 * hour));
    if (pair.integration_type !== 'payroll' || dice(pair, 1, block) > 0.06) return false;
    const from = block * 8 * hour + Math.floor(dice(pair, 2, block) * 24) * interval;
    return from <= at && at < from + Math.ceil(dice(pair, 3, block) * 4) * interval;
  }

  function latency(pair, at) {
    const { org_id, integration_type } = pair;
    const second = Math.floor(at / 1000);
    let ms = usual[integration_type] * (0.8 + 0.4 * dice(pair, 4, 0));
    ms *= 1 + 0.2 * Math.sin(2 * Math.PI * (at / day - 0.3)) + 0.3 * dice(pair, 5, second) * dice(pair, 6, second);
    if (dice(pair, 7, second) < 0.02) ms *= 2 + dice(pair, 8, second);
    // grows to eight times as much within the days, and on
    if (integration_type === 'warehouse') ms *= 1 + (org_id === fjordheim.org_id ? 7 : 1) * ((at - begins) / (days * day)) ** 2;
    // in some nights, from 01:00 to 04:00, reports are made
    const night = Math.floor(at / day);
    if (integration_type === 'dynamics' && at % day >= hour && at % day < 4 * hour && mix(seed, night) < 0.4) ms = slow + 300 + 1500 * dice(pair, 9, second);
    return Math.round(ms);
  }

  // stateOf(pair, at): what is the matter with it then: a kind of failure, slow or fine; undefined: nobody checks.
  function stateOf(pair, at) {
    if (at < pair.since || pair.silences.some(during(at))) return undefined;
    const outage = pair.outages.find(during(at));
    if (outage || flaps(pair, at)) return outage?.kind ?? 'server';
    return latency(pair, at) > slow ? 'slow' : 'fine';
  }

  // find(pair, at): what a check of the pair finds then, as record_health_checks takes it; undefined: nobody checks.
  function find(pair, at) {
    const state = stateOf(pair, at);
    if (!state) return undefined;
    const seen = { org_id: pair.org_id, integration_type: pair.integration_type, checked_at: new Date(at).toISOString() };
    if (failures[state]) return { ...seen, status: 'unhealthy', ...failures[state] };
    const latency_ms = latency(pair, at);
    const status = state === 'slow' ? 'degraded' : 'healthy';
    return { ...seen, status, latency_ms, http_status: 200, error: state === 'slow' ? `slow: ${latency_ms} ms` : null };
  }

  return { now, begins, days, pairs, pairOf, maintenance, stateOf, find };
}
