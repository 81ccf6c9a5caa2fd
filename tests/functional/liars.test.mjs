/*
 * Endpoints that lie, hide, exaggerate and lead astray (payments.md §15; rows
 * 5, 17, 18, 19 and 22 of §21): none of it credits a payment wrongly or loses
 * one.
 */
import assert from 'node:assert/strict'
import { sleep } from './peer.mjs'
import { until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { Proxy, changeHead, changeReceipt } from './proxy.mjs'
import { PRICE, Shop, newNode } from './paying.mjs'
import { several } from './several.mjs'

const test = several('liars', 3)

test('5 an endpoint of another chain is out', async (t) => {
	const other = await Chain.start(t, { mining: 1, chainId: 999 })
	const chain = await Chain.start(t, { mining: 1 })
	const token = await chain.deploy('MiniMe')
	await other.deploy('MiniMe')
	const alone = await Shop.start(t, { chain, token, urls: [other.url], noOffer: true })
	await sleep(4000)
	const answer = await alone.http('GET', '/v1/offer')
	assert.equal(answer.status, 503)
	assert.ok(Number(answer.headers['retry-after']) > 0)
	assert.equal((await alone.admin('chains'))[0].endpoints_good, 0)
	/* The same number, another block 0. */
	const fork = await Chain.start(t, { mining: 1, time: 1600000000 })
	await fork.deploy('MiniMe')
	const wrong = await Shop.start(t, { chain, token, urls: [fork.url], noOffer: true, chainSettings: { genesis: chain.genesis } })
	await sleep(4000)
	assert.equal((await wrong.http('GET', '/v1/offer')).status, 503)
	assert.equal((await wrong.admin('chains'))[0].endpoints_good, 0)
})

test('17, 18, 19 a liar among three is outvoted', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const alice = chain.accounts[1]
	const proxies = await Promise.all([0, 1, 2].map(() => Proxy.start(t, chain.url)))
	const shop = await Shop.start(t, { chain, urls: proxies.map((p) => p.url), chainSettings: { quorum: 2 } })
	const [liar] = proxies
	await shop.fund(alice)

	await t.test('17 a value a thousand times as large', async () => {
		liar.change = changeReceipt((receipt) => {
			for (const log of receipt.logs)
				log.data = `0x${(BigInt(log.data) * 1000n).toString(16).padStart(64, '0')}`
		})
		assert.equal((await shop.buy(alice, newNode())).units, 1)
	})
	await t.test('17 a failed status', async () => {
		liar.change = changeReceipt((receipt) => { receipt.status = '0x0' })
		assert.equal((await shop.buy(alice, newNode())).units, 1)
	})
	await t.test('17 an invented payment', async () => {
		const other = await chain.act(chain.accounts[0], chain.accounts[0], '0x')
		const honest = await chain.receipt((await shop.pay(alice, PRICE).then((tx) => chain.waitReceipt(tx))).transactionHash)
		liar.change = (asked, answer) => (asked?.method === 'eth_getTransactionReceipt' && asked.params[0] === other.transactionHash
			? { ...answer, result: { ...answer.result, logs: honest.logs } } : answer)
		const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx: other.transactionHash }))
		const end = await shop.wait(id, ['active', 'settled', 'rejected'], 60000)
		assert.equal(end.reason, 'no_transfer')
	})
	await t.test('18 a head that is a thousand blocks ahead', async () => {
		liar.change = changeHead(1000)
		const tx = await shop.pay(alice, PRICE)
		const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
		const end = await shop.wait(id, ['active', 'settled'])
		const { blockNumber } = await chain.receipt(tx)
		assert.ok(await chain.head() - Number(blockNumber) + 1 >= 2)
		assert.ok(end.confirmations < 500)
	})
	await t.test('19 one that hides and stands still', async () => {
		liar.change = undefined
		liar.fault = { kind: 'null' }
		assert.equal((await shop.buy(alice, newNode())).units, 1)
		liar.fault = undefined
		const frozen = await chain.rpc('eth_getBlockByNumber', 'latest', false)
		liar.change = (asked, answer) => (asked?.method === 'eth_getBlockByNumber' && asked.params[0] === 'latest'
			? { ...answer, result: frozen } : asked?.method === 'eth_blockNumber' ? { ...answer, result: frozen.number } : answer)
		assert.equal((await shop.buy(alice, newNode())).units, 1)
	})
	await shop.daemon.stop()
	await shop.fsck()
})

test('two of one group are one voice', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const alice = chain.accounts[1]
	const proxies = await Promise.all([0, 1, 2].map(() => Proxy.start(t, chain.url)))
	const shop = await Shop.start(t, {
		chain, chainSettings: { quorum: 2 },
		endpoints: proxies.map(({ url }, i) => ({ url, group: i < 2 ? 'company' : 'own' })),
	})
	await shop.fund(alice)
	/* Both of the company say that there is nothing; one honest voice. */
	const invent = changeReceipt((receipt) => {
		for (const log of receipt.logs)
			log.data = `0x${(BigInt(log.data) * 9n).toString(16).padStart(64, '0')}`
	})
	proxies[0].change = proxies[1].change = invent
	const tx = await shop.pay(alice, PRICE)
	const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
	await sleep(8000)
	assert.doesNotMatch((await shop.status(id)).state, /active|settled|rejected/)
	proxies[0].change = proxies[1].change = undefined
	assert.equal((await shop.wait(id, ['active', 'settled'], 60000)).units, 1)
})

test('22 no redirect is followed, no secret is logged', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const inner = await Proxy.start(t, chain.url)
	const proxy = await Proxy.start(t, chain.url)
	const token = await chain.deploy('MiniMe')
	proxy.fault = { kind: 'redirect', location: inner.url }
	const shop = await Shop.start(t, {
		chain, token, noOffer: true, logLevel: 'debug',
		endpoints: [{ url: `${proxy.url}/v3/topsecretpath`, header: '"Authorization: Bearer topsecretheader"' }],
	})
	await until('requests', () => proxy.requests >= 1, 20000)
	await sleep(1500)
	assert.equal(inner.requests, 0)
	proxy.fault = undefined
	await shop.waitOffer(60000)
	assert.ok(proxy.seen.some(({ path, headers }) =>
		path === '/v3/topsecretpath' && headers.authorization === 'Bearer topsecretheader'))
	proxy.fault = { kind: 'status', code: 500, body: 'topsecretpath topsecretheader' }
	await sleep(3000)
	assert.doesNotMatch(shop.daemon.stderr, /topsecret/)
})
