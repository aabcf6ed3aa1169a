// demo-keep.mjs: says how to go on with a demo that is left running. Its argument is the file that demo-servers.mjs wrote.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { orgs } from '../examples/playground/people.mjs';
import { heading, print } from '../examples/playground/report.mjs';

const file = process.argv[2];
const { url, page, psql, tokens, monitor: config } = JSON.parse(await readFile(file, 'utf8'));
const dir = file.replace(/\/[^/]*$/, '');
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
await writeFile(`${dir}/monitor.json`, JSON.stringify(config, null, 2));
heading('Left running', `until: ${path('demo')} --stop ${dir}`);
print(`  dashboard   ${page}  (what happens there is in ${dir}/life.log)`);
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
print();
