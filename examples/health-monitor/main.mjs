// main.mjs: the Node entry. One run: node main.mjs config.json, every minute, from cron or a systemd
// timer. Needs SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY; SUPABASE_DB_SCHEMA where the extension is
// not in public. ${NAME} in a header of the config is taken from the environment.
import { readFile } from 'node:fs/promises';
import { createClient } from '@supabase/supabase-js';
import { createMonitor, withVariables } from './monitor.mjs';

function setting(name) {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return process.env[name];
}

try {
  if (Number(process.versions.node.split('.')[0]) < 18) throw new Error(`Node 18 or later is needed, this is ${process.version}`);
  const config = withVariables(JSON.parse(await readFile(process.argv[2] ?? 'config.json', 'utf8')), setting);
  const supabase = createClient(setting('SUPABASE_URL'), setting('SUPABASE_SERVICE_ROLE_KEY'), {
    auth: { persistSession: false },
    db: { schema: process.env.SUPABASE_DB_SCHEMA ?? 'public' },
    realtime: { transport: class {} },   // none is opened; before Node 22 newer versions of supabase-js ask for one
  });
  await createMonitor({ supabase, config }).run();
} catch (error) {
  console.error(`health-monitor: ${error.message}`);
  process.exitCode = 1;
}
