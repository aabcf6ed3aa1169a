// format.mjs: times, durations and percentages as people read them. Pure: the same arguments, the same text.

const zoneOf = (options) => ({ timeZone: options?.time_zone });
const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;

// duration(ms): the two greatest units: '45 s', '12 min', '3 h 20 min', '5 d 4 h'. Rounded down.
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  const left = Math.max(0, ms);
  if (left < minute) return `${Math.floor(left / second)} s`;
  const [[big, name], [small, next]] = left < hour ? [[minute, 'min'], [null]]
    : left < day ? [[hour, 'h'], [minute, 'min']]
      : [[day, 'd'], [hour, 'h']];
  const rest = small && left < 10 * day ? Math.floor((left % big) / small) : 0;
  return `${Math.floor(left / big)} ${name}${rest ? ` ${rest} ${next}` : ''}`;
}

// ago(iso, now): '12 min ago', 'in 3 h', 'just now'.
export function ago(iso, now) {
  const ms = now - Number(new Date(iso));
  if (Math.abs(ms) < 10 * second) return 'just now';
  return ms < 0 ? `in ${duration(-ms)}` : `${duration(ms)} ago`;
}

// lasting(iso, now): for how long something has been so: '3 h 20 min'.
export const lasting = (iso, now) => duration(now - Number(new Date(iso)));

// clock(iso, options): the time of day, in the viewer's zone: '14:03'.
export const clock = (iso, options) => new Intl.DateTimeFormat(options?.locale ?? 'en-GB', { hour: '2-digit', minute: '2-digit', ...zoneOf(options) })
  .format(new Date(iso));

// moment(iso, options): day and time in the viewer's zone: '4 May 2026, 14:03'.
export const moment = (iso, options) => new Intl.DateTimeFormat(
  options?.locale ?? 'en-GB',
  { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', ...zoneOf(options) },
).format(new Date(iso));

// utc(iso): for whoever compares with a log: '2026-05-04 12:03:07 UTC'.
export const utc = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

// date(day, options): a day of the calendar, 'YYYY-MM-DD', in no zone: 'Mon 4 May 2026'.
export const date = (text, options) => new Intl.DateTimeFormat(
  options?.locale ?? 'en-GB',
  { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' },
).format(new Date(`${text}T00:00:00Z`)).replace(',', '');

// percent(value): at most two decimals, never rounded up: 99.999 is not 100. null: 'no data'.
export function percent(value) {
  if (value === null || value === undefined) return 'no data';
  const [whole, decimals = ''] = String(value).split('.');
  const kept = decimals.slice(0, 2).replace(/0+$/, '');
  return `${whole}${kept && `.${kept}`} %`;
}

// milliseconds(value): '84 ms', '1.2 s'; null: 'no data'.
export function milliseconds(value) {
  if (value === null || value === undefined) return 'no data';
  return value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} s`;
}

// interval(text): an interval as PostgreSQL writes it, '1 day 02:30:00', as people do: '1 day 2 h 30 min'. Seconds are
// rounded down where there is anything greater.
export function interval(text) {
  if (!text) return '–';
  const parts = [];
  for (const [, number, unit] of text.matchAll(/(-?\d+) (year|mon|day)s?/g)) {
    const name = { year: 'year', mon: 'month', day: 'day' }[unit];
    parts.push(`${number} ${name}${Math.abs(number) === 1 ? '' : 's'}`);
  }
  const time = /(-?)(\d+):(\d\d):(\d\d)/.exec(text);
  if (time) {
    const [, sign, ...numbers] = time;
    const [hours, minutes, seconds] = numbers.map(Number);
    const units = [[hours, 'h'], [minutes, 'min']].filter(([number]) => number).map(([number, unit]) => `${sign}${number} ${unit}`);
    if (units.length === 0 && parts.length === 0) units.push(`${sign}${seconds} s`);
    parts.push(...units);
  }
  return parts.join(' ') || text;
}

// every(text): 'every hour', 'every day', 'every 15 min'.
export function every(text) {
  const words = interval(text);
  return `every ${{ '1 h': 'hour', '1 min': 'minute', '1 day': 'day', '1 month': 'month', '1 year': 'year', '7 days': 'week' }[words] ?? words}`;
}

// count(number, one, many): '1 problem', '3 problems'.
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

// lastOf(list, max): 'A, B, C and 2 more'.
export function enumerate(list, max = 3) {
  if (list.length > max + 1) return `${list.slice(0, max).join(', ')} and ${list.length - max} more`;
  return list.length < 2 ? list.join('') : `${list.slice(0, -1).join(', ')} and ${list.at(-1)}`;
}
