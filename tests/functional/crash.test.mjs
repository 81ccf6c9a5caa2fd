/*
 * Row 27 of payments.md §21: the server is killed before and after each of its
 * transactions.
 * Afterwards the six invariants hold, every payment is credited exactly once,
 * and nobody lost what was paid for.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Chain } from './chain.mjs'
import { comeBack, fileAnyhow, killedAt } from './crashing.mjs'
import { PRICE, Shop, newNode, transfer } from './paying.mjs'

const points = [1, 2, 3, 4, 7].flatMap((n) => [`T${n}-before`, `T${n}-after`])

/* Each has a server of its own and mostly waits: some at once. */
test('killed at its kill points', { timeout: 235000, concurrency: 5 }, async (t) => {
	const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
	const [owner, alice, poor] = chain.accounts
	const token = await chain.deploy('MiniMe')
	await chain.act(owner, token, transfer(alice, 1000n * PRICE))
	chain.tick()
	await Promise.all(points.map((point) =>
		t.test(point, async (t2) => {
			const shop = await Shop.start(t2, { chain, token, env: { RESTANTE_KILL: point }, option: { settle: 6 } })
			const node = newNode()
			/* T7 is a rejection: the transfer above a balance. */
			const payer = point.startsWith('T7') ? poor : alice
			const tx = await shop.pay(payer, PRICE)
			const body = await shop.claim({ payer, node, tx })
			/* T2 is the first look, at one that is not mined. */
			if (!/T[12]/.test(point))
				await chain.waitReceipt(tx)
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
		})))
})
