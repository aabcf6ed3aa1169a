// The page of examples/dashboard in Debian's Chromium, before a real PostgREST and a past that was recorded through the public
// functions. What a browser shows does not depend on the edition of the extension: it runs for one of them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { csp } from '../../../examples/dashboard/serve.mjs';
import { startBrowser } from '../../rest/browser.mjs';
import { startStack } from '../../rest/stack.mjs';
import { granted, minutesAgo, orgA, orgB, orgC, nowhere } from '../../rest/suite.mjs';
import { globalAdmin, member, service } from '../../rest/tokens.mjs';
import { fill, home, names, record } from './past.mjs';
import { startSite } from './site.mjs';

const axe = await readFile(new URL('../../rest/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const ola = { ...member(home), sub: 'ola.nordmann' };
const admin = { ...globalAdmin, sub: 'kari.nordmann' };
// what a browser says of each answer of the API that is no success
const failedRequest = /^Failed to load resource: /;

describe('the dashboard in a browser', { skip: process.env.IH_OWNER ? 'the trusted edition: a browser shows the same' : false }, () => {
  let stack, site, browser;
  before(async () => {
    stack = await startStack({ database: 'dashboard_page', schema: 'integration_health' });
    [site, browser] = await Promise.all([startSite(stack, names), startBrowser()]);
    stack.service = stack.client(service);
    await fill(stack);
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
    await stack?.stop();
  });

  // visit(claims, options, steps): opens the page with a token for these claims (none: null), takes the steps, and asserts that
  // nothing failed meanwhile: no console error, no exception, no violation of the CSP. allow: console errors that may be;
  // clock: the page's can be moved; time_zone: of the config; config: false where there is none.
  async function visit(claims, { hash = '', token = claims && stack.token(claims), allow, clock, time_zone, config, ...options }, steps) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', timezoneId: 'Europe/Oslo', reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const faults = [], requests = [];
    page.on('console', (message) => { if (message.type() === 'error' && !allow?.test(message.text())) faults.push(message.text()); });
    page.on('pageerror', (error) => { if (!allow?.test(error.message)) faults.push(error.stack); });
    page.on('request', (request) => { if (request.url().includes('/rest/v1/')) requests.push(new URL(request.url()).pathname.slice('/rest/v1/'.length)); });
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    if (clock) await page.clock.install();
    if (config === false) await page.route('**/config.json', (route) => route.fulfill({ status: 404 }));
    if (time_zone) await page.route('**/config.json', async (route) => route.fulfill({ json: { ...await (await route.fetch()).json(), time_zone } }));
    try {
      if (token) await page.addInitScript((given) => { if (!sessionStorage.length) sessionStorage.setItem('integration-health-token', given); }, token);
      await page.goto(site.url + hash);
      await steps(page, requests);
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
    }
  }
  const ready = (page) => page.waitForSelector('#view section');
  const banner = (page) => page.locator('#banner-text').textContent();
  const bannerSays = (page, text) => page.locator('#banner-text', { hasText: text }).waitFor();

  // refusedByAxe(page): what axe-core finds, in short. What is within a chart, an img with a label, is no content of its own,
  // and thousands of shapes: it is taken out, as are the rows of a table after the first ten.
  // rules: these alone.
  async function refusedByAxe(page, rules) {
    await page.evaluate(axe);
    return page.evaluate(async (runOnly) => {
      for (const chart of document.querySelectorAll('svg.chart')) chart.replaceChildren();
      for (const row of document.querySelectorAll('tbody tr:nth-child(n + 11)')) row.remove();
      const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'], ...(runOnly && { runOnly }) });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 150)} ${failureSummary}`).join('; ')}`);
    }, rules);
  }

  test('the CSP of the header and of the page are the same, and allow nothing inline', async () => {
    const response = await fetch(site.url);
    const html = await response.text();
    assert.equal(response.headers.get('content-security-policy'), csp);
    const meta = /Content-Security-Policy" content="([^"]*)"/.exec(html)[1];
    assert.equal(meta, csp.replace("frame-ancestors 'self'; ", ''));
    assert.doesNotMatch(csp, /unsafe|\*|https?:/);
    assert.doesNotMatch(html, /style=| on\w+=|<style|<script(?![^>]*src=)/);
  });

  test('the server sends the page\'s files and no others', async () => {
    for (const path of ['', 'main.mjs', 'vendor/supabase.js', 'config.json', 'style.css']) assert.equal((await fetch(site.url + path)).status, 200, path);
    for (const path of ['serve.mjs', 'package.json', 'format.test.mjs', 'node_modules/', '..%2falert-worker%2fmain.mjs', '/', '%', 'config.example.json', 'nothing.mjs']) {
      assert.equal((await fetch(site.url + path)).status, 404, path);
    }
    assert.deepEqual(Object.keys(await (await fetch(`${site.url}config.json`)).json()), ['anon_key', 'schema', 'organisations']);
  });

  test('the member\'s view takes at most 4 requests, and under 150 kB of JavaScript', async (t) => {
    await visit(ola, {}, async (page, requests) => {
      await ready(page);
      const scripts = [], times = [];
      page.on('response', (response) => { if (response.request().resourceType() === 'script') scripts.push(response.body()); });
      // when the last of the cards is on the screen
      await page.addInitScript(() => {
        new MutationObserver((_, observer) => {
          if (document.querySelectorAll('.card').length < 10) return;
          observer.disconnect();
          requestAnimationFrame(() => setTimeout(() => { globalThis.painted = performance.now(); }));
        }).observe(document, { childList: true, subtree: true });
      });
      for (let n = 0; n < 3; n++) {
        await Promise.all(scripts);
        scripts.length = requests.length = 0;
        await page.reload();
        times.push(Math.round(await (await page.waitForFunction(() => globalThis.painted)).jsonValue()));
      }
      assert.equal(await page.locator('.card').count(), 10);
      assert.deepEqual([...requests].sort(), ['rpc/get_maintenance', 'rpc/get_org_incidents', 'rpc/get_org_overview', 'rpc/get_org_syncs']);
      const sizes = (await Promise.all(scripts)).map((body) => gzipSync(body).length);
      const size = sizes.reduce((sum, length) => sum + length, 0);
      assert.ok(sizes.length > 10, `only ${sizes.length} scripts`);
      assert.ok(size < 150_000, `${size} bytes of JavaScript`);
      t.diagnostic(`${size} bytes of JavaScript, gzip; 10 integrations with 90 days on the screen after ${times.join(', ')} ms`);
    });
  });

  test('a member sees each integration: status, since when, cause, last check, availability, charts and their tables', async () => {
    await visit(ola, {}, async (page) => {
      await ready(page);
      assert.equal(await banner(page), '3 problems: Xledger is unhealthy, Microsoft Dynamics 365 and Webshop are degraded. Nothing new from Timesheets');
      assert.deepEqual(await page.locator('.card h3').allTextContents(), [
        'Xledger', 'Microsoft Dynamics 365', 'Webshop', 'Timesheets', 'Bank feed', 'CRM', 'E-invoicing', 'Land registry', 'Payroll', 'Warehouse',
      ]);
      assert.match(await page.locator('.rest').textContent(), /Not checked yet: Customs\./);
      const card = (name) => page.locator('.card', { has: page.getByRole('heading', { name, exact: true }) });
      const xledger = card('Xledger');
      assert.match(await xledger.locator('.summary').textContent(), /^Unhealthyfor 3 h \d+ minSign-in refusedchecked 1\d min ago$/);
      assert.equal(await xledger.locator('.error').textContent(), 'HTTP 401: the access token has been revoked');
      assert.match(await xledger.locator('.uptime').textContent(), /^Uptime 24 h8\d\.\d+ %100 % known7 days9[78]\.\d+ %100 % known30 days99\.\d+ %100 % known90 days99\.\d+ %/);
      assert.match(await card('CRM').locator('.uptime').textContent(), /90 days100 %67\.\d+ % known$/);
      // stale, passive: in words and by a form
      assert.match(await card('Timesheets').locator('.summary').textContent(), /^Old data, last healthyfor .*checked 1 d 2 h ago|^Old data, last healthy/);
      assert.equal(await card('Timesheets').locator('.icon.stale').count(), 1);
      assert.match(await card('Webshop').locator('.summary').textContent(), /^DegradedPassivefor .*Too many requests/);
      assert.equal(await card('Webshop').locator('.icon.passive').count(), 1);
      assert.match(await card('Payroll').locator('.summary').textContent(), /^Healthyfor \d+ d/);

      // the charts, and what they say to those who do not see them
      assert.match(await xledger.locator('.strip').getAttribute('aria-label'), /^96 checks in 24 hours: 1[34] unhealthy, 8[23] healthy$/);
      assert.match(await xledger.locator('.days').getAttribute('aria-label'), /^90 days: [345] unhealthy, 8[567] healthy/);
      assert.match(await xledger.locator('.latency').getAttribute('aria-label'), /^Latency of 90 days: on the last day with data p50 \d+ ms, p95 \d+ ms/);
      assert.match(await card('Timesheets').locator('.strip').getAttribute('aria-label'), /^No check in 24 hours$/);
      // days without data are stubs, and no bar of a status
      const days = await card('CRM').locator('.days g').evaluateAll((groups) => groups.map((group) => [...group.querySelectorAll('.bar')].map((bar) => bar.classList[1]).join()));
      assert.equal(days.length, 90);
      assert.ok(days.slice(0, 28).every((day) => day === 'nothing'), days.join(' '));
      assert.ok(days.slice(40).every((day) => day.startsWith('healthy')), days.join(' '));

      await xledger.getByText('Show as tables').click();
      await xledger.locator('table').nth(2).waitFor();
      assert.deepEqual(await xledger.locator('caption').allTextContents(), ['Xledger: checks of 24 hours', 'Xledger: availability by day', 'Xledger: latency by day (UTC)']);
      assert.deepEqual(await xledger.locator('tbody').evaluateAll((bodies) => bodies.map((body) => body.rows.length)), [96, 90, 90]);
      assert.match(await xledger.locator('tbody tr').first().textContent(), /UnhealthyHTTP 401|Unhealthy.*401Sign-in refusedHTTP 401: the access token has been revoked$/);

      // a time of the viewer's zone has that and UTC on it
      const title = await xledger.locator('.summary time').last().getAttribute('title');
      assert.match(title, /^\d+ \w+ \d{4}, \d\d:\d\d\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
      const [, local, utc] = /, (\d\d):.* (\d\d):\d\d:\d\d UTC/s.exec(title).map(Number);
      assert.ok([1, 2].includes((local - utc + 24) % 24), title);
    });
  });

  test('a member sees incidents, syncs and maintenance', async () => {
    await visit(ola, {}, async (page) => {
      await ready(page);
      assert.match(await page.locator('#open-incidents').textContent(), /Xledger.*Open.*Sign-in refused.*for 3 h/);
      assert.match(await page.locator('#past-incidents .incident').first().textContent(), /^E-invoicingResolvedNo answer in time.*1 h 30 min · 6 failures$/);
      assert.match(await page.locator('.notice').textContent(), /Maintenance planned Payroll: Payroll moves to a new data centre, /);
      const rows = await page.locator('#syncs tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
      const of = (name) => rows.find(([first]) => first === name).slice(1);
      const xledger = of('Xledger');
      assert.equal(xledger[0], 'every hour');
      assert.match(xledger[1], /^in 5\d min/);
      assert.match(xledger[3], /^Failed\s+HTTP 401/);
      assert.deepEqual(of('Bank feed').slice(3), ['Succeeded', '0', '0', '0']);
      const dynamics = of('Microsoft Dynamics 365');
      assert.deepEqual([dynamics[4], dynamics[6]], ['1', '1']);
      assert.deepEqual(of('CRM').slice(1, 4), ['Switched off', '–', 'Never run']);
      assert.equal(of('E-invoicing')[3], 'Running');
      assert.deepEqual(xledger.slice(4), ['1', '3', '0']);
    });
  });

  test('a global admin sees types, outages, passive types, problems, backlog and syncs', async () => {
    await visit(admin, {}, async (page) => {
      await ready(page);
      assert.match(await banner(page), /^Bank feed fails for many organisations\. \d+ unhealthy, \d+ degraded of \d+ pairs$/);
      assert.match(await page.locator('#outages').textContent(), /Bank feedOpenNo answer in time/);
      assert.match(await page.locator('#passive tbody').textContent(), /Webshop.*HTTP 429.*in 1 h \d+ min by a probe/);
      const rows = await page.locator('#types tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
      const summary = granted(await stack.client(globalAdmin).rpc('get_global_health_summary'));
      assert.deepEqual(rows.map(([name]) => name.replace(/\s+Passive$/, '')), summary.map((row) => row.display_name));
      summary.forEach((row, n) => assert.deepEqual(rows[n].slice(2, 6).map(Number), [row.healthy, row.degraded, row.unhealthy, row.unknown]));
      assert.match(await page.locator('#types .stack').first().getAttribute('aria-label'), /^Of \d+ pairs: 1 healthy, \d+ unhealthy$/);
      assert.equal(rows.find(([name]) => name === 'Customs')[6], 'no data');
      const problems = await page.locator('#problems tbody tr').count();
      assert.equal(problems, granted(await stack.client(globalAdmin).rpc('get_global_health_problems', { max_rows: 50 })).length);
      assert.match(await page.locator('#backlog tbody').textContent(), /on-call: HTTP 503: maintenance/);
      assert.match(await page.locator('#global-syncs tbody').textContent(), /Xledger/);
      assert.deepEqual(await page.locator('#views a').allTextContents(), ['All organisations']);
    });
  });

  test('the page offers no more than the token allows, and gets no more', async () => {
    await visit(ola, { hash: '#/global' }, async (page, requests) => {
      await ready(page);
      assert.deepEqual(await page.locator('#views a').allTextContents(), ['Nordlys Bygg AS']);
      assert.ok(!requests.some((path) => path.includes('global')), requests.join());
    });
    await visit(ola, { hash: `#/org/${orgB}` }, async (page) => {
      await page.getByText('There is no such organisation, or you may not see it.').waitFor();
      assert.equal(await banner(page), 'There is nothing to show for this organisation');
    });
    await visit({ ...member(), sub: 'new' }, {}, async (page, requests) => {
      await bannerSays(page, 'Your sign-in names no organisation');
      assert.deepEqual(requests, []);
    });
    // a member whose token says global admin at a place that the database does not read
    await visit({ ...ola, user_metadata: { role: 'global_admin' } }, {}, async (page) => {
      await ready(page);
      assert.deepEqual(await page.locator('#views a').allTextContents(), ['Nordlys Bygg AS']);
    });
    await visit({ ...member(nowhere), sub: 'empty' }, {}, async (page) => {
      await bannerSays(page, 'No integration has been checked yet');
      for (const text of ['Nothing was checked yet.', 'No sync is scheduled.', 'No incident was resolved in the last 30 days.']) await page.getByText(text).waitFor();
    });
  });

  test('somebody of several organisations who is a global admin, too, goes from one view to the other', async () => {
    const both = { role: 'authenticated', sub: 'both', app_metadata: { org_id: [home, nowhere], role: 'global_admin' } };
    await visit(both, {}, async (page) => {
      await ready(page);
      assert.deepEqual(await page.locator('#views a').allTextContents(), ['Nordlys Bygg AS', `Organisation ${nowhere.slice(0, 8)}`, 'All organisations']);
      await page.getByRole('link', { name: 'All organisations' }).click();
      await page.locator('#types').waitFor();
      assert.equal(await page.locator('#views [aria-current]').textContent(), 'All organisations');
      await page.getByRole('link', { name: `Organisation ${nowhere.slice(0, 8)}` }).click();
      await bannerSays(page, 'No integration has been checked yet');
      await page.goBack();
      await page.locator('#types').waitFor();
    });
  });

  test('the address of a drawer can be shared: with a member, and with a global admin', async () => {
    let shared;
    await visit(ola, { permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
      await page.getByRole('link', { name: 'Xledger' }).first().click();
      await page.locator('#drawer .incidents').waitFor();
      await page.getByRole('button', { name: 'Copy link' }).click();
      await page.getByText('Copied').waitFor();
      shared = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(shared, `${site.url}#/pair/${home}/xledger`);
    });
    const hash = new URL(shared).hash;
    await visit(ola, { hash }, async (page) => {
      await page.locator('#drawer .incidents').waitFor();
      assert.equal(await page.locator('#drawer-title').textContent(), 'Xledger');
      const drawer = await page.locator('#drawer').textContent();
      for (const words of [/Unhealthy/, /Last healthy3 h/, /Failures in a row1\d/, /HTTP status401/, /Sync.*every hour/, /1 late in 7 days/, /3 missed in 7 days/]) assert.match(drawer, words);
      await page.locator('#drawer-checks summary').click();
      await page.locator('#drawer-checks tbody tr').nth(95).waitFor();
      assert.equal(await page.locator('#drawer-checks tbody tr').count(), 96);
      await page.getByRole('button', { name: 'Close' }).click();
      assert.equal(new URL(page.url()).hash, `#/org/${home}`);
      assert.equal(await page.locator('#drawer[open]').count(), 0);
      await page.goBack();
      await page.locator('#drawer[open]').waitFor();
    });
    await visit(admin, { hash }, async (page) => {
      await page.locator('#drawer .incidents').waitFor();
      await page.locator('#types').waitFor({ state: 'attached' });
      const drawer = await page.locator('#drawer').textContent();
      assert.match(drawer, /Unhealthy.*Sign-in refused.*HTTP 401.*shown to members/);
    });
    await visit({ ...member(orgB), sub: 'b' }, { hash }, async (page) => {
      await page.getByText('You may not see this organisation.').waitFor();
      assert.doesNotMatch(await page.locator('#drawer').textContent(), /HTTP 401/);
    });
  });

  test('somebody acknowledges an incident, with a note that is shown as text', async () => {
    await visit(ola, {}, async (page) => {
      const incident = page.locator('#open-incidents .incident');
      await incident.getByRole('button', { name: /^Acknowledge/ }).click();
      assert.equal(await page.evaluate(() => document.activeElement.id.endsWith('-note')), true);
      await page.keyboard.press('Escape');
      assert.match(await page.evaluate(() => document.activeElement.textContent), /^Acknowledge/);
      await page.keyboard.press('Enter');
      await page.keyboard.type('<b>new credential</b> requested');
      await page.keyboard.press('Enter');
      await incident.locator('.taken').waitFor();
      assert.match(await incident.locator('.taken').textContent(), /^Acknowledged by ola\.nordmann just now: <b>new credential<\/b> requested$/);
      assert.match(await page.evaluate(() => document.activeElement.id), /^open-/);
    });
    const rows = granted(await stack.client(ola).rpc('get_org_incidents', { org_id: home }).is('resolved_at', null).select('resolved_at, acknowledged_by, note'));
    assert.deepEqual(rows, [{ resolved_at: null, acknowledged_by: 'ola.nordmann', note: '<b>new credential</b> requested' }]);
    // one of a whole type, by a global admin
    await visit(admin, {}, async (page) => {
      const outage = page.locator('#outages .incident');
      await outage.getByRole('button', { name: /^Acknowledge/ }).click();
      await outage.getByRole('button', { name: 'I am on it' }).click();
      await outage.getByText('Acknowledged by kari.nordmann').waitFor();
    });
  });

  test('hostile texts are texts: markup, a long one, one from right to left', async () => {
    const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const long = 'x'.repeat(2000);
    const rightToLeft = '\u202eשגיאה: הגישה נדחתה\u202e <i>evil</i>';
    await record(stack.service, [
      { org_id: orgA, integration_type: 'xledger', status: 'unhealthy', http_status: 500, error: markup, checked_at: minutesAgo(16) },
      { org_id: orgA, integration_type: 'xledger', status: 'unhealthy', http_status: 500, error: markup, checked_at: minutesAgo(1) },
      { org_id: orgA, integration_type: 'dynamics', status: 'degraded', http_status: 200, error: long, checked_at: minutesAgo(1) },
      { org_id: orgA, integration_type: 'bank', status: 'unknown', error: rightToLeft, checked_at: minutesAgo(1) },
    ]);
    for (const viewport of [{ width: 1280, height: 900 }, { width: 360, height: 800 }]) {
      await visit({ ...member(orgA), sub: 'a' }, { viewport, hash: `#/pair/${orgA}/xledger` }, async (page) => {
        page.on('dialog', () => assert.fail('a script of the data ran'));
        await page.locator('#drawer .incidents').waitFor();
        assert.equal(await page.locator('#drawer .pair > .error').textContent(), markup);
        await page.locator('#drawer-checks summary').click();
        assert.equal(await page.locator('img, main script, dialog script').count(), 0);
        await page.keyboard.press('Escape');
        const errors = page.locator('.card .error');
        assert.deepEqual(await errors.allTextContents(), [markup, long, rightToLeft]);
        assert.equal(await errors.nth(2).getAttribute('dir'), 'auto');
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is wider than the window');
      });
    }
    await visit(admin, { viewport: { width: 360, height: 800 } }, async (page) => {
      await ready(page);
      assert.ok((await page.locator('#problems .error').allTextContents()).includes(markup));
      assert.equal(await page.locator('main img').count(), 0);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is wider than the window');
    });
    await record(stack.service, ['xledger', 'dynamics', 'bank'].map((integration_type) => ({ org_id: orgA, integration_type, status: 'healthy', checked_at: minutesAgo(0) })));
  });

  test('every status by word and form, and what is all fine', async () => {
    const rows = [['xledger', 'healthy'], ['dynamics', 'degraded'], ['bank', 'unhealthy'], ['crm', 'unknown']];
    await record(stack.service, rows.map(([integration_type, status]) => ({ org_id: orgC, integration_type, status, checked_at: minutesAgo(2) })));
    await visit({ ...member(orgC), sub: 'c' }, {}, async (page) => {
      await ready(page);
      const told = await page.locator('.card').evaluateAll((cards) => cards.map((card) => [card.querySelector('h3').textContent, card.querySelector('.badge').textContent, card.querySelector('.badge path').getAttribute('d')]));
      assert.deepEqual(told.map(([name, word]) => [name, word]), [['Bank feed', 'Unhealthy'], ['Microsoft Dynamics 365', 'Degraded'], ['CRM', 'Unknown'], ['Xledger', 'Healthy']]);
      assert.equal(new Set(told.map(([, , form]) => form)).size, 4, 'two statuses have the same form');
      const bars = await page.locator('.card').evaluateAll((cards) => cards.map((card) => [...card.querySelectorAll('.strip g:last-of-type .bar')].map((bar) => bar.getAttribute('height')).join()));
      assert.equal(new Set(bars).size, 4, 'two statuses have the same bar');
    });
    await record(stack.service, rows.map(([integration_type]) => ({ org_id: orgC, integration_type, status: 'healthy', checked_at: minutesAgo(0) })));
    await visit({ ...member(orgC), sub: 'c' }, {}, async (page) => {
      await bannerSays(page, 'All fine: 4 integrations are healthy');
    });
  });

  test('a time zone that the database does not know: the days are those of UTC', async () => {
    await visit(ola, { allow: failedRequest, time_zone: 'Mars/Olympus_Mons' }, async (page, requests) => {
      await ready(page);
      assert.equal(await page.locator('.card').count(), 10);
      assert.equal(requests.filter((path) => path === 'rpc/get_org_overview').length, 2);
      requests.length = 0;
      await page.locator('#refresh').click();
      await page.waitForLoadState('networkidle');
      assert.equal(requests.filter((path) => path === 'rpc/get_org_overview').length, 1);
    });
  });

  test('no config: the page says so', async () => {
    await visit(ola, { allow: /^Failed to load resource|config\.json: HTTP 404/, config: false }, async (page) => {
      await page.getByText('This page cannot start: config.json: HTTP 404').waitFor();
    });
  });

  test('no token: a form asks for one, and a refresh of the tab keeps it', async () => {
    await visit(null, {}, async (page, requests) => {
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), 'token-field');
      assert.deepEqual(requests, []);
      assert.deepEqual(await refusedByAxe(page), []);
      await page.keyboard.insertText(stack.token(ola));
      await page.keyboard.press('Enter');
      await ready(page);
      assert.equal(await page.locator('#token').isVisible(), false);
      await page.reload();
      await ready(page);
    });
    await visit(null, { hash: `#token=${stack.token(ola)}` }, async (page, requests) => {
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      assert.deepEqual(requests, [], 'an address signs nobody in');
    });
  });

  test('an expired token: a new one is asked for, what is shown stays, and it goes on', async () => {
    await visit(ola, { token: stack.token(ola, -60), allow: failedRequest }, async (page) => {
      await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
      await page.getByLabel('Access token').fill(stack.token(ola));
      await page.keyboard.press('Enter');
      await ready(page);
    });
    await visit(ola, { allow: failedRequest, hash: `#/pair/${home}/xledger` }, async (page) => {
      await page.locator('#drawer .incidents').waitFor();
      const forward = stack.gateway.pass;
      stack.gateway.pass = (request, response) => {
        // as if an hour had passed: a token that has expired
        request.headers.authorization = `Bearer ${stack.token(ola, -60)}`;
        return stack.gateway.forward(request, response);
      };
      try {
        await page.evaluate(() => document.getElementById('refresh').click());
        await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
        assert.equal(await page.locator('#trouble').textContent(), `Your sign-in has expired. What you see is from ${await shownTime(page)}.`);
        assert.equal(await page.locator('.card').count(), 10);
        assert.equal(await page.locator('#drawer[open]').count(), 0);
        await bannerSays(page, /^Old data, from \d\d:\d\d\. 3 problems/);
      } finally {
        stack.gateway.pass = forward;
      }
      await page.getByLabel('Access token').fill(stack.token(ola, 7200));
      await page.keyboard.press('Enter');
      await bannerSays(page, /^3 problems/);
      assert.equal(await page.locator('#trouble').isVisible(), false);
      await page.locator('#drawer[open]').waitFor();
    });
  });

  test('a token of somebody else: nothing of the first user stays', async () => {
    await visit(ola, { allow: failedRequest }, async (page) => {
      await ready(page);
      stack.gateway.pass = (request, response) => response.writeHead(401, { 'Content-Type': 'application/json' }).end('{"code":"PGRST301","message":"JWT expired"}');
      try {
        await page.locator('#refresh').click();
        await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
        stack.gateway.pass = stack.gateway.forward;
        await page.getByLabel('Access token').fill(stack.token({ ...member(nowhere), sub: 'else' }));
        await page.keyboard.press('Enter');
        await bannerSays(page, 'No integration has been checked yet');
        assert.equal(await page.locator('.card').count(), 0);
        assert.doesNotMatch(await page.locator('body').innerText(), /Nordlys/);
      } finally {
        stack.gateway.pass = stack.gateway.forward;
      }
    });
  });

  const shownTime = (page) => page.evaluate(() => /from (\d\d:\d\d)/.exec(document.getElementById('banner-text').textContent)[1]);

  test('the server down and back: the data stay, their age is told, and they are read again', async () => {
    await visit(ola, { allow: failedRequest, clock: true }, async (page, requests) => {
      await ready(page);
      const first = await page.evaluate(() => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' }).format(new Date()));
      stack.gateway.pass = (request) => request.socket.destroy();
      try {
        await page.clock.fastForward('01:05');
        await bannerSays(page, /^Old data, from/);
        assert.equal(await page.locator('#trouble').textContent(), `The server cannot be reached. What you see is from ${first}.`);
        await page.clock.fastForward('05:00');
        await page.locator('#freshness', { hasText: /^Updated 6 min ago$/ }).waitFor();
        assert.equal(await page.locator('.card').count(), 10);
        assert.deepEqual(await refusedByAxe(page), []);
      } finally {
        stack.gateway.pass = stack.gateway.forward;
      }
      requests.length = 0;
      await page.clock.fastForward('01:05');
      await bannerSays(page, /^3 problems/);
      assert.equal(await page.locator('#trouble').isVisible(), false);
      assert.equal(new Set(requests).size, 4);
    });
    // down from the start
    stack.gateway.pass = (request, response) => response.writeHead(503).end();
    try {
      await visit(ola, { allow: failedRequest }, async (page) => {
        await bannerSays(page, 'No data yet');
        await page.getByText('The server cannot be reached.').waitFor();
        stack.gateway.pass = stack.gateway.forward;
        await page.locator('#refresh').click();
        await ready(page);
      });
    } finally {
      stack.gateway.pass = stack.gateway.forward;
    }
  });

  test('it polls every 60 s, not while it is hidden, and once when it is seen again', async () => {
    await visit(ola, { clock: true }, async (page, requests) => {
      await ready(page);
      const see = (state) => page.evaluate((value) => {
        Object.defineProperty(document, 'visibilityState', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, state);
      const polled = async (number) => {
        await page.waitForLoadState('networkidle');
        assert.equal(requests.filter((path) => path === 'rpc/get_org_overview').length, number);
        requests.length = 0;
      };
      await polled(1);
      await page.clock.fastForward('00:50');
      await polled(0);
      const again = page.waitForResponse(/get_org_overview/);
      await page.clock.fastForward('00:15');
      await again;
      await polled(1);
      await see('hidden');
      await page.clock.runFor('10:00');
      await polled(0);
      const seen = page.waitForResponse(/get_org_overview/);
      await see('visible');
      await seen;
      await polled(1);
    });
  });

  test('a refresh disturbs nobody: focus, open tables and a note that is being written stay', async () => {
    await visit({ ...member(orgA), sub: 'a' }, {}, async (page) => {
      await ready(page);
      await record(stack.service, [20, 5].map((minutes) => ({ org_id: orgA, integration_type: 'crm', status: 'unhealthy', error: 'first', checked_at: minutesAgo(minutes) })));
      const refresh = async () => {
        const answered = page.waitForResponse(/get_org_overview/);
        await page.evaluate(() => document.getElementById('refresh').click());
        await answered;
      };
      await refresh();
      const crm = page.locator('.card', { has: page.getByRole('heading', { name: 'CRM' }) });
      await crm.locator('summary').click();
      await crm.getByRole('link').focus();
      await page.getByRole('button', { name: /^Acknowledge/ }).evaluate((button) => button.click());
      await page.keyboard.type('half a no');
      await record(stack.service, [{ org_id: orgA, integration_type: 'crm', status: 'unhealthy', error: 'second', checked_at: minutesAgo(1) }]);
      await refresh();
      await crm.getByText('second').first().waitFor();
      assert.equal(await page.locator('[id$="-note"]').inputValue(), 'half a no');
      assert.match(await page.evaluate(() => document.activeElement.id), /-note$/);
      assert.equal(await crm.locator('details[open]').count(), 1);
      assert.equal(await crm.locator('tbody').first().locator('tr').count(), 3);
      await crm.getByRole('link').focus();
      await record(stack.service, [{ org_id: orgA, integration_type: 'crm', status: 'healthy', checked_at: minutesAgo(0) }]);
      await refresh();
      await crm.getByText('Healthy').first().waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), 'card-crm');
      // a card that stays as it is, and changes its place
      await page.locator('#card-dynamics').focus();
      await record(stack.service, [{ org_id: orgA, integration_type: 'bank', status: 'unhealthy', checked_at: minutesAgo(0) }]);
      await refresh();
      await page.getByText('1 problem: Bank feed is unhealthy').waitFor();
      await record(stack.service, [{ org_id: orgA, integration_type: 'bank', status: 'healthy', checked_at: minutesAgo(0) }]);
      await refresh();
      await page.getByText('All fine: 4 integrations are healthy').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), 'card-dynamics');
    });
  });

  test('all of it by keyboard, and the focus is seen', async () => {
    await visit(ola, {}, async (page) => {
      await ready(page);
      const walked = [];
      const press = async (key) => {
        await page.keyboard.press(key);
        return page.evaluate(() => {
          const element = document.activeElement;
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          return { tag: element.tagName, id: element.id, text: element.textContent.slice(0, 40), seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
        });
      };
      for (let n = 0; n < 120; n++) {
        const stop = await press('Tab');
        if (stop.tag === 'BODY') break;
        assert.ok(stop.seen, `no focus to be seen on ${JSON.stringify(stop)}`);
        walked.push(stop);
      }
      const ids = walked.map(({ id }) => id);
      assert.equal(ids[0], `view-org-${home}`);
      assert.ok(ids.includes('refresh'));
      for (const type of ['xledger', 'dynamics', 'warehouse']) assert.ok(ids.includes(`card-${type}`), type);
      assert.equal(walked.filter(({ tag }) => tag === 'SUMMARY').length >= 10, true);

      await page.locator('#card-bank').focus();
      await page.keyboard.press('Enter');
      await page.locator('#drawer .incidents').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), 'drawer-title');
      for (let n = 0; n < 12; n++) {
        const { tag, id } = await press('Tab');
        assert.ok(tag === 'BODY' || await page.evaluate(() => document.getElementById('drawer').contains(document.activeElement)), `${tag} ${id} is not in the drawer`);
      }
      await page.keyboard.press('Escape');
      await page.locator('#drawer').waitFor({ state: 'hidden' });
      assert.equal(await page.evaluate(() => document.activeElement.id), 'card-bank');
      // a table behind a chart
      await page.locator('#card-bank-figures summary').focus();
      await page.keyboard.press('Enter');
      await page.locator('#card-bank-figures table').nth(2).waitFor();
      const region = await press('Tab');
      assert.equal(region.tag, 'DIV');
    });
  });

  test('axe-core finds nothing: both views and the drawer, tables open, light and dark', async () => {
    // dark differs by its colours alone
    for (const [colorScheme, rules] of [['light'], ['dark', ['color-contrast']]]) {
      await visit(ola, { colorScheme }, async (page) => {
        await ready(page);
        await page.locator('#card-warehouse-figures summary').click();
        await page.locator('#card-warehouse-figures table').nth(2).waitFor();
                assert.deepEqual(await refusedByAxe(page, rules), [], `member, ${colorScheme}`);
        await page.locator('#card-xledger').click();
        await page.locator('#drawer .incidents').waitFor();
        await page.locator('#drawer-checks summary').click();
        assert.deepEqual(await refusedByAxe(page, rules), [], `drawer, ${colorScheme}`);
      });
      await visit(admin, { colorScheme }, async (page) => {
        await ready(page);
        assert.deepEqual(await refusedByAxe(page, rules), [], `global, ${colorScheme}`);
        await page.locator('#problems a').nth(1).click();
        await page.locator('#drawer .incidents').waitFor();
        assert.deepEqual(await refusedByAxe(page, rules), [], `a global admin's drawer, ${colorScheme}`);
      });
    }
  });

  test('50 types, and as many organisations as a token has', async () => {
    const types = Array.from({ length: 50 }, (_, n) => ({ integration_type: `system_${n}`, display_name: `System with a rather long name, number ${n}` }));
    granted(await stack.service.from('integration_types').insert(types));
    const statuses = ['healthy', 'degraded', 'unhealthy', 'unknown'];
    await record(stack.service, types.flatMap(({ integration_type }, n) => [40, 25, 10].map((minutes) => (
      { org_id: orgB, integration_type, status: statuses[n % 4], latency_ms: 100 + n, checked_at: minutesAgo(minutes) }))));
    const orgs = Array.from({ length: 40 }, (_, n) => `99999999-0000-4000-8000-${String(n).padStart(12, '0')}`);
    await visit({ ...member(orgB, ...orgs), sub: 'many' }, { viewport: { width: 390, height: 800 } }, async (page) => {
      await bannerSays(page, /^25 problems: System with a rather long name, number 10, .* and 9 more are unhealthy, .* and 10 more are degraded$/);
      assert.equal(await page.locator('.card').count(), 50);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is wider than the window');
      await page.getByLabel('Organisation').selectOption(orgs[7]);
      await bannerSays(page, 'No integration has been checked yet');
      assert.equal(new URL(page.url()).hash, `#/org/${orgs[7]}`);
    });
    await visit(admin, {}, async (page) => {
      await ready(page);
      assert.equal(await page.locator('#types tbody tr').count(), 61);
      assert.equal(await page.locator('#problems tbody tr').count(), 50);
      await page.getByText('The first 50: the worst and longest-lasting.').waitFor();
    });
  });
});
