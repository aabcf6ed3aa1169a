// boot.mjs: puts the page together: the config, the token and supabase-js. A product that embeds the page replaces this
// file or token.mjs, and leaves the others as they are.
import './vendor/supabase.js';        // a UMD file: it sets globalThis.supabase
import { start } from './main.mjs';
import { getToken } from './token.mjs';

const response = await fetch('config.json');
const config = await response.json();
start({ config, getToken, createClient: globalThis.supabase.createClient });
