/*
 * Endpoints that fail (payments.md §15.3; rows 20 and 21 of §21): every fault
 * only delays, and when it ends the same claim goes on. The time for a request
 * is two seconds here, the first rest of an endpoint one.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { sleep } from './peer.mjs'
import { until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { Proxy } from './proxy.mjs'
import { PRICE, Shop, newNode } from './paying.mjs'
import { several } from './several.mjs'

const test = several('endpoints', 6)
const chainSettings = { timeout: '2s' }

const FAULTS = [
	{ kind: 'reset' }, { kind: 'truncate' }, { kind: 'delay', ms: 3000 }, { kind: 'hang' },
	{ kind: 'status', code: 429, headers: { 'retry-after': '1' } }, { kind: 'status', code: 500 }, { kind: 'status', code: 502 },
	{ kind: 'error', code: -32005, message: 'limit exceeded' }, { kind: 'error', code: -32097 },
	{ kind: 'error', code: -32000, message: 'daily request limit reached' }, { kind: 'error', code: -32000, message: 'rate exceeded' },
	{ kind: 'error', code: -32000, message: 'transaction indexing is in progress' }, { kind: 'error', code: -32000, message: 'anything else' },
	{ kind: 'error', code: -32000, message: 'header not found' }, { kind: 'error', code: -32001, message: 'resource not found' },
	{ kind: 'error', code: -32602, message: 'invalid params' },
	{ kind: 'garbage' }, { kind: 'id' }, { kind: 'twice' }, { kind: 'missing' }, { kind: 'null' },
	{ kind: 'giant', bytes: 9 << 20 }, { kind: 'deep', depth: 100000 }, { kind: 'buried', depth: 40 },
	{ kind: 'down' },
	{ kind: 'reorder', isHarmless: true }, { kind: 'nobatch', isHarmless: true },
]

const nameOf = (fault) => [fault.kind, fault.code, fault.message].filter(Boolean).join(' ')

/* A fault may open a breaker for half a minute: so several servers at once. */
const LANES = 4

async function lane(t, chain, payer, faults) {
	const proxy = await Proxy.start(t, chain.url)
	const shop = await Shop.start(t, { chain, chainSettings, urls: [proxy.url], payments: { pending_max: '1h' } })
	/* Filed when it is mined: what is pending is not looked at again at once, fault or none. */
	const file = async () => {
		const tx = await shop.pay(payer, PRICE)
		await chain.waitReceipt(tx)
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
	await Promise.all(Array.from({ length: LANES }, (_, i) =>
		lane(t, chain, chain.accounts[1 + i], FAULTS.filter((_f, at) => at % LANES === i))))
})

/* A shop with one endpoint that stays out once it was; only a start has it asked again. */
async function outUntilRestart(t, fault, words) {
	const chain = await Chain.start(t, { mining: 1 })
	const alice = chain.accounts[1]
	const proxy = await Proxy.start(t, chain.url)
	const shop = await Shop.start(t, { chain, chainSettings, urls: [proxy.url] })
	const asked = () => (fault.methods ? proxy.calls.filter((method) => fault.methods.includes(method)).length : proxy.requests)
	await shop.fund(alice)
	proxy.fault = fault
	const tx = await shop.pay(alice, PRICE)
	const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
	await until('the alarm', () => words.test(shop.daemon.stderr), 20000)
	await sleep(500)
	const before = asked()
	proxy.fault = undefined
	await sleep(3000)
	assert.equal(asked(), before)
	assert.doesNotMatch((await shop.status(id)).state, /rejected|active|settled/)
	await shop.daemon.restart()
	assert.equal((await shop.wait(id, ['active', 'settled', 'rejected'])).units, 1)
	await shop.daemon.stop()
	await shop.fsck()
}

for (const code of [401, 403])
	test(`20 credentials that are refused with ${code}: out, with an alarm`, (t) =>
		outUntilRestart(t, { kind: 'status', code }, /level=broken event="endpoint refuses our credentials".* status=40[13]/))

test('20 a method that is missing is remembered, and nothing is rejected for it', (t) =>
	outUntilRestart(t, { kind: 'error', code: -32601, message: 'the method does not exist', methods: ['eth_getTransactionReceipt'] },
		/endpoint lacks a method.*eth_getTransactionReceipt/))

test('20 a policy that the chain has no tag for is not offered', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const proxy = await Proxy.start(t, chain.url)
	for (const lack of [{ result: null }, { error: { code: -32000, message: 'finalized block not found' } }]) {
		proxy.change = (asked, answer) => (asked?.params?.[0] === 'finalized' ? { jsonrpc: '2.0', id: answer.id, ...lack } : answer)
		const shop = await Shop.start(t, { chain, chainSettings, urls: [proxy.url], noOffer: true })
		await until('the refusal', () => /a policy needs the tag finalized/.test(shop.daemon.stderr), 20000)
		assert.equal((await shop.http('GET', '/v1/offer')).status, 503)
		await shop.daemon.stop()
		const other = await Shop.start(t, { chain, chainSettings, urls: [proxy.url], option: { settle: 4 } })
		const alice = chain.accounts[1]
		await other.fund(alice)
		assert.equal((await other.buy(alice, newNode(), PRICE, 'settled')).units, 1)
		await other.daemon.stop()
	}
})

test('20 the next one is asked: of five, one is away and one has a certificate that nobody signed', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const alice = chain.accounts[1]
	const proxies = await Promise.all([0, 1, 2, 3].map(() => Proxy.start(t, chain.url)))
	const pem = readFileSync(new URL('selfsigned.pem', import.meta.url))
	const seen = { connections: 0, requests: 0 }
	const tls = createServer({ key: pem, cert: pem }, (req, res) => {
		seen.requests++
		req.pipe(res)
	})
	tls.on('connection', () => { seen.connections++ })
	tls.on('tlsClientError', () => {})
	await new Promise((resolve) => tls.listen(0, '127.0.0.1', resolve))
	t.after(() => tls.close())
	await proxies[0].down()
	const shop = await Shop.start(t, {
		chain, chainSettings: { ...chainSettings, quorum: 3 },
		endpoints: [
			{ url: `https://127.0.0.1:${tls.address().port}`, header: '"Authorization: Bearer secret"' },
			...proxies.map(({ url }) => ({ url })),
		],
	})
	await shop.fund(alice)
	assert.equal((await shop.buy(alice, newNode())).units, 1)
	await until('both at rest', () => [0, 1].every((i) =>
		new RegExp(`endpoint given a rest" endpoint=dev/${i}`).test(shop.daemon.stderr)), 20000)
	const [seenNow] = await shop.admin('chains')
	assert.equal(seenNow.endpoints_good, 3)
	assert.deepEqual(seenNow.away, ['dev/0', 'dev/1'])
	assert.ok(seen.connections > 0)
	assert.equal(seen.requests, 0)
	await proxies[0].up()
	await until('it is in use again', async () => (await shop.admin('chains'))[0].endpoints_good === 4, 40000)
	assert.equal((await shop.buy(alice, newNode())).units, 1)
	await shop.daemon.stop()
	await shop.fsck()
})
