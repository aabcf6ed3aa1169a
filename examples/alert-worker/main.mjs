// main.mjs: node main.mjs config.json. Delivers alerts until SIGTERM or SIGINT; then it claims no more, and finishes what it
// has claimed; at a second one it stops at once, and another worker has those when their lease is over. Needs SUPABASE_URL
// and SUPABASE_SERVICE_ROLE_KEY; SUPABASE_DB_SCHEMA where the extension is not in public. ${NAME} in a url or secret of the
// config is taken from the environment.
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@supabase/supabase-js';
import { readConfig } from './config.mjs';
import { createWorker } from './worker.mjs';

function setting(name) {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return process.env[name];
}

async function start() {
  if (Number(process.versions.node.split('.')[0]) < 20) throw new Error(`Node 20 or later is needed, this is ${process.version}`);
  const config = readConfig(JSON.parse(await readFile(process.argv[2] ?? 'config.json', 'utf8')), setting);
  const supabase = createClient(setting('SUPABASE_URL'), setting('SUPABASE_SERVICE_ROLE_KEY'), {
    auth: { persistSession: false },
    db: { schema: process.env.SUPABASE_DB_SCHEMA ?? 'public' },
    realtime: { transport: class {} },   // none is opened; before Node 22 newer versions of supabase-js ask for one
  });
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ending.abort());

  const worker = createWorker({ supabase, config });
  while (!ending.signal.aborted) {
    await worker.run(ending.signal).catch((error) => console.error(`alert-worker: ${error.message}`));
    await wait(config.poll_ms, undefined, { signal: ending.signal }).catch(() => {});
  }
}

await start().catch((error) => {
  console.error(`alert-worker: ${error.message}`);
  process.exitCode = 1;
});
