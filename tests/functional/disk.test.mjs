/*
 * A disk that is full: nothing is confirmed that is not on it, the server says
 * that it is not ready, and goes on handing out what it has.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { FULL_BLOOM, JsPeer, makeEnvelope, now } from './peer.mjs'
import { Daemon, runOk, until } from './harness.mjs'

const big = (count) => Array.from({ length: count }, () => makeEnvelope({ size: 20000, pow: 0.00001 }))

test('a full disk', async (t) => {
	/* A file may not grow beyond 1 MiB: for what is written, a full disk. */
	const daemon = await Daemon.start(t, {
		wrap: ['/bin/sh', '-c', 'ulimit -f 2048; exec "$@"', 'sh'],
		args: ['--storage.shards', '1'],
	})
	const js = new JsPeer()
	t.after(() => js.close())
	const connection = await js.connect(daemon.enode)
	const ledger = new Set()
	/* The archive tries again each second: look all the time. */
	let unready
	const watch = setInterval(async () => {
		const answer = await daemon.http('/readyz').catch(() => undefined)
		if (answer?.status !== 503 || unready)
			return
		unready = answer
		unready.healthy = await daemon.metric('mailserver_healthy').catch(() => undefined)
		unready.livez = (await daemon.http('/livez')).status
	}, 50)
	t.after(() => clearInterval(watch))

	await t.test('ends confirmations', async () => {
		let failed
		for (let i = 0; i < 40 && !failed; i++) {
			const batch = big(10)
			const answer = await connection.waku.post(batch, { ms: 4000 }).catch((err) => { failed = err })
			if (answer?.errors.length === 0)
				batch.forEach((e) => ledger.add(e.hash))
			else
				failed ??= answer.errors
		}
		assert.ok(failed, 'the limit was never reached')
		assert.match(`${failed}`, /no confirmation|closed/)
		assert.ok(ledger.size > 0)
	})

	await t.test('ends readiness, with the reason', async () => {
		assert.equal(unready?.status, 503)
		assert.match(unready.body, /No space left|too large|room/)
		assert.equal(unready.livez, 200)
		assert.notEqual(unready.healthy, undefined)
		await until('it is loud', () => /level=broken/.test(daemon.stderr))
		clearInterval(watch)
	})

	await t.test('leaves reading as it was', async () => {
		const reader = new JsPeer()
		t.after(() => reader.close())
		const { waku } = await reader.connect(daemon.enode)
		const { envelopes } = await waku.history({ bloom: FULL_BLOOM, from: now() - 600, to: 0 })
		const found = new Set(envelopes.map((e) => e.hash))
		for (const hash of ledger)
			assert.ok(found.has(hash), `${hash} was confirmed`)
		const { stderr } = await runOk(['fetch', daemon.enode, '--json'])
		assert.ok(JSON.parse(stderr.trim().split('\n').at(-1)).envelopes >= ledger.size)
	})

	await t.test('and a start with room again has all of it', async () => {
		await daemon.stop()
		daemon.options.wrap = []
		await daemon.up()
		await runOk(['canary', daemon.enode])
		const again = new JsPeer()
		t.after(() => again.close())
		const { waku } = await again.connect(daemon.enode)
		const { envelopes } = await waku.history({ bloom: FULL_BLOOM, from: now() - 600, to: 0 })
		const found = new Set(envelopes.map((e) => e.hash))
		for (const hash of ledger)
			assert.ok(found.has(hash), `${hash} was confirmed`)
	})
})
