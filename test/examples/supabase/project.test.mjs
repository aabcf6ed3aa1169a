// What copy-to makes of a project: all of the functions, as files that Deno takes, and nothing of the site's overwritten.
import assert from 'node:assert/strict';
import { lstatSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { makeProject, names } from './project.mjs';

describe('a Supabase project', () => {
  let project;
  before(async () => { project = await makeProject(); });
  after(() => project?.remove());
  const supabase = (path) => `${project.dir}/supabase/${path}`;
  const migrations = () => readdirSync(supabase('migrations')).sort();

  test('holds files of its own, no links into the place it was copied from', () => {
    for (const part of ['_shared', ...names]) {
      for (const name of readdirSync(supabase(`functions/${part}`))) {
        if (name !== 'node_modules') assert.ok(lstatSync(supabase(`functions/${part}/${name}`)).isFile(), `${part}/${name}`);
      }
    }
  });

  test('has the migration of the extension before that of the jobs, at the time of copying', () => {
    const [first, second, ...rest] = migrations();
    assert.deepEqual(rest, []);
    assert.match(first, /^\d{14}_integration_health\.sql$/);
    assert.match(second, /^\d{14}_integration_health_functions\.sql$/);
    assert.ok(first.slice(0, 14) >= new Date(Date.now() - 3_600_000).toISOString().replace(/\D/g, '').slice(0, 14), first);
    assert.match(readFileSync(supabase(`migrations/${first}`), 'utf8'), /CREATE TABLE public\.integration_health_status/);
  });

  test('keeps its migrations, its sync.ts, its config.json and the rest of config.toml when it is copied again', async () => {
    const before = migrations();
    project.write('functions/sync-worker/sync.ts', '// mine\n');
    project.write('functions/health-monitor/config.json', '{"targets": []}\n');
    project.write('functions/health-monitor/rounds.ts', '// old\n');
    writeFileSync(supabase('config.toml'), 'project_id = "mine"\n');
    await project.copy();
    await project.copy();
    assert.deepEqual(migrations(), before);
    assert.equal(readFileSync(supabase('functions/sync-worker/sync.ts'), 'utf8'), '// mine\n');
    assert.equal(readFileSync(supabase('functions/health-monitor/config.json'), 'utf8'), '{"targets": []}\n');
    assert.match(readFileSync(supabase('functions/health-monitor/rounds.ts'), 'utf8'), /startRounds/);
    const config = readFileSync(supabase('config.toml'), 'utf8');
    assert.match(config, /^project_id = "mine"\n/);
    for (const name of names) assert.equal(config.split(`[functions.${name}]\nverify_jwt = false\n`).length, 2, name);
  });

  test('passes deno check and deno lint', async () => {
    const whole = await makeProject();
    try {
      for (const name of names) assert.match(await whole.deno(name, 'check', '--node-modules-dir=manual', 'index.ts', 'rounds.ts'), /Check .*rounds\.ts/);
      assert.match(await whole.deno('.', 'lint', ...['_shared', ...names].flatMap((part) => readdirSync(`${whole.dir}/supabase/functions/${part}`)
        .filter((name) => /\.(ts|mjs)$/.test(name)).map((name) => `${part}/${name}`))), /Checked 15 files/);
      whole.write('functions/_shared/client.ts', 'export const setting = (name: number) => name;\n');
      await assert.rejects(whole.deno('sync-worker', 'check', '--node-modules-dir=manual', 'rounds.ts'), /TS\d+/, 'deno check finds a wrong type');
    } finally {
      whole.remove();
    }
  });

  // A server that stands for supabase.com, and takes what it is sent.
  test('is deployed by the Supabase CLI with every module, the config, and no check of a JWT before the functions', async () => {
    const whole = await makeProject();
    const uploads = {};
    const server = http.createServer(async (request, response) => {
      const { pathname, searchParams } = new URL(request.url, 'http://localhost');
      const slug = searchParams.get('slug');
      if (pathname.endsWith('/functions/deploy')) {
        const form = await new Response(await buffer(request), { headers: { 'Content-Type': request.headers['content-type'] } }).formData();
        uploads[slug] = { files: form.getAll('file').map(({ name }) => name).sort(), metadata: JSON.parse(await form.get('metadata').text?.() ?? form.get('metadata')) };
        response.statusCode = 201;
      }
      const { files: _, metadata } = uploads[slug] ?? {};
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(request.method === 'GET' ? [] : { id: slug, slug, name: slug, status: 'ACTIVE', version: 1, created_at: 1, updated_at: 1, ...metadata, functions: [] }));
    });
    try {
      const url = `http://127.0.0.1:${await listen(server)}`;
      writeFileSync(`${whole.dir}/profile.yaml`, `name: local\napi_url: ${url}\ndashboard_url: ${url}\nproject_host: supabase.co\n`);
      await whole.cli('--profile', `${whole.dir}/profile.yaml`, 'functions', 'deploy', '--use-api', '--yes', '--remote=abcdefghijklmnopqrst');
    } finally {
      await close(server);
      whole.remove();
    }
    const shared = (...modules) => modules.map((name) => `supabase/functions/_shared/${name}`);
    const own = (name, ...modules) => modules.map((each) => `supabase/functions/${name}/${each}`);
    assert.deepEqual(uploads['health-monitor'].files, [
      ...shared('cause.mjs', 'client.ts', 'monitor.mjs', 'record.mjs', 'retry_after.mjs', 'serve.ts', 'texts.mjs', 'work.mjs'), ...own('health-monitor', 'config.json', 'deno.json', 'index.ts', 'rounds.ts'),
    ]);
    assert.deepEqual(uploads['sync-worker'].files, [
      ...shared('client.ts', 'post.mjs', 'serve.ts', 'texts.mjs', 'worker.mjs'), ...own('sync-worker', 'deno.json', 'index.ts', 'rounds.ts', 'sync.ts'),
    ]);
    for (const name of names) {
      const { verify_jwt, import_map_path, entrypoint_path } = uploads[name].metadata;
      assert.deepEqual([verify_jwt, import_map_path, entrypoint_path], [false, ...own(name, 'deno.json', 'index.ts')]);
    }
  });

  test('in the tree each shared module is the one of the Node example', () => {
    const shared = new URL('../../../examples/supabase/supabase/functions/_shared/', import.meta.url);
    const modules = readdirSync(shared).filter((name) => name.endsWith('.mjs'));
    assert.ok(modules.length >= 8);
    for (const name of modules) assert.ok(lstatSync(new URL(name, shared)).isSymbolicLink(), name);
  });
});
