// dom.mjs: makes elements. Data becomes text nodes and attributes, never markup.

const forbidden = /^(on|style$|srcdoc$|innerhtml$)/i;

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'listen') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (forbidden.test(name)) throw new Error(`no attribute ${name}`);
    else if (name === 'href' && !String(value).startsWith('#')) throw new Error('links lead to this page only');
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

// h(name, attributes, ...children): an element of HTML. listen: { event: listener }. Children: elements, texts, lists of them;
// null, undefined and false are left out.
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

// draw(tree): the SVG element of a tree { name, attributes, children } as charts.mjs makes them.
export function draw({ name, attributes, children = [] }) {
  return fill(
    document.createElementNS('http://www.w3.org/2000/svg', name), attributes,
    children.map((child) => (typeof child === 'string' ? child : draw(child))),
  );
}

const kept = new WeakMap();       // element: { key, signature }

// place(parent, items): makes the children of parent those of the items { key, data, build }. An element stays as it is while
// its data does, so that focus, open details and what somebody is writing survive a refresh. One that has changed is built
// anew, unless somebody is writing in it ([data-editing]).
export function place(parent, items) {
  const active = document.activeElement;
  const old = new Map([...parent.children].map((element) => [kept.get(element)?.key, element]));
  const wanted = items.filter(Boolean).map(({ key, data, build }) => {
    const signature = JSON.stringify(data ?? null);
    const present = old.get(key);
    if (present && (kept.get(present).signature === signature || present.querySelector('[data-editing]'))) return present;
    const element = build();
    kept.set(element, { key, signature });
    if (present) carryOver(present, element);
    return element;
  });
  for (const element of [...parent.childNodes]) if (!wanted.includes(element)) element.remove();
  wanted.forEach((element, n) => {
    if (parent.children[n] !== element) parent.insertBefore(element, parent.children[n] ?? null);
    const focus = element.dataset.focus;
    if (focus === undefined) return;
    delete element.dataset.focus;
    document.getElementById(focus)?.focus({ preventScroll: true });
  });
  // an element that was moved has lost the focus
  if (parent.contains(active) && document.activeElement !== active) active.focus({ preventScroll: true });
}

// carryOver(from, to): opens the details that were open, and remembers which element had the focus, by its id.
function carryOver(from, to) {
  for (const details of from.querySelectorAll('details[open][id]')) {
    const same = to.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = true;
  }
  const focused = from.contains(document.activeElement) && document.activeElement.closest('[id]')?.id;
  if (focused && to.querySelector(`#${CSS.escape(focused)}`)) to.dataset.focus = focused;
}

// setText(element, text): so that a live region is read out only when something has changed.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
