// The operator's dashboard: asks the admin API every few seconds, with the
// token that was typed, and shows what it says. All of it is put in as text:
// names of clients, tokens and chains are other people's words.

import { amountText, timeText } from './claim.mjs';

const { document } = window;
const STORE = 'restante-admin-token';
const EVERY_MS = 3000;
const ANSWER_MS = 15000;
// The books are read from one end to the other: after a change, yet for a
// small part of the time only, and once a minute at least.
const BOOKS_MIN_MS = 3000;
const BOOKS_MAX_MS = 60000;
const BOOKS_SHARE = 20;
const PEERS_MAX = 100;
const RATE_SAMPLES = 6;
const DISK_LOW = 1e9;

const $ = (id) => document.getElementById(id);

let token = null;
let timer;
let round = 0; // of asking: an answer of an older one is not shown
let awaySince = null;
let status; // the last one
let samples = []; // for rates
let books = {}; // offer, stats, claims to look at
let booksOf = ''; // what the books were read for
let booksAt = -Infinity;
let booksMs = 0;

// ---- what is kept ----

function keptToken() {
  try {
    return sessionStorage.getItem(STORE);
  } catch {
    return null;
  }
}

function keep(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(STORE, text);
    else sessionStorage.removeItem(STORE);
  } catch {
    // A browser that keeps nothing is asked again.
  }
}

// ---- asking ----

class Away extends Error {}
class Refused extends Error {}

async function ask(verb, args = {}) {
  let response;
  let body;
  try {
    response = await fetch(`/v1/admin/${verb}`, {
      method: 'POST', cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS),
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(args),
    });
    body = await response.json();
  } catch {
    throw new Away('The server does not answer');
  }
  if (response.ok) return body;
  if (response.status === 401) throw new Refused();
  if (response.status === 503) throw new Away('The server is stopping');
  throw Object.assign(new Error(body.message), { code: body.error });
}

// ---- words ----

const number = (n) => n.toLocaleString('en');

function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i + 1 < units.length) {
    n /= 1000;
    i++;
  }
  return `${i ? n.toFixed(1) : n} ${units[i]}`;
}

