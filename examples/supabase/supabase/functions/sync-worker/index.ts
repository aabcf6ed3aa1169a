// sync-worker: runs the syncs that are due, each period once, a round a call; answers the warm-ups.
import { serve } from '../_shared/serve.ts';

serve('sync-worker', () => import('./rounds.ts'));
