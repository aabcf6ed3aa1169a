// main.mjs: keeps the page going: which view, which data and how old they are, whose token.
//
// Addresses: #/org/ORG  #/global  #/pair/ORG/TYPE (the drawer, over the view that was there).
import { icon } from './charts.mjs';
import { readClaims } from './claims.mjs';
import { ApiError, createData } from './data.mjs';
import { draw, h, place, setText } from './dom.mjs';
import { ago, clock } from './format.mjs';
import { showDrawer } from './drawer.mjs';
import { showGlobal } from './global.mjs';
import { showMember } from './member.mjs';
import { tick } from './parts.mjs';
import { globalBanner, memberBanner } from './state.mjs';

const poll_ms = 60_000;           // nothing changes more often than the check interval, 15 minutes or more
const tick_ms = 10_000;

const element = (id) => document.getElementById(id);

// route(hash): { view: 'org' | 'global' | 'pair' | null, org_id, integration_type }.
export function route(hash) {
  let parts;
  try {
    parts = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [view, org_id, integration_type] = parts;
  if (view === 'global') return { view };
  if (view === 'org' && org_id) return { view, org_id: org_id.toLowerCase() };
  if (view === 'pair' && org_id && integration_type) return { view, org_id: org_id.toLowerCase(), integration_type };
  return { view: null };
}

/**
 * Starts the page.
 * @param {object} options
 * @param {{ url?: string, anon_key: string, schema?: string, organisations?: Record<string, string>, org_claims?: string[],
 *   role_claims?: string[], admin_role?: string, time_zone?: string }} options.config url: of the API, before /rest/v1; left out: this page's
 * @param {(why: { refused?: string }) => Promise<string>} options.getToken resolves to the user's token; refused: the one that is no good any more
 * @param {Function} options.createClient of supabase-js
 */
export async function start({ config, getToken, createClient }) {
  let token, claims;
  const client = createClient(new URL(config.url ?? '/', location.href).href.replace(/\/$/, ''), config.anon_key, {
    accessToken: async () => token,
    db: { schema: config.schema ?? 'public' },
  });
  const data = createData(client, config);

  const view = { name: null, org_id: null };          // what is shown beneath the drawer
  let loaded = null;                                  // { of, data, at } of the view
  let trouble = null;                                 // why the last refresh failed
  let pair = null;                                    // what the drawer shows
  let asked = null;                                   // the promise of a token
  let timer = null;
  let opener = null;                                  // what had the focus before the drawer

  const name = (org_id) => config.organisations?.[org_id] ?? `Organisation ${org_id.slice(0, 8)}`;
  const of = () => `${view.name} ${view.org_id}`;
  const is_member = (org_id) => claims.organisations.includes(org_id);

  // chooseView(): by the address, and by what the token's user may see.
  function chooseView() {
    const wanted = route(location.hash);
    const home = claims.organisations[0] ? { name: 'org', org_id: claims.organisations[0] } : { name: claims.is_admin ? 'global' : 'none', org_id: null };
    let chosen = view.name && view.name !== 'none' ? { ...view } : home;
    if (wanted.view === 'global') chosen = claims.is_admin ? { name: 'global', org_id: null } : home;
    if (wanted.view === 'org') chosen = { name: 'org', org_id: wanted.org_id };
    // a member's drawer shows what the view of that organisation has
    if (wanted.view === 'pair' && is_member(wanted.org_id) && !(chosen.name === 'global' && view.name)) chosen = { name: 'org', org_id: wanted.org_id };
    if (wanted.view === 'pair' && !is_member(wanted.org_id) && claims.is_admin && !view.name) chosen = { name: 'global', org_id: null };
    if (wanted.view === null && view.name) chosen = home;
    if (chosen.name !== view.name || chosen.org_id !== view.org_id) {
      Object.assign(view, chosen);
      loaded = null;
      trouble = null;
    }
    if (wanted.view === 'pair') {
      if (!pair || pair.org_id !== wanted.org_id || pair.integration_type !== wanted.integration_type) pair = { org_id: wanted.org_id, integration_type: wanted.integration_type };
    } else {
      pair = null;
    }
  }

  // load(): the data of the view.
  const load = () => (view.name === 'global' ? data.everything() : data.organisation(view.org_id));

  // loadPair(): what the drawer shows beyond the view.
  async function loadPair(shown) {
    try {
      const { org_id, integration_type } = shown;
      const more = is_member(org_id) ? { detail: await data.pair(org_id, integration_type), ...await besides(org_id, integration_type) }
        : claims.is_admin ? { foreign: await data.foreignPair(org_id, integration_type) } : { error: 'You may not see this organisation.' };
      if (pair === shown) Object.assign(pair, { error: null }, more);
    } catch (error) {
      if (error.is_token) throw error;
      if (pair === shown) pair.error = explain(error);
    }
  }

  // besides(): the rows of the overview and the syncs, where the view beneath is not that of the organisation.
  async function besides(org_id, integration_type) {
    if (view.name === 'org' && view.org_id === org_id) return {};
    const [overview, syncs] = await Promise.all([data.overview(org_id), data.syncs(org_id)]);
    const find = (rows) => rows.find((row) => row.integration_type === integration_type) ?? null;
    return { row: find(overview), sync: find(syncs) };
  }

  function explain(error) {
    if (!(error instanceof ApiError)) return `This page has failed: ${error.message}`;
    if (error.is_unreachable) return 'The server cannot be reached.';
    return `The server refused: ${error.message}`;
  }

  // refresh(): reads the view, and the drawer's pair, again; once at a time.
  let running = null;                                 // { of, promise }
  function refresh() {
    if (running?.of === of()) return running.promise;
    const mine = { of: of() };
    running = mine;
    mine.promise = readAll(mine.of).finally(() => { if (running === mine) running = null; });
    return mine.promise;
  }
  async function readAll(wanted) {
    clearTimeout(timer);
    if (asked || view.name === 'none') return;
    element('refresh').disabled = true;
    const shown = pair;
    try {
      const [read] = await Promise.all([load(), shown && loadPair(shown)]);
      if (of() !== wanted) return;
      loaded = { data: read, at: Date.now() };
      trouble = null;
    } catch (error) {
      if (of() !== wanted) return;
      if (error.is_token) {
        void askForToken();
        return;
      }
      trouble = explain(error);
      if (!(error instanceof ApiError)) reportError(error);
    } finally {
      element('refresh').disabled = false;
    }
    render();
    plan();
  }

  // plan(): the next refresh, while somebody can see the page.
  function plan() {
    clearTimeout(timer);
    if (document.visibilityState === 'visible') timer = setTimeout(refresh, poll_ms);
  }

  // askForToken(): for the first token, or another one in place of one that is refused. What is shown stays, if the new
  // token is that of the same user.
  function askForToken() {
    asked ??= replaceToken().finally(() => {
      asked = null;
      chooseView();
      render();
      if (trouble) plan();
      else void refresh();
    });
    return asked;
  }
  async function replaceToken() {
    const refused = token;
    if (refused !== undefined) {
      trouble = 'Your sign-in has expired.';
      setTimeout(render);                             // the drawer gives way to a form
    }
    const before = claims;
    try {
      token = await getToken({ refused });
      trouble = token === refused ? 'Your sign-in is not accepted.' : null;
    } catch (error) {
      trouble = `Your sign-in has failed: ${error.message}`;
    }
    claims = readClaims(token, config);
    if (before && JSON.stringify(before) !== JSON.stringify(claims)) {
      Object.assign(view, { name: null, org_id: null });
      loaded = null;
      pair = null;
    }
  }

  function render() {
    if (!claims) return;
    const old_since = trouble && loaded ? loaded.at : null;
    element('refresh').hidden = view.name === 'none';
    element('views').hidden = false;
    place(element('views'), viewLinks());
    element('trouble').hidden = !trouble;
    setText(element('trouble'), trouble ? `${trouble}${old_since ? ` What you see is from ${clock(old_since)}.` : ''}` : '');
    const root = element('view');
    if (view.name === 'none') {
      show({ level: 'never', text: 'Your sign-in names no organisation' });
      root.replaceChildren(h('p', { class: 'empty' }, 'Ask whoever manages your account to add you to one.'));
    } else if (!loaded) {
      if (trouble) show({ level: 'stale', text: 'No data yet' });
      else show({ level: 'loading', text: 'Loading…' });
      root.replaceChildren();
    } else {
      show(view.name === 'global' ? globalBanner(loaded.data, { old_since }) : memberBanner(loaded.data.overview, { old_since }));
      (view.name === 'global' ? showGlobal : showMember)(root, loaded.data, actions);
    }
    document.title = view.name === 'org' ? `Integration health: ${name(view.org_id)}` : 'Integration health';
    renderDrawer();
    keepTime();
  }

  // show(): the banner. Its text is a live region, so it changes only when it says something else.
  function show({ level, text }) {
    const banner = element('banner');
    if (!banner.classList.contains(level)) {
      banner.className = `banner ${level}`;
      element('banner-icon').replaceChildren(...(level === 'loading' ? [] : [draw(icon(level))]));
    }
    banner.hidden = false;
    setText(element('banner-text'), text);
  }

  // viewLinks(): the views that this user has.
  function viewLinks() {
    const link = (href, text, current) => ({ key: href, data: [text, current], build: () => h('a', { href, id: `view-${href.slice(2).replaceAll('/', '-')}`, 'aria-current': current && 'page' }, text) });
    const organisations = claims.organisations.length > 5
      ? [{
        key: 'choose', data: [claims.organisations, view.org_id],
        build: () => h('select', { id: 'choose-organisation', 'aria-label': 'Organisation', listen: { change: (event) => { location.hash = `#/org/${event.target.value}`; } } },
          view.name !== 'org' && h('option', { value: '', disabled: true, selected: true }, 'Organisation'),
          claims.organisations.map((id) => h('option', { value: id, selected: id === view.org_id }, name(id)))),
      }]
      : claims.organisations.map((id) => link(`#/org/${id}`, name(id), view.name === 'org' && view.org_id === id));
    return [...organisations, claims.is_admin && link('#/global', 'All organisations', view.name === 'global')];
  }

  function renderDrawer() {
    const drawer = element('drawer');
    if (!pair || asked) {
      if (drawer.open) drawer.close();
      if (!pair) drawer.replaceChildren();
      return;
    }
    const here = view.name === 'org' && view.org_id === pair.org_id && loaded;
    const find = (rows) => rows.find((row) => row.integration_type === pair.integration_type) ?? null;
    const rows = here ? { row: find(loaded.data.overview), sync: find(loaded.data.syncs) } : {};
    const unknown = here && !rows.row && 'There is no such integration, or you may not see it.';
    showDrawer(drawer, { ...pair, ...rows, error: pair.error || unknown || (trouble && !pair.detail && !pair.foreign ? trouble : null) }, { ...actions, close: closeDrawer });
    if (!drawer.open) {
      opener = document.activeElement;
      drawer.showModal();
      element('drawer-title')?.focus();
    }
  }

  function closeDrawer() {
    location.hash = view.name === 'global' ? '#/global' : `#/org/${view.org_id}`;
  }

  const actions = {
    name,
    // acknowledge(incident_id, note, done): done is called before the page is read again.
    async acknowledge(incident_id, note, done) {
      try {
        await data.acknowledge(incident_id, note);
      } catch (error) {
        if (error.is_token) void askForToken();
        throw new Error(error.is_token ? 'Your sign-in has expired.' : explain(error));
      }
      done();
      await running?.promise;           // it may have been read before
      await refresh();
    },
  };

  function keepTime() {
    tick(document);
    setText(element('freshness'), loaded ? `Updated ${ago(loaded.at, Date.now())}` : '');
  }

  // go(): after a change of the address.
  function go() {
    const before = of();
    const shown = pair;
    chooseView();
    render();
    if (of() !== before || !loaded) void refresh();
    else if (pair && pair !== shown) {
      const opened = pair;
      loadPair(opened).then(render, (error) => { if (error.is_token) void askForToken(); });
    }
  }

  element('refresh').addEventListener('click', () => refresh());
  element('drawer').addEventListener('cancel', (event) => {
    event.preventDefault();
    closeDrawer();
  });
  element('drawer').addEventListener('close', () => {
    (opener?.isConnected ? opener : element(opener?.id))?.focus();
    if (pair && !asked) closeDrawer();
  });
  element('drawer').addEventListener('click', (event) => { if (event.target === event.currentTarget) closeDrawer(); });
  window.addEventListener('hashchange', go);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') clearTimeout(timer);
    else if (!loaded || Date.now() - loaded.at >= poll_ms) void refresh();
    else plan();
  });
  setInterval(keepTime, tick_ms);

  await askForToken();
}
