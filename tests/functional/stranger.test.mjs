/*
 * The client commands against servers that are not ours: old ones, oldest
 * first ones, and liars. A JavaScript peer plays the server.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { CODE, JsPeer, RLP, concat, hex, keccak256, makeEnvelope, now, rlpList, unhex } from './peer.mjs'
import { join, run, runOk, tempDir } from './harness.mjs'

const TOPIC = 'cafe0001'
const envelopes = (count, topic = TOPIC) => Array.from({ length: count }, (_, i) =>
	makeEnvelope({ topic: Buffer.from(topic, 'hex'), size: 60, sent: now() - i }))
const keyOf = (e) => concat(unhex(e.sent.toString(16).padStart(8, '0')), unhex(e.hash))
const byKey = (a, b) => Buffer.compare(keyOf(a), keyOf(b))
const summary = ({ stderr }) => JSON.parse(stderr.trim().split('\n').at(-1))

/* `answer(mail, request, count)` for each direct request; options of the peer. */
async function server(t, answer, options = {}) {
	const js = new JsPeer({ deaf: true, ...options })
	t.after(() => js.close())
	const state = { requests: 0, connections: 0 }
	js.on('connection', (connection) => {
		state.connections++
		for (const mail of connection.mails)
			mail.on('message', (code, payload) => {
				if (code === CODE.REQUEST) {
					const [id, from, to, limit, cursor] = RLP.decode(payload)
					const number = (b) => Number(`0x${hex(b) || '0'}`)
					state.requests++
					answer(mail, { id, from: number(from), to: number(to), limit: number(limit), cursor }, connection)
				} else if (code === CODE.MESSAGES) {
					answer(mail, { payload }, connection)
				}
			})
	})
	state.enode = await js.listen()
	return state
}

function deliver(mail, request, list, { isMore = false, cursor } = {}) {
	if (list.length > 0)
		mail.sendPlain(CODE.P2P, rlpList(list.map((e) => e.rlp)))
	const last = list.at(-1)
	const parts = [request.id, last ? unhex(last.hash) : new Uint8Array(32)]
	if (isMore)
		parts.push(cursor ?? keyOf(last))
	mail.sendPlain(CODE.COMPLETE, RLP.encode(concat(...parts)))
}

/* An honest server in either order. */
function honest(archive, { oldestFirst = false } = {}) {
	return (mail, request) => {
		const inRange = archive.filter((e) => e.sent >= request.from && e.sent <= request.to).sort(byKey)
		const ordered = oldestFirst ? inRange : inRange.reverse()
		const isBeyond = (e) => request.cursor.length === 0 ||
			(Buffer.compare(keyOf(e), request.cursor) > 0) === oldestFirst && Buffer.compare(keyOf(e), request.cursor) !== 0
		const page = ordered.filter(isBeyond).slice(0, request.limit)
		deliver(mail, request, page, { isMore: page.length === request.limit })
	}
}

const fetchArgs = (enode, ...args) => ['fetch', enode, '--json', '--from', '1h', '--timeout', '2s', ...args]

test('other orders', async (t) => {
	const archive = envelopes(120)
	for (const oldestFirst of [false, true])
		for (const jobs of ['1', '3'])
			await t.test(`${oldestFirst ? 'oldest' : 'newest'} first, ${jobs} connection(s)`, async () => {
				const { enode } = await server(t, honest(archive, { oldestFirst }))
				const result = await runOk(fetchArgs(enode, '--page', '7', '--jobs', jobs))
				const found = result.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).hash)
				assert.equal(found.length, 120)
				assert.equal(new Set(found).size, 120)
				assert.equal(summary(result).passed_over, 0)
			})
})

test('what nobody asked for is passed over, and said', async (t) => {
	const wanted = envelopes(5)
	const others = [...envelopes(3, 'bad00001'), makeEnvelope({ topic: Buffer.from(TOPIC, 'hex'), sent: now() - 90000, ttl: 15 })]
	const { enode } = await server(t, (mail, request) => deliver(mail, request, [...wanted, ...others, ...wanted]))
	const result = await runOk(fetchArgs(enode, '--topic', TOPIC))
	assert.deepEqual([summary(result).envelopes, summary(result).passed_over], [5, 9])
})

