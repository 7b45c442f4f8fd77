// Who forms a cluster: nodes, who owns which shard, and which projections run
// where.

import { h, svg, table, number, span, time, get, every } from '/app.js';

const colours = 8;

// What somebody has unfolded stays so while the page is drawn anew.
const unfolded = new Set();

/** Numbers the nodes, so that each has its colour. */
const places = cluster => new Map(cluster.nodes.map((n, i) => [n.name, i]));

const colour = place => `node-${place % colours}`;

const swatch = place => svg('svg', { class: 'swatch', viewBox: '0 0 10 10', 'aria-hidden': 'true' },
  svg('rect', { class: colour(place), width: 10, height: 10, rx: 2 }));

const left = seconds => seconds > 0 ? `${span(seconds)} left` : `ended ${span(-seconds)} ago`;

function leaseOf(cluster, shard) {
  const node = cluster.nodes.find(n => n.name === shard.node);
  return node ? left(node.lease_seconds) : 'nobody’s';
}

/** A square for each shard, in the colour of its owner. */
function picture(cluster) {
  const place = places(cluster);
  const wide = Math.min(64, Math.max(16, 2 ** Math.ceil(Math.log2(cluster.shards) / 2 + 1)));
  const high = Math.ceil(cluster.shards / wide);
  const owned = cluster.nodes.map(n => `${n.name} ${n.shards}`).join(', ');
  return svg('svg', { class: 'shards', width: wide * 20, viewBox: `0 0 ${wide * 10} ${high * 10}`, role: 'img',
    'aria-label': `Shards by node: ${owned}; ${cluster.free} free` },
  cluster.leases.map(s => svg('rect', {
    class: s.alive ? colour(place.get(s.node)) : 'free',
    x: s.shard % wide * 10 + 1, y: Math.floor(s.shard / wide) * 10 + 1, width: 8, height: 8, rx: 1.5,
  }, svg('title', {}, `shard ${s.shard}: ${s.node ?? 'nobody’s'}, epoch ${s.epoch}, ${leaseOf(cluster, s)}`))));
}

const runs = n => n.projections.flatMap((p, i) => [i ? ', ' : '',
  h('a', { href: '#/projections' }, p.name), p.ranges > 1 ? ` (${p.ranges} ranges)` : '']);

function nodes(cluster) {
  const place = places(cluster);
  return table([
    ['Node', '', n => [swatch(place.get(n.name)), ` ${n.name}`]],
    ['State', '', n => h('span', { class: `badge ${!n.alive ? 'bad' : n.state === 'up' ? 'good' : 'warn'}` }, n.alive ? n.state : 'gone')],
    ['Shards', 'num', n => number(n.shards)],
    ['Lease', '', n => h('span', { class: n.alive ? '' : 'bad' }, left(n.lease_seconds))],
    ['Projections', '', n => n.projections.length ? runs(n) : '-'],
    ['Address', 'mono', n => `${n.address}:${n.port}`],
    ['Program', 'mono', n => n.program],
    ['Since', 'time', n => time(n.joined_at)],
  ], cluster.nodes, 'No nodes.');
}

function leases(cluster) {
  const key = cluster.cluster;
  const body = h('div');
  const fill = open => body.replaceChildren(...(open ? [table([
    ['Shard', 'num', s => number(s.shard)],
    ['Node', '', s => s.node ?? '-'],
    ['Epoch', 'num', s => number(s.epoch)],
    ['Lease', '', s => leaseOf(cluster, s)],
    ['Owned since', 'time', s => time(s.changed_at)],
  ], cluster.leases, '')] : []));
  fill(unfolded.has(key));
  return h('details', { open: unfolded.has(key), ontoggle: e => {
    if (e.target.open === unfolded.has(key)) return;
    if (e.target.open) unfolded.add(key); else unfolded.delete(key);
    fill(e.target.open);
  } }, h('summary', {}, 'Leases of all shards'), body);
}

function card(cluster) {
  return h('section', { class: 'card' }, h('h2', {}, `Cluster ${cluster.cluster}`),
    h('p', { class: cluster.free ? 'warn' : 'dim' }, cluster.free
      ? `${number(cluster.free)} of ${number(cluster.shards)} shards are owned by no node that is alive`
      : `All of ${number(cluster.shards)} shards are owned, revision ${number(cluster.revision)}`),
    picture(cluster), nodes(cluster), leases(cluster));
}

export async function nodesPage(query, put, onLeave) {
  const look = async () => {
    const { clusters } = await get('/api/nodes');
    put(h('h1', {}, 'Nodes'), ...(clusters.length ? clusters.map(card)
      : [h('p', { class: 'empty' }, 'No nodes yet: this journal is used by processes that know nothing of each other.')]));
  };
  await look();
  every(2000, look, onLeave);
}
