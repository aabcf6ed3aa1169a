// record.mjs: records a run's checks in one call of record_health_checks, and again when that
// fails, without ever recording a check twice.
//
// The call is one transaction, so a refusal recorded nothing. The trouble is a call without an
// answer: it may have been committed, or be committed later. Hence, before the checks are sent
// again: (1) look whether they are there; one of them stands for all; (2) believe that they are not
// only when settle_ms have passed since they were sent, longer than the database can be busy with
// them (PostgREST waits 10 s for a connection, Supabase's statement_timeout for the authenticator
// is 8 s).

// Answers that leave no doubt that nothing was committed: PostgREST found no connection to the
// database (PGRST000, 002, 003), or there is an SQLSTATE, if it is none of those that say that the
// connection was lost (08, 57P), perhaps after the commit.
const isUndone = ({ status, error: { code } }) => status >= 500
  && (/^PGRST00[023]$/.test(code) || (/^[0-9A-Z]{5}$/.test(code) && !/^(08|57P)/.test(code)));

// A refusal: sent again, the same checks would be refused again. 408 and 429 come from a gateway.
const isRefused = (status) => status >= 400 && status < 500 && status !== 408 && status !== 429;

// recordOnce(supabase, checks, settings): returns { recorded, attempts }, and error, a text, if
// they could not be recorded. Fills the microseconds of every checked_at with the run's own number,
// by which its checks are known again.
export async function recordOnce(supabase, checks, settings) {
  sign(checks);
  const give = (recorded, attempts, error) => ({ recorded, attempts, ...(error && { error }) });
  let error;
  for (let attempt = 1; attempt <= settings.record_attempts; attempt++) {
    if (attempt > 1) await wait(backoff(settings, attempt));
    const sent = Date.now();
    const answer = await answerOf(supabase.rpc('record_health_checks', { checks }), settings.record_timeout_ms);
    // Whoever answers 200 without the number that was recorded is no PostgREST, or not this function.
    if (!answer.error && answer.data !== checks.length) return give(0, attempt, `HTTP ${answer.status}: the answer is not the number of checks`);
    if (!answer.error) return give(answer.data, attempt);
    error = describe(answer);
    if (isRefused(answer.status)) return give(0, attempt, error);
    if (isUndone(answer)) continue;
    const found = await lookFor(supabase, checks[0], sent + settings.settle_ms, settings);
    if (found) return give(checks.length, attempt);
    // Not knowing is not "not there": better a gap than a check twice.
    if (found === undefined) return give(0, attempt, `${error}; and whether they were recorded cannot be seen`);
  }
  return give(0, settings.record_attempts, error);
}

// sign(checks): gives all of them the same three digits of microseconds, made by chance, which a
// Date does not have. With the organisation, the type and the milliseconds that is unmistakable.
function sign(checks) {
  const digits = String(Math.floor(Math.random() * 1000)).padStart(3, '0');
  for (const check of checks) check.checked_at = check.checked_at.replace(/(\.\d{3})Z$/, `$1${digits}Z`);
}

// lookFor(supabase, check, until, settings): polls the history for the check. True: it is there.
// False: it was not there when the time was up. Undefined: the history could not be read, not even
// after some more tries.
async function lookFor(supabase, check, until, settings) {
  let unreadable = 0;
  for (let look = 2; ; look++) {
    const timeIsUp = Date.now() >= until;
    const answer = await answerOf(
      supabase.from('integration_health_history').select('check_no')
        .match({ org_id: check.org_id, integration_type: check.integration_type, checked_at: check.checked_at }).limit(1),
      settings.record_timeout_ms,
    );
    if (!answer.error && !Array.isArray(answer.data)) answer.error = { code: '', message: 'the answer is no list' };
    if (answer.data?.length > 0 && !answer.error) return true;
    if (timeIsUp && !answer.error) return false;
    if (timeIsUp && ++unreadable >= settings.record_attempts) return undefined;
    const pause = backoff(settings, look);
    await wait(timeIsUp ? pause : Math.min(pause, until - Date.now()));
  }
}

// backoff(settings, attempt): how long to wait before this attempt: doubles, with jitter, a minute at most.
function backoff({ record_backoff_ms }, attempt) {
  return Math.min(record_backoff_ms * 2 ** (attempt - 2), 60_000) * (0.75 + Math.random() / 2);
}

// within(ms, work): what work(signal) comes to, or a TimeoutError when the time is up. A signal alone
// will not do: fetch in Debian's Node 18 may lose it, and waits for five minutes then.
export async function within(ms, work) {
  const controller = new AbortController();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const error = new DOMException(`no answer within ${ms} ms`, 'TimeoutError');
      reject(error);
      controller.abort(error);
    }, ms);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

// answerOf(request, ms): the answer to a request of supabase-js; an error like its own when it is late.
export const answerOf = (request, ms) => within(ms, (signal) => request.abortSignal(signal))
  .catch((error) => ({ data: null, status: 0, error: { code: '', message: String(error) } }));

const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// describe(answer): what supabase-js says of a failure, in one line.
export function describe({ status, error }) {
  const what = `${error.code ? `${error.code} ` : ''}${error.message}`.replace(/\s+/g, ' ').slice(0, 300);
  return status ? `HTTP ${status}: ${what}` : `no answer: ${what}`;
}
