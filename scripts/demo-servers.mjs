// demo-servers.mjs: what scripts/demo starts and --keep leaves running: the database behind PostgREST
// and the gateway, and the endpoints that play the external systems. Writes their addresses, the
// tokens and the monitor's config to the file that is its argument, and runs until it is stopped.
import { rename, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { close, listen } from '../test/rest/servers.mjs';
import { startStack } from '../test/rest/stack.mjs';
import { anon, globalAdmin, member, service } from '../test/rest/tokens.mjs';

const orgA = 'a0000000-0000-4000-8000-000000000001';
const orgB = 'b0000000-0000-4000-8000-000000000002';
const orgC = 'c0000000-0000-4000-8000-000000000003';
const week = 7 * 24 * 3600;

// The external systems. Each gets the number of the request (HEAD requests alone) and the response.
const endpoints = {
  // fine: a few milliseconds, more at some times than at others
  async fine(n, response) {
    await wait(4 + 9 * (1 + Math.sin(n / 3)));
    response.writeHead(200);
  },
  // slow: always above the monitor's 100 ms
  async slow(n, response) {
    await wait(130 + 60 * (1 + Math.sin(n / 4)));
    response.writeHead(200);
  },
  // recovers: fails from the 12th to the 20th request
  async recovers(n, response) {
    await wait(15 + 10 * Math.random());
    response.writeHead(n >= 12 && n <= 20 ? 503 : 200);
  },
  // limited: has enough after ten requests
  async limited(n, response) {
    await wait(8);
    response.writeHead(n > 10 ? 429 : 200, n > 10 ? { 'Retry-After': '3600' } : {});
  },
};

async function startEndpoints() {
  const asked = {};
  const server = http.createServer(async (request, response) => {
    const name = request.url.slice(1);
    if (request.method !== 'HEAD') response.writeHead(405);
    else if (!endpoints[name]) response.writeHead(404);
    else {
      asked[name] = (asked[name] ?? 0) + 1;
      await endpoints[name](asked[name], response);
    }
    response.end();
  });
  return `http://127.0.0.1:${await listen(server)}`;
}

// closedPort(): an address where nobody listens.
async function closedPort() {
  const server = http.createServer();
  const url = `http://127.0.0.1:${await listen(server)}/`;
  await close(server);
  return url;
}

const stack = await startStack({ database: 'demo' });
const site = await startEndpoints();
const targets = [
  [orgA, 'xledger', `${site}/fine`], [orgA, 'dynamics', `${site}/slow`],
  [orgA, 'payroll', `${site}/recovers`], [orgA, 'webshop', `${site}/limited`],
  [orgB, 'xledger', await closedPort()], [orgC, 'xledger', `${site}/fine`],
].map(([org_id, integration_type, url]) => ({ org_id, integration_type, url }));

process.on('SIGTERM', async () => {
  await stack.stop();
  process.exit();
});

const file = process.argv[2];
await writeFile(`${file}.new`, JSON.stringify({
  url: stack.url,
  site,
  psql: `psql -h ${process.env.PGHOST} -U ${process.env.PGUSER} -d ${stack.database}`,
  orgs: { A: orgA, B: orgB, C: orgC },
  tokens: {
    anon: stack.token(anon, week),
    service: stack.token(service, week),
    memberOfA: stack.token(member(orgA), week),
    memberOfB: stack.token(member(orgB), week),
    globalAdmin: stack.token(globalAdmin, week),
    pretender: stack.token({ ...member(orgB), user_metadata: { role: 'global_admin', org_id: orgA } }, week),
    expired: stack.token(globalAdmin, -60),
  },
  // Asked for work, the database would hand out a pair every 15 minutes at most.
  monitor: { claim: false, timeout_ms: 1000, slow_ms: 100, targets },
}, null, 2));
await rename(`${file}.new`, file);
