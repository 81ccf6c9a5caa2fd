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
	const chain = await Chain.start(t, { mining: 'none' })
	const [owner, alice] = chain.accounts
	const token = await chain.deploy('MiniMe')
	await chain.mine(3)
	chain.tick(800)
	const proxies = await Promise.all([0, 1, 2].map(() => Proxy.start(t, chain.url)))
	/* One claim in a job: of three the liar is among the first two that are asked at least once. */
	const shop = await Shop.start(t, { chain, token, urls: proxies.map((p) => p.url), chainSettings: { quorum: 2 }, payments: { batch: 1 } })
	const [liar] = proxies
	const three = (one) => Promise.all([0, 1, 2].map(one))
	/* The price of one unit, three times: the liar changes nothing. */
	const buy = () => three(async () => assert.equal((await shop.buy(alice, newNode())).units, 1))
	await shop.fund(alice)

	await t.test('17 a value a thousand times as large', async () => {
		liar.change = changeReceipt((receipt) => {
			for (const log of receipt.logs)
				log.data = `0x${(BigInt(log.data) * 1000n).toString(16).padStart(64, '0')}`
		})
		await buy()
	})
	await t.test('17 a failed status', async () => {
		liar.change = changeReceipt((receipt) => { receipt.status = '0x0' })
		await buy()
	})
	await t.test('17 an invented payment', async () => {
		const tx = await shop.pay(alice, PRICE)
		const { logs } = await chain.waitReceipt(tx)
		const others = await three(async () => chain.waitReceipt(await chain.send(owner, owner, '0x')))
		liar.change = changeReceipt((receipt) => { receipt.logs = logs })
		await Promise.all(others.map(async ({ transactionHash }) => {
			const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx: transactionHash }))
			const end = await shop.wait(id, ['active', 'settled', 'rejected'], 60000)
			assert.equal(end.reason, 'no_transfer')
		}))
	})
	await t.test('18 a head that is a thousand blocks ahead', async () => {
		await chain.hold()
		liar.change = changeHead(1000)
		const txs = await three(() => shop.pay(alice, PRICE))
		await chain.mine()
		const ids = await Promise.all(txs.map(async (tx) => shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))))
		await Promise.all(ids.map((id) => shop.wait(id, 'confirming')))
		/* One confirmation, whatever it says; a chain that stands still is not asked after ten seconds. */
		await sleep(3000)
		for (const id of ids) {
			const now = await shop.status(id)
			assert.equal(now.state, 'confirming')
			assert.equal(now.confirmations, 1)
		}
		chain.tick(800)
		await Promise.all(ids.map((id) => shop.wait(id, ['active', 'settled'])))
	})
	await t.test('19 one that hides', async () => {
		liar.change = undefined
		liar.fault = { kind: 'null' }
		await three(async () => {
			const tx = await shop.pay(alice, PRICE)
			await chain.waitReceipt(tx)
			const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
			/* Not even for a while is it unknown. */
			assert.notEqual((await shop.wait(id, ['pending', 'active', 'settled'])).state, 'pending')
		})
		liar.fault = undefined
	})
	await t.test('19 one that stands still', async () => {
		const frozen = await chain.rpc('eth_getBlockByNumber', 'latest', false)
		liar.change = (asked, answer) => (asked?.method === 'eth_getBlockByNumber' && asked.params[0] === 'latest'
			? { ...answer, result: frozen } : asked?.method === 'eth_blockNumber' ? { ...answer, result: frozen.number } : answer)
		await buy()
		/* It does not count until it moves. */
		const good = async (count) => (await shop.admin('chains'))[0].endpoints_good === count
		await until('it does not count', () => good(2), 20000)
		await buy()
		liar.change = undefined
		await until('it counts again', () => good(3), 20000)
	})
	await chain.hold()
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
