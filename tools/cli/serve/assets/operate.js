// What operators do something to, and what they have done.

import { h, table, number, count, span, time, get, every, act, confirmed, state, to } from '/app.js';

const colour = { running: 'good', paused: 'warn', rebuilding: 'warn', rescaling: 'warn' };

const button = (text, f, style = '') =>
  h('button', { class: style, onclick: f, disabled: state.readOnly }, text);

// -- projections --------------------------------------------------------------

function actions(p) {
  const body = { projection: p.name };
  const sure = { ...body, confirm: p.name };
  const failed = p.ranges.find(r => r.failed_seq_no > 0)?.failed_seq_no;
  return h('div', { class: 'actions' },
    p.paused ? button('Resume', () => act('/api/projection/resume', body, `${p.name} is resumed`))
      : button('Pause', () => act('/api/projection/pause', body, `${p.name} is paused`)),
    p.state === 'halted' ? button('Run again', () => act('/api/projection/resume', body, `${p.name} runs again`)) : null,
    failed ? button(`Skip event ${number(failed)}`, () => confirmed(`Leave event ${number(failed)} out of ${p.name} for good?`, p.name,
      () => act('/api/projection/skip', { ...sure, seq_no: failed }, 'Skipped')), 'danger') : null,
    button('Rebuild', () => confirmed(`Build the next version of ${p.name} beside the live one?`, p.name,
      () => act('/api/projection/rebuild', sure, 'The rebuild has begun'))),
    button('Reset', () => confirmed(`Empty the view of ${p.name} and begin anew?`, p.name,
      () => act('/api/projection/reset', sure, 'The view begins anew')), 'danger'));
}

function details(p) {
  return h('section', { class: 'card' },
    h('h2', {}, `${p.name} `, h('span', { class: `badge ${colour[p.state] || 'bad'}` }, p.state)),
    h('p', { class: 'dim' }, `version ${p.version}${p.building ? `, building version ${p.building}` : ''}, checkpoint ${number(p.seq_no)}, `,
      p.lag_events ? `${number(p.lag_events)}${p.lag_more ? '+' : ''} ${p.lag_events === 1 ? 'event waits' : 'events wait'}, the oldest for ${span(p.lag_seconds)}` : 'nothing waits',
      p.dead_letters ? [', ', h('a', { href: to('/letters', { projection: p.name }) }, count(p.dead_letters, 'dead letter'))] : ''),
    table([
      ['Slices', '', r => `${r.slices[0]} to ${r.slices[1]}${r.version === p.version ? '' : ` (version ${r.version})`}`],
      ['Checkpoint', 'num', r => number(r.seq_no)],
      ['Lag', 'num', r => `${number(r.lag.events)}${r.lag.more ? '+' : ''}`],
      ['Runs on', '', r => r.owner ?? '-'],
      ...(p.ranges.some(r => r.error) ? [['Error', '', r => r.error ? h('span', { class: 'bad' }, `event ${number(r.failed_seq_no)}: ${r.error}`) : null]] : []),
    ], p.ranges, ''), actions(p));
}

export async function projections(query, put, onLeave) {
  const look = async () => {
    const found = await get('/api/overview');
    // A dialog or a button with the focus stays where it is.
    if (document.querySelector('dialog[open]') || document.activeElement?.closest?.('.actions')) return;
    put(h('h1', {}, 'Projections'), ...(found.projections.length ? found.projections.map(details)
      : [h('p', { class: 'empty' }, 'No projections.')]));
  };
  await look();
  every(2000, look, onLeave);
}

// -- dead letters -------------------------------------------------------------

export async function letters(query, put) {
  const found = (await get('/api/letters', { ...query, limit: 50 })).letters;
  const name = query.projection;
  const doit = d => h('div', { class: 'actions' },
    d.kind === 'skipped' ? null : button('Replay', () => act('/api/letters/replay', { projection: d.projection, seq_no: d.seq_no }, 'Replayed')),
    button('Drop', () => confirmed(`Forget the dead letter ${number(d.seq_no)} of ${d.projection}?`, d.projection,
      () => act('/api/letters/drop', { projection: d.projection, seq_no: d.seq_no, confirm: d.projection }, 'Dropped')), 'danger'));
  const last = found.at(-1);
  put(h('h1', {}, name ? `Dead letters of ${name}` : 'Dead letters'),
    h('section', { class: 'card' }, table([
      ['Projection', '', d => h('a', { href: to('/letters', { projection: d.projection }) }, d.projection)],
      ['Event', 'num', d => h('a', { href: to('/event', { type: d.type, seq_no: d.seq_no }) }, number(d.seq_no))],
      ['Kind', '', d => d.kind],
      ['Entity', 'mono', d => [`${d.type}/`, h('a', { href: to('/entity', { type: d.type, id: d.id }) }, d.id)]],
      ['Error', '', d => d.error],
      ['Since', 'time', d => time(d.created_at)],
      ['', '', doit],
    ], found, 'No dead letters.')),
    h('p', { class: 'small dim' }, 'A replay handles all letters of the entity again, in order and in one transaction of the program. To drop one forgets it; those behind it wait for a replay.'),
    h('div', { class: 'bar' }, name && found.length === 50 ? h('a', { href: to('/letters', { projection: name, after: last.seq_no }) }, 'Next page') : null,
      name ? h('a', { href: '#/letters' }, 'All projections') : null));
}

// -- operations ---------------------------------------------------------------

export async function operations(query, put) {
  const found = (await get('/api/operations', { ...query, limit: 50 })).operations;
  put(h('h1', {}, 'Operations'), h('section', { class: 'card' }, table([
    ['At', 'time', o => time(o.began_at)],
    ['What', '', o => o.verb],
    ['With', 'mono', o => o.arguments],
    ['Who', '', o => `${o.role}, ${o.client}`],
    ['Outcome', '', o => h('span', { class: `badge ${o.outcome === 'done' ? 'good' : o.outcome ? 'bad' : 'warn'}` }, o.outcome ?? 'no end')],
    ['Detail', '', o => o.detail || null],
  ], found, 'Nobody has changed anything yet.')),
  h('div', { class: 'bar' }, query.before ? h('a', { href: '#/operations' }, 'Newest') : null,
    found.length === 50 ? h('a', { href: to('/operations', { before: found.at(-1).id }) }, 'Older') : null));
}
