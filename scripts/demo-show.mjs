// demo-show.mjs: the client of the demo. Runs the health monitor for a few dozen rounds as service_role, then
// shows what each kind of caller gets to see. Its argument is the file that demo-servers.mjs wrote.
import { readFile } from 'node:fs/promises';
import { paint, print, recordRounds, report } from '../examples/playground/report.mjs';
import { connect } from '../test/rest/stack.mjs';

const { url, tokens, monitor: config } = JSON.parse(await readFile(process.argv[2], 'utf8'));
const as = (who) => connect({ url, anonKey: tokens.anon, key: tokens[who] });

print(`${paint('bold', 'integration_health')}: rounds of HEAD requests to local endpoints, recorded as service_role through`);
print('health monitor -> supabase-js -> PostgREST -> record_health_checks');
await recordRounds(as, config);
await report(as, [['a global admin, token expired', 'expired']]);
print();
