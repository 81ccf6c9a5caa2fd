/*
 * One mail server copies the archive of another (codes 123 and 124): it catches
 * up after it was away, goes on where it was, and does not trust the other one.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { CODE, JsPeer, RLP, concat, hex, makeEnvelope, now, rlpList, sleep, unhex } from './peer.mjs'
import { Daemon, freePort, join, run, runOk, tempDir, until } from './harness.mjs'

const WEAK = 0.00001

/* A node key in a file, and its enode URL. */
function makeKey(dir, name, port = 1) {
	const key = randomBytes(32)
	const file = join(dir, name)
	writeFileSync(file, `${key.toString('hex')}\n`, { mode: 0o600 })
	const js = new JsPeer({ key })
	js.close()
	return { file, enode: `enode://${js.id}@127.0.0.1:${port}` }
}

async function hashesOf(daemon) {
	const path = join(daemon.dir, 'all.json')
	await runOk(['fetch', daemon.enode, '--from', '2d', '--output', path], { ms: 120000 })
	return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line).hash).sort()
}

const archived = (daemon) => daemon.metric('mailserver_archived_envelopes_gauge')
const got = (daemon, result) => daemon.metric('mailserver_sync_envelopes_total', `"${result}"`)

test('a server that was away catches up', async (t) => {
	const dir = tempDir(t)
	const port = await freePort()
	const keyA = makeKey(dir, 'key-a', port)
	const keyB = makeKey(dir, 'key-b')
	const a = await Daemon.start(t, { port, args: ['--nodekey', keyA.file, '--mail.sync_peers', keyB.enode] })
	await runOk(['post', a.enode, '--count', '3500', '--spread', '20h', '--ttl', '2s', '--pow', `${WEAK}`, '--topics', '50'])
	const old = await archived(a)
	assert.equal(old, 3500)
	/* Those of them that have not expired come by gossip: not this way. */
	await a.restart()

	const b = await Daemon.start(t, {
		args: ['--nodekey', keyB.file, '--mail.sync_from', keyA.enode, '--mail.sync_every', '1s'],
	})
	const watcher = new JsPeer()
	t.after(() => watcher.close())
	const watching = await watcher.connect(b.enode)

	await t.test('all of it, page by page', async () => {
		await until('b has everything', async () => await archived(b) === old, 30000)
		assert.deepEqual(await hashesOf(b), await hashesOf(a))
		await until('it says so', () => /event=synced .*envelopes=3500 new=3500 .*pages=4/.test(b.stderr))
		assert.equal(await got(b, 'stored'), 3500)
	})

	await t.test('and tells nobody', async () => {
		await sleep(700)
		assert.equal(watching.waku.seen.size + watching.shh.seen.size, 0)
	})

	await t.test('then only what is new', async () => {
		const pages = await b.metric('mailserver_sync_pages_total')
		const known = await got(b, 'known')
		await until('it asks again', async () => await b.metric('mailserver_sync_pages_total') >= pages + 2)
		/* The overlap is a quarter of an hour of twenty hours. */
		assert.ok(await got(b, 'known') - known < 2 * 3500 / 20)
		assert.equal(await got(b, 'stored'), 3500)
	})

	await t.test('what came while it was down', async () => {
		await b.stop()
		await runOk(['post', a.enode, '--count', '1200', '--ttl', '2s', '--pow', `${WEAK}`])
		await sleep(3500)
		await b.up()
		await until('b has everything', async () => await archived(b) === old + 1200, 30000)
		assert.deepEqual(await hashesOf(b), await hashesOf(a))
		/* Not from the start: two pages, or a few of the overlap more. */
		assert.ok(await got(b, 'known') < 1500, `${await got(b, 'known')}`)
	})

	await t.test('and is refused where it is not configured', async () => {
		const c = await Daemon.start(t, { args: ['--mail.sync_from', a.enode, '--log.level', 'debug'] })
		await until('connected', async () => await c.metric('p2p_peers_count') === 1)
		await sleep(1500)
		assert.equal(await archived(c), 0)
	})
})

/* ---- a server of ours, for tricks ---- */

const envelopes = (count, sent = (i) => now() - 60 - i) =>
	Array.from({ length: count }, (_, i) => makeEnvelope({ size: 60, sent: sent(i), pow: WEAK }))
