// Entities, events, and the way of an entity through its versions.

import { h, table, number, time, get, to } from '/app.js';

const page = 50;

/** Breaks JSON into lines. Not by JSON.parse, which rounds large numbers. */
export function pretty(text) {
  let out = '';
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === '{' || token === '[') { depth++; out += token + line(); }
    else if (token === '}' || token === ']') { depth = Math.max(0, depth - 1); out += line() + token; }
    else if (token === ',') out += token + line();
    else if (token === ':') out += ': ';
    else out += token;
  }
  return out.replace(/([{[])\s+([}\]])/g, '$1$2').split('\n');
}

/** Compares lists of lines by their longest common subsequence. */
export function diff(before, after) {
  if (before.length * after.length > 1e6) return after.map(text => ['', text]);
  const n = before.length;
  const m = after.length;
  const length = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      length[i][j] = before[i] === after[j] ? length[i + 1][j + 1] + 1
        : Math.max(length[i + 1][j], length[i][j + 1]);
  const out = [];
  let i = 0;
  let j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && before[i] === after[j]) { out.push(['', after[j]]); i++; j++; }
    else if (i < n && (j === m || length[i + 1][j] >= length[i][j + 1])) out.push(['removed', before[i++]]);
    else out.push(['added', after[j++]]);
  }
  return out;
}

const lines = list => h('pre', { tabindex: 0 }, list.map(([kind, text]) =>
  h('span', { class: `line ${kind}` }, (kind === 'added' ? '+ ' : kind === 'removed' ? '- ' : '') + text)));

const plain = text => lines(pretty(text).map(x => ['', x]));

const entityLink = e => h('a', { href: to('/entity', { type: e.type, id: e.id, version: e.version }) }, e.id);

const short = text => text.length > 160 ? `${text.slice(0, 160)}…` : text;

// -- entities -----------------------------------------------------------------

export async function entities(query, put) {
  const { types } = await get('/api/types');
  const type = query.type || types[0]?.type;
  if (!type) { put(h('h1', {}, 'Entities'), h('p', { class: 'empty' }, 'No events yet.')); return; }
  const choose = h('select', { name: 'type', onchange: e => { location.hash = to('/entities', { type: e.target.value }); } },
    types.map(t => h('option', { selected: t.type === type }, t.type)));
  const id = h('input', { name: 'id', placeholder: 'ID', size: 40, value: query.from || '' });
  const form = h('form', { class: 'bar', onsubmit: e => {
    e.preventDefault();
    location.hash = e.submitter?.value === 'from' ? to('/entities', { type, from: id.value })
      : to('/entity', { type, id: id.value });
  } }, h('label', {}, 'ID', id), h('button', { class: 'primary', value: 'open' }, 'Open'),
  h('button', { value: 'from' }, 'List from here'), h('label', {}, 'Type', choose));
  put(h('h1', {}, 'Entities'), form);
  const found = await get('/api/entities', { type, after: query.after, from: query.from, limit: page });
  const list = found.entities;
  put(h('h1', {}, 'Entities'), form, h('section', { class: 'card' }, table([
    ['ID', 'mono', e => h('a', { href: to('/entity', { type, id: e.id }) }, e.id)],
    ['Version', 'num', e => number(e.version)],
    ['Last event', '', e => e.last_event],
    ['At', 'time', e => time(e.last_at)],
  ], list, 'No such entities.')),
  h('div', { class: 'bar' },
    query.after ? h('a', { href: to('/entities', { type }) }, 'First page') : null,
    list.length === page ? h('a', { href: to('/entities', { type, after: list.at(-1).id }) }, 'Next page') : null));
}

