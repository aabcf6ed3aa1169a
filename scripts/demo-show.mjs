// demo-show.mjs: the client of the demo. Runs the health monitor for a few dozen rounds as service_role, then
// shows what each kind of caller gets to see. Its argument is the file that demo-servers.mjs wrote; with
// --keep, it ends by saying how to go on.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { orgs } from '../examples/playground/people.mjs';
import { heading, paint, print, recordRounds, report } from '../examples/playground/report.mjs';
import { connect } from '../test/rest/stack.mjs';

const file = process.argv[2];
const { url, psql, tokens, monitor: config } = JSON.parse(await readFile(file, 'utf8'));
const as = (who) => connect({ url, anonKey: tokens.anon, key: tokens[who] });

async function showHowToGoOn() {
  const dir = file.replace(/\/[^/]*$/, '');
  const path = (name) => fileURLToPath(new URL(name, import.meta.url));
  await writeFile(`${dir}/monitor.json`, JSON.stringify(config, null, 2));
  heading('Left running', `until: ${path('demo')} --stop ${dir}`);
  print(`  psql        ${psql}`);
  print(`  Supabase    ${url}  (REST at ${url}/rest/v1)`);
  print(`  one round   SUPABASE_URL=${url} SUPABASE_SERVICE_ROLE_KEY=$SERVICE \\\n              node ${path('../examples/health-monitor/main.mjs')} ${dir}/monitor.json`);
  print('\n  Tokens, good for a week, to paste into a shell:');
  for (const [name, who] of [['ANON', 'anon'], ['SERVICE', 'service'], ['MEMBER_A', 'memberOfA'], ['MEMBER_B', 'memberOfB'], ['ADMIN', 'globalAdmin']]) {
    print(`${name}=${tokens[who]}`);
  }
  const curl = (call, token, body) => print(`curl -s ${url}/rest/v1/rpc/${call} -H "apikey: $ANON" -H "Authorization: Bearer $${token}" \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`);
  print('\n  And to try with curl:');
  curl('get_org_health_status', 'MEMBER_A', { org_id: orgs.A });
  curl('get_health_trend', 'MEMBER_A', { org_id: orgs.A, integration_type: 'xledger', hours: 1 });
  curl('get_global_health_summary', 'ADMIN', {});
}

print(`${paint('bold', 'integration_health')}: rounds of HEAD requests to local endpoints, recorded as service_role through`);
print('health monitor -> supabase-js -> PostgREST -> record_health_checks');
await recordRounds(as, config);
await report(as, [['a global admin, token expired', 'expired']]);
if (process.argv[3] === '--keep') await showHowToGoOn();
print();
