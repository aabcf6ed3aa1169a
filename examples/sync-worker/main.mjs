// main.mjs: a worker whose syncs are a POST to SYNC_URL each. Looks for what is due every 15 seconds,
// until SIGTERM or SIGINT; then it takes no more, and finishes what runs. Needs SUPABASE_URL and
// SUPABASE_SERVICE_ROLE_KEY, too; SUPABASE_DB_SCHEMA where the extension is not in public.
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@supabase/supabase-js';
import { postTo } from './post.mjs';
import { createWorker } from './worker.mjs';

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`sync-worker: Node 20 or later is needed, this is ${process.version}`);
  process.exit(1);
}

const { SYNC_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, SUPABASE_DB_SCHEMA } = process.env;
if (!SYNC_URL || !SUPABASE_URL || !SUPABASE_SERVICE_ROLE_KEY) {
  console.error('sync-worker: SYNC_URL, SUPABASE_URL or SUPABASE_SERVICE_ROLE_KEY is not set');
  process.exit(1);
}
const supabase = createClient(SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, {
  auth: { persistSession: false }, db: { schema: SUPABASE_DB_SCHEMA ?? 'public' },
  realtime: { transport: class {} },   // none is opened; before Node 22 newer versions of supabase-js ask for one
});

const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ending.abort());

// Your own sync(run, signal) goes in place of postTo(SYNC_URL).
const worker = createWorker({ supabase, sync: postTo(SYNC_URL) });
while (!ending.signal.aborted) {
  await worker.run(ending.signal).catch((error) => console.error(`sync-worker: ${error.message}`));
  await wait(15_000, undefined, { signal: ending.signal }).catch(() => {});
}
