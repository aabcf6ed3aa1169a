// retry_after.mjs: the header Retry-After, as RFC 9110 has it (10.2.3: seconds, or a date in one of the three
// forms of 5.6.7, all of them GMT), and as it is met besides.
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const imf = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:gmt|utc)$/i;
const rfc850 = /^[a-z]{6,9}, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) (?:gmt|utc)$/i;
const asctime = /^[a-z]{3} ([a-z]{3}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i;
const iso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

// What the database takes as retry_after.
const longest = 31_536_000;

// time(...): milliseconds, or NaN where there is no such time.
function time(year, month, day, ...clock) {
  const number = months.indexOf(month.toLowerCase());
  const [hour, minute, second] = clock.map(Number);
  const at = Date.UTC(Number(year), number, Number(day), hour, minute, second);
  const isTime = number >= 0 && hour < 24 && minute < 60 && second <= 60 && new Date(Date.UTC(Number(year), number, Number(day))).getUTCDate() === Number(day);
  return isTime ? at : NaN;
}

function dateOf(text, now) {
  let found;
  if ((found = imf.exec(text))) return time(found[3], found[2], found[1], found[4], found[5], found[6]);
  if ((found = rfc850.exec(text))) {
    // Two digits more than 50 years ahead are of the century before.
    const here = new Date(now).getUTCFullYear();
    let year = here - (here % 100) + Number(found[3]);
    if (year > here + 50) year -= 100;
    return time(year, found[2], found[1], found[4], found[5], found[6]);
  }
  if ((found = asctime.exec(text))) return time(found[6], found[1], found[2], found[3], found[4], found[5]);
  return iso.test(text) ? Date.parse(text) : NaN;
}

// retryAfter(header, now): whole seconds to wait, rounded up, 0 to a year; null where the header does not say.
export function retryAfter(header, now = Date.now()) {
  const text = String(header ?? '').trim();
  const seconds = /^[+-]?\d+(?:\.\d+)?$/.test(text) ? Number(text) : (dateOf(text, now) - now) / 1000;
  return Number.isNaN(seconds) ? null : Math.min(Math.max(Math.ceil(seconds), 0), longest);
}
