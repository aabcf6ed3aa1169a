// endpoints.mjs: HTTP servers on loopback that play the external systems of the demo and the playground.
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { orgs } from './people.mjs';

// Each gets the number of the request, from 1 (HEAD requests alone), and returns its status and headers; false: no answer.
const systems = {
  // fine: a few milliseconds, more at some times than at others
  async fine(n) {
    await wait(4 + 9 * (1 + Math.sin(n / 3)));
    return [200];
  },
  // slow: always above slow_ms
  async slow(n) {
    await wait(130 + 60 * (1 + Math.sin(n / 4)));
    return [200];
  },
  // recovers: fails from the 12th to the 20th request
  async recovers(n) {
    await wait(15 + 10 * Math.random());
    return [n >= 12 && n <= 20 ? 503 : 200];
  },
  // limited: has enough after ten requests
  async limited(n) {
    await wait(8);
    return n > 10 ? [429, { 'Retry-After': '3600' }] : [200];
  },
  broken: () => [500],
  // hangs: takes the 38th request, and all that follow, and never answers
  hangs: (n) => n < 38 && [200],
};

async function listen(server) {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

// startEndpoints(): { site, monitor, stop }: their address, and the config of the health monitor that probes them.
export async function startEndpoints() {
  const asked = {};
  const server = http.createServer(async ({ method, url }, response) => {
    const name = url.slice(1);
    if (method !== 'HEAD' || !Object.hasOwn(systems, name)) {
      response.writeHead(method === 'HEAD' ? 404 : 405).end();
      return;
    }
    asked[name] = (asked[name] ?? 0) + 1;
    const answer = await systems[name](asked[name]);
    if (answer) response.writeHead(...answer).end();
  });
  const site = await listen(server);
  const closed = http.createServer();
  const nobody = await listen(closed);
  closed.close();
  const targets = [
    [orgs.A, 'xledger', `${site}/fine`], [orgs.A, 'dynamics', `${site}/slow`],
    [orgs.A, 'payroll', `${site}/recovers`], [orgs.A, 'webshop', `${site}/limited`],
    [orgs.B, 'xledger', `${nobody}/`], [orgs.B, 'dynamics', `${site}/broken`],
    [orgs.C, 'xledger', `${site}/fine`], [orgs.C, 'dynamics', `${site}/hangs`],
  ].map(([org_id, integration_type, url]) => ({ org_id, integration_type, url }));
  return {
    site,
    // Asked for work, the database would hand out a pair every 15 minutes at most.
    monitor: { claim: false, timeout_ms: 1000, slow_ms: 100, targets },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
