// The JavaScript and TypeScript of the documentation: the blocks of each page make one module, which runs against a real
// PostgREST with supabase-js. A ```text block that follows a block is what it prints, a ```json block what `data` holds
// then; times, keys of incidents and the last two days apart. TypeScript is checked against the dashboard's types. Comments in the pages direct the test:
//   <!-- test: schema NAME -->   a new module; the extension is in that schema
//   <!-- test: skip REASON -->   the next block cannot run in a test
// SQL is test/t/015_documentation.pl's. The demo's output in the README is that of the demo.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import ts from 'typescript';
import { startStack, until } from './stack.mjs';
import { granted, minutesAgo } from './suite.mjs';
import { anon, service } from './tokens.mjs';

const root = new URL('../../', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));
const docs = (await readdir(path('docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
const org_id = '11111111-1111-4111-8111-111111111111';

// Blocks that cannot run, on all pages.
const known = 2;

// The user of the pages: a member of that organisation who is a global admin, too.
const user = { role: 'authenticated', sub: 'ola.nordmann', app_metadata: { org_id, role: 'global_admin' } };

// What a page finds in the database.
const filled = {
  async 'docs/dashboard.md'(stack) {
    const xledger = { org_id, integration_type: 'xledger' };
    const up = (latency_ms, checked_at) => ({ ...xledger, status: 'healthy', latency_ms, http_status: 200, checked_at });
    const down = (http_status, checked_at) => ({ ...xledger, status: 'unhealthy', latency_ms: 40, http_status, error: `HTTP ${http_status}`, checked_at });
    const at = (daysAgo, time) => `${new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10)}T${time}:00Z`;
    granted(await stack.client(service).rpc('record_health_checks', { checks: [
      up(84, at(3, '12:00')), up(91, at(3, '12:15')), up(240, at(3, '12:30')),
      down(502, at(2, '06:00')), down(502, at(2, '06:15')), up(88, at(2, '12:00')),
      // older than the last 24 hours, whenever this runs
      up(86, at(1, '00:00')),
      up(84, minutesAgo(30)), up(91, minutesAgo(15)), down(401, minutesAgo(0)),
      { ...xledger, org_id: '22222222-2222-4222-8222-222222222222', status: 'healthy' },
    ] }));
  },
};

// What the blocks of a page may use without saying where it comes from.
const given = `
declare global { const SUPABASE_URL: string; const SUPABASE_ANON_KEY: string; const getUserToken: () => Promise<string> }
`;
const setUp = `
Object.assign(globalThis, {
  SUPABASE_URL: process.env.SUPABASE_URL, SUPABASE_ANON_KEY: process.env.SUPABASE_ANON_KEY,
  getUserToken: async () => process.env.USER_TOKEN,
});
`;

// modulesOf(page, text): the modules that the blocks of a page make, and how many blocks are not run.
function modulesOf(page, text) {
  const modules = [];
  let skipped = 0;
  let skip;
  let last;
  let schema = 'public';
  const parts = /^ *<!-- test: (?<word>\w+) (?<rest>.*?) -->$|^(?<indent> *)```(?<language>.*)\n(?<body>[^]*?)^\k<indent>```$/gm;
  for (const { index, groups } of text.matchAll(parts)) {
    const { word, rest, language, body } = groups;
    const line = text.slice(0, index).split('\n').length;
    if (word === 'skip') skip = rest;
    if (word === 'schema') {
      schema = rest;
      modules.push({ page, schema, blocks: [] });
    }
    if (word) continue;
    if (['js', 'ts'].includes(language)) {
      last = undefined;
      if (skip) skipped += 1;
      else {
        if (modules.length === 0) modules.push({ page, schema, blocks: [] });
        last = { name: `${page}:${line}`, language, body };
        modules.at(-1).blocks.push(last);
      }
    } else {
      if (last && language === 'text') last.printed = body.trimEnd();
      if (last && language === 'json') last.data = JSON.parse(body);
      last = undefined;
    }
    skip = undefined;
  }
  return { modules, skipped };
}

// sourceOf(module): one text. A block without an import has a scope of its own, as on the page.
function sourceOf({ blocks }) {
  const texts = blocks.map(({ body, data }, i) => {
    const result = data ? `console.log('=== data ' + JSON.stringify(data))\n` : '';
    const text = /^import /m.test(body) ? body : `{\n${body}${result}}\n`;
    return `${text}console.log('=== end ${i}')\n`;
  });
  return texts.join('');
}

// problemsOf(dir): what the compiler says of DIR/page.ts.
function problemsOf(dir) {
  const program = ts.createProgram([`${dir}/page.ts`, `${dir}/given.ts`], {
    strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    return `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

// run(command, args, options): what it prints; rejects when it fails.
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    let problems = '';
    child.stdout.on('data', (data) => { printed += data; });
    child.stderr.on('data', (data) => { problems += data; });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(printed) : reject(new Error(`${problems}\n${printed}`))));
  });
}

// comparable(value): what it is with each time, day and key of an incident replaced. Of the last two days only the columns are
// left: what was half an hour ago may have been yesterday, and today goes on.
function comparable(value) {
  const text = JSON.stringify(value).replaceAll(/"\d{4}-\d\d-\d\d(T[\d:.]+\+00:00)?"/g, '"(time)"').replaceAll(/("incident_id":)"[^"]+"/g, '$1"(key)"');
  const rows = JSON.parse(text);
  return Array.isArray(rows) && rows[0]?.day ? [...rows.slice(0, -2), ...rows.slice(-2).map(Object.keys)] : rows;
}

const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
let skipped = 0;

for (const page of ['README.md', ...docs]) {
  const found = modulesOf(page, await readFile(path(page), 'utf8'));
  skipped += found.skipped;
  for (const [i, module] of found.modules.entries()) {
    describe(`${page}, module ${i + 1}, extension in schema ${module.schema}`, () => {
      const refused = [];
      let stack;
      let dir;
      before(async () => {
        const database = `${page}_${i}`.replace(/\W+/g, '_').toLowerCase();
        stack = await startStack({ database, schema: module.schema });
        await filled[page]?.(stack);
        stack.gateway.pass = async (request, response) => {
          response.on('finish', () => { if (response.statusCode >= 400) refused.push(`${request.url}: HTTP ${response.statusCode}`); });
          await stack.gateway.forward(request, response);
        };
        dir = await mkdtemp(`${tmpdir()}/documentation.`);
        await symlink(path('test/rest/node_modules'), `${dir}/node_modules`);
        await copyFile(path('examples/dashboard/database.types.ts'), `${dir}/database.types.ts`);
        await writeFile(`${dir}/package.json`, '{"type": "module"}');
        await writeFile(`${dir}/given.ts`, `${given}export {}\n`);
        await writeFile(`${dir}/set-up.js`, setUp);
      });
      after(async () => {
        await stack?.stop();
        if (dir) await rm(dir, { recursive: true });
      });

      test('the compiler finds nothing', { skip: !module.blocks.some(({ language }) => language === 'ts') }, async () => {
        await writeFile(`${dir}/page.ts`, sourceOf(module));
        assert.deepEqual(problemsOf(dir), []);
      });

      test('every block runs, and prints or returns what is shown', async () => {
        const { outputText } = ts.transpileModule(sourceOf(module), { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } });
        await writeFile(`${dir}/page.js`, outputText);
        const printed = await run(process.execPath, ['--import', './set-up.js', 'page.js'], {
          cwd: dir,
          env: {
            ...environment, SUPABASE_URL: stack.url, SUPABASE_ANON_KEY: stack.token(anon),
            SUPABASE_SERVICE_ROLE_KEY: stack.token(service), USER_TOKEN: stack.token(user),
          },
        });
        assert.deepEqual(refused, []);
        const outputs = printed.split(/^=== end \d+\n/m);
        assert.equal(outputs.length, module.blocks.length + 1, printed);
        module.blocks.forEach(({ name, printed: shown, data }, n) => {
          const [output, result] = outputs[n].split('=== data ');
          if (shown !== undefined) assert.equal(output.trimEnd(), shown, name);
          if (data !== undefined) assert.deepEqual(comparable(JSON.parse(result)), comparable(data), name);
        });
      });
    });
  }
}

test('as many blocks are not run as are known', () => assert.equal(skipped, known));

test('the README shows what the demo prints, but for numbers', async () => {
  const dir = await mkdtemp(`${tmpdir()}/demo.`);
  const servers = spawn(process.execPath, [path('scripts/demo-servers.mjs'), `${dir}/demo.json`], { stdio: 'ignore' });
  try {
    await until('the demo', () => readFile(`${dir}/demo.json`).catch(() => false));
    const printed = await run(process.execPath, [path('scripts/demo-show.mjs'), `${dir}/demo.json`], { env: environment });
    // A slow machine makes a healthy endpoint degraded: what an endpoint says is not compared, nor how much there is of it.
    const masked = (text) => text.split('\n').map((line) => line.replaceAll(/[▁▂▃▄▅▆▇█×!]+/g, '~').replaceAll(/\d+([.:]\d+)*/g, '#').replaceAll(/ +/g, ' ').trimEnd());
    const lines = new Set(masked(printed));
    const [, excerpt] = (await readFile(path('README.md'), 'utf8')).match(/^An excerpt of the demo:\n\n```text\n([^]*?)^```$/m);
    const unknown = masked(excerpt).filter((line) => !lines.has(line));
    assert.deepEqual(unknown, []);
  } finally {
    servers.kill();
    await rm(dir, { recursive: true });
  }
});
