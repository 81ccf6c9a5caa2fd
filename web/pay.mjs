// The payment page: shows the offer, has the wallet pay and sign, files the
// claim, follows it. What was paid is written to the browser's storage before
// anything else is done with it, so that a closed page loses nothing.

import {
  amountText, claimBody, claimText, hexOf, isDone, isKeyProof, isWorthRetrying, nextText, nodeOf,
  paymentLink, proofOf, schemeOf, stateText, timeText, total, transferData,
} from './claim.mjs';

const FLAG_CONTRACTS = 2;
const STORE = 'restante-claims';
const CHAINS = { 1: 'Ethereum', 10: 'Optimism', 42161: 'Arbitrum', 8453: 'Base', 11155111: 'Sepolia (test)', 31337: 'a development chain' };
const SELECTOR_DECIMALS = '0x313ce567';
const SELECTOR_BALANCE = '0x70a08231';

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let offer; // decoded, with its hash
let next = null; // the one that is announced, decoded

// ---- what is kept ----

function kept() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? [];
  } catch {
    return [];
  }
}

function store(entries) {
  try {
    localStorage.setItem(STORE, JSON.stringify(entries.slice(0, 50)));
  } catch {
    // A browser that keeps nothing must not stop between payment and claim.
  }
  showKept();
}

function others(entry) {
  return kept().filter((e) => e.claim.tx !== entry.claim.tx || e.claim.node !== entry.claim.node);
}

function keep(entry) {
  store([entry, ...others(entry)]);
}

function drop(entry) {
  store(others(entry));
}

// ---- showing ----

function say(text, kind = '') {
  $('state').textContent = text;
  $('state').className = kind;
  $('state').hidden = false;
}

function problem(text) {
  $('problem').textContent = text;
  $('problem').hidden = !text;
}

function option() {
  return offer.options[Number($('option').value) || 0];
}

function units() {
  const { min_units, max_units } = option();
  const n = Math.floor(Number($('units').value));
  return n >= min_units && n <= max_units ? n : null;
}

function policyText([mode, blocks]) {
  if (mode === 1) return `the payment has ${blocks} confirmation${blocks === 1 ? '' : 's'}`;
  return mode === 2 ? 'the chain calls the payment safe' : 'the chain calls the payment final';
}

function showOffer() {
  const o = option();
  $('price').textContent = `${amountText(o.price, o.decimals)} ${o.symbol} for ${timeText(1, o.unit)}`;
  $('price-next').textContent = next ? nextText(o, next) : '';
  $('price-next').hidden = !next;
  $('token').textContent = o.token;
  $('chain').textContent = `${CHAINS[o.chain_id] ?? 'chain'} (${o.chain_id})`;
  $('payee').textContent = o.payee;
  const paid = kept().map((e) => e.claim).filter((c) => c.server === offer.server && c.chain_id === o.chain_id);
  $('payee-new').hidden = paid.length === 0 || paid.some((c) => c.payee === o.payee); // §4.3
  $('contract-label').hidden = !takesContracts();
  $('policy').textContent = policyText(o.activate);
  $('server').textContent = offer.server;
  $('units').min = o.min_units;
  $('units').max = o.max_units;
  if (!units()) $('units').value = o.min_units;
  showSum();
}

function manualClaim() {
  const payer = hexOf($('payer').value, 20);
  const tx = hexOf($('tx').value, 32);
  return payer && tx ? claimOf(payer, tx) : null;
}

function showSum() {
  const o = option();
  const n = units();
  const node = nodeOf($('node').value);
  $('unit').textContent = n
    ? `× ${timeText(1, o.unit)} = ${timeText(n, o.unit)}`
    : `between ${o.min_units} and ${o.max_units}`;
  $('sum').textContent = n ? `${amountText(total(o, n), o.decimals)} ${o.symbol}` : '–';
  $('node-problem').hidden = node !== null || $('node').value.trim() === '';
  $('wallet').disabled = !(n && node);
  if (n) {
    $('link').href = paymentLink(o, n);
    $('qr').src = `/qr.svg?option=${o.option_id}&units=${n}`;
  }
  const claim = node && manualClaim();
  $('text').value = claim ? claimText(claim) : 'The text appears when node, account and transaction are filled in.';
  $('copy').disabled = !claim;
  $('file').disabled = !claim;
}

