/*
 * What the operator sees and changes in a server that runs, and what the user
 * is told before paying it: alarms of
 * finality (payments.md §11), the mode over restarts, orders and their
 * reasons, peers, the log level.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon, run, runOk, tempDir, until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { PRICE, Shop, keyFile, newNode } from './paying.mjs'
import { JsPeer, sleep } from './peer.mjs'

test('an alarm of finality is shown, survives a restart, and is acknowledged', async (t) => {
	const shop = await Shop.startOnSteps(t)
	const { chain } = shop
	const [, alice] = chain.accounts
	const data = join(shop.daemon.dir, 'data')
	assert.deepEqual(await shop.admin('alarms'), [])
	assert.equal((await shop.daemon.http('/readyz')).body, 'ready\n')
	assert.equal(await shop.daemon.metric('mailpay_finality_alarm'), 0)

	const alarm = await shop.changeFinal(alice)
	assert.equal(alarm.chain, 'dev')
	assert.match(alarm.what, /finalized block has changed/)

	await shop.daemon.restart()
	assert.deepEqual(await shop.admin('alarms'), [alarm])
	assert.match(shop.daemon.stderr, /had changed before the start/)
	assert.match((await shop.daemon.http('/readyz')).body, /nothing is credited.*admin alarms/)
	assert.equal(await shop.daemon.metric('mailpay_finality_alarm', 'chain="dev"'), 1)
	assert.equal((await shop.admin('stats')).alarms, 1)
	await shop.waitOffer()
	chain.tick()
	const tx = await shop.pay(alice, PRICE)
	const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
	await sleep(5000)
	assert.doesNotMatch((await shop.status(id)).state, /active|settled|rejected/)

	const silent = await run(['admin', 'acknowledge', '--datadir', data])
	assert.equal(silent.code, 1)
	assert.match(silent.stderr, /reason/)
	const other = await run(['admin', 'acknowledge', 'mainnet', '--datadir', data, '--reason', 'no'])
	assert.equal(other.code, 1)
	assert.equal((await shop.admin('alarms')).length, 1)
	assert.deepEqual(await shop.admin('acknowledge', 'dev', '--reason', 'the test did it'), [])
	await shop.wait(id, ['active', 'settled'])
	assert.equal((await shop.daemon.http('/readyz')).body, 'ready\n')
	await until('the gauge', async () => await shop.daemon.metric('mailpay_finality_alarm') === 0)
	const orders = await shop.admin('orders')
	assert.deepEqual(orders.map((o) => o.order), ['alarm', 'acknowledge'])
	assert.equal(orders[1].reason, 'the test did it')
	await chain.hold()
	await shop.daemon.restart()
	assert.deepEqual(await shop.admin('alarms'), [])
	await shop.daemon.stop()
	await shop.fsck()
})

test('the last word about the mode counts, over restarts', async (t) => {
	const shop = await Shop.start(t)
	const data = join(shop.daemon.dir, 'data')
	const refused = await run(['admin', 'mode', 'free', '--datadir', data])
	assert.equal(refused.code, 1)
	assert.match(refused.stderr, /reason/)
	await shop.admin('mode', 'free', '--reason', 'a feast')
	assert.match(shop.daemon.stderr, /event=order .*order="mode free" reason="a feast"/)
	await shop.daemon.restart()
	assert.match(shop.daemon.stderr, /the mode is the operator's.*mode=free.*settings=paid/)
	let mode = await shop.admin('mode')
	assert.equal(mode.mode, 'free')
	assert.equal(mode.settings, 'paid')
	assert.equal(mode.reason, 'a feast')
	/* The settings speak anew. */
	shop.daemon.options.config = shop.daemon.options.config.replace('mode: paid', 'mode: audit')
	await shop.daemon.restart()
	assert.match(shop.daemon.stderr, /the mode is that of the settings again/)
	mode = await shop.admin('mode')
	assert.equal(mode.mode, 'audit')
	assert.equal(mode.settings, 'audit')
	const orders = await shop.admin('orders')
	assert.deepEqual(orders.map((o) => [o.order, o.reason]), [
		['mode free', 'a feast'], ['mode audit', 'payments.mode has changed in the settings']])
	const shown = await runOk(['admin', 'orders', '--datadir', data])
	assert.match(shown.stdout, /event +at +order +reason/)
	assert.match(shown.stdout, /mode free +a feast/)
	await shop.daemon.stop()
	await shop.fsck()
})

