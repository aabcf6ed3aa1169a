// dashboard.mjs: the page of examples/dashboard with PGlite beneath it, in the browser: no database, no API, no server but one of
// static files.
//   node dashboard.mjs             serves it on this machine (PORT, 8081)
//   node dashboard.mjs DIRECTORY   writes it into a directory, which any server of static files can send
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import { dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPage, types as typesOfPage } from '../dashboard/serve.mjs';
import { organisations, signIn } from './world.mjs';

const here = new URL('.', import.meta.url);
const pglite = new URL(`file://${dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'))}/`);

// unsigned(claims, seconds): a token that is good for so long. Nobody verifies it: the page makes its own claims.
function unsigned(claims, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + seconds })}.`;
}
const people = signIn((claims, seconds = 10 * 366 * 24 * 3600) => unsigned(claims, seconds));

// filesOf(): [name, where it is or what is in it]: those of the dashboard, with some in place of its own.
async function filesOf() {
  const dashboard = new URL('../dashboard/', here);
  const own = ['client.mjs', 'install.mjs', 'life.mjs', 'past.mjs', 'world.mjs', 'supabase.sql', 'migration.sql'];
  return new Map([
    ...(await readdir(dashboard)).filter(isPage).map((name) => [name, new URL(name, dashboard)]),
    ['config.json', JSON.stringify({ anon_key: '', organisations: Object.fromEntries(organisations.map(({ org_id, name }) => [org_id, name])) })],
    ['people.json', JSON.stringify(people)],
    ['token.mjs', new URL('page/token.mjs', here)],
    ['picker.mjs', new URL('page/picker.mjs', here)],
    ['vendor/supabase.js', new URL('page/supabase.mjs', here)],
    ['playground/worker.mjs', new URL('page/worker.mjs', here)],
    ...own.map((name) => [`playground/${name}`, new URL(name, here)]),
    ...(await readdir(pglite)).filter((name) => /^(?:index\.js|chunk-\w+\.js|\w+\.wasm|pglite\.data|initdb\.js)$/.test(name))
      .map((name) => [`playground/pglite/${name}`, new URL(name, pglite)]),
  ]);
}

const types = { ...typesOfPage, '.wasm': 'application/wasm', '.sql': 'text/plain; charset=utf-8', '.data': 'application/octet-stream' };

// createSite(): an http.Server of these files, and nothing else.
export async function createSite() {
  const files = await filesOf();
  return http.createServer(async (request, response) => {
    const file = files.get(new URL(request.url, 'http://page').pathname.slice(1) || 'index.html');
    if (file === undefined || request.method !== 'GET') {
      response.writeHead(404).end();
      return;
    }
    const name = typeof file === 'string' ? '.json' : extname(file.pathname);
    response.writeHead(200, { 'Content-Type': types[name], 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff' }).end(typeof file === 'string' ? file : await readFile(file));
  });
}

async function write(directory) {
  for (const [name, file] of await filesOf()) {
    await mkdir(dirname(`${directory}/${name}`), { recursive: true });
    await writeFile(`${directory}/${name}`, typeof file === 'string' ? file : await readFile(file));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , directory] = process.argv;
  if (directory) {
    await write(directory);
    console.log(`the page is in ${directory}`);
  } else {
    const site = await createSite();
    site.listen(Number(process.env.PORT ?? 8081), '127.0.0.1', () => console.log(`the dashboard is at http://127.0.0.1:${site.address().port}/`));
  }
}
