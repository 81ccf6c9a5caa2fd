/*
 * Row 27 of payments.md §21: the server is killed before and after each of its
 * transactions, and at any moment. Afterwards the six invariants hold, every
 * payment is credited exactly once, and nobody lost what was paid for.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { sleep } from './peer.mjs'
import { LONG, until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { PRICE, Shop, newNode, transfer } from './paying.mjs'

async function killedAt(shop, ms = 40000) {
	const end = await Promise.race([shop.daemon.child.exited, sleep(ms)])
	assert.equal(end?.code, 137, 'the kill point was not reached')
}

/* Come back without the kill point, whole. */
async function comeBack(shop) {
	shop.daemon.options.env = {}
	await shop.fsck()
	await shop.daemon.up()
}

/* Post until it is taken: the answer may be lost with the server. */
async function fileAnyhow(shop, body) {
	return until('a claim that is taken', async () => {
		const answer = await shop.post(body).catch(() => undefined)
		return answer?.json?.claim_id
	}, 60000)
}

const points = [1, 2, 3, 4, 7].flatMap((n) => [`T${n}-before`, `T${n}-after`])

test('killed at its kill points', { timeout: 235000 }, async (t) => {
	const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
	const [owner, alice, poor] = chain.accounts
	const token = await chain.deploy('MiniMe')
	await chain.act(owner, token, transfer(alice, 1000n * PRICE))
	chain.tick()
	for (const point of LONG ? points : points.filter((p, i) => i % 2 === 0 || /T[13]/.test(p)))
		await t.test(point, async (t2) => {
			const shop = await Shop.start(t2, { chain, token, env: { RESTANTE_KILL: point } })
			const node = newNode()
			/* T7 is a rejection: the transfer above a balance. */
			const payer = point.startsWith('T7') ? poor : alice
			const tx = await shop.pay(payer, PRICE)
			const body = await shop.claim({ payer, node, tx })
			await shop.post(body).catch(() => {})
			await killedAt(shop)
			await comeBack(shop)
			const id = await fileAnyhow(shop, body)
			const end = await shop.wait(id, payer === poor ? 'rejected' : 'settled', 60000)
			if (payer === alice) {
				const { ledger } = await shop.admin('entitlements', 'show', node)
				assert.equal(ledger.filter((entry) => !entry.void).length, 1)
				assert.equal(end.units, 1)
			}
			await shop.daemon.stop()
			await shop.fsck()
		})
})

test('killed where a payment leaves the chain', { timeout: 200000 }, async (t) => {
	for (const point of ['T5-before', 'T5-after', 'T6-before', 'T6-after'])
		await t.test(point, async (t2) => {
			const chain = await Chain.start(t2, { mining: 'none' })
			const [owner, alice] = chain.accounts
			const token = await chain.deploy('MiniMe')
			await chain.act(owner, token, transfer(alice, 1000n * PRICE))
			await chain.mine(5)
			chain.tick()
			const shop = await Shop.start(t2, { chain, token, env: { RESTANTE_KILL: point }, payments: { reorg_grace: '1s' } })
			await chain.hold()
			const node = newNode()
			const tx = await shop.pay(alice, PRICE)
			const body = await shop.claim({ payer: alice, node, tx })
			const id = await shop.file(body)
			await chain.mine(2)
			await shop.wait(id, 'active')
			const raw = await chain.raw(tx)
			const block = Number((await chain.receipt(tx)).blockNumber)
			await chain.reorg(await chain.head() - block + 1)
			chain.tick()
			await killedAt(shop)
			await comeBack(shop)
			await until('the revocation', async () =>
				(await shop.admin('entitlements', 'show', node)).ledger[0].void, 40000)
			await chain.rpc('eth_sendRawTransaction', raw)
			await fileAnyhow(shop, body)
			assert.equal((await shop.wait(id, ['active', 'settled'], 60000)).units, 1)
			await shop.daemon.stop()
			await shop.fsck()
		})
})

test('killed at any moment', { timeout: 200000 }, async (t) => {
	const chain = await Chain.start(t, { mining: 1, epoch: 1 })
	const [, alice, bob] = chain.accounts
	const shop = await Shop.start(t, { chain })
	await shop.fund(alice)
	await shop.fund(bob)
	const bodies = []
	const rounds = LONG ? 25 : 6
	for (let round = 0; round < rounds; round++) {
		const fresh = await Promise.all([alice, bob, alice].map(async (payer) => {
			const tx = await shop.pay(payer, PRICE)
			return shop.claim({ payer, node: newNode(), tx })
		}))
		bodies.push(...fresh)
		/* Some are answered, some are cut off. */
		fresh.forEach((body) => shop.post(body).catch(() => {}))
		await sleep(Math.random() * 2500)
		await shop.daemon.kill()
		await shop.fsck()
		await shop.daemon.up()
	}
	const ends = await Promise.all(bodies.map(async (body) => shop.wait(await fileAnyhow(shop, body), 'settled', 90000)))
	assert.ok(ends.every((end) => end.units === 1))
	const stats = await shop.admin('stats')
	assert.equal(stats.units_sold, bodies.length)
	assert.equal(stats.received.reduce((sum, row) => sum + BigInt(row.value), 0n), BigInt(bodies.length) * PRICE)
	await shop.daemon.stop()
	await shop.fsck()
})
