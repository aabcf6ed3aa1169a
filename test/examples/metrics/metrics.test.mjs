// The metrics, from the database to the alert: the shipped files with promtool; then PostgreSQL, PostgREST,
// prometheus-sql-exporter and Prometheus together, by both ways. Things are broken, and each alert fires, and is resolved
// when they are mended. The latter runs with the C edition only, to save the time: the editions differ in nothing that it
// sees, and what they return is compared by test/sql/metrics.sql.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { close, listen } from '../../rest/servers.mjs';
import { startStack, until } from '../../rest/stack.mjs';
import { granted } from '../../rest/suite.mjs';
import { anon, globalAdmin, member, service } from '../../rest/tokens.mjs';

const examples = new URL('../../../examples/metrics/', import.meta.url);
const shipped = (name) => readFileSync(new URL(name, examples), 'utf8');
const promtool = (...args) => promisify(execFile)('promtool', args, { cwd: examples });

const scraper = { role: 'health_metrics' };
// What README.md tells the owner to run.
const makeRole = `CREATE ROLE health_metrics LOGIN;
  GRANT health_metrics TO authenticator;
  ${process.env.IH_OWNER ? `SET ROLE ${process.env.IH_OWNER};` : ''}
  SELECT grant_integration_health_metrics('health_metrics');`;

const alertsOf = (rules) => [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);

describe('the shipped files', () => {
  test('rules and configurations are valid, and the rules do what they should', async () => {
    await promtool('check', 'rules', 'rules.yml');
    for (const way of ['exporter', 'postgrest']) await promtool('check', 'config', '--syntax-only', `prometheus-${way}.yml`);
    await promtool('test', 'rules', 'rules_test.yml');
  });

  test('each alert has a unit test, and a runbook entry that it links to', () => {
    const runbook = readFileSync(new URL('../../docs/operations.md', examples), 'utf8');
    const rules = shipped('rules.yml');
    for (const name of alertsOf(rules)) {
      assert.ok(shipped('rules_test.yml').includes(`alertname: ${name}\n`), name);
      assert.ok(rules.includes(`/operations.md#${name.toLowerCase()}\n`), name);
      assert.ok(runbook.includes(`\n### ${name}\n`), name);
    }
    assert.equal(alertsOf(rules).length, 9);
  });

  test('the dashboard can be imported: a data source to choose, panels with places of their own', () => {
    const dashboard = JSON.parse(shipped('dashboard.json'));
    assert.ok(dashboard.schemaVersion >= 36);
    assert.ok(dashboard.templating.list.some(({ name, type, query }) => name === 'datasource' && type === 'datasource' && query === 'prometheus'));
    const taken = new Set();
    for (const { id, title, datasource, gridPos: { x, y, w, h }, targets } of dashboard.panels) {
      assert.ok(Number.isInteger(id) && title);
      for (const { uid } of [datasource, ...targets.map((target) => target.datasource)]) assert.equal(uid, '${datasource}');
      for (let i = x; i < x + w; i += 1) {
        for (let j = y; j < y + h; j += 1) {
          assert.ok(i < 24 && !taken.has(`${i},${j}`), title);
          taken.add(`${i},${j}`);
        }
      }
    }
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  });
});

