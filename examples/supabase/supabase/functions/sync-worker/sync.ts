// sync.ts: what is done for a sync: a POST to SYNC_URL. Your own sync(run, signal) goes here; see createWorker in
// _shared/worker.mjs for what it gets and owes. Copying the example again leaves this file as it is.
import { setting } from '../_shared/client.ts';
import { postTo } from '../_shared/post.mjs';

export const sync = postTo(setting('SYNC_URL'));
