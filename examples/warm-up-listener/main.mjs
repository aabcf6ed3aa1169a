// main.mjs: runs the listener until it gets SIGTERM or SIGINT. Needs WARM_UP_ORIGINS, the origins that
// warm-up URLs may have, with commas between them, and DATABASE_URL or the variables of libpq (PGHOST...).
// WARM_UP_AUTHORIZATION, if set, is sent to the workers.
import { startListener } from './listener.mjs';

if (Number(process.versions.node.split('.')[0]) < 18) {
  console.error(`warm-up-listener: Node 18 or later is needed, this is ${process.version}`);
  process.exit(1);
}
const { DATABASE_URL, WARM_UP_ORIGINS, WARM_UP_AUTHORIZATION } = process.env;
if (!WARM_UP_ORIGINS) {
  console.error('warm-up-listener: WARM_UP_ORIGINS is not set');
  process.exit(1);
}

const stop = startListener({
  connection: DATABASE_URL ? { connectionString: DATABASE_URL } : {},
  origins: WARM_UP_ORIGINS.split(',').map((origin) => new URL(origin.trim()).origin),
  authorization: WARM_UP_AUTHORIZATION,
});
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