function showKept() {
  const mine = kept().filter((e) => e.claim.server === offer?.server);
  $('unfinished').hidden = mine.length === 0;
  $('claims').replaceChildren(...mine.map((entry) => {
    const item = document.createElement('li');
    const line = document.createElement('span');
    const again = document.createElement('button');
    line.textContent = `${entry.claim.tx.slice(0, 12)}… for node ${entry.claim.node.slice(0, 8)}…: ` +
      `${entry.said ?? 'paid, not yet claimed'} `;
    const isOver = entry.is_done && !entry.may_retry;
    again.textContent = isOver ? 'Forget' : entry.may_retry ? 'Claim again' : 'Go on';
    again.onclick = () => (isOver ? drop(entry) : run(() => goOn(entry)));
    item.append(line, again);
    return item;
  }));
}

// ---- the server ----

async function getOffer() {
  const response = await fetch('/v1/offer');
  const body = await response.json();
  if (!response.ok) throw new Error(body.message);
  return { ...body.decoded, hash: body.offer_hash };
}

/** What is announced to hold later; nothing, if it cannot be told. */
async function getNext() {
  try {
    const response = await fetch('/v1/offer/next');
    return response.ok ? (await response.json()).decoded : null;
  } catch {
    return null;
  }
}

function claimOf(payer, tx) {
  const o = option();
  return {
    server: offer.server, node: nodeOf($('node').value), chain_id: o.chain_id, token: o.token,
    payee: o.payee, payer, tx, transfer: 0, offer: offer.hash,
  };
}

/** Ask until there is an answer; only a refusal ends it. */
async function insist(ask) {
  for (let pause = 2; ; pause = Math.min(pause * 2, 60)) {
    let wait = pause;
    try {
      const response = await ask();
      const body = await response.json();
      if (response.ok) return body;
      if (response.status !== 429 && response.status < 500) {
        throw Object.assign(new Error(body.message), { status: response.status });
      }
      wait = Number(response.headers.get('Retry-After')) || pause;
      say(`The server is busy: ${body.message}. Trying again in ${wait} s.`);
    } catch (error) {
      if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
      say(`The server does not answer. Trying again in ${wait} s; nothing is lost.`);
    }
    await sleep(wait * 1000);
  }
}

async function follow(entry) {
  let status = { state: 'received', rev: 0 };
  for (;;) {
    say(stateText(status), status.state === 'rejected' ? 'bad' : isDone(status) ? 'good' : '');
    entry.said = stateText(status);
    entry.is_done = isDone(status);
    entry.may_retry = isWorthRetrying(status);
    keep(entry);
    if (entry.is_done) return;
    await sleep(500);
    status = await insist(() => fetch(`/v1/claims/${entry.claim_id}?wait=25&rev=${status.rev}`));
  }
}

async function file(entry) {
  const answer = await insist(() => fetch('/v1/claims', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(claimBody(entry.claim, entry.proof)),
  }));
  entry.claim_id = answer.claim_id;
  keep(entry);
  await follow(entry);
}

// ---- the wallet ----

const wallet = (method, params = []) => window.ethereum.request({ method, params });

async function onChain(chainId) {
  const want = `0x${chainId.toString(16)}`;
  if (BigInt(await wallet('eth_chainId')) === BigInt(chainId)) return;
  await wallet('wallet_switchEthereumChain', [{ chainId: want }]);
  if (BigInt(await wallet('eth_chainId')) !== BigInt(chainId)) throw new Error(`the wallet is not on chain ${chainId}`);
}

/** The contract's decimals count, not the offer's (§4.3). */
async function checkToken(o, payer, sum) {
  const call = (data) => wallet('eth_call', [{ to: o.token, data }, 'latest']);
  const decimals = Number(BigInt(await call(SELECTOR_DECIMALS)));
  if (decimals !== o.decimals) {
    throw new Error(`the token has ${decimals} decimals, the offer says ${o.decimals}: the price shown is wrong, do not pay`);
  }
  const balance = BigInt(await call(SELECTOR_BALANCE + payer.slice(2).padStart(64, '0')));
  if (balance < sum) {
    throw new Error(`this account holds ${amountText(balance, decimals)} ${o.symbol}, the sum is ${amountText(sum, decimals)}`);
  }
}

