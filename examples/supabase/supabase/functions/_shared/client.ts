// client.ts: supabase-js with the service key, and what the functions read of their environment.
import { createClient } from '@supabase/supabase-js';

// setting(name): a variable of the environment; throws an Error where it is not set.
export function setting(name: string): string {
  const value = Deno.env.get(name);
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

// serviceKey(): the platform gives it; projects without the older keys have a list of named ones.
function serviceKey() {
  const keys = Deno.env.get('SUPABASE_SECRET_KEYS');
  return Deno.env.get('SUPABASE_SERVICE_ROLE_KEY') || (keys && JSON.parse(keys).default) || setting('SUPABASE_SERVICE_ROLE_KEY');
}

// connect(): a client that may write. INTEGRATION_HEALTH_SCHEMA where the tables are not in public.
export const connect = () => createClient(setting('SUPABASE_URL'), serviceKey(), {
  auth: { persistSession: false, autoRefreshToken: false },
  db: { schema: Deno.env.get('INTEGRATION_HEALTH_SCHEMA') || 'public' },
});
