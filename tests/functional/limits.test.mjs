/*
 * Rows 4, 28 and 34 of payments.md §21: two servers with one payee, what a full
 * disk does to payments, and what a node key that is shared by many users gives
 * them.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { JsPeer, makeEnvelope, now, sleep } from './peer.mjs'
import { Daemon, join, run, tempDir, until, within } from './harness.mjs'
import { Chain } from './chain.mjs'
import { PRICE, Shop, newNode, transfer } from './paying.mjs'
import { several } from './several.mjs'

const test = several('limits', 3, { timeout: 120000 })

/* From now on no file of this process may be written beyond this: for it, a full disk. */
const limitFiles = ({ child }, bytes) => execFileSync('prlimit', ['--pid', `${child.pid}`, `--fsize=${bytes}:`])

/* Something for sale; nobody needs to answer for a server to start. */
const forSale = (payees, chainId = 31337) => `chain:
  dev:
    id: ${chainId}
    start_block: 0
    endpoints:
      - url: http://127.0.0.1:9
option:
${payees.map((payee, i) => `  - chain: dev
    token: 0x${`${i + 1}`.repeat(40)}
    symbol: SNT
    payee: ${payee}
    price: 100
`).join('')}`

/* Of this run alone: the servers of a whole machine notice each other. */
const newPayee = () => `0x${randomBytes(20).toString('hex')}`

test('4 a payee is for one server', async (t) => {
	const env = { RESTANTE_PAYMENTS_OWN_PAYEE: 'true' }
	const [payee, other] = [newPayee(), newPayee()]
	/* It holds from the first moment on, in free mode and for two tokens, too. */
	const first = await Daemon.start(t, { env, config: forSale([payee, payee]) })
	const start = async (config) => {
		const dir = tempDir(t)
		const path = join(dir, 'second.yaml')
		writeFileSync(path, config)
		return run(['serve', '--config', path, '--datadir', join(dir, 'data'), '--listen', '127.0.0.1:0',
			'--private-http', ''], { env, ms: 20000 })
	}
	const second = forSale([other, payee])

	await t.test('a second server with it is refused', async () => {
		/* Each attempt is refused, not only the first. */
		for (let i = 0; i < 2; i++) {
			const { code, stdout, stderr } = await start(second)
			assert.equal(code, 2, stderr)
			assert.equal(stdout, '')
			assert.match(stderr, new RegExp(`second\\.yaml:\\d+: option\\[1\\]\\.payee: payee ${payee} of chain 31337 is ` +
				`used by another server on this machine, process ${first.child.pid}: one payment could be claimed at both\\. ` +
				'Give each server a payee of its own'))
			assert.doesNotMatch(stderr, new RegExp(other))
		}
	})
	await t.test('with another payee, on another chain or told so it starts', async () => {
		for (const [config, own] of [[forSale([other]), 'true'], [forSale([payee], 31338), 'true'], [second, 'false']]) {
			const server = await Daemon.start(t, { env: { RESTANTE_PAYMENTS_OWN_PAYEE: own }, config })
			assert.equal((await server.stop()).code, 0)
		}
	})
	await t.test('when the first was killed the second starts', async () => {
		await first.kill()
		const server = await Daemon.start(t, { env, config: second })
		assert.equal((await start(forSale([payee]))).code, 2)
		assert.equal((await server.stop()).code, 0)
	})
})

