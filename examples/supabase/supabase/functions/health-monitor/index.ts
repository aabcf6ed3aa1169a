// health-monitor: probes what is due and records it, a round a call.
import { serve } from '../_shared/serve.ts';

serve('health-monitor', () => import('./rounds.ts'));
