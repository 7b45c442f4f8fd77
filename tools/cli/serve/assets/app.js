// The frame of the dashboard: pages by the part of the address after #, what they
// share, and keys. Texts go into the page as text nodes only.

import { overview } from '/overview.js';
import { entities, entity, events, event } from '/history.js';
import { nodesPage } from '/nodes.js';
import { projections, letters, operations } from '/operate.js';

const pages = [
  [/^\/$/, overview], [/^\/entities$/, entities], [/^\/entity$/, entity],
  [/^\/events$/, events], [/^\/event$/, event],
  [/^\/projections$/, projections], [/^\/letters$/, letters],
  [/^\/nodes$/, nodesPage], [/^\/operations$/, operations],
];

export const state = { readOnly: false };
const main = document.getElementById('main');
let leave = () => {};

// -- the page -----------------------------------------------------------------

/** Makes an element: h('td', {class: 'num'}, 'text', child, ..). */
export function h(name, attributes = {}, ...children) {
  const to = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) to.addEventListener(key.slice(2), value);
    else if (value === true) to.setAttribute(key, '');
    else if (value !== false && value != null) to.setAttribute(key, value);
  }
  to.append(...children.flat().filter(x => x != null));
  return to;
}

/** Makes an element of a picture. */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

/** A table with a header; columns are [title, class, f(row) -> node or text]. */
export function table(columns, rows, empty) {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty);
  const cell = (row, [title, style, f]) =>
    h('td', { class: style, 'data-label': title }, h('div', {}, f(row)));
  return h('div', { class: 'scroll' }, h('table', { class: 'stack' },
    h('thead', {}, h('tr', {}, columns.map(([title, style]) =>
      h('th', { class: style, scope: 'col' }, title)))),
    h('tbody', {}, rows.map(row => h('tr', {}, columns.map(c => cell(row, c)))))));
}

export const number = n => n == null ? '-' : Math.round(n).toLocaleString('en').replaceAll(',', '\u202f');

export const count = (n, one) => `${number(n)} ${one}${n === 1 ? '' : 's'}`;

export function span(seconds) {
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export const time = text => text.replace('T', ' ').replace(/\.\d+/, '').replace(/(\+00|Z)$/, '');

/** An address inside of the dashboard. */
export function to(path, query = {}) {
  const kept = Object.entries(query).filter(([, x]) => x !== '' && x != null);
  return `#${path}${kept.length ? '?' : ''}${new URLSearchParams(kept)}`;
}

export function toast(text, bad = false) {
  const x = document.getElementById('toast');
  x.textContent = text;
  x.className = bad ? 'shown bad' : 'shown';
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { x.className = ''; }, bad ? 8000 : 3000);
}

// -- the server ---------------------------------------------------------------

