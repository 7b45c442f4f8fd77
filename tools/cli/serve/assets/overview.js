// What goes on now: rates, lag, queues, and what is in the way.

import { h, table, number, span, time, get, every, to } from '/app.js';

const most = 150;
const samples = [];

/** Draws values over time; the last one is at the right. */
function chart(values, label) {
  const ns = 'http://www.w3.org/2000/svg';
  const make = (name, attributes) => {
    const x = document.createElementNS(ns, name);
    for (const [key, value] of Object.entries(attributes)) x.setAttribute(key, value);
    return x;
  };
  const width = 300;
  const height = 100;
  const top = Math.max(1, ...values) * 1.1;
  const at = (v, i) => [width - (values.length - 1 - i) * width / (most - 1), height - v / top * height];
  const points = values.map(at).map(p => p.map(x => x.toFixed(1)).join(','));
  const svg = make('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
  for (const y of [0.5, 50, 99.5])
    svg.append(make('line', { class: 'axis', x1: 0, x2: width, y1: y, y2: y }));
  if (points.length > 1) {
    const first = at(values[0], 0)[0].toFixed(1);
    svg.append(make('polygon', { class: 'area', points: `${first},${height} ${points.join(' ')} ${width},${height}` }));
    svg.append(make('polyline', { class: 'curve', points: points.join(' ') }));
  }
  return svg;
}

function sample(found) {
  const x = { at: Number(found.now), found };
  const last = samples.at(-1);
  if (last && x.at <= last.at) return;
  x.rate = last ? Math.max(0, (found.frontier - last.found.frontier) * 1000 / (x.at - last.at)) : 0;
  samples.push(x);
  if (samples.length > most) samples.shift();
}

function card(title, value, values, below) {
  return h('section', { class: 'card' }, h('h2', {}, title), h('div', { class: 'big' }, value),
    chart(values, `${title} over the last minutes`), h('div', { class: 'small dim' }, below));
}

const lag = (found, name) => found.projections.find(p => p.name === name)?.lag_events ?? 0;

function render(types, put) {
  const { found } = samples.at(-1);
  const behind = found.last_number - found.frontier;
  const letters = found.dead_letters.parked + found.dead_letters.behind;
  const cards = [
    card('Events per second', number(samples.at(-1).rate), samples.slice(1).map(x => x.rate),
      `frontier ${number(found.frontier)}${behind ? `, ${number(behind)} numbers above it` : ''}`),
    ...found.projections.slice(0, 6).map(p =>
      card(`Lag of ${p.name}`, `${number(p.lag_events)}${p.lag_more ? '+' : ''}`,
        samples.map(x => lag(x.found, p.name)),
        `${p.state}, ${p.lag_events ? `the oldest is ${span(p.lag_seconds)} old` : 'nothing waits'}`)),
    card('Messages due in the outbox', number(found.outbox.due),
      samples.map(x => x.found.outbox.due),
      found.outbox.due ? `the oldest is ${span(found.outbox.oldest_due_seconds)} old` : `${number(found.outbox.waiting)} wait for their time`),
  ];
  const wrong = [
    ...found.frontier_holders.filter(x => x.seconds > 5).map(x =>
      `The frontier is held by ${x.pid ? `process ${x.pid}` : 'a prepared transaction'} for ${span(x.seconds)}: ${x.query}`),
    ...found.projections.filter(p => !['running', 'paused', 'rebuilding', 'rescaling'].includes(p.state)).map(p =>
      `Projection ${p.name} is ${p.state}`),
    ...(letters ? [`${number(letters)} dead letters wait for somebody`] : []),
  ];
  put(h('h1', {}, 'Overview'),
    wrong.length ? h('section', { class: 'card' }, h('h2', { class: 'bad' }, 'Needs attention'),
      h('ul', {}, wrong.map(x => h('li', {}, x)))) : '',
    h('div', { class: 'cards' }, cards),
    h('section', { class: 'card' }, h('h2', {}, 'Entity types'), table([
      ['Type', 'mono', t => h('a', { href: to('/entities', { type: t.type }) }, t.type)],
      ['Entities', 'num', t => number(t.entities)],
      ['Events', 'num', t => (t.exact ? '' : '~') + number(t.events)],
      ['Last number', 'num', t => number(t.last_seq_no)],
      ['Last event', 'time', t => time(t.last_at)],
      ['Archived', 'num', t => number(t.archived)],
    ], types, 'No events yet.')),
    h('p', { class: 'small dim' }, `Journal "${found.schema}", schema version ${found.schema_version}, IDs ${found.ids}, payloads ${found.payloads}, PostgreSQL ${found.server}`));
}

export async function overview(query, put, onLeave) {
  const { types } = await get('/api/types');
  const look = async () => {
    sample(await get('/api/overview'));
    render(types, put);
  };
  await look();
  every(2000, look, onLeave);
}