function span(seconds) {
  const sizes = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const [size, name] = sizes.find(([s]) => seconds >= s) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${name}`;
}

const ago = (atS) => `${span(Math.max(0, Date.now() / 1000 - atS))} ago`;
const date = (atS) => new Date(atS * 1000).toLocaleString();
const when = (atS) => (atS ? `${date(atS)} (${ago(atS)})` : '–');
const plural = (n, name) => `${number(n)} ${name}${n === 1 ? '' : 's'}`;
const short = (hex) => hex.length > 16 ? `${hex.slice(0, 8)}…${hex.slice(-4)}` : hex;

/** A counter since the start, and how fast it grows by now. */
function rate(read) {
  const [first] = samples;
  const seconds = (status.up_ms - first.up_ms) / 1000;
  const now = number(read(status));
  if (seconds <= 0) return now;
  const perS = (read(status) - read(first)) / seconds;
  return `${now} (${perS >= 10 || perS === 0 ? number(Math.round(perS)) : perS.toFixed(1)}/s)`;
}

const options = () => books.offer?.options ?? [];

/** Base units of a token: in whole tokens if the offer says how many digits. */
function tokens(value, chainId, token_) {
  const option = options().find((o) => o.chain_id === chainId && o.token === token_);
  return option ? `${amountText(value, option.decimals)} ${option.symbol}` : `${value} of ${token_}`;
}

/** Units as time, if all that is offered has one unit. */
function sold(units) {
  const [first, ...rest] = options();
  return first && rest.every((o) => o.unit === first.unit)
    ? timeText(units, first.unit) : plural(units, 'unit');
}

// ---- showing ----

/** Leaves what is the same alone, so that a selection stays. */
function put(id, text, kind) {
  const element = $(id);
  if (element.textContent !== String(text)) element.textContent = text;
  if (kind !== undefined) element.className = kind;
}

function say(id, text, kind = '') {
  put(id, text, kind);
  $(id).hidden = !text;
}

const drawn = new Map();

/** Rows of cells; a cell is a text, or [text, class, title]. */
function table(id, heads, rows) {
  const made = JSON.stringify(rows);
  if (drawn.get(id) === made) return;
  drawn.set(id, made);
  const line = (tag, cells) => {
    const tr = document.createElement('tr');
    tr.append(...cells.map((cell) => {
      const [text, kind = '', title = ''] = [cell].flat();
      const element = document.createElement(tag);
      element.textContent = text;
      element.className = kind;
      element.title = title;
      return element;
    }));
    return tr;
  };
  $(id).replaceChildren(...(rows.length ? [line('th', heads), ...rows.map((cells) => line('td', cells))] : []));
}

const node = (hex) => [short(hex), '', hex];

function needs() {
  const { archive, payments } = status;
  const list = [];
  if (!status.ready) list.push(`Not ready: ${status.readiness}.`);
  for (const alarm of payments?.alarms ?? []) {
    list.push(`Chain ${alarm.chain}: a finalized block has changed, and nothing is credited. See the alarm below.`);
  }
  for (const chain of payments?.chains ?? []) {
    if (!chain.usable) list.push(`Chain ${chain.name} cannot be followed: ${chain.endpoints_good} of ${chain.endpoints} endpoints are good.`);
  }
  if (archive.quarantined) list.push(`${plural(archive.quarantined, 'damaged slice')} of the archive moved to quarantine/.`);
  if (archive.disk_free < DISK_LOW) list.push(`The disk has ${bytes(archive.disk_free)} left.`);
  if (books.look?.length) list.push(`${plural(books.look.length, 'claim')} to look at, below.`);
  return list;
}

function showNeeds() {
  const list = needs();
  const texts = list.length ? list : ['Nothing.'];
  const made = JSON.stringify(texts);
  if (drawn.get('needs') === made) return;
  drawn.set('needs', made);
  $('needs').replaceChildren(...texts.map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    item.className = list.length ? 'bad' : '';
    return item;
  }));
}

function showServer() {
  const { archive } = status;
  const state = status.ready ? 'ready' : 'not ready';
  say('state', state, status.ready ? 'good' : 'bad');
  document.title = `${state} · Restante`;
  put('readiness', status.readiness, status.ready ? '' : 'bad');
  put('since', when(status.since));
  put('version', `${status.version} (${status.commit})`);
  put('enode', status.enode);
  put('peers', number(status.peers));
  put('in', rate((s) => s.envelopes.in));
  put('new', rate((s) => s.envelopes.new));
  put('refused', rate((s) => s.envelopes.refused));
  put('out', rate((s) => s.envelopes.out));
  put('envelopes', number(archive.envelopes));
  put('bytes', archive.retention_bytes ? `${bytes(archive.bytes)} of at most ${bytes(archive.retention_bytes)}` : bytes(archive.bytes));
  put('disk', bytes(archive.disk_free), archive.disk_free < DISK_LOW ? 'bad' : '');
  put('oldest', when(archive.oldest));
  put('newest', when(archive.newest));
  put('retention', archive.retention ? timeText(1, archive.retention) : 'ever');
  put('shards', archive.shards_broken ? `${archive.shards_broken} of ${archive.shards} take nothing` : `${archive.shards}, well`,
    archive.shards_broken ? 'bad' : '');
  put('slices', `${number(archive.slices)}${archive.quarantined ? `, and ${number(archive.quarantined)} damaged` : ''}`,
    archive.quarantined ? 'bad' : '');
  put('commits', `${rate((s) => s.archive.commits)}${archive.queued ? `, ${number(archive.queued)} envelopes wait` : ''}`);
  put('requests', rate((s) => s.requests.asked));
  put('denied', rate((s) => s.requests.denied));
  put('failed', rate((s) => s.requests.failed));
  put('delivered', `${rate((s) => s.requests.delivered)}, ${bytes(status.requests.delivered_bytes)}`);
}

function modeReason({ mode, after_restart: next, since, reason }) {
  if (mode !== next) return `switched for now: ${next} after a restart`;
  return since ? `${reason}, ${when(since)}` : 'the settings say so';
}

function showPayments() {
  const { payments } = status;
  $('free').hidden = status.sells;
  for (const section of document.getElementsByClassName('paid')) section.hidden = !status.sells;
  $('alarm').hidden = !payments?.alarms.length;
  if (!payments) return;
  put('mode', payments.mode);
  put('mode-settings', payments.settings);
  put('mode-reason', modeReason(payments));
  for (const [state, count] of Object.entries(payments.claims)) put(`claims-${state}`, number(count));
  table('chains', ['Chain', 'Head', 'Seen', 'Safe', 'Finalized', 'Endpoints', ''], payments.chains.map((c) => [
    `${c.name} (${c.id})`, number(c.head), `${span(c.head_age)} ago`, number(c.safe), number(c.finalized),
    c.away.length ? [`${c.endpoints_good} of ${c.endpoints} good, away: ${c.away.join(', ')}`, 'bad'] : `${c.endpoints} of ${c.endpoints} good`,
    c.alarm ? ['alarm', 'bad'] : c.usable ? ['followed', 'good'] : ['not followed', 'bad'],
  ]));
  table('alarms', ['Chain', 'Block', 'Hash now', 'Since'],
    payments.alarms.map((a) => [`${a.chain} (${a.id})`, number(a.block), node(a.hash), when(a.since)]));
  const chains = payments.alarms.map((a) => a.chain);
  if ([...$('alarm-chain').options].map((o) => o.value).join() !== chains.join()) {
    $('alarm-chain').replaceChildren(...chains.map((name) => {
      const option = document.createElement('option');
      option.value = option.textContent = name;
      return option;
    }));
  }
}

const offerRows = (offer, holds) => (offer?.options ?? []).map((o) => [
  `${amountText(o.price, o.decimals)} ${o.symbol} for ${timeText(1, o.unit)}`, `${o.min_units} to ${o.max_units}`,
  String(o.chain_id), node(o.payee), holds(offer)]);

const byMonth = (received) => [...received].sort((a, b) => (a.period < b.period ? 1 : -1));

function showBooks() {
  const { offer, next, stats, look } = books;
  $('look').hidden = look.length === 0;
  for (const standing of ['active', 'in_grace', 'expired', 'without_end', 'suspended']) put(standing, number(stats[standing]));
  put('sold', `${sold(stats.units_sold)} sold in all${stats.grants ? `, and ${plural(stats.grants, 'grant')} for nothing` : ''}.`);
  table('received', ['Month', 'Received', 'Payments', 'Sold'], byMonth(stats.received).map((r) => [
    r.period, tokens(r.value, r.chain_id, r.token), number(r.payments), sold(r.units)]));
  say('offer-none', offer ? '' : 'None yet: the chain and the token have not been seen.', 'bad');
  table('offer', ['Price', 'Sold at once', 'Chain', 'Paid to', 'Holds'], [
    ...offerRows(offer, (o) => `until ${date(o.not_after)}`), ...offerRows(next, (o) => `from ${date(o.not_before)}`)]);
  table('claims', ['State', 'Why', 'Received', 'Changed', 'Claim', 'Node'], look.map((c) => [
    [c.state, 'bad'], [c.reason || '–', 'text'], ago(c.received), ago(c.updated), c.claim, node(c.node)]));
}

function showPeers({ peers, silent_rings: silent }) {
  table('peers-table', ['Client', 'Address', 'Way', 'Since', 'Speaks', 'Read', 'Sent', 'In work', 'Node'], peers.map((p) => [
    [p.client, 'text'], p.address, p.direction, ago(p.since), p.capabilities, bytes(p.read_bytes), bytes(p.sent_bytes),
    `${p.requests}${p.paused ? ', not read from' : ''}`, node(p.node)]));
  const missing = peers.length < status.peers || silent;
  say('peers-more', peers.length === 0 ? 'Nobody.' : missing ? `${peers.length} of ${status.peers}; restante admin peers shows more.` : '');
}

// ---- rounds ----

function away(text) {
  if (!text) {
    awaySince = null;
    say('problem', '');
    document.body.className = '';
    return;
  }
  awaySince ??= new Date();
  say('state', 'away', 'bad');
  document.title = 'away · Restante';
  say('problem', `${text}, since ${awaySince.toLocaleTimeString()}. What is shown is old; trying again.`, 'bad');
  document.body.className = 'away';
}

async function readOffers() {
  try {
    const { decoded, next } = await ask('offers');
    return { offer: decoded, next: next?.decoded };
  } catch (error) {
    if (error.code !== 'no_offer') throw error;
    return {};
  }
}

async function readBooks() {
  const { events, mode } = status.payments;
  const of = JSON.stringify([events, mode]);
  const rest = performance.now() - booksAt;
  if (rest < Math.max(BOOKS_MIN_MS, BOOKS_SHARE * booksMs) || (of === booksOf && rest < BOOKS_MAX_MS)) return;
  const start = performance.now();
  books = { ...await readOffers(), stats: await ask('stats'), look: await ask('claims.look') };
  booksOf = of;
  booksAt = performance.now();
  booksMs = booksAt - start;
}

function take(next) {
  if (status && next.since !== status.since) samples = [];
  status = next;
  samples = [...samples, next].slice(-RATE_SAMPLES);
}

async function askAll(mine) {
  const next = await ask('status');
  const peers = $('peers-list').open ? await ask('peers', { limit: String(PEERS_MAX) }) : null;
  if (mine !== round) return;
  take(next);
  showServer();
  showPayments();
  if (peers) showPeers(peers);
  showNeeds();
  $('all').hidden = false;
  if (!status.sells) return;
  await readBooks();
  if (mine !== round) return;
  showBooks();
  showNeeds();
}

function ends(error) {
  if (error instanceof Refused) {
    leave('The server does not take this token. Is it the whole line, and of this server\'s file? ' +
      'The file is made anew when it was removed and the server started again.');
  } else if (error instanceof Away) {
    away(error.message);
  } else {
    say('problem', `The server says: ${error.message}.`, 'bad');
  }
}

async function refresh() {
  const mine = ++round;
  window.clearTimeout(timer);
  try {
    await askAll(mine);
    if (mine === round) away('');
  } catch (error) {
    if (mine === round) ends(error);
  }
  if (mine === round && token && !document.hidden) timer = window.setTimeout(refresh, EVERY_MS);
}

// ---- coming and going ----

function enter(text) {
  keep(text);
  $('login').hidden = true;
  $('leave').hidden = false;
  say('login-problem', '');
  refresh();
}

function leave(why = '') {
  round++;
  window.clearTimeout(timer);
  keep(null);
  away('');
  status = undefined;
  books = {};
  booksAt = -Infinity;
  samples = [];
  $('all').hidden = true;
  $('leave').hidden = true;
  $('state').hidden = true;
  $('login').hidden = false;
  $('token').value = '';
  say('login-problem', why, 'bad');
  $('token').focus();
}

/** A form that changes something: says what came of it beside its button. */
function changes(name, verb, args, done) {
  $(`${name}-form`).addEventListener('submit', async (event) => {
    event.preventDefault();
    say(`${name}-said`, 'One moment.');
    try {
      const answer = await ask(verb, args());
      $(`${name}-why`).value = '';
      say(`${name}-said`, done(answer), 'good');
      booksAt = -Infinity;
      refresh();
    } catch (error) {
      say(`${name}-said`, error instanceof Refused ? 'The token is not taken any more.' : `${error.message}.`, 'bad');
    }
  });
}

changes('mode', 'mode', () => ({
  mode: $('mode-new').value, reason: $('mode-why').value, for_now: $('mode-keep').checked ? '' : 'yes',
}), ({ mode, after_restart: next }) => (mode === next
  ? `The mode is ${mode}, over restarts too, until payments.mode is changed in the settings.`
  : `The mode is ${mode} until the server ends, then ${next}.`));
changes('alarm', 'acknowledge', () => ({ chain: $('alarm-chain').value, reason: $('alarm-why').value }),
  () => 'Acknowledged: crediting goes on.');

$('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('token').value.trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) enter(text);
  else say('login-problem', 'This is no admin token: it has 64 digits, 0 to 9 and a to f.', 'bad');
});
$('leave').addEventListener('click', () => leave());
$('peers-list').addEventListener('toggle', () => token && refresh());
$('copy').addEventListener('click', async () => {
  try {
    await window.navigator.clipboard.writeText(status.enode);
    put('copy', 'Copied');
  } catch {
    window.getSelection().selectAllChildren($('enode'));
    put('copy', 'Selected');
  }
});
document.addEventListener('visibilitychange', () => {
  if (token && !document.hidden) refresh();
});

if (keptToken()) enter(keptToken());
else leave();
