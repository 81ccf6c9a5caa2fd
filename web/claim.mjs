// What a claim is made of, as text and numbers: the part of the payment page
// that needs no browser. Clauses are those of the payments specification.

export const STANDARD_UNITS = [
  [2592000, 'month'],
  [86400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** "3 months" of a unit in seconds (§4.1: a month is 30 days). */
export function timeText(units, unitSeconds) {
  const total = units * unitSeconds;
  const [size, name] = STANDARD_UNITS.find(([s]) => total % s === 0) ?? [1, 'second'];
  const n = total / size;
  return `${n} ${name}${n === 1 ? '' : 's'}`;
}

/** 128 lower-case digits of an enode URL or of a bare key; null if neither. */
export function nodeOf(text) {
  const match = /^\s*(?:enode:\/\/)?(?:0x)?([0-9a-fA-F]{128})(?:@\S*)?\s*$/.exec(text);
  return match ? match[1].toLowerCase() : null;
}

/** "0x" and `bytes` bytes in lower case; null if it is something else. */
export function hexOf(text, bytes) {
  const match = /^\s*0x([0-9a-fA-F]+)\s*$/.exec(text);
  return match && match[1].length === 2 * bytes ? `0x${match[1].toLowerCase()}` : null;
}

/** Base units, a decimal string or BigInt, as people write them: "1.5". */
export function amountText(amount, decimals) {
  const digits = BigInt(amount).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const part = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return part ? `${whole}.${part}` : whole;
}

/** What an announced offer will ask instead of this option (§4.4). */
export function nextText(option, next) {
  const from = new Date(next.not_before * 1000).toLocaleString();
  const then = next.options.find((o) => o.chain_id === option.chain_id && o.token === option.token);
  if (!then) return `(until ${from})`;
  return `(from ${from}: ${amountText(then.price, then.decimals)} ${then.symbol} for ${timeText(1, then.unit)})`;
}

export function total(option, units) {
  return BigInt(option.price) * BigInt(units);
}

/** The call `transfer(payee, amount)` of a token, for a wallet. */
export function transferData(payee, amount) {
  const word = (hex) => hex.padStart(64, '0');
  return `0xa9059cbb${word(payee.slice(2))}${word(BigInt(amount).toString(16))}`;
}

/** The link that hands a payment to another wallet (§4.3). */
export function paymentLink(option, units) {
  return `ethereum:${option.token}@${option.chain_id}/transfer` +
    `?address=${option.payee}&uint256=${total(option, units)}`;
}

/** The text that the payer signs, to the byte (§6.3). */
export function claimText(claim) {
  return [
    'Mail service payment claim, version 1',
    '',
    'I made the token transfer named below to pay for mail service.',
    'Credit it to this node on this server, and to no other.',
    '',
    `Server: ${claim.server}`,
    `Node: ${claim.node}`,
    `Chain: ${claim.chain_id}`,
    `Token: ${claim.token}`,
    `Payee: ${claim.payee}`,
    `Payer: ${claim.payer}`,
    `Transaction: ${claim.tx}`,
    `Transfer: ${claim.transfer}`,
    `Offer: ${claim.offer}`,
  ].join('\n');
}

/** What is sent to POST /v1/claims (§7.1). */
export function claimBody(claim, proof) {
  const { scheme, node, chain_id, token, payee, payer, tx, transfer, offer } = claim;
  return { version: 1, scheme: scheme ?? 1, node, chain_id, token, payee, payer, tx, transfer, offer, proof };
}

/** By the code at the payer's address: 2 for a contract, whose proof the chain judges (§6.4).
 * An account that only lends itself code (EIP-7702) still signs with its key. */
export function schemeOf(code) {
  return !code || code === '0x' || code.toLowerCase().startsWith('0xef0100') ? 1 : 2;
}

/** A proof in lower case (§6.3, §6.4: 1 to 4096 bytes); null if it is none. */
export function proofOf(text) {
  return /^\s*(0x(?:[0-9a-fA-F]{2}){1,4096})\s*$/.exec(text)?.[1].toLowerCase() ?? null;
}

/** May it be of a key, by its length? */
export function isKeyProof(proof) {
  return [130, 132].includes(proof.length);
}

const REASONS = {
  tx_failed: 'the transaction failed on the chain, so no token was moved',
  no_transfer: 'the transaction moved no token (perhaps the account held too little)',
  wrong_token: 'another token was paid',
  wrong_payee: 'the token went to somebody else',
  payer_mismatch: 'another account paid than the one that signed',
  bad_proof: 'the payer has not signed this claim',
  already_credited: 'this payment was credited to another claim',
  not_found: 'the transaction never came into a block; claim again when it has',
  replaced: 'another transaction took its place; claim that one',
  too_old: 'the payment was made before this server offered anything, or too long ago',
  no_option: 'nothing was offered for this token at the time; ask the operator',
  amount_overflow: 'the amount cannot be counted for this node; ask the operator',
  cancelled: 'the operator cancelled the claim',
};

/** One sentence about where a claim stands (§8). */
export function stateText(status) {
  switch (status.state) {
    case 'received':
      return 'The claim was received and is being looked at.';
    case 'pending':
      return 'The transaction is not in a block yet. That is normal for a while.';
    case 'confirming':
      return `Confirming: ${status.confirmations} of ${status.needed} blocks.`;
    case 'active':
    case 'settled': {
      const until = status.expiry ? ` until ${new Date(status.expiry * 1000).toLocaleString()}` : '';
      return `Paid. The server serves your node${until}.`;
    }
    case 'rejected':
      return `Refused: ${REASONS[status.reason] ?? status.reason ?? 'no reason was given'}.`;
    case 'reorged':
      return 'The chain dropped the block with this payment. It counts again when the payment is back in a block.';
    default:
      return `The claim is ${status.state}.`;
  }
}

/** Refused for a reason that filing it again undoes (§7). */
export function isWorthRetrying(status) {
  return status.state === 'rejected' && ['not_found', 'replaced'].includes(status.reason);
}

/** Nothing more will happen, or nothing that the payer waits for. */
export function isDone(status) {
  return ['active', 'settled', 'rejected'].includes(status.state);
}
