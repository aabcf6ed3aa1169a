// From nothing to running, as examples/supabase/README.md has it: the project's migrations, pushed by the Supabase CLI as a
// role that is no superuser, have pg_cron call the functions, in Deno, which probe and sync. The server comes with pg_cron
// for the database supabase_project (test/rest/run); platform.sql stands for pg_net and Vault.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { psql, startStack, until } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';
import { makeProject, names, secret } from './project.mjs';

const database = 'supabase_project';
const readme = readFileSync(new URL('../../../examples/supabase/README.md', import.meta.url), 'utf8');

// inReadme(heading): the SQL under a heading of the README.
function inReadme(heading) {
  const found = new RegExp(`^## ${heading}\\n(?:(?!^## )[^])*?^\`\`\`sql\\n([^]*?)^\`\`\`$`, 'm').exec(readme);
  assert.ok(found, `SQL under ${heading}`);
  return found[1];
}

describe('the jobs of a Supabase project', () => {
  let project;
  let stack;
  let supabase;
  let site;
  const instances = {};
  const owner = (commands) => psql(database, `SET SESSION AUTHORIZATION project_owner;\n${commands}`);
  const refused = (commands, role = 'project_owner') => psql(database, `\\set VERBOSITY verbose\nSET SESSION AUTHORIZATION ${role};\n${commands}`)
    .then(() => assert.fail(`not refused: ${commands}`), (error) => error.message);

  before(async () => {
    project = await makeProject();
    await psql(database, readFileSync(new URL('platform.sql', import.meta.url), 'utf8'));
  });
  after(async () => {
    await Promise.all(Object.values(instances).map((instance) => instance.stop()));
    await stack?.stop();
    if (site) await close(site);
    project?.remove();
  });

  test('the migration of the jobs does not go before that of integration_health', async () => {
    const name = readdirSync(`${project.dir}/supabase/migrations`).find((each) => each.endsWith('_functions.sql'));
    assert.match(await refused(readFileSync(`${project.dir}/supabase/migrations/${name}`, 'utf8')), /the migration of integration_health must come before this one/);
  });

  test('supabase db push applies both, as a role that is no superuser', async () => {
    const output = await project.cli('db', 'push', '--yes', `--remote=postgresql://project_owner:none@localhost/${database}?host=${process.env.PGHOST}&sslmode=disable`);
    assert.match(output, /Applying migration \d+_integration_health\.sql[^]*Applying migration \d+_integration_health_functions\.sql/);
    assert.match(output, /Finished supabase db push/);
    assert.deepEqual((await owner('SELECT jobname, schedule, command FROM cron.job ORDER BY 1')).split('\n'), [
      "health-monitor|* * * * *|SELECT integration_health_functions.call('health-monitor')",
      'integration_health_cleanup|17 3 * * *|SELECT integration_health_private.cleanup_job()',
      'integration_health_counts|* * * * *|SELECT integration_health_private.run_counts()',
      'integration_health_stale|*/5 * * * *|SELECT integration_health_private.run_stale()',
      'integration_health_warm_up|* * * * *|SELECT integration_health_private.run_warm_up()',
      'integration_health_watch|* * * * *|SELECT integration_health_private.run_watch()',
      "sync-worker|* * * * *|SELECT integration_health_functions.call('sync-worker') WHERE EXISTS (SELECT FROM public.get_due_syncs(1))",
    ]);
  });

  test('a job whose secrets are not in Vault says which one is missing', async () => {
    const call = "SELECT integration_health_functions.call('health-monitor')";
    assert.match(await refused(call), /55000.*Vault has no secret named project_url\nHINT: .*vault\.create_secret\('\.\.\.', 'project_url'\)/);
    assert.match(await refused(`BEGIN; SELECT vault.create_secret('http://x', 'project_url'); ${call}`), /Vault has no secret named integration_health_secret/);
    assert.equal(await owner('SELECT count(*) FROM net.http_request_queue'), '0');
  });

  test('nobody but the owner may call the functions from the database', async () => {
    for (const role of ['anon', 'authenticated', 'service_role']) {
      assert.match(await refused("SELECT integration_health_functions.call('sync-worker')", role), /42501/, role);
      assert.match(await refused("SELECT integration_health_functions.secret('project_url')", role), /42501/, role);
    }
    assert.equal(await psql(database, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'integration_health_functions'::regnamespace AND has_function_privilege('service_role', oid, 'EXECUTE')"), '0');
  });

  test('pg_cron calls the monitor, which probes; the worker when a sync is due; and warms it up', async () => {
    stack = await startStack({ database, create: () => {} });
    supabase = stack.client(service);
    const asked = [];
    site = http.createServer((request, response) => { asked.push(`${request.method} ${request.url}`); response.end(); });
    const origin = `http://127.0.0.1:${await listen(site)}`;
    const org_id = randomUUID();
    project.write('functions/health-monitor/config.json', JSON.stringify({ targets: [{ org_id, integration_type: 'xledger', url: `${origin}/health` }] }));
    const variables = { SUPABASE_URL: stack.url, SUPABASE_SERVICE_ROLE_KEY: stack.token(service), INTEGRATION_HEALTH_SECRET: secret, SYNC_URL: `${origin}/sync` };
    for (const name of names) instances[name] = await project.start(name, variables, { edge: true });

    const [url] = /https:\/\/PROJECT[^']*/.exec(inReadme('Install'));
    await owner(inReadme('Install').replace(/'SECRET'/, `'${secret}'`));
    await owner("SELECT command FROM cron.job WHERE jobname = 'sync-worker' \\gexec");
    assert.equal(await owner('SELECT count(*) FROM net.http_request_queue'), '0', 'no sync is due: the worker is not called');

    // One sync is due, and one in time for a warm-up, whenever in the next two minutes the jobs come.
    const due = { org_id, integration_type: 'xledger', every: '1 hour', anchor: new Date(Date.now() - 60_000).toISOString() };
    const soon = { org_id, integration_type: 'dynamics', every: '1 minute', anchor: new Date(Date.now() - 1000).toISOString(), warm_up_url: `${url}/functions/v1/sync-worker` };
    for (const row of [due, soon]) assert.equal((await supabase.from('integration_sync_schedules').insert(row)).error, null);
    await stack.sql("UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor WHERE integration_type = 'xledger'");
    assert.equal((await instances['health-monitor'].call({ query: '?wait' })).json.skipped, 1, 'the first call registers the target');
    await stack.sql("UPDATE integration_monitors SET due_at = now() - interval '1 minute', planned_since = now() - interval '1 day'");

    // What pg_net does with its queue.
    const answers = [];
    async function deliver() {
      const rows = JSON.parse(await psql(database, "WITH gone AS (DELETE FROM net.http_request_queue RETURNING *) SELECT coalesce(json_agg(gone ORDER BY id), '[]') FROM gone"));
      for (const request of rows) {
        const name = new RegExp(`^${url}/functions/v1/([a-z-]+)$`).exec(request.url)?.[1];
        assert.ok(names.includes(name), request.url);
        assert.ok(request.timeout_milliseconds >= 10_000);
        const answer = await instances[name].call({ body: request.body, authorization: request.headers.Authorization });
        answers.push([name, answer.status, Object.keys(answer.json)[0]].join(' '));
      }
    }
    const status = async () => (await supabase.from('integration_health_status').select('status').eq('org_id', org_id).eq('integration_type', 'xledger')).data[0]?.status;
    const run = async () => (await supabase.from('integration_sync_runs').select('outcome').eq('org_id', org_id).eq('integration_type', 'xledger')).data[0]?.outcome;
    await until('a probe, a sync and a warm-up', async () => {
      await deliver();
      return await status() === 'healthy' && await run() === 'succeeded' && answers.includes('sync-worker 200 warm_up');
    }, 130);
    assert.ok(answers.includes('health-monitor 202 accepted') && answers.includes('sync-worker 202 accepted'), answers.join(', '));
    assert.ok(asked.includes('HEAD /health') && asked.includes('POST /sync'));
    assert.equal(await owner("SELECT count(*) FROM cron.job_run_details WHERE status = 'failed' AND command NOT LIKE '%integration_health_functions.call%'"), '0');
  });

  test('what the README has to see that it works, works', async () => {
    for (const query of inReadme('See that it works').split(';').filter((each) => each.trim() && !each.includes('net._http_response'))) {
      assert.notEqual(await owner(`${query};`), '', query);
    }
  });

  test('what the README has to remove it leaves no job and no function', async () => {
    await owner(inReadme('Remove'));
    assert.equal(await psql(database, "SELECT (SELECT count(*) FROM cron.job), to_regnamespace('integration_health_functions') IS NULL"), '0|t');
  });
});
