// main.mjs: integration_health without a server. Installs the trusted edition in PGlite, has the health monitor record what
// local endpoints answer, shows it as a dashboard and an admin would see it, and then takes SQL from the terminal.
import { createMonitor } from '../health-monitor/monitor.mjs';
import { createClient } from './client.mjs';
import { openDatabase } from './database.mjs';
import { startEndpoints } from './endpoints.mjs';
import { people } from './people.mjs';
import { prompt } from './prompt.mjs';
import { paint, print, recordRounds, report } from './report.mjs';

const started = Date.now();
print(`${paint('bold', 'integration_health')}, the edition for hosted Supabase, in PGlite: PostgreSQL in this process`);
const db = await openDatabase();
const { rows: [{ version }] } = await db.query("SELECT current_setting('server_version') AS version");
print(`  PostgreSQL ${version} started and migration.sql run by postgres, who is no superuser, in ${((Date.now() - started) / 1000).toFixed(1)} s`);

const as = (who) => createClient(db, people[who]);
const { monitor: config, stop } = await startEndpoints();
print('\nRounds of HEAD requests to local endpoints, recorded as service_role: health monitor -> record_health_checks');
await recordRounds(as, config);
await report(as);
await prompt(db, () => createMonitor({ supabase: as('service'), config, log: (line) => print(`  ${line}`) }).run());
stop();
await db.close();