test('a server that is free is made paid without a restart, when it has something to sell', async (t) => {
	const plain = await Daemon.start(t)
	const refused = await run(['admin', 'mode', 'paid', '--reason', 'money', '--datadir', join(plain.dir, 'data')])
	assert.equal(refused.code, 1)
	assert.match(refused.stderr, /nothing is for sale.*chain.*option.*restart/)

	const shop = await Shop.start(t, { payments: { mode: 'free' } })
	const [, alice] = shop.chain.accounts
	await shop.fund(alice)
	const key = keyFile(t)
	const fetched = async () => (await run(['fetch', shop.daemon.enode, '--nodekey', key.path])).code
	const flags = async (wanted) => until(`flags ${wanted}`, async () => (await shop.waitOffer()).decoded.flags === wanted)
	const [free, paid] = [3, 2]
	assert.equal(shop.offer.decoded.flags, free)
	assert.equal(await fetched(), 0)
	await shop.admin('mode', 'paid', '--reason', 'money')
	await flags(paid)
	assert.equal(await fetched(), 3)
	await shop.buy(alice, key.node)
	assert.equal(await fetched(), 0)
	await shop.admin('entitlements', 'suspend', key.node, '--reason', 'a quarrel')
	assert.equal(await fetched(), 3)
	await shop.admin('mode', 'free', '--reason', 'a feast')
	await flags(free)
	assert.equal(await fetched(), 0)
})

test('peers are listed from every ring, and the log level changes at run time', async (t) => {
	const daemon = await Daemon.start(t, { config: 'net:\n  rings: 4\n' })
	const data = join(daemon.dir, 'data')
	const admin = async (...args) => JSON.parse((await runOk(['admin', '--json', '--datadir', data, ...args])).stdout)
	assert.deepEqual(await admin('peers'), { silent_rings: 0, shown: 0, peers: [] })
	const peers = Array.from({ length: 6 }, () => new JsPeer())
	t.after(() => peers.forEach((peer) => peer.close()))
	for (const peer of peers)
		await peer.connect(daemon.enode)
	await until('six peers', async () => (await admin('peers')).shown === 6)
	const { peers: list, silent_rings: silent } = await admin('peers')
	assert.equal(silent, 0)
	assert.deepEqual(list.map((p) => p.node).sort(), peers.map((p) => p.id).sort())
	for (const p of list) {
		assert.match(p.address, /^127\.0\.0\.1:\d+$/)
		assert.equal(p.direction, 'in')
		assert.equal(p.capabilities, 'shh/6 waku/1')
		assert.ok(p.read_bytes > 300 && p.sent_bytes > 300, JSON.stringify(p))
		assert.ok(Math.abs(Date.now() / 1000 - p.since) < 20)
		assert.ok(p.client.length > 0)
	}
	assert.equal((await admin('peers', '--limit', '2')).peers.length, 2)
	const shown = await runOk(['admin', 'peers', '--datadir', data])
	assert.match(shown.stdout, /address +direction +since +client/)

	/* debug tells of peers that come, info does not. */
	assert.deepEqual(await admin('log-level'), { level: 'info' })
	assert.doesNotMatch(daemon.stderr, /peer connected/)
	assert.deepEqual(await admin('log-level', 'debug'), { level: 'debug' })
	const late = new JsPeer()
	t.after(() => late.close())
	await late.connect(daemon.enode)
	await until('a debug line', async () => /peer connected/.test(daemon.stderr))
	const refused = await run(['admin', 'log-level', 'loud', '--datadir', data])
	assert.equal(refused.code, 1)
	assert.match(refused.stderr, /debug, info, unusual or broken/)
	assert.deepEqual(await admin('log-level', 'broken'), { level: 'broken' })

	/* Asked again and again while it stops: it ends in order. */
	const asking = Array.from({ length: 8 }, () => run(['admin', 'peers', '--datadir', data]))
	const end = await daemon.stop()
	assert.equal(end.code, 0)
	await Promise.all(asking)
})

test('behind a trusted proxy a source is who the proxy says, else who is connected', async (t) => {
	const shop = await Shop.start(t, {
		payments: { status_rate: 3 },
		http: { trusted_proxies: '[127.0.0.1, 10.0.0.0/8]' },
	})
	const id = '00112233445566778899aabbccddeeff'
	const ask = async (forwarded) => (await shop.http('GET', `/v1/claims/${id}`, undefined,
		forwarded ? { 'x-forwarded-for': forwarded } : {})).status
	const spend = async (forwarded) => {
		for (let i = 0; i < 3; i++)
			assert.equal(await ask(forwarded), 404)
		assert.equal(await ask(forwarded), 429)
	}
	await spend('203.0.113.9')
	/* What is written before it does not make it another source. */
	assert.equal(await ask('6.6.6.6, 203.0.113.9'), 429)
	assert.equal(await ask('6.6.6.7, 203.0.113.9, 10.9.9.9'), 429)
	await spend('6.6.6.6')
	/* IPv6 by /64; the proxy itself; what cannot be read is the proxy's. */
	await spend('2001:db8::1')
	assert.equal(await ask('2001:db8::ffff:1'), 429)
	assert.equal(await ask('2001:db8:0:1::1'), 404)
	await spend()
	assert.equal(await ask('7.7.7.7, unknown'), 429)

	/* More connections than one address may have, all through the proxy. */
	const many = await Promise.all(Array.from({ length: 40 }, (_, i) => shop.exchange(
		'GET', `/v1/claims/${id}`, undefined, { 'x-forwarded-for': `198.51.100.${i}` })))
	assert.deepEqual(many.map((answer) => answer.status), many.map(() => 404))
})

