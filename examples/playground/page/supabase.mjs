// supabase.mjs: in place of supabase-js on the page of the playground: makes the same calls, but to PGlite, in a worker. Adds what
// moves the time to the head of the page. This page and the database have one clock: what Date.now() says here and there.
import { payloadOf } from '../claims.mjs';

const banner = document.getElementById('banner');
const say = (text) => { document.getElementById('banner-text').textContent = text; };

// The page allows no script but its own. This is one.
const policy = globalThis.trustedTypes?.createPolicy('playground', { createScriptURL: (url) => url }) ?? { createScriptURL: (url) => url };
const worker = new Worker(policy.createScriptURL(new URL('../playground/worker.mjs', import.meta.url).href), { type: 'module' });

// tell(message): asks the worker; resolves to its answer. told(...) is called with what it says meanwhile.
const waiting = new Map();
let asked = 0;
function tell(message, told = () => {}) {
  asked += 1;
  worker.postMessage({ id: asked, ...message });
  return new Promise((resolve, reject) => { waiting.set(asked, { resolve, reject, told }); });
}
worker.addEventListener('message', ({ data: { id, progress, failed, answer } }) => {
  const { resolve, reject, told } = waiting.get(id);
  if (progress) {
    told(progress);
    return;
  }
  waiting.delete(id);
  if (failed) reject(new Error(failed));
  else resolve(answer);
});
worker.addEventListener('error', (event) => say(`The database has failed: ${event.message}`));

// The time that this tab was moved on by.
const real = Date.now.bind(Date);
let moved = 0;
Date.now = () => real() + moved;

// refresh(): has the page read again, when it does not do so already.
function refresh() {
  const button = document.getElementById('refresh');
  if (button.disabled) setTimeout(refresh, 50);
  else button.click();
}

// A token is taken while the person is chosen whose it is, and until it expires.
let person;
document.addEventListener('person', (event) => {
  const isFirst = person === undefined;
  person = event.detail;
  event.preventDefault();
  // the page asks for a token when one is refused
  if (!isFirst) refresh();
});
const refusal = (message) => ({ data: null, error: { code: 'PGRST301', message, details: null, hint: null }, status: 401 });

// recorder(calls, accessToken): takes the calls of supabase-js, whatever they are, and has the worker make them when it is awaited.
function recorder(calls, accessToken) {
  return new Proxy({}, {
    get(_, name) {
      if (name !== 'then') return (...args) => recorder(name === 'abortSignal' ? calls : [...calls, [name, ...args]], accessToken);
      const send = async () => {
        const token = await accessToken();
        // The database believes them, as it would those of a token that PostgREST has verified.
        const claims = payloadOf(token);
        if (token !== person.token || claims.exp * 1000 <= Date.now()) return refusal('JWT expired');
        return tell({ ask: { claims, calls } });
      };
      return (resolve, reject) => send().then(resolve, reject);
    },
  });
}

function createClient(url, key, { accessToken }) {
  return recorder([], accessToken);
}

// addClock(): buttons that move the time on.
function addClock() {
  const group = document.createElement('span');
  group.id = 'clock';
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', 'Move the time on');
  const buttons = [['15 min', 15], ['1 h', 60], ['6 h', 360]].map(([name, minutes]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = `+ ${name}`;
    button.addEventListener('click', async () => {
      for (const each of buttons) each.disabled = true;
      try {
        await tell({ move: { minutes } }, (progress) => { button.textContent = `${progress} %`; });
        moved += minutes * 60_000;
      } finally {
        button.textContent = `+ ${name}`;
        for (const each of buttons) each.disabled = false;
      }
      refresh();
    });
    return button;
  });
  group.append(...buttons.flatMap((button) => [button, ' ']));
  document.querySelector('header').append(group);
}

banner.className = 'banner loading';
banner.hidden = false;
say('Starting PostgreSQL in this tab…');
try {
  await tell({ start: true }, (progress) => say(`Making up 90 days: ${progress} %`));
} catch (error) {
  say(`The database has failed: ${error.message}`);
  throw error;
}
addClock();
globalThis.supabase = { createClient };