const keyOf = (e) => concat(unhex(e.sent.toString(16).padStart(8, '0')), unhex(e.hash))
const number = (bytes) => Number(`0x${hex(bytes) || '0'}`)
const EMPTY = new Uint8Array(0)

function part(shh, list) {
	const raw = rlpList(list.map((e) => e.rlp))
	shh.sendPlain(CODE.SYNC_ANSWER, rlpList([raw, RLP.encode(EMPTY), RLP.encode(EMPTY), RLP.encode(EMPTY)]))
}

const end = (shh, cursor = EMPTY, text = '') =>
	shh.sendPlain(CODE.SYNC_ANSWER, RLP.encode([[], cursor, text ? EMPTY : Uint8Array.of(1), Buffer.from(text)]))

/* `answer(shh, request, number of the request, connection)`. */
async function source(t, answer, options = {}) {
	const js = new JsPeer(options)
	t.after(() => js.close())
	const state = { js, requests: [], ends: [] }
	js.on('connection', (connection) => {
		connection.closed.then((how) => state.ends.push(how))
		connection.shh?.on('message', (code, payload) => {
			if (code !== CODE.SYNC)
				return
			const [lower, upper, bloom, limit, cursor] = RLP.decode(payload)
			const request = { lower: number(lower), upper: number(upper), bloom, limit: number(limit), cursor }
			state.requests.push(request)
			answer(connection.shh, request, state.requests.length, connection)
		})
	})
	state.enode = await js.listen()
	return state
}

const copier = (t, from, ...args) => Daemon.start(t, {
	args: ['--mail.sync_from', from.enode, '--mail.sync_every', '1s', '--net.redial_max', '1s', ...args],
})

test('either order, and on from where it was', async (t) => {
	const all = envelopes(40).sort((x, y) => Buffer.compare(keyOf(x), keyOf(y)))
	for (const isOldestFirst of [false, true])
		await t.test(isOldestFirst ? 'oldest first' : 'newest first', async (t) => {
			let isSilent = false
			const server = await source(t, (shh, request) => {
				const inOrder = isOldestFirst ? all : [...all].reverse()
				const from = request.cursor.length === 0 ? 0
					: inOrder.findIndex((e) => hex(keyOf(e)) === hex(request.cursor)) + 1
				if (isSilent && from === 20)
					return
				const page = inOrder.slice(from, from + 10).filter((e) => e.sent >= request.lower && e.sent <= request.upper)
				part(shh, page.slice(0, 4))
				part(shh, page.slice(4))
				end(shh, from + 10 < 40 ? keyOf(inOrder[from + 9]) : EMPTY)
			})
			isSilent = true
			const daemon = await copier(t, server)
			await until('half of it', async () => await archived(daemon) === 20)
			const first = server.requests[0]
			assert.equal(first.limit, 1000)
			assert.equal(hex(first.bloom), 'ff'.repeat(64))
			assert.ok(first.upper <= now() && first.lower <= now() - 29 * 86400)
			const marks = join(daemon.dir, 'data', 'archive')
			await until('the position is kept', () => readdirSync(marks).some((name) => /^mark-sync-[0-9a-f]{128}$/.test(name) &&
				/cursor [0-9a-f]{72}/.test(readFileSync(join(marks, name), 'utf8'))))
			await daemon.stop()
			const count = server.requests.length
			isSilent = false
			await daemon.up()
			await until('all of it', async () => await archived(daemon) === 40)
			/* The same range, from the third page on. */
			assert.equal(server.requests[count].upper, first.upper)
			assert.equal(server.requests[count].cursor.length, 36)
			await until('the next range', () => server.requests.length >= count + 3)
			const next = server.requests[count + 2]
			assert.equal(next.cursor.length, 0)
			assert.equal(next.lower, first.upper - 900)
		})
})

test('what was not asked for is not stored', async (t) => {
	const good = envelopes(3)
	const future = envelopes(2, () => now() + 3000)
	const ancient = envelopes(2, () => now() - 40 * 86400)
	const big = makeEnvelope({ size: 5000, sent: now() - 100, pow: WEAK })
	const server = await source(t, (shh) => {
		part(shh, [...good, ...future, ...ancient, big])
		end(shh)
	})
	const daemon = await copier(t, server, '--mail.envelope_max', '4K')
	await until('the range is through', () => /event=synced/.test(daemon.stderr))
	assert.equal(await archived(daemon), 3)
	assert.equal(await got(daemon, 'refused'), 5)
	assert.match(daemon.stderr, /event=synced .*new=3 refused=5/)
})