async function ask(path, options) {
  const connection = document.getElementById('connection');
  let answer;
  try {
    answer = await fetch(path, { credentials: 'same-origin', ...options });
  } catch (e) {
    connection.textContent = 'evented serve does not answer';
    connection.className = 'bad';
    throw e;
  }
  connection.textContent = '';
  connection.className = '';
  const body = await answer.json().catch(() => ({ error: answer.statusText }));
  if (answer.status === 401 && path !== '/api/login') logIn();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

export const get = (path, query = {}) =>
  ask(`${path}?${new URLSearchParams(Object.entries(query).filter(([, x]) => x !== '' && x != null))}`);

export const post = (path, body) => ask(path, {
  method: 'POST', body: JSON.stringify(body),
  headers: { 'Content-Type': 'application/json', 'X-Evented': '1' },
});

/** Does something, says so, and shows the page anew. */
export async function act(path, body, done) {
  try {
    await post(path, body);
    toast(done);
  } catch (e) {
    toast(e.message, true);
  }
  show();
}

/** Asks for the name of the projection before something that is for good. */
export function confirmed(what, projection, f) {
  const dialog = document.getElementById('dialog');
  const typed = h('input', { autocomplete: 'off', 'aria-label': 'Name of the projection' });
  const go = h('button', { class: 'danger', disabled: true }, 'Do it');
  typed.addEventListener('input', () => { go.disabled = typed.value !== projection; });
  dialog.replaceChildren(h('form', { method: 'dialog', onsubmit: e => {
    e.preventDefault();
    dialog.close();
    if (typed.value === projection) f();
  } },
  h('h2', { id: 'dialog-title' }, what),
  h('p', {}, 'Type the name of the projection, ', h('code', {}, projection), ', to go on.'),
  h('div', { class: 'bar' }, typed, go,
    h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'))));
  dialog.showModal();
  typed.focus();
}

// -- pages --------------------------------------------------------------------

function logIn() {
  leave();
  const token = h('input', { type: 'password', autocomplete: 'current-password', required: true });
  main.replaceChildren(h('form', { class: 'card login', onsubmit: async e => {
    e.preventDefault();
    try {
      await post('/api/login', { token: token.value });
      start();
    } catch (x) {
      toast(x.message, true);
    }
  } }, h('h1', {}, 'A token is needed'), h('div', { class: 'bar' },
    h('label', {}, 'Token', token), h('button', { class: 'primary' }, 'Open'))));
  token.focus();
}

/** Draws anew; whoever goes over the page by keys stays where they are. */
function keepingFocus(draw) {
  const reachable = () => [...main.querySelectorAll('a, button, summary')];
  const before = document.activeElement;
  const at = reachable().indexOf(before);
  draw();
  const after = reachable()[at];
  if (after && after.textContent === before.textContent) after.focus({ preventScroll: true });
}

/** Shows the page that the address names. */
export async function show() {
  leave();
  let here = true;
  const cleanups = [];
  leave = () => { here = false; cleanups.forEach(f => f()); };
  const [path, query] = (location.hash.slice(1) || '/').split('?');
  const found = pages.find(([pattern]) => pattern.test(path));
  for (const a of document.querySelectorAll('nav a')) {
    const mine = a.getAttribute('href').slice(1);
    const there = mine === path || (mine === '/entities' && path === '/entity')
      || (mine === '/events' && path === '/event');
    if (there) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  const put = (...nodes) => { if (here) keepingFocus(() => main.replaceChildren(...nodes)); };
  try {
    if (!found) throw new Error('There is no such page.');
    await found[1](Object.fromEntries(new URLSearchParams(query)), put,
      f => { if (here) cleanups.push(f); else f(); });
  } catch (e) {
    if (here && !main.querySelector('.login'))
      put(h('div', { class: 'card' }, h('h1', {}, 'That did not work'),
        h('p', { class: 'bad' }, e.message),
        h('button', { onclick: show }, 'Try again')));
  }
}

/** Calls f every few seconds while the page is looked at. */
export function every(ms, f, onLeave) {
  const timer = setInterval(() => {
    if (!document.hidden) f().catch(() => {});
  }, ms);
  onLeave(() => clearInterval(timer));
}

let prefix = false;
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) return;
  if (prefix) {
    const a = document.querySelector(`nav a[data-key="${CSS.escape(e.key)}"]`);
    if (a) location.hash = a.getAttribute('href');
  } else if (e.key === '/') {
    const first = main.querySelector('input');
    if (first) { e.preventDefault(); first.focus(); }
  }
  prefix = !prefix && e.key === 'g';
});

for (const a of document.querySelectorAll('nav a')) {
  const text = a.textContent;
  const at = text.toLowerCase().indexOf(a.dataset.key);
  a.replaceChildren(text.slice(0, at), h('u', {}, text[at]), text.slice(at + 1));
}

async function start() {
  try {
    const found = await get('/api/session');
    state.readOnly = found.read_only;
    document.getElementById('about').textContent =
      `evented ${found.version}${found.read_only ? ', read only' : ''}`;
    show();
  } catch (e) {
    if (!main.querySelector('.login')) toast(e.message, true);
  }
}

window.addEventListener('hashchange', () => { show(); main.focus(); });
start();
