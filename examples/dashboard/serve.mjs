// serve.mjs: node serve.mjs. A small server for the page, to try it: sends the files with the CSP, supabase-js from
// node_modules as vendor/supabase.js, and the config; passes /rest/v1 on to the API, so that page and API have one origin.
// Needs SUPABASE_URL and SUPABASE_ANON_KEY; SUPABASE_DB_SCHEMA, HOST and PORT (127.0.0.1:8080) may be set.
// In production any server of static files does, if it sends the header Content-Security-Policy.
import http from 'node:http';
import https from 'node:https';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
// The types of the page's files, by suffix.
export const types = {
  '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml', '.json': 'application/json',
};
// isPage(name): whether a file of this folder belongs to the page.
export const isPage = (name) => /^(?:index\.html|style\.css|icon\.svg|[a-z]+\.mjs)$/.test(name) && name !== 'serve.mjs';

export const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
  + "form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'";

const headers = {
  'Content-Security-Policy': csp, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cross-Origin-Opener-Policy': 'same-origin', 'Cache-Control': 'no-cache',
};

// vendorFile(): the one file of supabase-js for browsers.
function vendorFile() {
  return join(dirname(createRequire(import.meta.url).resolve('@supabase/supabase-js')), '../umd/supabase.js');
}

// createSite({ api, config }): an http.Server. api: the URL before /rest/v1; config: what config.json holds, but for the url.
export function createSite({ api, config }) {
  // pass(request, response): on to the API, and the answer back.
  function pass(request, response) {
    const target = new URL(api.replace(/\/$/, '') + request.url);
    const onward = (target.protocol === 'https:' ? https : http).request(target, { method: request.method, headers: { ...request.headers, host: target.host } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502, headers).end();
    });
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }

  async function bodyOf(name) {
    if (name === 'config.json') return JSON.stringify(config);
    if (name === 'vendor/supabase.js') return readFile(vendorFile());
    return isPage(name) ? readFile(join(here, name)) : undefined;
  }

  return http.createServer(async (request, response) => {
    if (request.url.startsWith('/rest/v1/')) return pass(request, response);
    const name = request.url.replace(/[?#].*/s, '').slice(1) || 'index.html';
    const body = request.method === 'GET' || request.method === 'HEAD' ? await bodyOf(name).catch(() => undefined) : undefined;
    if (body === undefined) return response.writeHead(404, headers).end();
    return response.writeHead(200, { ...headers, 'Content-Type': types[extname(name)] }).end(request.method === 'HEAD' ? undefined : body);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_DB_SCHEMA = 'public', HOST = '127.0.0.1', PORT = '8080' } = process.env;
  if (!SUPABASE_URL || !SUPABASE_ANON_KEY) {
    console.error('serve: SUPABASE_URL and SUPABASE_ANON_KEY must be set');
    process.exit(1);
  }
  const site = createSite({ api: SUPABASE_URL, config: { anon_key: SUPABASE_ANON_KEY, schema: SUPABASE_DB_SCHEMA } });
  site.listen(Number(PORT), HOST, () => console.log(`the dashboard is at http://${HOST}:${site.address().port}/`));
}
