// project.mjs: a Supabase project that examples/supabase/copy-to has filled, and its functions in Deno.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../../rest/stack.mjs';

const example = fileURLToPath(new URL('../../../examples/supabase/', import.meta.url));
const isolate = fileURLToPath(new URL('isolate.ts', import.meta.url));
const run = promisify(execFile);

export const secret = 'a secret of thirty-two characters';
export const names = ['health-monitor', 'sync-worker'];

// makeProject(): returns { dir, copy, deno, cli, start, write, remove }.
export async function makeProject() {
  const dir = mkdtempSync(`${tmpdir()}/project.`);
  const functions = `${dir}/supabase/functions`;
  const env = { PATH: process.env.PATH, DENO_DIR: `${dir}/.deno`, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' };

  const copy = async () => (await run(`${example}copy-to`, [dir], { env: { ...env, PG_CONFIG: '/nonexistent' } })).stdout;

  // deno(where, ...args): what it prints; throws when it fails.
  async function deno(where, ...args) {
    const { stdout, stderr } = await run(`${example}node_modules/@deno/linux-x64-glibc/deno`, args, { cwd: `${functions}/${where}`, env });
    return stdout + stderr;
  }

  // cli(...args): what the Supabase CLI prints, in the project; throws when it fails.
  async function cli(...args) {
    const { stdout, stderr } = await run(`${example}node_modules/@supabase/cli-linux-x64/bin/supabase`, ['--workdir', dir, ...args], {
      cwd: dir, env: { PATH: env.PATH, HOME: dir, NO_COLOR: '1', DO_NOT_TRACK: '1', SUPABASE_TELEMETRY_DISABLED: '1', SUPABASE_ACCESS_TOKEN: `sbp_${'0'.repeat(40)}` },
    });
    return stdout + stderr;
  }

  // start(name, variables, options): an instance of a function. Returns its port, what it has logged, call(options), which
  // sends a request, and stop.
  async function start(name, variables, { edge } = {}) {
    const url = `file://${functions}/${name}/index.ts`;
    const args = ['run', '--quiet', '--no-prompt', '--no-lock', '--node-modules-dir=manual', `--config=${functions}/${name}/deno.json`,
      '--allow-env', '--allow-net=127.0.0.1,no.such.host.invalid', `--allow-read=${functions},${example}node_modules`, isolate, url, ...edge ? ['--edge'] : []];
    // It dies with this process, however that ends.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', `${example}node_modules/@deno/linux-x64-glibc/deno`, ...args], { env: { ...env, ...variables } });
    const instance = { log: '', child };
    child.stdout.on('data', (data) => { instance.log += data; });
    child.stderr.on('data', (data) => { instance.log += data; });
    instance.stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'close');
    };
    const port = await until('the port', () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${instance.log}`);
      return /^port (\d+)$/m.exec(instance.log)?.[1];
    });
    // call({ query, method, body, authorization }): returns { status, json, ms }.
    instance.call = async ({ query = '', method = 'POST', body, authorization = `Bearer ${secret}` } = {}) => {
      const began = performance.now();
      const response = await fetch(`http://127.0.0.1:${port}/${name}${query}`, { method, body, headers: authorization ? { authorization } : {} });
      return { status: response.status, json: await response.json(), ms: performance.now() - began };
    };
    return instance;
  }

  // link(): where Deno finds what npm has installed.
  const link = () => names.forEach((name) => symlinkSync(`${example}node_modules`, `${functions}/${name}/node_modules`));

  const write = (path, text) => writeFileSync(`${dir}/supabase/${path}`, text);
  const exampleConfig = () => cpSync(`${functions}/health-monitor/config.example.json`, `${functions}/health-monitor/config.json`);
  const remove = () => rmSync(dir, { recursive: true });
  try {
    await copy();
    link();
    exampleConfig();
  } catch (error) {
    remove();
    throw error;
  }
  return { dir, copy, deno, cli, start, write, remove };
}
