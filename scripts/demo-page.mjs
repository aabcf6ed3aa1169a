// demo-page.mjs FILE: fills the dashboard of the demo: records 90 days of a made-up past, prints where the page is and who to be
// on it, and writes the moment of that past to FILE.world. FILE is what demo-servers.mjs wrote.
// demo-page.mjs FILE DIRECTORY: then leaves screenshots in DIRECTORY.
import { mkdir, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { recordPast } from '../examples/playground/past.mjs';
import { heading, paint, print } from '../examples/playground/report.mjs';
import { createWorld, organisations } from '../examples/playground/world.mjs';
import { startBrowser } from '../test/rest/browser.mjs';
import { openDemo } from './demo-client.mjs';

const [file, directory] = process.argv.slice(2);
const { as, page, signedIn } = await openDemo(file);

// One check in so many hours, of what is longer ago than a day; the edition without C takes three times as long for each.
const every = 3;

async function fill() {
  heading('90 days of a past', 'made up, recorded by record_health_checks as service_role');
  const now = Date.now();
  const world = createWorld({ now });
  const isShown = process.stdout.isTTY;
  const checks = await recordPast(as, world, {
    every,
    progress: (share, recorded) => { if (isShown) process.stdout.write(`\r  ${Math.round(100 * share)} %, ${recorded} checks recorded`); },
  });
  if (isShown) process.stdout.write('\r\x1b[K');
  print(`  ${checks} checks of ${world.pairs.length} integrations of ${organisations.length} organisations in ${((Date.now() - now) / 1000).toFixed(1)} s`);
  await writeFile(`${file}.world`, JSON.stringify({ now }));
}

// photograph(): the page as the first of the people and as the global admin see it.
async function photograph() {
  const browser = await startBrowser();
  try {
    await mkdir(directory, { recursive: true });
    for (const [who, name] of [['memberOfA', 'demo-member.png'], ['globalAdmin', 'demo-global.png']]) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      await context.addInitScript(`sessionStorage.setItem('integration-health-person', ${JSON.stringify(who)})`);
      const tab = await context.newPage();
      await tab.goto(page);
      await tab.waitForSelector('#view > *');
      await tab.screenshot({ path: `${directory}/${name}`, fullPage: true });
      await context.close();
      print(`  ${relative('', `${directory}/${name}`)}`);
    }
  } finally {
    await browser.close();
  }
}

await fill();
heading('The dashboard', page);
print(`  a page to embed, examples/dashboard, over PostgREST. Who looks is chosen at the top:`);
for (const { name } of signedIn) print(`    ${name}`);
if (directory) {
  print(`\n  ${paint('bold', 'Screenshots')}, because the page goes when the demo ends (--keep leaves it running):`);
  await photograph();
}
print();