test('4 check-config says that two servers have one payee', async (t) => {
	const dir = tempDir(t)
	const file = (name, config) => {
		writeFileSync(join(dir, name), config)
		return join(dir, name)
	}
	const [payee, other] = [newPayee(), newPayee()]
	const one = file('one.yaml', forSale([payee]))
	const two = file('two.yaml', forSale([other, payee]))
	const three = file('three.yaml', forSale([other]))
	const elsewhere = file('elsewhere.yaml', forSale([payee], 31338))
	const bad = file('bad.yaml', 'net:\n  rings: 999\n')
	const check = (...files) => run(['check-config', ...files])

	const refused = await check(one, two)
	assert.equal(refused.code, 2, refused.stderr)
	assert.match(refused.stderr, /two\.yaml:\d+: option\[1\]\.payee: option\[0\] of \S+one\.yaml has this chain and payee too/)
	assert.equal(refused.stderr.trim().split('\n').length, 1)
	assert.doesNotMatch(refused.stdout, /two\.yaml/)
	/* Not only neighbours, and each of them. */
	const many = (await check(one, three, elsewhere, two)).stderr
	assert.match(many, /option\[0\]\.payee: option\[0\] of \S+three\.yaml has/)
	assert.match(many, /option\[1\]\.payee: option\[0\] of \S+one\.yaml has/)
	for (const files of [[one], [two], [one, three], [one, three, elsewhere]]) {
		const { code, stdout, stderr } = await check(...files)
		assert.equal(code, 0, stderr)
		for (const path of files)
			assert.ok(stdout.includes(path), path)
	}
	/* One that is wrong is told, and the others are compared all the same. */
	const both = await check(one, bad, two)
	assert.equal(both.code, 2)
	assert.match(both.stderr, /bad\.yaml:2: net\.rings/)
	assert.match(both.stderr, /two\.yaml:\d+: option\[1\]\.payee/)
	const mixed = await run(['check-config', '--net.rings', '2', one, two])
	assert.equal(mixed.code, 2)
})

test('28 a full disk: nothing is half credited, and nothing is lost', async (t) => {
	const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
	const [owner, alice, bob] = chain.accounts
	await chain.mine(10)
	const token = await chain.deploy('MiniMe')
	await chain.act(owner, token, transfer(alice, 10n * PRICE))
	await chain.act(owner, token, transfer(bob, 10n * PRICE))
	chain.tick(1000)
	const shop = await Shop.start(t, { chain, token, option: { activate: 60, settle: 100 } })
	const { daemon } = shop
	const [node, other] = [newNode(), newNode()]
	const tx = await shop.pay(alice, PRICE)
	await chain.waitReceipt(tx)
	const id = await shop.file(await shop.claim({ payer: alice, node, tx }))
	await shop.wait(id, 'confirming')
	const second = await shop.pay(bob, PRICE)
	const late = await shop.claim({ payer: bob, node: other, tx: second })

	limitFiles(daemon, 4096)
	await chain.mine(60)
	await until('the alarm', async () => /level=broken event="payments cannot be stored"/.test(daemon.stderr) &&
		await daemon.metric('mailpay_commit_failures_total') > 0, 30000)
	/* T3 failed whole. The claim stays due: it is tried, and fails, again. */
	const failures = await daemon.metric('mailpay_commit_failures_total')
	await until('another attempt', async () => await daemon.metric('mailpay_commit_failures_total') > failures, 30000)
	assert.equal((await shop.status(id)).state, 'confirming')
	assert.equal(await daemon.metric('mailpay_credited_units_total') ?? 0, 0)
	assert.deepEqual((await shop.admin('entitlements', 'list')).filter((e) => e.node === node), [])
	/* What is not stored is not promised. */
	const refused = await shop.post(late)
	assert.equal(refused.status, 503, refused.body)
	assert.equal(refused.json.error, 'busy')
	assert.ok(Number(refused.headers['retry-after']) > 0)
	assert.equal((await daemon.http('/livez')).status, 200)
	assert.match((await daemon.http('/readyz')).body, /^ready, but no payment can be stored/)

	limitFiles(daemon, 'unlimited')
	assert.equal((await shop.wait(id, ['active', 'settled'], 90000)).units, 1)
	const end = await shop.wait(await shop.file(late), ['active', 'settled'], 90000)
	assert.equal(end.units, 1)
	assert.equal((await daemon.http('/readyz')).body, 'ready\n')
	for (const one of [node, other])
		assert.equal((await shop.admin('entitlements', 'show', one)).ledger.length, 1)
	await chain.hold()
	await daemon.stop()
	await shop.fsck()
})

