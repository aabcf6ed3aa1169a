// worker.mjs: the database of the playground's page, PGlite, in a worker, so that the page stays awake while it works. It takes
//   { start }                  installs integration_health and records a past of 90 days
//   { ask: { claims, calls } } makes the calls of supabase-js with these claims, and answers as that does
//   { move: { minutes } }      lets so much time pass, in which checks, syncs and alerts go on
// and answers { id, answer } or { id, failed }, before that { id, progress } in percent.
import { createClient } from './client.mjs';
import { install } from './install.mjs';
import { createLife } from './life.mjs';
import { recordPast } from './past.mjs';
import { PGlite } from './pglite/index.js';
import { createWorld, interval } from './world.mjs';

// PostgreSQL reads this clock, through WebAssembly, when it wants to know the time.
const real = Date.now.bind(Date);
let moved = 0;
Date.now = () => real() + moved;

// One check in so many hours, of what is longer ago than a day: WebAssembly takes its time.
const every = 8;

let db;
let step;
const as = (claims) => createClient(db, claims);

const tasks = {
  async start(_, progress) {
    db = await install(PGlite, async (name) => (await fetch(new URL(name, import.meta.url))).text());
    const world = createWorld({ now: Date.now() });
    await recordPast(as, world, { every, progress: (share) => progress(Math.round(100 * share)) });
    step = createLife(as, world, { beat: interval });
  },
  ask: ({ claims, calls }) => calls.reduce((client, [name, ...args]) => client[name](...args), as(claims)),
  async move({ minutes }, progress) {
    for (let passed = 5; passed <= minutes; passed += 5) {
      moved += 5 * 60_000;
      await step();
      progress(Math.round(100 * passed / minutes));
    }
  },
};

// One after another: what is asked while the time moves waits.
let last = Promise.resolve();
addEventListener('message', ({ data: { id, ...task } }) => {
  const [[name, what]] = Object.entries(task);
  last = last.then(async () => {
    try {
      postMessage({ id, answer: await tasks[name](what, (progress) => postMessage({ id, progress })) });
    } catch (error) {
      postMessage({ id, failed: error.message });
    }
  });
});