export async function entity(query, put, onLeave) {
  const { type, id } = query;
  const about = await get('/api/entity', { type, id });
  const first = (about.horizon ?? 0) + 1;
  const last = about.version;
  const slider = h('input', { type: 'range', min: first, max: Math.max(first, last), step: 1, 'aria-label': 'Version' });
  const at = h('input', { type: 'number', min: first, max: last, 'aria-label': 'Version' });
  const details = h('div');
  const before = h('div', { class: 'card' });
  const facts = [`version ${number(last)}`, `slice ${about.slice}`,
    about.archived ? 'archived' : null, about.horizon && !about.archived ? `trimmed up to version ${number(about.horizon)}` : null,
    about.snapshots.length ? `snapshots at ${about.snapshots.map(s => number(s.version)).join(', ')}` : null,
    about.remembered_commands ? `${number(about.remembered_commands)} commands remembered` : null,
    about.messages_waiting ? `${number(about.messages_waiting)} messages in the outbox` : null].filter(Boolean);
  put(h('h1', {}, `${type} `, h('span', { class: 'id' }, id)), h('p', { class: 'dim' }, facts.join(', ')),
    h('div', { class: 'card bar' }, h('span', { class: 'dim' }, number(first)), slider, h('span', { class: 'dim' }, number(last)), at),
    details, before);
  let wanted = 0;
  const go = async version => {
    version = Math.min(Math.max(Number(version) || first, first), last);
    slider.value = version;
    at.value = version;
    const mine = ++wanted;
    await new Promise(f => setTimeout(f, 60));
    if (mine !== wanted) return;
    history.replaceState(null, '', to('/entity', { type, id, version }));
    const from = Math.max(first, version - 19);
    const [one, list] = await Promise.all([
      get('/api/history', { type, id, from: version, limit: 1 }),
      get('/api/history', { type, id, from, limit: version - from + 1 })]);
    if (mine !== wanted) return;
    const e = one.events[0];
    const earlier = list.events.filter(x => x.version < version).reverse();
    if (!e) { details.replaceChildren(h('p', { class: 'empty' }, 'This version is not in the journal.')); return; }
    const same = earlier.find(x => x.name === e.name && x.whole);
    details.replaceChildren(h('div', { class: 'split' },
      h('section', { class: 'card' }, h('h2', {}, `${e.name} `, h('span', { class: 'dim' }, `version ${e.version}, event ${number(e.seq_no)}, ${time(e.created_at)}`)), plain(e.payload),
        e.metadata ? [h('h2', {}, 'Metadata'), plain(e.metadata)] : []),
      h('section', { class: 'card' }, h('h2', {}, same ? `Against version ${same.version}, the ${e.name} before it` : `No ${e.name} shortly before`),
        same ? lines(diff(pretty(same.payload), pretty(e.payload))) : '')));
    before.replaceChildren(h('h2', {}, 'Up to here'), table([
      ['Version', 'num', x => h('a', { href: to('/entity', { type, id, version: x.version }), onclick: c => { c.preventDefault(); go(x.version); } }, number(x.version))],
      ['Event', '', x => x.name], ['At', 'time', x => time(x.created_at)], ['Payload', 'mono', x => short(x.payload)],
    ], [e, ...earlier], ''));
  };
  slider.addEventListener('input', () => go(slider.value));
  at.addEventListener('change', () => go(at.value));
  const keys = c => {
    if (/INPUT|SELECT/.test(c.target.tagName) || c.target.tagName === 'PRE') return;
    if (c.key === 'ArrowLeft') go(Number(slider.value) - 1);
    if (c.key === 'ArrowRight') go(Number(slider.value) + 1);
  };
  document.addEventListener('keydown', keys);
  onLeave(() => { wanted++; document.removeEventListener('keydown', keys); });
  await go(query.version || last);
}

// -- events -------------------------------------------------------------------

export async function events(query, put) {
  const { types } = await get('/api/types');
  const field = (name, label, input) => h('label', {}, label, input);
  const name = h('input', { name: 'name', value: query.name || '' });
  const after = h('input', { name: 'after', inputmode: 'numeric', size: 12, value: query.after || '' });
  const type = h('select', { name: 'type' }, h('option', { value: '' }, 'all'),
    types.map(t => h('option', { selected: t.type === query.type }, t.type)));
  const form = h('form', { class: 'bar', onsubmit: e => {
    e.preventDefault();
    location.hash = to('/events', { type: type.value, name: name.value, after: after.value });
  } }, field('name', 'Name', name), field('type', 'Type', type), field('after', 'After number', after),
  h('button', { class: 'primary' }, 'Show'), h('a', { href: '#/events' }, 'Newest'));
  put(h('h1', {}, 'Events'), form);
  const { type: t, name: n } = query;
  const found = await get('/api/events', { ...query, limit: page });
  const list = found.events;
  put(h('h1', {}, 'Events'), form, h('section', { class: 'card' }, table([
    ['Number', 'num', e => h('a', { href: to('/event', { type: e.type, seq_no: e.seq_no }) }, number(e.seq_no))],
    ['At', 'time', e => time(e.created_at)],
    ['Entity', 'mono', e => [`${e.type}/`, entityLink(e)]],
    ['Version', 'num', e => number(e.version)],
    ['Event', '', e => e.name],
    ['Payload', 'mono', e => short(e.payload)],
  ], [...list].reverse(), 'No such events.')),
  h('div', { class: 'bar' },
    list.length && list[0].seq_no > 1 ? h('a', { href: to('/events', { type: t, name: n, up_to: list[0].seq_no - 1 }) }, 'Older') : null,
    list.length && list.at(-1).seq_no < found.frontier ? h('a', { href: to('/events', { type: t, name: n, after: list.at(-1).seq_no }) }, 'Newer') : null));
}

export async function event(query, put) {
  const e = await get('/api/event', query);
  put(h('h1', {}, `${e.name} `, h('span', { class: 'dim' }, `event ${number(e.seq_no)}`)),
    h('p', { class: 'dim' }, `${time(e.created_at)}, of ${e.type}/`, entityLink(e), `, version ${e.version}, shape ${e.schema_version}, slice ${e.slice}, ${number(e.bytes)} bytes`, e.whole ? '' : ', of which the beginning is shown', e.tags ? `, tags ${e.tags}` : ''),
    h('div', { class: 'split' }, h('section', { class: 'card' }, h('h2', {}, 'Payload'), plain(e.payload)),
      h('section', { class: 'card' }, h('h2', {}, 'Metadata'), e.metadata ? plain(e.metadata) : h('p', { class: 'empty' }, 'None.'))));
}
