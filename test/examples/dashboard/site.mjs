// site.mjs: the page as examples/dashboard/serve.mjs serves it, before a real PostgREST.
import { createSite } from '../../../examples/dashboard/serve.mjs';
import { close, listen } from '../../rest/servers.mjs';

// startSite(stack, organisations): the page before this stack (test/rest/stack.mjs): { url, stop }.
export async function startSite(stack, organisations) {
  const server = createSite({ api: stack.url, config: { anon_key: stack.anonKey, schema: stack.schema, organisations } });
  return { url: `http://127.0.0.1:${await listen(server)}/`, stop: () => close(server) };
}