test('without the setting the header is not looked at', async (t) => {
	const shop = await Shop.start(t, { payments: { status_rate: 3 } })
	const ask = async (i) => (await shop.http('GET', '/v1/claims/00112233445566778899aabbccddeeff', undefined,
		{ 'x-forwarded-for': `203.0.113.${i}` })).status
	assert.deepEqual([await ask(1), await ask(2), await ask(3), await ask(4)], [404, 404, 404, 429])
	const refused = await run(['check-config'], {
		env: { RESTANTE_HTTP_TRUSTED_PROXIES: '10.0.0.0/8,0.0.0.0/0' },
	})
	assert.notEqual(refused.code, 0)
	assert.match(refused.stderr, /TRUSTED_PROXIES: has a prefix that is none/)
})

test('an offer is compared with the contract and with what was paid before', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const shop = await Shop.start(t, { chain })
	const [, alice] = chain.accounts
	await shop.fund(alice)
	const home = tempDir(t)
	const payees = join(home, 'restante', 'payees')
	const env = { XDG_DATA_HOME: home }
	const offer = (...args) => run(['offer', shop.url, ...args], { env })

	/* The contract is asked, and agrees. */
	const first = await offer('--rpc', chain.url)
	assert.equal(first.code, 0, first.stderr)
	assert.match(first.stdout, /decimals +18, as the token has/)
	assert.doesNotMatch(first.stdout + first.stderr, /WARNING/)
	assert.match(readFileSync(payees, 'utf8'), new RegExp(`^${shop.server} ${shop.chainId} [0-9a-f]{40} ${shop.payee.slice(2).toLowerCase()} seen \\d+\n$`))
	assert.match((await offer()).stdout, /decimals +18, as the offer says/)

	/* An endpoint that is away, or of another chain, is said to be no check. */
	assert.match((await offer('--rpc', 'http://127.0.0.1:1')).stdout, /WARNING +the token was not checked/)
	const other = await Chain.start(t, { chainId: 4242 })
	assert.match((await offer('--rpc', other.url)).stdout, /WARNING +the endpoint is a node of another chain/)

	/* Alice pays; then the payee is another one, and that is not forgotten. */
	const key = keyFile(t)
	const tx = await shop.pay(alice, PRICE)
	const body = await shop.claim({ payer: alice, node: key.node, tx })
	await runOk(['claim', shop.url, '--tx', tx, '--payer', alice, '--node', key.node, '--signature', body.proof, '--until', 'filed'], { env })
	assert.match(readFileSync(payees, 'utf8'), / paid \d+\n$/)
	const second = chain.accounts[7]
	shop.daemon.options.config = shop.daemon.options.config.replace(shop.payee, second)
	await shop.daemon.restart()
	await until('the new payee', async () => {
		const { json } = await shop.http('GET', '/v1/offer')
		return JSON.stringify(json).includes(second.slice(2).toLowerCase())
	}, 30000)
	for (let i = 0; i < 2; i++)
		assert.match((await offer()).stdout, new RegExp(`WARNING +the payee is another one than you paid on .*0x${shop.payee.slice(2).toLowerCase()}`))
	const asJson = await offer('--json')
	assert.match(asJson.stderr, /WARNING: option 1: the payee is another one/)
	JSON.parse(asJson.stdout)

	/* A file that is none of ours is not overwritten. */
	writeFileSync(payees, 'a shopping list\n')
	const spoilt = await offer()
	assert.equal(spoilt.code, 0)
	assert.match(spoilt.stderr, /payees are not remembered/)
	assert.equal(readFileSync(payees, 'utf8'), 'a shopping list\n')
})

test('the canary tells a server that wants to be paid from one that is ill', async (t) => {
	const shop = await Shop.start(t)
	const { daemon } = shop
	const key = keyFile(t)
	const sing = (...args) => run(['canary', daemon.enode, '--json', ...args])
	const denied = await sing('--nodekey', key.path)
	assert.equal(denied.code, 3)
	assert.match(denied.stderr, /payment required/)
	assert.match(denied.stderr, /not entitled to history/)
	const told = JSON.parse(denied.stdout)
	assert.equal(told.ok, false)
	assert.equal(told.payment_required, true)
	assert.equal(told.posted, 3)
	assert.equal((await run(['fetch', daemon.enode, '--nodekey', key.path])).code, 3)

	await shop.admin('entitlements', 'grant', key.node, '--for', '1h', '--reason', 'it watches over us')
	const allowed = await sing('--nodekey', key.path)
	assert.equal(allowed.code, 0, allowed.stderr)
	assert.deepEqual([JSON.parse(allowed.stdout).ok, JSON.parse(allowed.stdout).payment_required], [true, false])
	/* Any other node is still asked to pay, and a dead server is another thing. */
	assert.equal((await sing()).code, 3)
	await daemon.stop()
	assert.equal((await sing('--nodekey', key.path, '--timeout', '3s')).code, 1)
})