describe('metrics', () => {
  let stack;
  let dir;
  const children = [];

  before(async () => {
    dir = mkdtempSync(`${tmpdir()}/metrics.`);
    stack = await startStack({ database: 'metrics' });
    await stack.sql(makeRole);
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await stack?.stop();
    await stack?.sql('DROP OWNED BY health_metrics; DROP ROLE health_metrics');
    rmSync(dir, { recursive: true, force: true });
  });

  const scrape = (claims, accept) => stack.request('/rpc/get_health_metrics', { claims, headers: { Accept: accept } });
  // What Prometheus 2 and 3 send.
  const accepts = [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,'
    + 'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
  ];

  test('PostgREST answers Prometheus in its format, and whoever may not ask with an error', async () => {
    for (const accept of accepts) {
      for (const claims of [scraper, service, globalAdmin]) {
        const { status, headers, text } = await scrape(claims, accept);
        assert.equal(status, 200, text);
        assert.equal(headers.get('content-type'), 'application/openmetrics-text');
        assert.match(text, /^# TYPE integration_health_build info\n[^]*\n# EOF\n$/);
      }
    }
    for (const [claims, status] of [[member(randomUUID()), 403], [anon, 401]]) {
      const answer = await scrape(claims, accepts[0]);
      assert.equal(answer.status, status);
      assert.doesNotMatch(answer.text, /xledger/);
    }
    // the scraper reads nothing else
    for (const path of ['/integration_types', '/rpc/get_global_health_summary', '/rpc/get_health_jobs', '/rpc/claim_alerts']) {
      const { status, json } = await stack.request(path, { claims: scraper });
      assert.deepEqual([status, json.code], [403, '42501'], path);
    }
  });

  test('README.md lists the metrics', async () => {
    const listed = [...shipped('README.md').matchAll(/^\| `(integration_health_\w+)` \|/gm)].map(([, name]) => name);
    const rows = (await stack.sql('SELECT m.metric FROM integration_health_private.metrics() AS m ORDER BY m.number')).split('\n');
    assert.deepEqual(listed, rows);
  });

  const skip = process.env.IH_OWNER ? 'with the C edition only' : false;
  test('each alert fires, and is resolved, by both ways', { skip, timeout: 90_000 }, async (t) => {
    const supabase = stack.client(service);
    const call = async (name, args) => granted(await supabase.rpc(name, args));
    const org = randomUUID();

    // The rules, faster: "for" lasts a second, and a minute in an expression 0.6 s. Nothing else is changed.
    const rules = shipped('rules.yml').replace(/for: \d+[mh]$/gm, 'for: 1s').replaceAll(/ \* 60\b/g, ' * 0.6');
    const freePort = async () => {
      const server = createServer();
      const port = await listen(server);
      await new Promise((resolve) => { server.close(resolve); });
      return port;
    };
    // run(name, ...args): a server that dies with this process.
    function run(name, args) {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', name, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
      children.push(child);
      child.log = '';
      child.stderr.on('data', (data) => { child.log += data; });
      return child;
    }
    // startPrometheus(way, replaced): with the configuration for a way, at other addresses and intervals. Returns
    // ask(path), which calls its API.
    async function startPrometheus(way, replaced) {
      const home = `${dir}/${way}`;
      mkdirSync(home);
      let config = shipped(`prometheus-${way}.yml`).replace('scrape_interval: 30s', 'scrape_interval: 500ms');
      for (const [from, to] of Object.entries(replaced)) {
        assert.ok(config.includes(from), from);
        config = config.replace(from, to);
      }
      writeFileSync(`${home}/prometheus.yml`, `global:\n  evaluation_interval: 500ms\n${config}`);
      writeFileSync(`${home}/rules.yml`, rules);
      writeFileSync(`${home}/integration_health.token`, stack.token(scraper));
      const port = await freePort();
      const child = run('prometheus', [
        `--config.file=${home}/prometheus.yml`, `--storage.tsdb.path=${home}/data`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn',
      ]);
      const ask = async (path) => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
        const { status, data, error } = await answer.json();
        assert.equal(status, 'success', error);
        return data;
      };
      await until(`Prometheus for ${way}`, async () => {
        assert.equal(child.exitCode, null, child.log);
        try { return (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok; } catch { return false; }
      });
      return ask;
    }

    const exporterPort = await freePort();
    writeFileSync(`${dir}/sql-exporter.yml`, shipped('sql-exporter.yml').replace('interval: 30s', 'interval: 500ms')
      .replace('@/postgres?host=/var/run/postgresql', `@/metrics?host=${process.env.PGHOST}`));
    const exporter = run('prometheus-sql-exporter', ['-config.file', `${dir}/sql-exporter.yml`, '-web.listen-address', `127.0.0.1:${exporterPort}`]);
    const ways = Object.fromEntries(await Promise.all(Object.entries({
      exporter: { 'localhost:9237': `127.0.0.1:${exporterPort}` },
      postgrest: { 'api.example.com': stack.url.replace('http://', ''), 'scheme: https': 'scheme: http' },
    }).map(async ([way, replaced]) => [way, await startPrometheus(way, replaced)])));
    const query = async (way, expr) => (await ways[way](`query?query=${encodeURIComponent(expr)}`)).result;

    // firing(way): what fires, as "alert type" or "alert job".
    const firing = async (way) => [...new Set((await ways[way]('alerts')).alerts.filter(({ state }) => state === 'firing')
      .map(({ labels }) => [labels.alertname.replace('IntegrationHealth', ''), labels.integration_type ?? labels.job_name].filter(Boolean).join(' ')))].sort();
    // fires(...wanted): waits until exactly these do, by both ways.
    const fires = async (...wanted) => {
      const seen = {};
      const began = Date.now();
      try {
        await Promise.all(Object.keys(ways).map((way) => until(way, async () => {
          seen[way] = await firing(way);
          return seen[way].join() === [...wanted].sort().join();
        }, 25)));
      } catch {
        assert.fail(`not ${wanted}, but ${JSON.stringify(seen)} fire\n${exporter.log}`);
      }
      t.diagnostic(`${Date.now() - began} ms until ${wanted.length ? wanted.join(', ') : 'nothing'} fired`);
    };

    // no job has run yet
    await fires('JobLate');
    // the scheduler: these jobs run all the time
    let runs = true;
    const jobs = (async () => {
      while (runs) {
        await call('integration_health_watch');
        await call('integration_health_compact');
        await wait(200);
      }
    })();
    try {
      const check = (status, count, fields = {}) => Array.from({ length: count }, () => ({ org_id: randomUUID(), integration_type: 'xledger', status, ...fields }));
      const down = check('unhealthy', 10, { http_status: 503 });
      const lost = check('unknown', 10);
      await call('record_health_checks', { checks: [...check('healthy', 20), ...[...down, ...lost].map((pair) => ({ ...pair, status: 'healthy' }))] });
      granted(await supabase.from('integration_types').insert({ integration_type: 'visma', display_name: 'Visma' }));
      await call('mark_stale_health');
      await fires();

      // both ways give the same, by type: no label names an organisation
      const series = async (way) => (await query(way, '{__name__=~"integration_health_.+"}')).map(({ metric }) => {
        const { job, instance, ...labels } = metric;
        assert.equal(job, 'integration_health');
        assert.ok(instance);
        return JSON.stringify(Object.entries(labels).sort());
      }).sort();
      let names = [];
      await until('the same series by both ways', async () => {
        const [one, other] = await Promise.all(Object.keys(ways).map(series));
        names = one;
        return one.length > 30 && one.some((name) => name.includes('"visma"')) && one.join() === other.join();
      });
      for (const one of names) assert.doesNotMatch(one, /[0-9a-f]{8}-|org/);

      // an outage of a type, checks that cannot tell, a rate limit
      for (let i = 0; i < 2; i += 1) await call('record_health_checks', { checks: [...down, ...lost] });
      await call('record_health_check', { org_id: org, integration_type: 'visma', status: 'unhealthy', http_status: 429, retry_after: 3600 });
      // a monitor that nobody runs, and a sync that nobody runs; mark_stale_health is not called any more. Time is moved on.
      await call('set_monitor', { org_id: org, integration_type: 'dynamics' });
      await call('set_sync_schedule', { org_id: org, integration_type: 'dynamics', every: '1 day', anchor: new Date(Date.now() - 20 * 60_000).toISOString() });
      await stack.sql(`UPDATE integration_monitors SET due_at = now() - interval '20 minutes';
        UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor`);
      const broken = ['AlertsStuck', 'Failing xledger', 'JobLate integration_health_stale', 'MonitorSilent dynamics', 'Passive visma', 'Unknown xledger'];
      await fires(...broken, 'SyncsMissed dynamics');

      // every panel of the dashboard has something to show
      const dashboard = JSON.parse(shipped('dashboard.json'));
      const shown = new Set();
      for (const { title, targets } of dashboard.panels) {
        for (const { expr } of targets) {
          const plain = expr.replaceAll(/\$(instance|integration_type)/g, '.+');
          for (const way of Object.keys(ways)) assert.notEqual((await query(way, plain)).length, 0, `${title}: ${plain}`);
          for (const [name] of expr.matchAll(/integration_health_\w+/g)) shown.add(name);
        }
      }
      for (const name of new Set(names.map((one) => /integration_health_\w+/.exec(one)[0]))) assert.ok(shown.has(name), `no panel shows ${name}`);

      // somebody runs the sync, late
      const [due] = await call('get_due_syncs');
      const claimed = await call('claim_sync_run', { org_id: org, integration_type: 'dynamics', scheduled_for: due.scheduled_for });
      await call('finish_sync_run', { org_id: org, integration_type: 'dynamics', scheduled_for: due.scheduled_for, attempt: claimed.attempt, outcome: 'succeeded' });
      await fires(...broken, 'SyncDrift dynamics');

      // all is mended
      await call('record_health_checks', { checks: [...down, ...lost].map((pair) => ({ ...pair, status: 'healthy', http_status: 200 })) });
      await call('resume_active_monitoring', { integration_type: 'visma' });
      await call('claim_due_health_checks');
      await call('forget_organisation', { org_id: org });
      for (let left = 1; left > 0;) {
        for (const { alert_id, attempt } of await call('claim_alerts')) await call('finish_alert', { alert_id, attempt, delivered: true });
        left = (await call('get_alert_backlog')).length;
      }
      const stale = setInterval(() => call('mark_stale_health'), 1000);
      try {
        await fires();

        // PostgREST does not answer Prometheus, and the exporter cannot log in: it repeats what it knows
        stack.gateway.pass = (request, response) => (
          request.url.endsWith('/get_health_metrics') ? response.writeHead(503).end() : stack.gateway.forward(request, response));
        await stack.sql(`ALTER ROLE health_metrics NOLOGIN;
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'health_metrics'`);
        await until('NoData', async () => (await Promise.all(Object.keys(ways).map(firing))).every((alerts) => alerts.includes('NoData')));
        assert.equal((await query('exporter', 'integration_health_build_info')).length, 1);
        stack.gateway.pass = stack.gateway.forward;
        await stack.sql('ALTER ROLE health_metrics LOGIN');
        await fires();
      } finally {
        clearInterval(stale);
      }
    } finally {
      runs = false;
      await jobs;
    }
  });
});