function hexText(text) {
  return `0x${[...new TextEncoder().encode(text)].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
}

async function sign(entry) {
  say('Sign the claim in the wallet: it says which node the payment is for.');
  entry.proof = await wallet('personal_sign', [hexText(claimText(entry.claim)), entry.claim.payer]);
  keep(entry);
}

async function goOn(entry) {
  if (entry.claim_id && !entry.may_retry) {
    try {
      return await follow(entry);
    } catch (error) {
      if (error.status !== 404) throw error; // the server knows it no more: file it again
    }
  }
  if (!entry.proof) {
    if (!window.ethereum) throw new Error('this claim still needs a signature: open this page with the wallet that paid');
    await wallet('eth_requestAccounts');
    await sign(entry);
  }
  return file(entry);
}

const takesContracts = () => Boolean(offer.flags & FLAG_CONTRACTS);

function wantContracts() {
  if (takesContracts()) return;
  throw new Error('this account is a contract, and this server takes claims of accounts with a key only: pay from one of those');
}

async function payWithWallet() {
  const o = option();
  const n = units();
  const sum = total(o, n);
  // As it stands at the click: the fields can be written in while the wallet asks.
  const claim = claimOf(null, null);
  const now = await getOffer();
  if (now.hash !== offer.hash) {
    offer = now;
    showOptions();
    throw new Error('the offer has just been renewed: look at the price again, then pay');
  }
  const [account] = await wallet('eth_requestAccounts');
  const payer = account.toLowerCase();
  await onChain(o.chain_id);
  await checkToken(o, payer, sum);
  claim.scheme = schemeOf(await wallet('eth_getCode', [payer, 'latest']));
  if (claim.scheme === 2) wantContracts();
  say('Confirm the payment in the wallet.');
  const tx = await wallet('eth_sendTransaction', [{ from: payer, to: o.token, data: transferData(o.payee, sum) }]);
  const entry = { claim: { ...claim, payer, tx: tx.toLowerCase() } };
  keep(entry);
  await goOn(entry);
}

/** Where a wallet is at hand and on that chain, it can tell. */
async function isContract(claim) {
  if ($('contract').checked) return true;
  try {
    if (!window.ethereum || BigInt(await wallet('eth_chainId')) !== BigInt(claim.chain_id)) return false;
    return schemeOf(await wallet('eth_getCode', [claim.payer, 'latest'])) === 2;
  } catch {
    return false; // as the payer says
  }
}

async function fileByHand() {
  const claim = manualClaim();
  const proof = proofOf($('signature').value);
  claim.scheme = proof && (proof.length > 132 || await isContract(claim)) ? 2 : 1;
  if (claim.scheme === 2) wantContracts();
  else if (!proof || !isKeyProof(proof)) throw new Error('the signature has 65 bytes (or 64): 0x and 130 (or 128) digits; that of a contract wallet may have any number');
  const entry = { claim, proof };
  keep(entry);
  try {
    await file(entry);
  } catch (error) {
    if (error.status === 403 && claim.scheme === 1 && takesContracts()) error.message += '; if it is a contract wallet, say so above';
    throw error;
  }
}

let isRunning = false;

async function run(work) {
  if (isRunning) return;
  isRunning = true;
  problem('');
  document.querySelectorAll('button').forEach((b) => { b.disabled = true; });
  try {
    await work();
  } catch (error) {
    $('state').hidden = true;
    problem(error.code === 4001 ? 'The wallet says no. Nothing more was done; what was paid stays in the list above.' : error.message);
  } finally {
    isRunning = false;
    document.querySelectorAll('button').forEach((b) => { b.disabled = false; });
    showKept();
    showSum();
  }
}

// ---- the page ----

function showOptions() {
  $('option').replaceChildren(...offer.options.map((o, i) => new Option(`${o.symbol} on ${CHAINS[o.chain_id] ?? `chain ${o.chain_id}`}`, i)));
  $('option-label').hidden = offer.options.length < 2;
  showOffer();
}

async function start() {
  try {
    offer = await getOffer();
  } catch (error) {
    problem(`There is no offer to show: ${error.message}. Load the page again in a moment.`);
    return;
  }
  next = await getNext();
  showKept();
  if (offer.flags & 1) $('lead').textContent = 'Service is free now: nothing needs to be paid.';
  if (offer.options.length === 0) return;
  $('node').value = new URLSearchParams(location.search).get('node') ?? '';
  ['offer', 'choose', 'pay'].forEach((id) => { $(id).hidden = false; });
  showOptions();
  $('wallet-none').hidden = Boolean(window.ethereum);
  $('wallet').hidden = !window.ethereum;
  $('other').open = !window.ethereum;
  $('option').onchange = showOffer;
  ['node', 'units', 'payer', 'tx'].forEach((id) => { $(id).oninput = showSum; });
  $('wallet').onclick = () => run(payWithWallet);
  $('file').onclick = () => run(fileByHand);
  $('copy').onclick = async () => {
    $('text').select();
    await navigator.clipboard?.writeText($('text').value);
  };
}

await start();
