// serve.ts: what a function does with a request before it loads what does the work. Imports nothing, so that a warm-up is
// answered as soon as the instance is up.

// Makes one round of work: begins nothing after the signal ending, and breaks off what it does at stopping.
export type Round = (ending: AbortSignal, stopping: AbortSignal) => Promise<Record<string, unknown>>;
// cold: the instance was not woken by a warm-up; seconds: its wall clock, at least.
export type Instance = { cold: boolean; seconds: number };
type Work = { startRounds(instance: Instance): Round };

// Supabase's runtime has it; Deno alone does not.
type EdgeRuntime = { waitUntil(work: Promise<unknown>): void };
const runtime = (globalThis as { EdgeRuntime?: EdgeRuntime }).EdgeRuntime;

const born = Date.now();
const unloading = new AbortController();
addEventListener('beforeunload', () => unloading.abort(new DOMException('the instance is shut down', 'AbortError')));

// serve(name, load): answers the requests to this function. load() imports the module that does the work; it is called
// once, at the first warm-up or round.
export function serve(name: string, load: () => Promise<Work>) {
  let rounds: Promise<Round> | undefined;

  function prepare(cold: boolean) {
    rounds ??= (async () => (await load()).startRounds({ cold, seconds: wallClock() }))();
    return rounds;
  }

  async function runRound() {
    const round = await prepare(true);
    const { ending, stopping } = signals(wallClock());
    return round(ending, stopping);
  }

  // Work that goes on after the answer: the runtime must not take the instance for idle. What failed is logged.
  function inBackground(work: Promise<unknown>) {
    const logged = work.catch((error) => console.error(`${name}: ${error.message}`));
    runtime?.waitUntil(logged);
  }

  Deno.serve(async (request) => {
    if (request.method !== 'POST') return answer(405, { error: 'only POST is answered' });
    const isPing = await isWarmUp(request);
    const cold_start = rounds === undefined;
    try {
      if (isPing) {
        inBackground(prepare(false));
        return answer(200, { warm_up: true, cold_start });
      }
      if (!await isCaller(request, secret())) return answer(401, { error: 'the secret is missing or wrong' });
      const round = runRound();
      inBackground(round);
      // pg_net makes its next calls when it has the answers to the last ones: it must not wait for the work.
      if (runtime && !new URL(request.url).searchParams.has('wait')) return answer(202, { accepted: true, cold_start });
      return answer(200, { ...await round, cold_start });
    } catch (error) {
      return answer(500, { error: (error as Error).message });
    }
  });
}

const answer = (status: number, body: Record<string, unknown>) => Response.json(body, { status });

// isWarmUp(request): whether its body is the event of dispatch_sync_warm_ups. Whoever sends one wakes the instance, and
// no more: pg_net sends no secret with it.
async function isWarmUp(request: Request) {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of request.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > 8000) return false;      // no event is that long
  }
  try {
    return JSON.parse(text)?.event === 'warm_up';
  } catch {
    return false;
  }
}

// secret(): what a caller must send. Without one nobody gets in.
function secret() {
  const value = Deno.env.get('INTEGRATION_HEALTH_SECRET') ?? '';
  if (value.length < 32) throw new Error('INTEGRATION_HEALTH_SECRET is not set, or has fewer than 32 characters');
  return value;
}

// isCaller(request, secret): whether the request brings the secret; takes as long whatever it brings.
async function isCaller(request: Request, secret: string) {
  const digest = async (text: string) => new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const given = await digest(request.headers.get('Authorization') ?? '');
  const wanted = await digest(`Bearer ${secret}`);
  return given.reduce((difference, byte, i) => difference | (byte ^ wanted[i]), 0) === 0;
}

// wallClock(): how long the platform lets an instance live, in seconds.
function wallClock() {
  const text = Deno.env.get('WALL_CLOCK_SECONDS') || '150';
  const seconds = Number(text);
  if (!(seconds >= 1 && seconds <= 86_400)) throw new Error(`WALL_CLOCK_SECONDS must be a number from 1 to 86400, not "${text}"`);
  return seconds;
}

// signals(seconds): when a round that starts now begins nothing more, and when it breaks off. An instance is handed
// requests in the first half of its wall clock only, so a round has the other half at least. It begins nothing in the
// last third of the wall clock, and what it has begun then ends a tenth before the end: time for reporting it.
function signals(seconds: number) {
  const left = Math.max(born + 1000 * seconds - Date.now(), 500 * seconds);
  const after = (ms: number) => AbortSignal.any([unloading.signal, AbortSignal.timeout(ms)]);
  return { ending: after(left - 1000 * seconds / 3), stopping: after(left - 100 * seconds) };
}
