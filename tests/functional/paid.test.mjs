/*
 * The story: Alice pays for three units and is served until they and the grace
 * are over; Mallory is not; Bobby sees the money; free mode serves everybody.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import { JsPeer, makeEnvelope, now, sleep } from './peer.mjs'
import { run, runOk, until } from './harness.mjs'
import { ACCOUNT_KEYS } from './chain.mjs'
import { PRICE, Shop, SNT, claimText, keyFile } from './paying.mjs'

const UNIT_S = 15

function peer(t, options) {
	const made = new JsPeer(options)
	t.after(() => made.close())
	return made
}

/* An offer with other bytes in it, signed anew (payments.md §4.1). */
function resigned(offer, changes, privateKey) {
	let text = offer.slice(2)
	for (const change of changes)
		text = text.replaceAll(...change)
	/* A list of the content and 65 bytes. */
	const content = Buffer.from(text.slice(text.startsWith('f8') ? 4 : 6, -134), 'hex')
	const hash = keccak256(Buffer.concat([Buffer.from('mail-service-offer:1:'), content]))
	const signature = secp256k1.sign(hash, privateKey)
	return `0x${text.slice(0, -130)}${signature.toCompactHex()}0${signature.recovery}`
}

/* What a stranger to wmpay gets: the envelopes' hashes or the refusal. */
async function fetchAll(t, daemon, key, topic) {
	const js = new JsPeer({ key: Buffer.from(key, 'hex') })
	try {
		const { waku } = await js.connect(daemon.enode)
		const { envelopes } = await waku.history({ topics: [topic], from: now() - 600, to: now() + 60 })
		return { count: envelopes.length }
	} catch (err) {
		if (err.refusal)
			return { refusal: err.refusal }
		throw err
	} finally {
		js.close()
	}
}

