/*
 * Rings work in no LMDB transaction: neither for the check before a history
 * request, nor for what a peer asks about claims and entitlements, nor for what
 * is stored or handed back. A watch in the server tells who does.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FULL_BLOOM, JsPeer, makeEnvelope, now, unhex } from './peer.mjs'
import { tempDir, until } from './harness.mjs'
import { PRICE, Shop } from './paying.mjs'

const WATCH = process.env.WATCH_LMDB
const CODE = { GET_OFFER: 0, CLAIM: 2, STATUS: 3, GET_CLAIM: 4, GET_ENTITLEMENT: 5, ENTITLEMENT: 6, ERROR: 7 }
const TOPIC = '01020304'
const bytesOf = (value) => unhex(value.replace(/^0x/, ''))

test('no ring waits for the disk', { skip: !WATCH && 'WATCH_LMDB is not set' }, async (t) => {
	const seen = join(tempDir(t), 'seen')
	const shop = await Shop.startOnSteps(t, {
		env: { LD_PRELOAD: WATCH, LMDB_SEEN: seen, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` },
	})
	const { chain, daemon } = shop
	const [, payer] = chain.accounts
	const connect = async (key = randomBytes(32)) => {
		const js = new JsPeer({ key, caps: ['shh', 'waku', 'wmpay'] })
		t.after(() => js.close())
		return { id: js.id, close: () => js.close(), ...await js.connect(daemon.enode) }
	}
	/* Whoever has read or written so far, by thread. */
	const threads = () => new Set(readFileSync(seen, 'utf8').split('\n').slice(0, -1).map((line) => line.split(':')[0]))
	const ask = async (peer, code, fields, expected) => {
		const answer = await peer.wmpay.ask(code, fields)
		assert.equal(answer.code, expected)
		return answer.fields
	}

	/* A ring is chosen by the kernel: with twelve peers none is left out. */
	for (let i = 0; i < 12; i++) {
		const key = randomBytes(32)
		const alice = await connect(key)
		const topics = [TOPIC]
		const range = { from: now() - 600, to: now() + 60 }
		await alice.waku.post([makeEnvelope({ topic: Buffer.from(TOPIC, 'hex') }), makeEnvelope()])
		await assert.rejects(alice.waku.page({ topics }), (err) => /^payment required/.test(err.refusal))

		const tx = await shop.pay(payer, PRICE)
		const body = await shop.claim({ payer, node: alice.id, tx })
		const fields = [1, body.chain_id, ...['token', 'payee', 'payer', 'tx'].map((name) => bytesOf(body[name])), 0,
			bytesOf(body.offer), bytesOf(body.proof)]
		const [id] = await ask(alice, CODE.CLAIM, fields, CODE.STATUS)
		await ask(alice, CODE.CLAIM, fields, CODE.STATUS)
		await ask(alice, CODE.GET_OFFER, [], 1)
		await ask(alice, CODE.GET_CLAIM, [id], CODE.STATUS)
		await ask(alice, CODE.GET_CLAIM, [randomBytes(16)], CODE.ERROR)
		await ask(alice, CODE.GET_ENTITLEMENT, [], CODE.ENTITLEMENT)
		if (i === 0)
			await until('active', async () => {
				const [, state] = await ask(alice, CODE.GET_CLAIM, [id], CODE.STATUS)
				return state[0] >= 4
			}, 40000)
		else
			await shop.admin('entitlements', 'grant', alice.id, '--for', '1h', '--reason', 'a friend')
		await ask(alice, CODE.GET_ENTITLEMENT, [], CODE.ENTITLEMENT)
		for (const form of ['direct', 'sealed'])
			for (const query of [{ topics }, { bloom: FULL_BLOOM }])
				assert.ok((await alice.waku.history({ ...query, ...range, form })).envelopes.length > i)
		alice.close()
	}
	await daemon.stop()
	const all = threads()
	/* These do, so the watch is awake. */
	for (const name of ['ledger', 'wmpay'])
		assert.ok(all.has(name), `${name} is not among ${[...all]}`)
	assert.deepEqual([...all].filter((name) => name.startsWith('ring')), [])
	await shop.fsck()
})
