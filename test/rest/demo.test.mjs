// What scripts/demo runs besides its report (see documentation.test.mjs for that): the dashboard with a past, as the people on it see
// it in Chromium, and the life that goes on with --keep.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createLife } from '../../examples/playground/life.mjs';
import { dataOf } from '../../examples/playground/past.mjs';
import { createWorld, viewers } from '../../examples/playground/world.mjs';
import { openDemo } from '../../scripts/demo-client.mjs';
import { startBrowser } from './browser.mjs';
import { until } from './stack.mjs';

const script = (name) => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));

describe('the demo', { skip: process.env.IH_OWNER ? 'the trusted edition: a browser shows the same' : false }, () => {
  let dir;
  let servers;
  let printed;
  let demo;
  let browser;
  before(async () => {
    dir = await mkdtemp(`${tmpdir()}/demo.`);
    servers = spawn(process.execPath, [script('demo-servers.mjs'), `${dir}/demo.json`, 'demo_page'], { stdio: ['ignore', 'ignore', 'inherit'] });
    await until('the demo', () => readFile(`${dir}/demo.json`).catch(() => false));
    printed = (await promisify(execFile)(process.execPath, [script('demo-page.mjs'), `${dir}/demo.json`, `${dir}/build`])).stdout;
    demo = await openDemo(`${dir}/demo.json`);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    servers?.kill();
    if (dir) await rm(dir, { recursive: true });
  });

  test('it says where the page is, who to be on it and where the screenshots are, and these show all of the page', async () => {
    assert.ok(printed.includes(demo.page), printed);
    for (const { name } of demo.signedIn) assert.ok(printed.includes(name), printed);
    const names = ['demo-member.png', 'demo-global.png'];
    for (const name of names) {
      assert.match(printed, new RegExp(`^ {2}\\S*build/${name}$`, 'm'));
      const png = await readFile(`${dir}/build/${name}`);
      assert.equal(png.toString('latin1', 1, 4), 'PNG');
      assert.equal(png.readInt32BE(16), 1280);
      assert.ok(png.readInt32BE(20) > 1500, `${name} is ${png.readInt32BE(20)} pixels high`);
    }
  });

  test('who looks is chosen on the page, and sees what is his', async () => {
    const complaints = [];
    const tab = await browser.newPage();
    tab.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
    tab.on('pageerror', (error) => complaints.push(error.message));
    const banner = tab.locator('#banner');
    const view = tab.locator('#view');
    const become = (who) => tab.selectOption('#person', who);

    await tab.goto(demo.page);
    await banner.getByText(/\d problems: .*Bank payments and Tax reporting are unhealthy/).waitFor();
    await view.getByText('HTTP 401: the client secret has expired').first().waitFor();
    assert.equal(await tab.locator('#views').innerText(), 'Fjordheim Entreprenør AS');

    await become('memberOfB');
    await banner.getByText(/All fine|is degraded/).waitFor();
    assert.equal(await tab.locator('#views').innerText(), 'Bakken & Lund Regnskap AS');
    assert.equal(await view.getByText('HTTP 401').count(), 0);

    await become('memberOfC');
    await banner.getByText('Nothing new from Warehouse').waitFor();

    await become('globalAdmin');
    await banner.getByText('Bank payments fails for many organisations').waitFor();
    await view.getByText('Kvist Interiør AS').first().waitFor();
    assert.deepEqual(complaints, []);

    await become('expired');
    await tab.getByText('Your sign-in has expired').waitFor();
    assert.equal(await view.getByText('Kvist').count(), 0);
    await become('memberOfA');
    await banner.getByText(/\d problems/).waitFor();
    assert.equal(await tab.getByText('Your sign-in has expired').count(), 0);
    assert.ok(complaints.every((text) => /401/.test(text)), complaints.join('\n'));
    await tab.close();
  });

  test('it lives: a system fails, its incident is told of and resolved, and syncs are run', async () => {
    const lines = [];
    const { now } = JSON.parse(await readFile(`${dir}/demo.json.world`, 'utf8'));
    const step = createLife(demo.as, createWorld({ now }), { beat: 50, log: (line) => lines.push(line) });
    const admin = async (name, args) => dataOf(await demo.as(viewers.globalAdmin.claims).rpc(name, args));
    const incidents = async () => (await admin('get_global_incidents', { days: 1, max_rows: 1000 })).filter((each) => Date.parse(each.started_at) > now);
    assert.deepEqual(await incidents(), []);
    const checks = async () => dataOf(await demo.as({ role: 'service_role' }).from('integration_health_status').select('check_no')).reduce((sum, row) => sum + row.check_no, 0);
    const before = await checks();
    const resolved = await until('an incident that comes and goes', async () => {
      await step();
      return (await incidents()).find((each) => each.resolved_at !== null && each.failures > 1);
    }, 60);
    assert.ok(Date.parse(resolved.resolved_at) > Date.parse(resolved.started_at));
    assert.ok(lines.some((line) => line.startsWith(`${resolved.integration_type} of ${resolved.org_id} fails`)), lines.join('\n'));
    assert.ok(await checks() > before + 2);
    assert.ok(lines.some((line) => /^alert sync_missed of bank/.test(line)), lines.join('\n'));
    assert.deepEqual((await admin('get_alert_backlog')).filter((each) => each.state === 'dead'), []);
  });
});