test('Alice pays', async (t) => {
	const shop = await Shop.start(t, { option: { unit: `${UNIT_S}s`, activate: 6 } })
	const { chain, daemon } = shop
	const [, alice] = chain.accounts
	const key = keyFile(t)
	const aliceKey = keyFile(t, ACCOUNT_KEYS[1])
	const topic = '01020304'
	const envelopes = Array.from({ length: 20 }, () => makeEnvelope({ topic: Buffer.from(topic, 'hex') }))
	const gossip = await peer(t).connect(daemon.enode)
	let tx, active

	await gossip.waku.post(envelopes)
	await shop.fund(alice)

	await t.test('before she pays she is told so, and stays connected', async () => {
		const js = peer(t, { key: Buffer.from(key.privateKey, 'hex') })
		const { waku } = await js.connect(daemon.enode)
		for (let i = 0; i < 2; i++)
			await assert.rejects(waku.page({ topics: [topic], form: i ? 'sealed' : 'direct' }),
				(err) => /^payment required/.test(err.refusal))
		/* New envelopes and their confirmation are everybody's. */
		assert.deepEqual((await waku.post([makeEnvelope()])).errors, [])
		js.close()
		assert.equal(await daemon.metric('mailserver_request_errors_total', 'denied'), 2)
	})

	await t.test('the offer is the same by HTTP and by devp2p', async () => {
		const seen = []
		for (const where of [shop.url, daemon.enode]) {
			const { stdout } = await runOk(['offer', where, '--json', '--server', shop.server])
			seen.push(JSON.parse(stdout))
		}
		assert.equal(seen[0].offer, seen[1].offer)
		assert.equal(seen[0].decoded.options[0].price, `${PRICE}`)
		const { stdout } = await runOk(['offer', shop.url, '--server', shop.server, '--units', '3', '--qr', 'yes'])
		assert.match(stdout, new RegExp(`ethereum:${shop.token}@31337/transfer\\?address=${shop.payee}&uint256=${3n * PRICE}`, 'i'))
		assert.match(stdout, /100 SNT for 15 seconds/)
		assert.match(stdout, /█/)
		const wrong = await run(['offer', shop.url, '--server', key.node])
		assert.equal(wrong.code, 1)
		assert.match(wrong.stderr, /another node has signed/)
	})

	await t.test('an offer that was changed on the way is refused, and nothing is shown or sent', async () => {
		/* Somebody between them. */
		const asked = []
		const said = new Map()
		const between = createServer((req, res) => {
			asked.push(`${req.method} ${req.url}`)
			const offer = said.get(req.url)
			res.writeHead(offer ? 200 : 404, { 'content-type': 'application/json' })
			res.end(JSON.stringify({ ...shop.offer, offer }))
		})
		t.after(() => between.close())
		await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve))
		const url = `http://127.0.0.1:${between.address().port}`
		const honest = shop.offer.offer
		const swap = [shop.payee.slice(2).toLowerCase(), chain.accounts[2].slice(2).toLowerCase()]

		assert.ok(honest.includes(swap[0]))
		said.set('/v1/offer', honest.replaceAll(...swap))
		for (const words of [['offer', url], ['offer', url, '--server', shop.server],
			['claim', url, '--tx', `0x${'77'.repeat(32)}`, '--payer', alice, '--node', key.node]]) {
			const { code, stdout, stderr } = await run(words)
			assert.equal(code, 1, stderr)
			assert.match(stderr, /refused: its signature is not the server's/)
			assert.equal(stdout, '')
		}
		assert.deepEqual(new Set(asked), new Set(['GET /v1/offer']))

		/* The same for what is announced: shown if the server has signed it, and else not. */
		const { not_before: from, not_after: until } = shop.offer.decoded
		const later = [from, until].map((s) => [`84${s.toString(16)}`, `84${(s + 86400).toString(16)}`])
		const serverKey = readFileSync(join(daemon.dir, 'data', 'nodekey'), 'utf8').trim()
		said.set('/v1/offer', honest)
		for (const [next, isShown] of [[resigned(honest, later, serverKey), true],
			[resigned(honest, later, serverKey).replaceAll(...swap), false],
			[resigned(honest, [...later, [shop.server, key.node]], key.privateKey), false],
			[resigned(honest, later, key.privateKey), false], [honest, false]]) {
			said.set('/v1/offer/next', next)
			const { stdout } = await runOk(['offer', url, '--server', shop.server])
			assert.equal(/^announced: /m.test(stdout), isShown, stdout)
		}
	})

	await t.test('the text to sign is the one of the specification', async () => {
		tx = await shop.pay(alice, 3n * PRICE)
		const { stdout } = await runOk(['claim', shop.url, '--tx', tx, '--payer', alice, '--node', key.node])
		assert.equal(stdout, claimText({
			server: shop.server, node: key.node, chain_id: 31337, token: shop.token.toLowerCase(), payee: shop.payee.toLowerCase(),
			payer: alice.toLowerCase(), tx, transfer: 0, offer: shop.offer.offer_hash,
		}))
		/* A wallet signs it; a wrong signature is not even sent. */
		const bad = await run(['claim', shop.url, '--tx', tx, '--payer', alice, '--node', key.node,
			'--signature', await chain.sign(chain.accounts[2], stdout)])
		assert.equal(bad.code, 1)
		assert.match(bad.stderr, /not the payer's/)
	})

	await t.test('she claims over HTTP and watches it become active', async () => {
		const { stdout } = await runOk(['claim', shop.url, '--tx', tx, '--key-file', aliceKey.path, '--node', key.node])
		assert.match(stdout, /confirming \d\/6/)
		assert.match(stdout, /active: 3 units, paid until/)
		/* Again is safe, over devp2p as well. */
		const again = await runOk(['claim', daemon.enode, '--nodekey', key.path, '--tx', tx, '--key-file', aliceKey.path, '--json'])
		active = JSON.parse(again.stdout.trim().split('\n')[0])
		assert.match(active.state, /active|settled/)
		assert.equal(active.units, 3)
	})

	await t.test('she is served, by a node that never heard of wmpay', async () => {
		assert.deepEqual(await fetchAll(t, daemon, key.privateKey, topic), { count: 20 })
		const { stdout } = await runOk(['entitlement', daemon.enode, '--nodekey', key.path, '--json'])
		assert.equal(JSON.parse(stdout).expiry, active.expiry)
	})

	await t.test('Mallory is not, with her transaction', async () => {
		const mallory = keyFile(t)
		const malloryPays = keyFile(t, ACCOUNT_KEYS[2])
		const stolen = await run(['claim', shop.url, '--tx', tx, '--key-file', malloryPays.path, '--payer', alice, '--node', mallory.node])
		assert.equal(stolen.code, 1)
		const own = await run(['claim', shop.url, '--tx', tx, '--key-file', malloryPays.path, '--node', mallory.node])
		assert.equal(own.code, 1)
		assert.match(own.stdout, /rejected: payer_mismatch/)
		assert.match((await fetchAll(t, daemon, mallory.privateKey, topic)).refusal, /^payment required/)
	})

	await t.test('Bobby sees the money', async () => {
		const stats = await shop.admin('stats')
		assert.equal(stats.units_sold, 3)
		assert.equal(stats.active, 1)
		assert.equal(stats.received.length, 1)
		assert.equal(stats.received[0].value, `${300n * SNT}`)
		const nodes = await shop.admin('entitlements', 'list')
		assert.deepEqual(nodes.map((n) => n.node), [key.node])
		const shown = await shop.admin('entitlements', 'show', key.node)
		assert.equal(shown.ledger[0].tx, tx)
		const csv = await run(['admin', 'payments', 'export', '--csv', '--json', '--datadir', `${daemon.dir}/data`])
		assert.equal(csv.code, 0)
		assert.match(csv.stdout, new RegExp(`credit,,.*,${300n * SNT},300\\.0+,SNT,${alice},${shop.payee},${tx}`, 'i'))
	})

	await t.test('after a kill she is still served', async () => {
		await daemon.kill()
		await daemon.up()
		assert.deepEqual(await fetchAll(t, daemon, key.privateKey, topic), { count: 20 })
	})

	await t.test('after time and grace she is refused', async () => {
		await sleep(Math.max(0, (active.expiry + 2) * 1000 - Date.now()))
		await until('the end of service', async () =>
			/^payment required/.test((await fetchAll(t, daemon, key.privateKey, topic)).refusal ?? ''), 20000)
		assert.equal((await run(['entitlement', daemon.enode, '--nodekey', key.path])).code, 1)
	})

	await t.test('Bobby grants, suspends, revokes, with reasons', async () => {
		const refused = await run(['admin', 'entitlements', 'grant', key.node, '--for', '1h', '--datadir', `${daemon.dir}/data`])
		assert.equal(refused.code, 1)
		assert.match(refused.stderr, /reason/)
		await shop.admin('entitlements', 'grant', key.node, '--for', '1h', '--reason', 'a friend')
		assert.deepEqual(await fetchAll(t, daemon, key.privateKey, topic), { count: 20 })
		await shop.admin('entitlements', 'suspend', key.node, '--reason', 'too loud')
		assert.match((await fetchAll(t, daemon, key.privateKey, topic)).refusal, /^payment required/)
		await shop.admin('entitlements', 'resume', key.node, '--reason', 'quiet now')
		assert.deepEqual(await fetchAll(t, daemon, key.privateKey, topic), { count: 20 })
		await shop.admin('entitlements', 'revoke', key.node, '--reason', 'no friend')
		assert.match((await fetchAll(t, daemon, key.privateKey, topic)).refusal, /^payment required/)
	})

	await t.test('free mode serves everybody, audit counts', async () => {
		const stranger = keyFile(t)
		await shop.admin('mode', 'audit', '--reason', 'how many would be denied?')
		assert.deepEqual(await fetchAll(t, daemon, stranger.privateKey, topic), { count: 20 })
		assert.ok(await daemon.metric('mailpay_requests_total', 'would_deny') >= 1)
		await shop.admin('mode', 'free', '--reason', 'a present')
		assert.deepEqual(await fetchAll(t, daemon, stranger.privateKey, topic), { count: 20 })
		await shop.admin('mode', 'paid', '--reason', 'back to work')
		assert.match((await fetchAll(t, daemon, stranger.privateKey, topic)).refusal, /^payment required/)
	})

	await t.test('a text that was signed before the offer was renewed is good', async () => {
		const paid = await shop.pay(alice, PRICE)
		const words = ['claim', shop.url, '--tx', paid, '--payer', alice, '--node', key.node]
		const { stdout } = await runOk(words)
		const [, named] = /^Offer: (0x[0-9a-f]{64})$/m.exec(stdout)
		words.push('--signature', await chain.sign(alice, stdout))
		await shop.admin('mode', 'free', '--reason', 'the offer says so')
		await until('another offer', async () => (await shop.waitOffer()).offer_hash !== named)
		const late = await run(words)
		assert.equal(late.code, 1)
		assert.match(late.stderr, /--offer 0x/)
		assert.equal((await run([...words, '--offer', 'yesterday'])).code, 2)
		assert.match((await runOk([...words, '--offer', named])).stdout, /(active|settled): 1 unit,/)
	})

	await daemon.stop()
	await shop.fsck()
})

test('a server that sells nothing opens nothing', async (t) => {
	const { Daemon } = await import('./harness.mjs')
	const { existsSync } = await import('node:fs')
	const daemon = await Daemon.start(t)
	assert.equal(existsSync(`${daemon.dir}/data/payments`), false)
	assert.equal((await daemon.http('/v1/offer', { isPublic: true })).status, 404)
	const asked = await run(['offer', daemon.enode])
	assert.equal(asked.code, 1)
	assert.match(asked.stderr, /wmpay/)
	const admin = await run(['admin', 'stats', '--datadir', `${daemon.dir}/data`])
	assert.equal(admin.code, 1)
	assert.match(admin.stderr, /nothing is for sale/)
})
