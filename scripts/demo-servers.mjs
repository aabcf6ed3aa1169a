// demo-servers.mjs: the servers that scripts/demo starts and --keep leaves running: PostgREST and the gateway
// in front of the database, the endpoints that play the external systems, and the dashboard. Writes their addresses, the
// tokens and the monitor's config to the file named by its argument, and runs until it is stopped. A second argument names the
// database that it makes, demo if left out.
import { readFile, rename, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createSite } from '../examples/dashboard/serve.mjs';
import { startEndpoints } from '../examples/playground/endpoints.mjs';
import { orgs, people } from '../examples/playground/people.mjs';
import { organisations, signIn } from '../examples/playground/world.mjs';
import { listen } from '../test/rest/servers.mjs';
import { startStack } from '../test/rest/stack.mjs';

const week = 7 * 24 * 3600;

const stack = await startStack({ database: process.argv[3] ?? 'demo' });
const { site, monitor } = await startEndpoints();
const tokens = Object.fromEntries(Object.entries(people).map(([who, claims]) => [who, stack.token(claims, week)]));

// The people to be on the dashboard. Its server hands out their tokens to whoever asks, which is on this machine alone.
const signedIn = signIn((claims, seconds = week) => stack.token(claims, seconds));

// startPage(): the server of examples/dashboard, but with a list of people in place of the form for a token. Returns its address.
async function startPage() {
  const names = Object.fromEntries([...Object.entries(orgs).map(([name, id]) => [id, `Org ${name}`]), ...organisations.map(({ org_id, name }) => [org_id, name])]);
  const dashboard = createSite({ api: stack.url, config: { anon_key: tokens.anon, schema: 'public', organisations: names } });
  const own = {
    '/token.mjs': ['text/javascript; charset=utf-8', await readFile(new URL('../examples/playground/page/token.mjs', import.meta.url))],
    '/picker.mjs': ['text/javascript; charset=utf-8', await readFile(new URL('../examples/playground/page/picker.mjs', import.meta.url))],
    '/people.json': ['application/json', JSON.stringify(signedIn)],
  };
  const server = http.createServer((request, response) => {
    const file = Object.hasOwn(own, request.url) ? own[request.url] : undefined;
    if (!file) dashboard.emit('request', request, response);
    else response.writeHead(200, { 'Content-Type': file[0], 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }).end(file[1]);
  });
  return `http://127.0.0.1:${await listen(server)}/`;
}

process.on('SIGTERM', async () => {
  await stack.stop();
  process.exit();
});

const file = process.argv[2];
await writeFile(`${file}.new`, JSON.stringify({
  url: stack.url,
  site,
  page: await startPage(),
  psql: `psql -h ${process.env.PGHOST} -U ${process.env.PGUSER} -d ${stack.database}`,
  tokens: { ...tokens, expired: stack.token(people.globalAdmin, -60) },
  signedIn,
  monitor,
}, null, 2));
await rename(`${file}.new`, file);