test('34 a node key that is shared serves one at a time, within its limits', async (t) => {
	const shop = await Shop.start(t, { payments: { grace: '1d' } })
	const { daemon } = shop
	const key = randomBytes(32)
	const peer = (options) => {
		const made = new JsPeer(options)
		t.after(() => made.close())
		return made
	}
	const topic = '0badcafe'
	const query = { topics: [topic], from: now() - 600, to: now() + 60 }
	const gossip = await peer({}).connect(daemon.enode)
	await gossip.waku.post(Array.from({ length: 5 }, () => makeEnvelope({ topic: Buffer.from(topic, 'hex') })))
	const first = peer({ key })
	await shop.admin('entitlements', 'grant', first.id, '--for', '30d', '--reason', 'she is a friend')
	const one = await first.connect(daemon.enode)
	assert.equal((await one.waku.history(query)).envelopes.length, 5)

	/* The second connection of that key is refused, each time; the first goes on. */
	for (let i = 0; i < 5; i++) {
		const second = peer({ key })
		const connection = await second.connect(daemon.enode, { wait: false })
		assert.equal((await within(5000, 'refusal', connection.closed)).reason, 5) /* already connected */
		assert.equal((await one.waku.history(query)).envelopes.length, 5)
	}
	/* When it has left, the key is free again. */
	one.close()
	const again = await until('the key to be free', () => peer({ key }).connect(daemon.enode).catch(() => undefined))
	assert.equal((await again.waku.history(query)).envelopes.length, 5)
})

test('34 the limits of requests are the key\'s, not the connection\'s', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const shop = await Shop.start(t, { chain, args: ['--mail.request_rate', '1', '--mail.request_burst', '6', '--net.rings', '4'] })
	const key = randomBytes(32)
	const query = { topics: ['0badcafe'], from: now() - 600, to: now() + 60 }
	const ask = async (mail) => mail.page(query).then(() => 'served', (err) => err.refusal ?? Promise.reject(err))
	const users = []
	const counts = {}
	await shop.admin('mode', 'free', '--reason', 'it is not about money')
	const began = Date.now()
	for (let user = 0; user < 5; user++) {
		const js = new JsPeer({ key })
		const { waku } = await until('the key to be free', () => js.connect(shop.daemon.enode).catch(() => undefined))
		for (let i = 0; i < 4; i++) {
			const answer = await ask(waku)
			counts[answer] = (counts[answer] ?? 0) + 1
		}
		js.close()
		users.push(js)
	}
	const seconds = (Date.now() - began) / 1000
	assert.ok(counts.served <= 6 + Math.ceil(seconds), JSON.stringify(counts))
	assert.equal(counts.served + counts['rate limit exceeded'], 20, JSON.stringify(counts))
	/* Another node is served all the same. */
	const other = new JsPeer()
	t.after(() => other.close())
	const { waku } = await other.connect(shop.daemon.enode)
	assert.equal(await ask(waku), 'served')
})

test('34 a key that is denied has its limit as well, an address has one for all its keys', async (t) => {
	const chain = await Chain.start(t, { mining: 1 })
	const shop = await Shop.start(t, { chain, args: ['--mail.request_rate', '1', '--mail.request_burst', '4'] })
	const query = { topics: ['0badcafe'], from: now() - 600, to: now() + 60 }
	const ask = async (mail) => mail.page(query).then(() => 'served', (err) => err.refusal ?? Promise.reject(err))
	const connect = async () => {
		const js = new JsPeer({})
		t.after(() => js.close())
		return (await js.connect(shop.daemon.enode)).waku
	}
	const count = (answers, wanted) => answers.filter((answer) => wanted.test(answer)).length

	await t.test('who has not paid does not ask for ever', async () => {
		const stranger = await connect()
		const began = Date.now()
		const answers = []
		for (let i = 0; i < 20; i++)
			answers.push(await ask(stranger))
		const seconds = (Date.now() - began) / 1000
		assert.ok(count(answers, /^payment required/) <= 4 + Math.ceil(seconds), `${answers}`)
		assert.equal(count(answers, /^payment required|^rate limit exceeded/), 20, `${answers}`)
	})
	await shop.admin('mode', 'free', '--reason', 'it is not about money')
	await t.test('an address has eight times that of a key', async () => {
		const mails = await Promise.all(Array.from({ length: 20 }, connect))
		const began = Date.now()
		const answers = (await Promise.all(mails.map(async (mail) =>
			[await ask(mail), await ask(mail), await ask(mail)]))).flat()
		const seconds = (Date.now() - began) / 1000
		assert.ok(count(answers, /^served/) <= 32 + 8 * Math.ceil(seconds), `${answers}`)
		assert.ok(count(answers, /^rate limit exceeded/) >= 60 - 32 - 8 * Math.ceil(seconds), `${answers}`)
		assert.ok(count(answers, /^served/) >= 8, `${answers}`)
	})
})
