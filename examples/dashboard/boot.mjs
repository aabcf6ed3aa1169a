// boot.mjs: puts the page together: the config, the token and supabase-js. A product that embeds the page replaces this
// file or token.mjs, and leaves the others as they are.
import './vendor/supabase.js';        // a UMD file: it sets globalThis.supabase
import { start } from './main.mjs';
import { getToken } from './token.mjs';

// readConfig(): what config.json holds.
async function readConfig() {
  const response = await fetch('config.json');
  if (!response.ok) throw new Error(`config.json: HTTP ${response.status}`);
  return response.json();
}

try {
  await start({ config: await readConfig(), getToken, createClient: globalThis.supabase.createClient });
} catch (error) {
  const trouble = document.getElementById('trouble');
  trouble.textContent = `This page cannot start: ${error.message}`;
  trouble.hidden = false;
  throw error;
}
