/*
 * `restante claim` cut off at any moment, and the same command again: one
 * claim, one credit, over HTTP and over devp2p. Also its server cut off while
 * it follows.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { begin, runOk, tempDir, until, within } from './harness.mjs'
import { ACCOUNT_KEYS } from './chain.mjs'
import { PRICE, Shop, keyFile } from './paying.mjs'

/*
 * Between a command and its server. A command asks for the offer over its first
 * connection and files the claim over its second, to which `mode` applies:
 * 'pass', 'deaf' (what the command says is lost) or 'hold' (what the server
 * says is kept until release()).
 */
class Relay {
	static async start(t, target) {
		const relay = new Relay()
		relay.reset('pass')
		relay.server = createServer((client) => relay.join(client, connect({ host: '127.0.0.1', port: target() })))
		await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve))
		relay.port = relay.server.address().port
		t.after(() => relay.server.close())
		return relay
	}

	reset(mode) {
		this.mode = mode
		this.connections = 0
		this.lost = 0
		this.held = []
	}

	join(client, server) {
		const isMeant = ++this.connections > 1
		for (const [from, to] of [[client, server], [server, client]]) {
			from.on('error', () => {})
			from.on('close', () => to.destroy())
			from.on('data', (bytes) => {
				if (isMeant && this.mode === 'deaf' && from === client)
					this.lost += bytes.length
				else if (isMeant && this.mode === 'hold' && from === server)
					this.held.push([to, bytes])
				else
					to.write(bytes)
			})
		}
	}

	release(count) {
		for (const [to, bytes] of this.held.splice(0, count))
			to.write(bytes)
	}
}

/* One way in, with a shop of its own: payments and the command that claims. */
class Way {
	static async open(t, name) {
		const way = new Way()
		way.isHttp = name === 'HTTP'
		way.shop = await Shop.startOnSteps(t)
		way.payer = keyFile(t, ACCOUNT_KEYS[1])
		way.payees = join(tempDir(t), 'payees')
		way.relay = await Relay.start(t, () => way.isHttp ? way.shop.daemon.publicPort : way.shop.daemon.port)
		way.nodes = []
		return way
	}

	/* A payment that is mined, for a node that has paid for nothing yet. */
	async pay(t) {
		const { shop } = this
		const tx = await shop.pay(shop.chain.accounts[1], PRICE)
		if (shop.chain.isHeld)
			await shop.chain.mine()
		await shop.chain.waitReceipt(tx)
		const key = keyFile(t)
		this.nodes.push({ node: key.node, tx })
		return { tx, key }
	}

	/* The command, over the relay. */
	words({ tx, key }) {
		const { shop, relay: { port } } = this
		const where = this.isHttp
			? [`http://127.0.0.1:${port}`, '--node', key.node]
			: [`enode://${shop.server}@127.0.0.1:${port}`, '--nodekey', key.path]
		return ['claim', ...where, '--tx', tx, '--key-file', this.payer.path, '--payees', this.payees]
	}

	/* Claim, and be gone at the end of the test. */
	begin(t, paid, ...more) {
		const command = begin([...this.words(paid), ...more])
		t.after(() => command.child.kill('SIGKILL'))
		return command
	}

	claims(node) {
		return this.shop.admin('claims', 'list').then((list) => list.filter((claim) => claim.node === node))
	}

	/* The same command again does what the first was to do. */
	async again(paid) {
		this.relay.reset('pass')
		const { stdout } = await runOk(this.words(paid))
		assert.match(stdout, /(active|settled): 1 unit, paid until/)
		assert.equal((await this.claims(paid.key.node)).length, 1)
	}

	async end() {
		const { shop } = this
		const { stdout } = await runOk(['admin', 'payments', 'export', '--csv', '--json', '--datadir', join(shop.daemon.dir, 'data')])
		for (const { node, tx } of this.nodes) {
			const { ledger } = await shop.admin('entitlements', 'show', node)
			assert.deepEqual(ledger.map(({ type, units, void: isVoid }) => [type, units, isVoid]), [['credit', 1, false]])
			assert.equal(stdout.split('\n').filter((line) => line.includes(tx)).length, 1)
		}
		await shop.daemon.stop()
		await shop.fsck()
	}
}

async function kill({ child }, signal = 'SIGKILL') {
	child.kill(signal)
	return within(10000, `end after ${signal}`, child.exited)
}

const said = (command, pattern, name = 'stdout', ms = 30000) =>
	until(`${pattern} on ${name}`, () => pattern.test(command.out[name]), ms)

/* Followed as far as it is confirming; no block will come until tick(). */
async function follow(way, t, ...more) {
	await way.shop.chain.hold()
	const paid = await way.pay(t)
	way.relay.reset('pass')
	const command = way.begin(t, paid, ...more)
	await said(command, /confirming \d\/3/)
	return { paid, command }
}

