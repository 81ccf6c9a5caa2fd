/*
 * Row 27 of payments.md §21: the server is killed at any moment. Afterwards the
 * six invariants hold, every payment is credited exactly once, and nobody lost
 * what was paid for.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { sleep } from './peer.mjs'
import { LONG } from './harness.mjs'
import { Chain } from './chain.mjs'
import { fileAnyhow } from './crashing.mjs'
import { PRICE, Shop, newNode } from './paying.mjs'

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
		const answered = []
		fresh.forEach((body) => shop.post(body).then(({ json }) => json?.claim_id && answered.push(json.claim_id)).catch(() => {}))
		await sleep(Math.random() * 2500)
		await shop.daemon.kill()
		await shop.fsck()
		await shop.daemon.up()
		/* What was answered is there, without being filed again. */
		for (const id of answered)
			await shop.status(id)
	}
	/* One by one: an address has no more than sixteen connections. */
	for (const body of bodies)
		assert.equal((await shop.wait(await fileAnyhow(shop, body), 'settled', 90000)).units, 1)
	const stats = await shop.admin('stats')
	assert.equal(stats.units_sold, bodies.length)
	assert.equal(stats.received.reduce((sum, row) => sum + BigInt(row.value), 0n), BigInt(bodies.length) * PRICE)
	await shop.daemon.stop()
	await shop.fsck()
})
