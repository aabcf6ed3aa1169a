// demo-servers.mjs: the servers that scripts/demo starts and --keep leaves running: PostgREST and the gateway
// in front of the database, and the endpoints that play the external systems. Writes their addresses, the
// tokens and the monitor's config to the file named by its argument, and runs until it is stopped.
import { rename, writeFile } from 'node:fs/promises';
import { startEndpoints } from '../examples/playground/endpoints.mjs';
import { people } from '../examples/playground/people.mjs';
import { startStack } from '../test/rest/stack.mjs';

const week = 7 * 24 * 3600;

const stack = await startStack({ database: 'demo' });
const { site, monitor } = await startEndpoints();

process.on('SIGTERM', async () => {
  await stack.stop();
  process.exit();
});

const tokens = Object.fromEntries(Object.entries(people).map(([who, claims]) => [who, stack.token(claims, week)]));
const file = process.argv[2];
await writeFile(`${file}.new`, JSON.stringify({
  url: stack.url,
  site,
  psql: `psql -h ${process.env.PGHOST} -U ${process.env.PGUSER} -d ${stack.database}`,
  tokens: { ...tokens, expired: stack.token(people.globalAdmin, -60) },
  monitor,
}, null, 2));
await rename(`${file}.new`, file);
