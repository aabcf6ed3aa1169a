// The monitor asks the database for work, on a real PostgREST with the extension: each pair is probed by
// one monitor, when it is due, and only what was handed out is probed.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { close, listen } from '../../rest/servers.mjs';
import { startStack } from '../../rest/stack.mjs';
import { service } from '../../rest/tokens.mjs';
import { createMonitor } from '../../../examples/health-monitor/monitor.mjs';

describe('health monitor, what it probes', () => {
  let stack;
  let supabase;
  let site;
  let siteUrl;
  const asked = new Map();     // paths of the site, and how often each was asked for

  before(async () => {
    stack = await startStack({ database: 'work' });
    supabase = stack.client(service);
    site = http.createServer((request, response) => {
      asked.set(request.url, (asked.get(request.url) ?? 0) + 1);
      const [, status] = request.url.split('/');
      response.writeHead(Number(status), status === '429' ? { 'Retry-After': '600' } : {}).end();
    });
    siteUrl = `http://127.0.0.1:${await listen(site)}`;
  });
  after(async () => {
    if (site) await close(site);
    if (stack) await stack.stop();
  });
  beforeEach(async () => {
    asked.clear();
    stack.gateway.pass = stack.gateway.forward;
    await stack.sql(`DELETE FROM integration_monitors; UPDATE integration_types SET monitoring_mode = 'active', passive_since = NULL,
      passive_reason = NULL, passive_until = NULL`);
  });

  // Targets, each with a path of its own at the site.
  const makeTargets = (n, status = 200, integration_type = 'xledger') => Array.from({ length: n }, () => {
    const org_id = randomUUID();
    return { org_id, integration_type, url: `${siteUrl}/${status}/${org_id}` };
  });
  const start = (targets, changed) => {
    const lines = [];
    const monitor = createMonitor({ supabase, config: { targets, settle_ms: 600, record_backoff_ms: 20, ...changed }, log: (line) => lines.push(line) });
    return { ...monitor, lines };
  };
  // Lets the interval of every pair pass, with its jitter; what failed twice has still to wait.
  const intervalPasses = () => stack.sql("UPDATE integration_monitors SET due_at = now() - interval '1 second', claimed_at = now() - interval '17 minutes'");
  const probed = (monitor) => monitor.run().then(({ checks }) => checks.length);
  const recorded = async (targets) => Number(await stack.sql(
    `SELECT count(*) FROM integration_health_history WHERE org_id IN (${targets.map(({ org_id }) => `'${org_id}'`)})`,
  ));

  test('the first run registers the targets; they are probed when they are due, once an interval', async () => {
    const targets = makeTargets(3);
    const monitor = start(targets);
    await monitor.run();
    assert.equal(await stack.sql('SELECT count(*) FROM integration_monitors WHERE enabled'), '3');
    await intervalPasses();
    asked.clear();
    const outcome = await monitor.run();
    assert.deepEqual([outcome.checks.length, outcome.skipped, outcome.recorded, outcome.unknown], [3, 0, 3, []]);
    assert.deepEqual([...asked.values()], [1, 1, 1]);
    assert.equal(await probed(monitor), 0);
    assert.equal(await probed(start(targets)), 0, 'nor by a monitor that has just been started');
    assert.match(monitor.lines.at(-1), /^health-monitor checks=0 .*rate_limited=0 skipped=3 unknown=0 recorded=0 attempts=0 ms=\d+$/);
    await intervalPasses();
    assert.equal(await probed(monitor), 3);
  });

  test('an organisation written in capitals is the same one', async () => {
    const [target] = makeTargets(1);
    const monitor = start([{ ...target, org_id: target.org_id.toUpperCase() }]);
    await monitor.run();
    await intervalPasses();
    assert.equal(await probed(monitor), 1);
  });

  test('monitors side by side share the work: each pair is probed by one of them', async () => {
    const targets = makeTargets(60);
    const monitors = [1, 2, 3].map(() => start(targets, { claim_rows: 5, claim_batches: 20 }));
    await Promise.all(monitors.map((monitor) => monitor.run()));
    await intervalPasses();
    asked.clear();
    const counts = await Promise.all(monitors.map(probed));
    assert.equal(counts.reduce((a, b) => a + b), 60);
    assert.deepEqual([asked.size, Math.max(...asked.values())], [60, 1]);
    assert.ok(counts.filter((count) => count > 0).length > 1, `shared: ${counts}`);
  });

  test('what an admin switched off stays off when a monitor starts', async () => {
    const targets = makeTargets(2);
    await start(targets).run();
    const [{ org_id, integration_type }] = targets;
    await supabase.rpc('set_monitor', { org_id, integration_type, enabled: false });
    await intervalPasses();
    asked.clear();
    assert.equal(await probed(start(targets)), 1);
    assert.deepEqual([...asked.keys()], [new URL(targets[1].url).pathname]);
  });

  test('what fails is left alone for longer each time', async () => {
    const targets = makeTargets(1, 503);
    const monitor = start(targets);
    await monitor.run();
    // after one failure it waits an interval, after two of them two
    for (const expected of [1, 1, 0]) {
      await intervalPasses();
      assert.equal(await probed(monitor), expected);
    }
    assert.equal(await recorded(targets), 2);
  });

  test('a 429 is remembered by the database, for all monitors and as long as was asked for', async () => {
    const targets = [...makeTargets(1, 429), ...makeTargets(1, 200, 'dynamics')];
    await start(targets).run();
    await intervalPasses();
    assert.deepEqual((await start(targets).run()).checks.map((check) => check.http_status).sort(), [200, 429]);
    const until = Number(await stack.sql("SELECT extract(epoch FROM passive_until - now()) FROM integration_types WHERE monitoring_mode = 'passive'"));
    assert.ok(until > 590 && until <= 600, `passive_until is ${until} s ahead`);
    asked.clear();
    await intervalPasses();
    assert.equal(await probed(start(targets)), 1);
    await supabase.rpc('resume_active_monitoring', { integration_type: 'xledger' });
    await stack.sql("UPDATE integration_types SET passive_until = now() + interval '10 minutes' WHERE integration_type = 'xledger'");
    await intervalPasses();
    assert.equal(await probed(start(targets)), 1, 'left alone in active mode, too, when an admin says so');
    assert.deepEqual([...asked.keys()], [new URL(targets[1].url).pathname]);
    await supabase.rpc('resume_active_monitoring', { integration_type: 'xledger' });
    await intervalPasses();
    assert.equal(await probed(start(targets)), 2, 'a resumed type is probed again');
  });

  test('a pair that was handed out and has no target is told of, not recorded', async () => {
    const [there, elsewhere] = makeTargets(2);
    await start([there, elsewhere]).run();
    await intervalPasses();
    const monitor = start([there]);
    const { checks, unknown } = await monitor.run();
    assert.equal(checks.length, 1);
    assert.deepEqual(unknown.map((pair) => pair.org_id), [elsewhere.org_id]);
    assert.match(monitor.lines[0], / skipped=0 unknown=1 recorded=1 /);
    assert.equal(await recorded([elsewhere]), 0);
  });

  test('pairs are claimed, probed and recorded in batches, until fewer come than asked for, at most so many', async () => {
    const targets = makeTargets(5);
    await start(targets).run();
    await intervalPasses();
    const calls = [];
    stack.gateway.pass = (request, response) => {
      if (request.url.includes('/rpc/')) calls.push(request.url.split('/rpc/')[1]);
      return stack.gateway.forward(request, response);
    };
    const bounded = start(targets, { claim_rows: 1, claim_batches: 2 });
    assert.equal(await probed(bounded), 2);
    assert.deepEqual(calls, ['claim_due_health_checks', 'record_health_checks', 'claim_due_health_checks', 'record_health_checks']);
    calls.length = 0;
    assert.equal(await probed(start(targets, { claim_rows: 2 })), 3);
    assert.deepEqual(calls, ['claim_due_health_checks', 'record_health_checks', 'claim_due_health_checks', 'record_health_checks']);
    assert.equal(await recorded(targets), 5);
  });

  test('a claim that fails: nothing is probed, the run fails and says so, and the next one goes on', async () => {
    const targets = makeTargets(1);
    const monitor = start(targets);
    await monitor.run();
    await intervalPasses();
    asked.clear();
    stack.gateway.pass = (request, response) => response.writeHead(503).end('no');
    await assert.rejects(monitor.run(), /^Error: reading the types failed: HTTP 503: no$/);
    assert.match(monitor.lines.at(-1), / checks=0 .*error="reading the types failed: HTTP 503: no"$/);
    for (const [path, message] of [['/integration_monitors', 'registering'], ['/rpc/claim_due_health_checks', 'claiming']]) {
      stack.gateway.pass = (request, response) => (request.url.includes(path) ? response.writeHead(503).end('no') : stack.gateway.forward(request, response));
      await assert.rejects(start(targets).run(), new RegExp(`^Error: ${message} failed: HTTP 503: no$`));
    }
    assert.equal(asked.size, 0);
    stack.gateway.pass = stack.gateway.forward;
    assert.equal(await probed(monitor), 1);
  });

  test('an answer that is not what was asked for is a failure: of a gateway, a login page, another function', async () => {
    for (const [path, answers] of [['/integration_types', ['null', '{"ok":true}', '', '[{}]']], ['/rpc/claim_due_health_checks', ['null', '{"ok":true}', '', '[{"org_id":1}]']],
      ['/rpc/record_health_checks', ['null', '{"ok":true}', '', '0', '[]']], ['/integration_monitors', ['']]]) {
      for (const body of answers) {
        await stack.sql('DELETE FROM integration_monitors');
        const targets = makeTargets(1);
        await start(targets).run();
        await intervalPasses();
        stack.gateway.pass = (request, response) => {
          if (!request.url.includes(path)) return stack.gateway.forward(request, response);
          return response.writeHead(body === '' ? 204 : 200, { 'Content-Type': 'application/json' }).end(body || undefined);
        };
        await assert.rejects(start(targets).run(), /: the answer is /, `${path} ${body}`);
        stack.gateway.pass = stack.gateway.forward;
      }
    }
  });

  test('a target of an unknown type is named and left out, and the others are probed', async () => {
    const targets = [...makeTargets(2), ...makeTargets(1, 200, 'telepathy')];
    const monitor = start(targets);
    await assert.rejects(monitor.run(), /^Error: unknown integration types: telepathy$/);
    assert.match(monitor.lines[0], /no integration type "telepathy": its targets are left out/);
    assert.equal(await stack.sql('SELECT count(*) FROM integration_monitors'), '2');
    await intervalPasses();
    await assert.rejects(monitor.run(), /telepathy/);
    assert.match(monitor.lines.at(-1), / checks=2 .*skipped=1 .*recorded=2 .*error="unknown/);
    // when the type comes, its target is registered without a new start
    await stack.sql("INSERT INTO integration_types (integration_type, display_name) VALUES ('telepathy', 'Telepathy')");
    await monitor.run();
    assert.equal(await stack.sql('SELECT count(*) FROM integration_monitors'), '3');
    await stack.sql("DELETE FROM integration_health_status; DELETE FROM integration_monitors; DELETE FROM integration_types WHERE integration_type = 'telepathy'");
  });

  test('a recording that fails ends the run: no further batch is claimed', async () => {
    const targets = makeTargets(3);
    await start(targets).run();
    await intervalPasses();
    asked.clear();
    stack.gateway.pass = (request, response) => (request.url.endsWith('record_health_checks')
      ? response.writeHead(400, { 'Content-Type': 'application/json' }).end('{"code":"22023","message":"no"}') : stack.gateway.forward(request, response));
    await assert.rejects(start(targets, { claim_rows: 1 }).run(), /recording failed: HTTP 400: 22023 no/);
    assert.equal(asked.size, 1);
    stack.gateway.pass = stack.gateway.forward;
    assert.equal(await probed(start(targets)), 2);
  });

  test('claim: false probes every target in each run, but those of types that asked to be left alone', async () => {
    const targets = [...makeTargets(1), ...makeTargets(1, 429, 'dynamics')];
    const monitor = start(targets, { claim: false });
    assert.equal(await probed(monitor), 2);
    assert.equal(await probed(monitor), 1);
    assert.equal((await monitor.run()).skipped, 1);
    await supabase.rpc('resume_active_monitoring', { integration_type: 'dynamics' });
    assert.equal(await probed(monitor), 2, 'a resumed type is probed again');
    await stack.sql("UPDATE integration_types SET monitoring_mode = 'active', passive_since = NULL, passive_until = now() + interval '10 minutes' WHERE integration_type = 'dynamics'");
    assert.equal(await probed(monitor), 1, 'passive_until is still to come');
    assert.equal(await stack.sql('SELECT count(*) FROM integration_monitors'), '0');
  });
});
