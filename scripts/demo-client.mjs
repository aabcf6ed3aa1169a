// demo-client.mjs: what the clients of the demo know of it.
import { readFile } from 'node:fs/promises';
import { viewers } from '../examples/playground/world.mjs';
import { connect } from '../test/rest/stack.mjs';

// openDemo(file): what demo-servers.mjs wrote, and as(claims), a client of supabase-js for the service or one of the viewers.
export async function openDemo(file) {
  const demo = JSON.parse(await readFile(file, 'utf8'));
  const tokenOf = (claims) => {
    if (claims.role === 'service_role') return demo.tokens.service;
    const [who] = Object.entries(viewers).find(([, viewer]) => viewer.claims === claims);
    return demo.signedIn.find((person) => person.who === who).token;
  };
  return { ...demo, as: (claims) => connect({ url: demo.url, anonKey: demo.tokens.anon, key: tokenOf(claims) }) };
}