test('a server that cannot be relied on', async (t) => {
	const failures = (daemon) => daemon.metric('mailserver_sync_failures_total')
	const some = envelopes(4)
	const cases = {
		'nonsense': { answer: (shh) => shh.sendPlain(CODE.SYNC_ANSWER, Uint8Array.of(0xc1, 0x80)), ends: true },
		'no list': { answer: (shh) => shh.sendPlain(CODE.SYNC_ANSWER, Uint8Array.of(0x01)), ends: true },
		'an envelope that is none': { answer: (shh) => part(shh, [...some, { rlp: Uint8Array.of(0xc1, 0x01) }]), ends: true },
		'more than was asked for': {
			answer: (shh) => {
				for (let i = 0; i < 11; i++)
					part(shh, Array.from({ length: 100 }, () => some[i % 4]))
				end(shh)
			}, ends: true,
		},
		'a cursor that stays': { answer: (shh) => { part(shh, some); end(shh, keyOf(some[0])) }, word: /lead nowhere/ },
		'cursors to and fro': {
			answer: (shh, request, i) => { part(shh, some.slice(0, 1)); end(shh, new Uint8Array(36).fill([5, 9, 7][i % 3])) },
			word: /lead nowhere/,
		},
		'nothing, and a cursor, for ever': {
			answer: (shh, request, i) => end(shh, concat(new Uint8Array(34), Uint8Array.of(i >> 8, i & 255))), word: /lead nowhere/,
		},
		'a refusal': { answer: (shh) => end(shh, EMPTY, `no\n\x1b[31m${'x'.repeat(190)}`), word: /refused.*no\\n\\\S*\[31mx{30}/ },
	}
	for (const [name, { answer, ends, word }] of Object.entries(cases))
		await t.test(name, async (t) => {
			const server = await source(t, answer)
			const daemon = await copier(t, server)
			await until('it gives up', async () => await failures(daemon) > 0)
			if (ends)
				assert.equal((await until('the end', () => server.ends[0])).reason, 16)
			if (word)
				await until('it says why', () => word.test(daemon.stderr))
			assert.ok(await archived(daemon) <= 4)
			/* And the position is where it was: nothing is passed over. */
			const count = server.requests.length
			const again = await until('it asks again', () => server.requests[count], 15000)
			assert.ok(again.lower < now() - 29 * 86400)
			assert.equal((await daemon.http('/livez')).status, 200)
			/* Before its folder goes: it is busy writing. */
			await daemon.stop()
		})

	await t.test('answers that nobody asked for', async (t) => {
		const js = new JsPeer()
		t.after(() => js.close())
		const daemon = await Daemon.start(t)
		const connection = await js.connect(daemon.enode)
		part(connection.shh, some)
		end(connection.shh)
		await connection.shh.post([makeEnvelope({ pow: WEAK })])
		assert.equal(await archived(daemon), 1)
	})
})

test('a position that is no position begins anew', async (t) => {
	const server = await source(t, (shh) => end(shh))
	const daemon = await copier(t, server)
	const marks = join(daemon.dir, 'data', 'archive')
	const mark = () => readdirSync(marks).find((name) => /^mark-sync-[0-9a-f]{128}$/.test(name))
	await until('a mark', mark)
	await daemon.stop()
	assert.match(readFileSync(join(marks, mark()), 'utf8'), /^restante-sync 1\nuntil \d{10}\nrange 0 /)
	writeFileSync(join(marks, mark()), 'restante-sync 1\nuntil 17x\n')
	const count = server.requests.length
	await daemon.up()
	const first = await until('a request', () => server.requests[count])
	assert.ok(first.lower < now() - 29 * 86400)
	assert.match(daemon.stderr, /cannot be read: it begins anew/)
})

test('settings', async () => {
	const result = await run(['check-config', '--mail.sync_from', 'enode://12@1.2.3.4:5'])
	assert.equal(result.code, 2)
	assert.match(result.stderr, /mail\.sync_from.*is no enode URL/)
})
