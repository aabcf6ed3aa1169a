// screenshots.mjs: node screenshots.mjs DIR, by scripts/screenshots: writes the pictures of docs/ into DIR.
import { startBrowser } from '../../rest/browser.mjs';
import { globalAdmin, member } from '../../rest/tokens.mjs';
import { startStack } from '../../rest/stack.mjs';
import { fill, home, names } from './past.mjs';
import { startSite } from './site.mjs';

const directory = process.argv[2];
const stack = await startStack({ database: 'screenshots' });
const site = await startSite(stack, names);
const browser = await startBrowser();
try {
  await fill(stack);
  const shots = [
    ['dashboard-light', member(home), '', 'light', 1280, 1010],
    ['dashboard-dark', member(home), '', 'dark', 1280, 1010],
    ['dashboard-narrow', member(home), '', 'light', 390, 1010],
    ['dashboard-global', globalAdmin, '', 'light', 1280, 1010],
    ...(process.env.MORE ? [
      ['more-drawer', member(home), `#/pair/${home}/xledger`, 'light', 1280, 1010],
      ['more-foreign', globalAdmin, '#/pair/7e1d0003-3c2b-4a19-8f6e-5d4c3b2a1908/bank', 'dark', 1280, 1010],
      ['more-full', member(home), '', 'light', 1280, 2900],
      ['more-global', globalAdmin, '', 'dark', 1280, 2400],
      ['more-narrow', globalAdmin, '', 'dark', 390, 2400],
    ] : []),
  ];
  for (const [name, claims, hash, colorScheme, width, height] of shots) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, locale: 'en-GB', timezoneId: 'Europe/Oslo', reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.on('console', (message) => { if (message.type() === 'error') console.error(`${name}: ${message.text()}`); });
    page.on('pageerror', (error) => console.error(`${name}: ${error.stack}`));
    await page.addInitScript((token) => sessionStorage.setItem('integration-health-token', token), stack.token({ ...claims, sub: 'ola.nordmann' }));
    await page.goto(site.url);
    await page.waitForSelector('#view section');
    if (hash) {
      await page.evaluate((to) => { location.hash = to; }, hash);
      await page.waitForSelector('#drawer[open] .incidents, #drawer[open] .facts');
      await page.waitForTimeout(300);
    }
    await page.screenshot({ path: `${directory}/${name}.png` });
    await context.close();
  }
} finally {
  await browser.close();
  await site.stop();
  await stack.stop();
}
