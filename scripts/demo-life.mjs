// demo-life.mjs FILE: lets the world of the demo go on, a step every few seconds, until it is stopped. FILE is what demo-servers.mjs
// wrote, FILE.world what demo-page.mjs did.
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { createLife } from '../examples/playground/life.mjs';
import { createWorld } from '../examples/playground/world.mjs';
import { openDemo } from './demo-client.mjs';

const file = process.argv[2];
const { as } = await openDemo(file);
const { now } = JSON.parse(await readFile(`${file}.world`, 'utf8'));
const log = (line) => console.log(`${new Date().toISOString()} ${line}`);
const step = createLife(as, createWorld({ now }), { log });
for (;;) {
  await step().catch((error) => log(error.message));
  await wait(5000);
}
