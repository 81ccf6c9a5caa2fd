/*
 * Row 27 of payments.md §21: the server is killed before and after the transactions
 * that take a payment back.
 * Afterwards the six invariants hold, every payment is credited exactly once,
 * and nobody lost what was paid for.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { comeBack, fileAnyhow, killedAt } from './crashing.mjs'
import { PRICE, Shop, newNode, transfer } from './paying.mjs'

/* Each has a chain and a server of its own and mostly waits: all at once. */
test('killed where a payment leaves the chain', { timeout: 200000, concurrency: 4 }, async (t) => {
	await Promise.all(['T5-before', 'T5-after', 'T6-before', 'T6-after'].map((point) =>
		t.test(point, async (t2) => {
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
			await chain.mine(2)
			const id = await shop.file(body)
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
			await chain.waitReceipt(tx)
			await fileAnyhow(shop, body)
			await shop.admin('claims', 'recheck', id, '--reason', 'she says that it is mined')
			assert.equal((await shop.wait(id, ['active', 'settled'], 60000)).units, 1)
			await shop.daemon.stop()
			await shop.fsck()
		})))
})
