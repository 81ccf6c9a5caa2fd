/*
 * Row 27 of payments.md §21: the server is killed before and after each of its
 * transactions (T5 and T6 in crash-reorg).
 * Afterwards the six invariants hold, every payment is credited exactly once,
 * and nobody lost what was paid for.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { JsPeer, sleep } from './peer.mjs'
import { until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { comeBack, fileAnyhow, killedAt } from './crashing.mjs'
import { PRICE, Shop, keyFile, transfer } from './paying.mjs'

const points = [1, 2, 3, 4, 7, 8].flatMap((n) => [`T${n}-before`, `T${n}-after`])

/* The first request after the paid time has the rest converted. */
async function askAfterExpiry(t, shop, key, id) {
	const { expiry } = await shop.wait(id, ['active', 'settled'])
	const js = new JsPeer({ key: Buffer.from(key, 'hex') })
	t.after(() => js.close())
	const { waku } = await js.connect(shop.daemon.enode)
	await sleep(Math.max(0, (expiry + 1) * 1000 - Date.now()))
	waku.page({ topics: ['01020304'] }).catch(() => {})
}

/* Each has a server of its own and mostly waits: some at once. */
test('killed at its kill points', { timeout: 235000, concurrency: 5 }, async (t) => {
	const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
	const [owner, alice, poor] = chain.accounts
	const token = await chain.deploy('MiniMe')
	await chain.act(owner, token, transfer(alice, 1000n * PRICE))
	chain.tick()
	await Promise.all(points.map((point) =>
		t.test(point, async (t2) => {
			/* T8 converts what was paid above the cap, when the paid time is over. */
			const isConverted = point.startsWith('T8')
			const shop = await Shop.start(t2, {
				chain, token, env: { RESTANTE_KILL: point },
				option: { settle: 6, ...(isConverted ? { unit: '2s', max_units: 1 } : {}) },
			})
			const { privateKey, node } = keyFile(t2)
			/* T7 is a rejection: the transfer above a balance. */
			const payer = point.startsWith('T7') ? poor : alice
			const tx = await shop.pay(payer, isConverted ? 2n * PRICE : PRICE)
			const body = await shop.claim({ payer, node, tx })
			/* T2 is the first look, at one that is not mined. */
			if (!/T[12]/.test(point))
				await chain.waitReceipt(tx)
			const answer = await shop.post(body).catch(() => {})
			if (isConverted)
				await askAfterExpiry(t2, shop, privateKey, answer.json.claim_id)
			await killedAt(shop)
			await comeBack(shop)
			/* What was answered is there, without being filed again. */
			if (answer?.json?.claim_id)
				await shop.status(answer.json.claim_id)
			const id = await fileAnyhow(shop, body)
			const end = await shop.wait(id, payer === poor ? 'rejected' : 'settled', 60000)
			if (payer === alice) {
				const { ledger } = await until('all entries', async () => {
					const shown = await shop.admin('entitlements', 'show', node)
					return (!isConverted || shown.ledger.length > 1) && shown
				})
				assert.deepEqual(ledger.map((entry) => [entry.type, entry.units, entry.void]),
					[['credit', 1, false], ...(isConverted ? [['convert', 1, false]] : [])])
				assert.equal(end.units, 1)
			}
			await shop.daemon.stop()
			await shop.fsck()
		})))
})
