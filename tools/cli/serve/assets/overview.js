// What goes on now: rates, lag, queues, and what is in the way.

import { h, svg, table, number, span, time, get, every, to } from '/app.js';

const most = 150;
const samples = [];
const applications = { last: [], means: [] };

/** Splits values at those that are not known, into lists of [index, value]. */
function known(values) {
  const out = [[]];
  values.forEach((v, i) => { if (v == null) out.push([]); else out.at(-1).push([i, v]); });
  return out.filter(x => x.length);
}

/** Draws values over time, null where there is none; the last one is at the right. */
function chart(values, label) {
  const width = 300;
  const height = 100;
  const top = Math.max(Number.MIN_VALUE, ...values.map(x => x ?? 0)) * 1.1;
  const x = i => (width - (values.length - 1 - i) * width / (most - 1)).toFixed(1);
  const drawing = svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
  [0.5, 50, 99.5].map(y => svg('line', { class: 'axis', x1: 0, x2: width, y1: y, y2: y })));
  for (const part of known(values)) {
    const points = part.map(([i, v]) => `${x(i)},${(height - v / top * height).toFixed(1)}`);
    // One alone would be no line.
    if (points.length === 1) points.push(points[0].replace(/^[^,]+/, (Number(x(part[0][0])) - 1).toFixed(1)));
    drawing.append(svg('polygon', { class: 'area', points: `${points[0].split(',')[0]},${height} ${points.join(' ')} ${points.at(-1).split(',')[0]},${height}` }),
      svg('polyline', { class: 'curve', points: points.join(' ') }));
  }
  return drawing;
}

function sample(found) {
  const x = { at: Number(found.now), found };
  const last = samples.at(-1);
  if (last && x.at <= last.at) return;
  x.rate = last ? Math.max(0, (found.frontier - last.found.frontier) * 1000 / (x.at - last.at)) : 0;
  x.batch = found.recent.commits ? found.recent.appends / found.recent.commits : null;
  samples.push(x);
  if (samples.length > most) samples.shift();
}

/** The mean time of the commits since the last look, of all applications. */
function sampleCommits(list) {
  let commits = 0;
  let seconds = 0;
  for (const now of list) {
    const before = applications.last.find(x => x.url === now.url);
    // Whoever has begun anew counts from nothing.
    if (!(now.commits > before?.commits)) continue;
    commits += now.commits - before.commits;
    seconds += Math.max(0, now.seconds - before.seconds);
  }
  applications.last = list;
  applications.means.push(commits ? seconds / commits * 1000 : null);
  if (applications.means.length > most) applications.means.shift();
}

function card(title, value, values, below, show = number) {
  const peak = Math.max(0, ...values.map(x => x ?? 0));
  return h('section', { class: 'card' }, h('h2', {}, title), h('div', { class: 'big' }, value,
    peak ? h('span', { class: 'peak' }, `at most ${show(peak)}`) : null),
    chart(values, `${title} over the last minutes`), h('div', { class: 'small dim' }, below));
}

const lag = (found, name) => found.projections.find(p => p.name === name)?.lag_events ?? 0;

const decimal = x => x == null ? '-' : x < 100 ? x.toFixed(1) : number(x);

function commitCard() {
  const silent = applications.last.filter(x => x.error);
  if (!applications.last.length)
    return h('section', { class: 'card' }, h('h2', {}, 'Commit time'),
      h('p', { class: 'dim' }, 'Only applications know it. To see it here, name where they tell Prometheus their figures:'),
      h('pre', {}, 'evented serve --application URL'));
  return card('Commit time', applications.means.at(-1) == null ? '-' : `${decimal(applications.means.at(-1))} ms`, applications.means,
    ['mean since the last look, told by ', applications.last.map(x => new URL(x.url).host).join(', '),
      silent.length ? h('div', { class: 'bad' }, silent.map(x => `${x.url}: ${x.error}`).join('; ')) : null], x => `${decimal(x)} ms`);
}

function render(types, put) {
  const { found } = samples.at(-1);
  const behind = found.last_number - found.frontier;
  const letters = found.dead_letters.parked + found.dead_letters.behind;
  const cards = [
    card('Events per second', number(samples.at(-1).rate), samples.slice(1).map(x => x.rate),
      `frontier ${number(found.frontier)}${behind ? `, ${number(behind)} numbers above it` : ''}`),
    card('Commands per commit', decimal(samples.at(-1).batch), samples.map(x => x.batch),
      found.recent.commits ? `${number(found.recent.appends)} in ${number(found.recent.commits)} commits of the last ten seconds, told by the journal`
        : 'no commits in the last ten seconds, says the journal', decimal),
    commitCard(),
    ...found.projections.slice(0, 6).map(p =>
      card(`Lag of ${p.name}`, `${number(p.lag_events)}${p.lag_more ? '+' : ''}`,
        samples.map(x => lag(x.found, p.name)),
        `${p.state}, ${p.lag_events ? `the oldest is ${span(p.lag_seconds)} old` : 'nothing waits'}`)),
    card('Due in the outbox', number(found.outbox.due),
      samples.map(x => x.found.outbox.due),
      found.outbox.due ? `the oldest is ${span(found.outbox.oldest_due_seconds)} old` : `${number(found.outbox.waiting)} messages wait for their time`),
  ];
  const wrong = [
    ...found.frontier_holders.filter(x => x.seconds > 5).map(x =>
      `The frontier is held by ${x.pid ? `process ${x.pid}` : 'a prepared transaction'} for ${span(x.seconds)}: ${x.query}`),
    ...found.projections.filter(p => !['running', 'paused', 'rebuilding', 'rescaling'].includes(p.state)).map(p =>
      `Projection ${p.name} is ${p.state}`),
    ...(letters ? [letters === 1 ? 'A dead letter waits for somebody' : `${number(letters)} dead letters wait for somebody`] : []),
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
  let { types } = await get('/api/types');
  const look = async () => {
    sample(await get('/api/overview'));
    render(types, put);
  };
  // By itself: an application that hangs must not hold the journal's figures up.
  const ask = async () => sampleCommits((await get('/api/applications')).applications);
  await Promise.all([look(), Promise.race([ask().catch(() => {}), new Promise(f => setTimeout(f, 500))])]);
  if (samples.length) render(types, put);
  every(2000, look, onLeave);
  every(2000, ask, onLeave);
  // Counting takes longer.
  every(10000, async () => { ({ types } = await get('/api/types')); }, onLeave);
}