test('liars', async (t) => {
	const some = envelopes(10)
	const cases = [
		['more than was asked for', (mail, request) => deliver(mail, request, some), ['--page', '5'], /more than was asked for/],
		['a packet that is nonsense', (mail, request) => {
			mail.sendPlain(CODE.P2P, unhex('c401020304'))
			deliver(mail, request, [])
		}, [], /malformed packet/],
		['a bare envelope on waku', (mail, request) => {
			mail.sendPlain(CODE.P2P, some[0].rlp)
			deliver(mail, request, [])
		}, [], /malformed packet/],
		['a cursor that stands still', (mail, request) => deliver(mail, request, some, { isMore: true }), [], /cursor does not advance/],
		['a refusal', (mail, request) => mail.sendPlain(CODE.COMPLETE,
			RLP.encode(concat(Buffer.from('ERROR='), request.id, Buffer.from('go away\u001b[2J')))), [], /refused: go away\?\[2J/],
	]
	for (const [what, answer, args, expected] of cases)
		await t.test(what, async () => {
			const { enode } = await server(t, answer)
			const path = join(tempDir(t), 'out.json')
			const result = await run(fetchArgs(enode, '--output', path, ...args))
			assert.equal(result.code, 1, result.stderr)
			assert.match(result.stderr, expected)
			assert.equal(summary(result).complete, false)
			assert.ok(!existsSync(path))
		})

	await t.test('silence is asked again over a new connection, and then given up', async () => {
		const state = await server(t, () => {})
		const result = await run(fetchArgs(state.enode, '--timeout', '300ms'))
		assert.equal(result.code, 1)
		assert.match(result.stderr, /did not answer|disconnected/)
		assert.ok(state.requests >= 2, `${state.requests} requests`)
	})

	await t.test('answers to other requests are not taken for ours', async () => {
		const { enode } = await server(t, (mail, request) => {
			deliver(mail, { id: new Uint8Array(32) }, [])
			mail.sendPlain(CODE.COMPLETE, RLP.encode(new Uint8Array(10)))
			deliver(mail, request, some)
		})
		assert.equal(summary(await runOk(fetchArgs(enode))).envelopes, 10)
	})
})

test('a connection that breaks in the middle of a page', async (t) => {
	const archive = envelopes(40)
	const serve = honest(archive)
	const state = await server(t, (mail, request, connection) => {
		if (state.requests % 3 === 2) {
			mail.sendPlain(CODE.P2P, rlpList(archive.slice(0, 3).map((e) => e.rlp)))
			setTimeout(() => connection.close(), 20)
		} else {
			serve(mail, request)
		}
	})
	const result = await runOk(fetchArgs(state.enode, '--page', '8'))
	const found = result.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).hash)
	assert.equal(new Set(found).size, 40)
	assert.equal(found.length, 40)
	assert.ok(state.connections > 1)
})

test('confirmations', async (t) => {
	const post = (enode, ...args) => run(['post', enode, '--json', '--count', '20', '--per-packet', '5', '--pow', '0.0001', '--timeout', '2s', ...args])
	const ack = (mail, { payload }) => mail.sendPlain(CODE.ACK, RLP.encode(keccak256(payload)))

	await t.test('of old servers, code 11 alone', async () => {
		const { enode } = await server(t, ack)
		const result = await post(enode)
		assert.equal(result.code, 0, result.stderr)
		assert.equal(summary(result).confirmed, 20)
	})

	await t.test('that do not come', async () => {
		const { enode } = await server(t, () => {})
		const result = await post(enode)
		assert.equal(result.code, 1)
		assert.match(result.stderr, /not confirmed within/)
		assert.equal(summary(result).confirmed, 0)
	})

	await t.test('that are not offered', async () => {
		const { enode } = await server(t, () => {}, { confirmations: false })
		const refused = await post(enode)
		assert.equal(refused.code, 1)
		assert.match(refused.stderr, /does not confirm/)
		assert.equal((await post(enode, '--no-wait')).code, 0)
	})

	await t.test('for packets never sent mean nothing', async () => {
		const { enode } = await server(t, (mail) => mail.sendPlain(CODE.ACK, RLP.encode(new Uint8Array(32))))
		assert.equal((await post(enode)).code, 1)
	})

	await t.test('after the connection broke are waited for on the next', async () => {
		const state = await server(t, (mail, request, connection) => {
			if (state.connections === 1)
				connection.close()
			else
				ack(mail, request)
		})
		const result = await post(state.enode)
		assert.equal(result.code, 0, result.stderr)
		assert.equal(summary(result).confirmed, 20)
	})
})
