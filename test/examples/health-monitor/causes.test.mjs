// What becomes of a cause: the Node entry probes systems that fail in every way, on a real PostgREST with the extension, and
// the status, the history and the incidents say why.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { close, listen, selfSigned } from '../../rest/servers.mjs';
import { startStack } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';

const main = fileURLToPath(new URL('../../../examples/health-monitor/main.mjs', import.meta.url));

// tcp(take): a server that hands each connection to take(socket).
function tcp(take) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    take(socket);
  });
  server.closeAllConnections = () => sockets.forEach((socket) => socket.destroy());
  return server;
}

describe('causes that the health monitor reports', () => {
  const servers = [];
  let stack;
  let dir;
  let recorded;          // by the name of the target: its status, its history and its incidents
  let said;

  before(async () => {
    stack = await startStack({ database: 'causes' });
    dir = mkdtempSync(`${tmpdir()}/causes.`);
    // The monitor trusts this one, which is for another host than the one that it asks.
    const elsewhere = selfSigned('elsewhere.invalid');
    writeFileSync(`${dir}/ca.pem`, elsewhere.cert);
    const start = async (server) => {
      servers.push(server);
      return listen(server);
    };
    const answer = (request, response) => response.writeHead(Number(request.url.slice(1))).end();
    const gone = http.createServer();
    const closedPort = await listen(gone);
    await close(gone);
    const site = `127.0.0.1:${await start(http.createServer(answer))}`;
    const targets = {
      'a closed port': `http://127.0.0.1:${closedPort}/`,
      'a closed port, by name': `http://localhost:${closedPort}/`,
      'a connection that is reset': `http://127.0.0.1:${await start(tcp((socket) => socket.once('data', () => socket.resetAndDestroy())))}/`,
      'a connection that ends': `http://127.0.0.1:${await start(tcp((socket) => socket.once('data', () => socket.end())))}/`,
      'a name that is nobody\'s': 'http://no.such.host.invalid/',
      'a self-signed certificate': `https://127.0.0.1:${await start(https.createServer(selfSigned('localhost'), answer))}/200`,
      'a certificate of another host': `https://localhost:${await start(https.createServer(elsewhere, answer))}/200`,
      'HTTP in place of TLS': `https://${site}/200`,
      'no answer': `http://127.0.0.1:${await start(tcp(() => {}))}/`,
      'no HTTP': `http://127.0.0.1:${await start(tcp((socket) => socket.once('data', () => socket.end('220 mail\r\n\r\n'))))}/`,
      'HTTP 999': `http://${site}/999`,
      'HTTP 200': `http://${site}/200`,
      'HTTP 401': `http://${site}/401`,
      'HTTP 404': `http://${site}/404`,
      'HTTP 501': `http://${site}/501`,
      'HTTP 503': `http://${site}/503`,
    };
    const orgs = Object.fromEntries(Object.keys(targets).map((name) => [name, randomUUID()]));
    writeFileSync(`${dir}/config.json`, JSON.stringify({
      claim: false, timeout_ms: 1500, targets: Object.entries(targets).map(([name, url]) => ({ org_id: orgs[name], integration_type: 'xledger', url })),
    }));
    said = await promisify(execFile)(process.execPath, [main, `${dir}/config.json`], {
      env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: `${dir}/ca.pem`, SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service) },
    });
    const rows = async (table) => JSON.parse(await stack.sql(`SELECT coalesce(json_agg(t), '[]') FROM ${table} AS t`));
    const tables = await Promise.all(['integration_health_status', 'integration_health_history', 'integration_incidents'].map(rows));
    recorded = Object.fromEntries(Object.entries(orgs).map(([name, org_id]) => [name, tables.map((all) => all.filter((row) => row.org_id === org_id))]));
  });
  after(async () => {
    await Promise.all(servers.map(close));
    await stack?.stop();
    if (dir) rmSync(dir, { recursive: true });
  });

  test('all are recorded, in one call', () => assert.match(said.stdout, / checks=16 healthy=1 degraded=0 unhealthy=15 .* recorded=16 attempts=1 /));

  for (const [name, cause, error] of [
    ['a closed port', 'connect', /^ECONNREFUSED: /],
    ['a closed port, by name', 'connect', /^ECONNREFUSED: /],
    ['a connection that is reset', 'connect', /^ECONNRESET: /],
    ['a connection that ends', 'connect', /^(UND_ERR_SOCKET|ECONNRESET): /],
    ['a name that is nobody\'s', 'dns', /^(ENOTFOUND|EAI_AGAIN): /],
    ['a self-signed certificate', 'tls', /^DEPTH_ZERO_SELF_SIGNED_CERT: /],
    ['a certificate of another host', 'tls', /^ERR_TLS_CERT_ALTNAME_INVALID: /],
    ['HTTP in place of TLS', 'tls', /^(ERR_SSL_\w+|EPROTO): /],
    ['no answer', 'timeout', /^no answer within 1500 ms$/],
    ['no HTTP', 'other', /^HPE_\w+: /],
    ['HTTP 999', 'other', /^HTTP 999$/],
    ['HTTP 200', null, null],
    ['HTTP 401', 'auth', /^HTTP 401$/],
    ['HTTP 404', 'configuration', /^HTTP 404$/],
    // To a HEAD it says that the target is wrong; the database would tell `server` from it.
    ['HTTP 501', 'configuration', /^HTTP 501: it does not answer HEAD/],
    ['HTTP 503', 'server', /^HTTP 503$/],
  ]) {
    test(`${name}: ${cause}`, () => {
      const [[status], [check], incidents] = recorded[name];
      assert.deepEqual([status.cause, check.cause], [cause, cause]);
      if (error) assert.match(status.error, error);
      // One failure is an incident when the credential was refused.
      assert.deepEqual(incidents.map((incident) => incident.cause), cause === 'auth' ? ['auth'] : []);
    });
  }
});
