// The page of the playground, as any server of static files sends it to Chromium: the dashboard over PGlite in the browser.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { extname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createSite } from '../../examples/playground/dashboard.mjs';
import { viewers } from '../../examples/playground/world.mjs';
import { startBrowser } from '../rest/browser.mjs';
import { close, listen } from '../rest/servers.mjs';

const main = fileURLToPath(new URL('../../examples/playground/dashboard.mjs', import.meta.url));
const types = { '.html': 'text/html', '.css': 'text/css', '.mjs': 'text/javascript', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.json': 'application/json', '.wasm': 'application/wasm' };

describe('the dashboard of the playground', () => {
  let dir;
  let server;
  let browser;
  let tab;
  const requests = [];
  const complaints = [];
  before(async () => {
    dir = await mkdtemp(`${tmpdir()}/page.`);
    await promisify(execFile)(process.execPath, [main, dir]);
    server = http.createServer(async (request, response) => {
      const path = new URL(request.url, 'http://page').pathname;
      const name = path === '/' ? '/index.html' : path;
      const body = await readFile(dir + name).catch(() => undefined);
      response.writeHead(body ? 200 : 404, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream' }).end(body);
    });
    const url = `http://127.0.0.1:${await listen(server)}/`;
    browser = await startBrowser();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.on('request', (request) => requests.push([request.method(), request.url().replace(url, '')]));
    tab = await context.newPage();
    tab.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
    tab.on('pageerror', (error) => complaints.push(error.message));
    await tab.goto(url);
    await tab.locator('#view > *').first().waitFor({ timeout: 120_000 });
  });
  after(async () => {
    await browser?.close();
    if (server) await close(server);
    if (dir) await rm(dir, { recursive: true });
  });

  const banner = () => tab.locator('#banner');
  const become = (who) => tab.selectOption('#person', who);
  const view = () => tab.locator('#view');
  async function moveOn(name) {
    await tab.getByRole('button', { name }).click();
    await tab.waitForFunction(() => [...document.querySelectorAll('#clock button')].every((button) => !button.disabled), undefined, { timeout: 120_000 });
  }

  test('it shows 90 days to a member of one organisation', async () => {
    await banner().getByText(/\d problems: .*Tax reporting/).waitFor();
    assert.equal(await tab.locator('#views').innerText(), 'Fjordheim Entreprenør AS');
    await view().getByText('HTTP 401: the client secret has expired').first().waitFor();
    await view().getByText('44.4', { exact: false }).first().waitFor();       // the coverage of what is 40 days old
  });

  test('nothing but its files is asked for, and nothing is amiss', () => {
    assert.deepEqual(complaints, []);
    assert.ok(requests.length > 20);
    assert.deepEqual(requests.filter(([method, path]) => method !== 'GET' || /^https?:|rest\/v1/.test(path)), []);
  });

  test('an incident is taken on with the claims of who looks', async () => {
    await view().getByRole('button', { name: /Acknowledge/ }).last().click();
    const note = tab.getByRole('textbox');
    await note.fill('a new secret is on its way');
    await note.press('Enter');
    await view().getByText('a new secret is on its way').first().waitFor();
    await view().getByText('kari.nordmann').first().waitFor();
  });

  test('another person sees what is his, one whose token has expired nothing', async () => {
    await become('memberOfB');
    await banner().getByText(/All fine|degraded/).waitFor();
    assert.equal(await tab.locator('#views').innerText(), 'Bakken & Lund Regnskap AS');
    assert.equal(await view().getByText('HTTP 401').count(), 0);

    await become('globalAdmin');
    await banner().getByText('Bank payments fails for many organisations').waitFor();
    await view().getByText('Kvist Interiør AS').first().waitFor();

    await become('expired');
    await tab.getByText('Your sign-in has expired').waitFor();
    await become('memberOfA');
    await banner().getByText(/\d problems: .*Tax reporting/).waitFor();
    assert.deepEqual(complaints, []);
  });

  test('an organisation of others is not shown to who asks for it in the address', async () => {
    await tab.evaluate((hash) => { location.hash = hash; }, `#/org/${viewers.memberOfB.org_id}`);
    await banner().getByText('There is nothing to show for this organisation').waitFor();
    await tab.evaluate((hash) => { location.hash = hash; }, `#/org/${viewers.memberOfA.org_id}`);
    await banner().getByText(/\d problems: .*Tax reporting/).waitFor();
  });

  test('the time moves on: an outage ends, syncs are run and missed, and the page has the same time', async () => {
    await moveOn('+ 1 h');
    await moveOn('+ 1 h');
    await tab.getByText('Updated just now').waitFor();
    const crm = tab.locator('tr', { hasText: 'CRM' }).filter({ hasText: 'every hour' });
    assert.match((await crm.innerText()).replaceAll(/\s+/g, ' '), /Never run 0 [1-9]/);
    const shown = await tab.evaluate(() => Date.now());
    assert.ok(Math.abs(shown - Date.now() - 2 * 3_600_000) < 5000, 'two hours ahead');
    await become('globalAdmin');
    const over = view().locator('section', { hasText: 'Past outages of a whole type' });
    await over.getByText('Bank payments').waitFor();
    assert.equal(await view().getByText('Outages of a whole type', { exact: true }).count(), 0);
    assert.deepEqual(complaints, []);
  });
});

test('npm run dashboard serves the same files, and no others', async () => {
  const site = await createSite();
  const url = `http://127.0.0.1:${await listen(site)}/`;
  try {
    const dir = await mkdtemp(`${tmpdir()}/page.`);
    await promisify(execFile)(process.execPath, [main, dir]);
    for (const name of ['index.html', 'vendor/supabase.js', 'playground/worker.mjs', 'playground/pglite/pglite.wasm']) {
      const answer = await fetch(url + name);
      assert.equal(answer.status, 200, name);
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), await readFile(`${dir}/${name}`), name);
    }
    for (const name of ['serve.mjs', 'main.mjs/../package.json', 'playground/main.mjs', '../package.json', 'constructor']) assert.equal((await fetch(url + name)).status, 404, name);
    await rm(dir, { recursive: true });
  } finally {
    await close(site);
  }
});
