/*
 * Endpoints that fail (payments.md §15.3; rows 20 and 21 of §21): every fault
 * only delays, and when it ends the same claim goes on.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { sleep } from './peer.mjs'
import { LONG } from './harness.mjs'
import { Chain } from './chain.mjs'
import { Proxy } from './proxy.mjs'
import { PRICE, Shop, newNode } from './paying.mjs'

const FAULTS = [
	{ kind: 'reset' }, { kind: 'truncate' }, { kind: 'delay', ms: 12000 }, { kind: 'hang' },
	{ kind: 'status', code: 429, headers: { 'retry-after': '1' } }, { kind: 'status', code: 500 }, { kind: 'status', code: 502 },
	{ kind: 'error', code: -32005, message: 'limit exceeded' }, { kind: 'error', code: -32097 },
	{ kind: 'error', code: -32000, message: 'transaction indexing is in progress' },
	{ kind: 'error', code: -32000, message: 'header not found' }, { kind: 'error', code: -32001, message: 'resource not found' },
	{ kind: 'error', code: -32602, message: 'invalid params' },
	{ kind: 'garbage' }, { kind: 'id' }, { kind: 'twice' }, { kind: 'missing' }, { kind: 'null' },
	{ kind: 'giant', bytes: 9 << 20 }, { kind: 'deep', depth: 100000 }, { kind: 'down' },
	{ kind: 'reorder', isHarmless: true }, { kind: 'nobatch', isHarmless: true },
]

const nameOf = (fault) => [fault.kind, fault.code, fault.message].filter(Boolean).join(' ')

/* A fault may open a breaker for half a minute: so several servers at once. */
const LANES = 4

async function lane(t, chain, payer, faults) {
	const proxy = await Proxy.start(t, chain.url)
	const shop = await Shop.start(t, { chain, urls: [proxy.url], payments: { pending_max: '1h' } })
	const file = async () => {
		const tx = await shop.pay(payer, PRICE)
		return shop.file(await shop.claim({ payer, node: newNode(), tx }))
	}
	const goesOn = async (id) =>
		assert.equal((await shop.wait(id, ['active', 'settled', 'rejected'], 90000)).units, 1)
	await shop.fund(payer)
	for (const fault of faults)
		await t.test(nameOf(fault), async () => {
			if (fault.kind === 'down')
				await proxy.down()
			else
				proxy.fault = fault
			const id = await file()
			if (!fault.isHarmless) {
				await sleep(2500)
				assert.doesNotMatch((await shop.status(id)).state, /rejected|active|settled/)
				proxy.fault = undefined
				if (fault.kind === 'down')
					await proxy.up()
			}
			await goesOn(id)
			proxy.fault = undefined
		})
	await shop.daemon.stop()
	await shop.fsck()
}

test('20, 21 every fault only delays', { timeout: 230000, concurrency: LANES }, async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const faults = LONG ? FAULTS : FAULTS.filter((f, i) => i % 2 === 0 || f.isHarmless || f.kind === 'down')
	await Promise.all(Array.from({ length: LANES }, (_, i) =>
		lane(t, chain, chain.accounts[1 + i], faults.filter((_f, at) => at % LANES === i))))
})