/* What a person is told who stops following. */
function assertAdvice({ code }, { out }) {
	assert.equal(code, 1, out.stderr)
	assert.match(out.stderr, /The claim is filed/)
	assert.match(out.stderr, /run the same command again/)
	assert.doesNotMatch(out.stderr, /Sanitizer/)
}

async function cutOff(t, name) {
	const way = await Way.open(t, name)
	const { relay, shop } = way
	const filed = () => shop.daemon.metric('mailpay_claims_total', 'result="ok"').then((count) => count ?? 0)

	await t.test('killed before the server has heard of it', async (t2) => {
		const paid = await way.pay(t2)
		relay.reset('deaf')
		const command = way.begin(t2, paid)
		await until('the claim on its way', () => relay.lost > 0, 30000)
		await kill(command)
		assert.deepEqual(await way.claims(paid.key.node), [])
		await way.again(paid)
	})

	await t.test('killed when the server has stored it and was not heard', async (t2) => {
		const paid = await way.pay(t2)
		const before = await filed()
		relay.reset('hold')
		const command = way.begin(t2, paid)
		/* What was held before it was stored is not the answer. */
		await until('the claim in the ledger', async () => {
			const count = relay.held.length
			if (await filed() > before)
				return true
			relay.release(count)
			return false
		}, 30000)
		await kill(command)
		assert.equal(command.out.stdout, '')
		assert.equal((await way.claims(paid.key.node)).length, 1)
		await way.again(paid)
	})

	await t.test('killed at the first word of the server', async (t2) => {
		const paid = await way.pay(t2)
		relay.reset('pass')
		const command = way.begin(t2, paid)
		await said(command, /./)
		await kill(command)
		await way.again(paid)
	})

	await t.test('killed while it follows', async (t2) => {
		const { paid, command } = await follow(way, t2)
		await kill(command)
		assert.equal((await way.claims(paid.key.node))[0].state, 'confirming')
		shop.chain.tick()
		await way.again(paid)
	})

	for (const signal of ['SIGINT', 'SIGTERM'])
		await t.test(`${signal} while it follows: says that it is filed and how to go on`, async (t2) => {
			const { paid, command } = await follow(way, t2)
			assertAdvice(await kill(command, signal), command)
			assert.match(command.out.stderr, /interrupted/)
			assert.match(readFileSync(way.payees, 'utf8'), new RegExp(`^${shop.server} .* paid \\d+$`, 'm'))
			shop.chain.tick()
			await way.again(paid)
		})

	await t.test('SIGINT before there was an answer: says that it does not know', async (t2) => {
		const paid = await way.pay(t2)
		relay.reset('deaf')
		const command = way.begin(t2, paid)
		await until('the claim on its way', () => relay.lost > 0, 30000)
		assert.equal((await kill(command, 'SIGINT')).code, 1)
		assert.match(command.out.stderr, /interrupted\. It is not known whether the claim was filed: run the same command again/)
		await way.again(paid)
	})

	await t.test('the server is killed: who waits is told so and goes on, who does not is told how', async (t2) => {
		const hasty = await follow(way, t2, '--wait', '12s')
		const { paid, command } = await follow(way, t2)
		await shop.daemon.kill()
		await said(command, /trying again/, 'stderr')
		assertAdvice(await within(30000, 'its end', hasty.command.child.exited), hasty.command)
		assert.equal(command.out.stderr.match(/trying again/g).length, 1)
		const late = way.begin(t2, paid)
		assert.equal((await within(30000, 'its end', late.child.exited)).code, 1)
		assert.match(late.out.stderr, /no offer: /)
		await shop.daemon.up()
		shop.chain.tick()
		assert.equal((await within(60000, 'its end', command.child.exited)).code, 0, command.out.stderr)
		assert.match(command.out.stdout, /(active|settled): 1 unit, paid until/)
		await way.again(paid)
		await way.again(hasty.paid)
	})

	await t.test('a server that says nothing more is left, asked again, and told of', async (t2) => {
		const { paid, command } = await follow(way, t2, '--timeout', '4s')
		shop.daemon.child.kill('SIGSTOP')
		await said(command, /(timeout|Timeout).*; trying again/, 'stderr', way.isHttp ? 60000 : 25000)
		shop.daemon.child.kill('SIGCONT')
		shop.chain.tick()
		assert.equal((await within(60000, 'its end', command.child.exited)).code, 0, command.out.stderr)
		await way.again(paid)
	})

	await way.end()
}

test('claims that are cut off', { concurrency: 2, timeout: 235000 }, (t) =>
	Promise.all(['HTTP', 'devp2p'].map((name) => t.test(`over ${name}`, (t2) => cutOff(t2, name)))))
