/*
 * Row 3 of payments.md §21: a payer signs for two nodes. Both claims are filed
 * at the same moment, for many payments at once; of each pair exactly one is
 * credited, and the ledger has each payment once.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Chain } from './chain.mjs'
import { PRICE, Shop, claimText, newNode, transfer } from './paying.mjs'

const ROUNDS = 1000
const ACTIVATE = 400
const ENDS = ['active', 'settled', 'rejected']
/* An address has sixteen connections. */
const LANES = 14

async function each(list, lanes, one) {
	const left = [...list]
	await Promise.all(Array.from({ length: lanes }, async () => {
		while (left.length > 0)
			await one(left.shift())
	}))
}

/* Ask the chain for all of it, some hundred to a batch. */
async function ask(chain, calls) {
	const answers = []
	for (let at = 0; at < calls.length; at += 200)
		answers.push(...await chain.batch(calls.slice(at, at + 200)))
	return answers
}

/* So many payments in blocks, each with two claims that are signed. */
async function payAll({ chain, shop, payer, rounds }) {
	const nonce = Number(await chain.rpc('eth_getTransactionCount', payer, 'latest'))
	const hashes = await ask(chain, Array.from({ length: rounds }, (_, i) => ['eth_sendTransaction', {
		from: payer, to: shop.token, data: transfer(shop.payee, PRICE), gas: '0x30000', nonce: `0x${(nonce + i).toString(16)}`,
	}]))
	const bodies = hashes.flatMap((tx) => [newNode(), newNode()].map((node) => ({
		version: 1, scheme: 1, node, chain_id: shop.chainId, token: shop.token.toLowerCase(), payee: shop.payee.toLowerCase(),
		payer: payer.toLowerCase(), tx, transfer: 0, offer: shop.offer.offer_hash,
	})))
	const proofs = await ask(chain, bodies.map((body) => ['personal_sign',
		`0x${Buffer.from(claimText({ server: shop.server, ...body })).toString('hex')}`, payer]))
	bodies.forEach((body, i) => { body.proof = proofs[i] })
	const last = hashes.at(-1)
	while (!await chain.receipt(last))
		await chain.mine()
	return hashes.map((tx, i) => ({ tx, bodies: bodies.slice(2 * i, 2 * i + 2) }))
}

/* Both at once; who comes too late is told so, or has an id. */
async function fileBoth(shop, pair) {
	pair.ends = await Promise.all(pair.bodies.map(async (body) => {
		const { status, json } = await shop.post(body)
		if (status === 409) {
			assert.equal(json.error, 'already_credited')
			return { state: 'rejected', reason: json.error }
		}
		assert.equal(status, 202, JSON.stringify(json))
		return { id: json.claim_id }
	}))
}

async function followBoth(shop, pair) {
	pair.ends = await Promise.all(pair.ends.map((end) => (end.id ? shop.wait(end.id, ENDS, 240000) : end)))
	const lost = pair.ends.filter((end) => end.state === 'rejected')
	assert.equal(lost.length, 1)
	assert.equal(lost[0].reason, 'already_credited')
	assert.equal(pair.ends.find((end) => end.state !== 'rejected').units, 1)
	/* Who files it anew for a third is told at once. */
	const [body] = pair.bodies
	const late = await shop.post({ ...body, node: pair.third, proof: pair.proof })
	assert.equal(late.status, 409)
	assert.equal(late.json.error, 'already_credited')
}

test(`3 one payment, two nodes, ${ROUNDS} times: exactly one`, async (t) => {
	const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
	await chain.mine(20)
	const token = await chain.deploy('MiniMe')
	const [owner, alice] = chain.accounts
	await chain.act(owner, token, transfer(alice, BigInt(ROUNDS) * PRICE))
	chain.tick(1000)
	const shop = await Shop.start(t, {
		chain, token, option: { activate: ACTIVATE, settle: ACTIVATE },
		payments: { open_per_payer: 100000, open_per_source: 100000 },
	})
	const began = Date.now()
	const third = async (pair) => {
		pair.third = newNode()
		pair.proof = (await shop.claim({ payer: alice, node: pair.third, tx: pair.tx })).proof
	}
	const all = []
	await t.test('all become ripe in the same block', async () => {
		const pairs = await payAll({ chain, shop, payer: alice, rounds: ROUNDS / 2 })
		await each(pairs, LANES / 2, (pair) => fileBoth(shop, pair))
		await each(pairs, 8, third)
		assert.ok(pairs.every((pair) => pair.ends.every((end) => end.id)))
		await chain.mine(ACTIVATE)
		await each(pairs, LANES / 2, (pair) => followBoth(shop, pair))
		all.push(...pairs)
	})
	await t.test('all are ripe when they are filed', async () => {
		const pairs = await payAll({ chain, shop, payer: alice, rounds: ROUNDS / 2 })
		await chain.mine(ACTIVATE)
		await each(pairs, 8, third)
		await each(pairs, LANES / 2, (pair) => fileBoth(shop, pair))
		await each(pairs, LANES / 2, (pair) => followBoth(shop, pair))
		all.push(...pairs)
	})
	t.diagnostic(`${all.length} rounds in ${Math.round((Date.now() - began) / 1000)} s`)
	assert.equal(all.length, ROUNDS)
	const stats = await shop.admin('stats')
	assert.equal(stats.units_sold, ROUNDS)
	assert.equal(stats.received.reduce((sum, row) => sum + BigInt(row.value), 0n), BigInt(ROUNDS) * PRICE)
	await chain.hold()
	await shop.daemon.stop()
	await shop.fsck()
})
