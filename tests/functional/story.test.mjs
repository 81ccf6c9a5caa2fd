/*
 * The main job, with a peer that was not written here: gossip is received,
 * confirmed, relayed, archived, and handed back in both request forms.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { JsPeer, FULL_BLOOM, bloomOf, hex, makeEnvelope, now, sleep } from './peer.mjs'
import { Daemon, tempDir, until } from './harness.mjs'

const TOPICS = ['01020304', 'aabbccdd', '0000ff06', 'deadbeef']
const hashes = (envelopes) => envelopes.map((e) => e.hash)
const sorted = (list) => [...list].sort()

function peer(t, options) {
	const made = new JsPeer(options)
	t.after(() => made.close())
	return made
}

/* Spread over the last ten seconds and all topics. */
/* None by chance with the work that the choosy one asks for. */
function batch(count, topics = TOPICS) {
	return Array.from({ length: count }, (_, i) => makeEnvelope({
		topic: Buffer.from(topics[i % topics.length], 'hex'), sent: now() - (i % 10), size: 100 + i, most: 0.9,
	}))
}

function newestFirst(envelopes) {
	const key = (e) => e.sent.toString(16).padStart(8, '0') + e.hash
	return [...envelopes].sort((a, b) => (key(a) < key(b) ? 1 : -1))
}

test('the story', async (t) => {
	const daemon = await Daemon.start(t)
	const js = peer(t)
	const both = await js.connect(daemon.enode)
	const onlyWaku = await peer(t, { caps: ['waku'] }).connect(daemon.enode)
	const onlyShh = await peer(t, { caps: ['shh'] }).connect(daemon.enode)
	const viaWaku = batch(60)
	const viaShh = batch(40)
	const all = newestFirst([...viaWaku, ...viaShh])
	const window = { from: now() - 60, to: now() + 60 }

	await t.test('the server says what it is', () => {
		for (const mail of both.mails) {
			assert.equal(mail.status.confirms, true)
			assert.ok(mail.status.pow <= 0.001)
			assert.equal(hex(mail.status.bloom), hex(FULL_BLOOM))
			assert.equal(mail.status.isLight, false)
		}
	})

	await t.test('gossip on either capability is confirmed', async () => {
		/* Peers of a moment ago are not sent to yet. */
		await sleep(2200)
		assert.deepEqual((await both.waku.post(viaWaku)).errors, [])
		assert.deepEqual((await both.shh.post(viaShh)).errors, [])
		/* Known ones are confirmed as well. */
		assert.deepEqual((await both.shh.post(viaWaku.slice(0, 5))).errors, [])
	})

	await t.test('what came by one capability reaches peers of the other', async () => {
		await until('waku peer has all', () => onlyWaku.waku.seen.size === all.length)
		await until('shh peer has all', () => onlyShh.shh.seen.size === all.length)
		assert.deepEqual(sorted(onlyWaku.waku.seen.keys()), sorted(hashes(all)))
		assert.deepEqual(sorted(onlyShh.shh.seen.keys()), sorted(hashes(all)))
	})

	for (const name of ['waku', 'shh'])
		for (const form of ['direct', 'sealed'])
			await t.test(`history on ${name}, ${form}`, async () => {
				const mail = both[name]
				for (const topic of TOPICS) {
					const wanted = hashes(all.filter((e) => e.topic === topic))
					const page = await mail.page({ form, topics: [topic], ...window })
					assert.deepEqual(hashes(page.envelopes), wanted)
					assert.equal(page.cursor, undefined)
					assert.equal(page.last, wanted.at(-1))
				}
				const { envelopes, pages } = await mail.history({ form, bloom: FULL_BLOOM, limit: 7, ...window })
				assert.deepEqual(hashes(envelopes), hashes(all))
				assert.equal(pages, Math.floor(all.length / 7) + 1)
				const filter = bloomOf(TOPICS.slice(0, 2))
				const some = await mail.history({ form, bloom: filter, limit: 9, ...window })
				const expected = all.filter((e) => covers(filter, bloomOf([e.topic])))
				assert.deepEqual(hashes(some.envelopes), hashes(expected))
			})

	await t.test('every deployed order of the sealed payload', async () => {
		const wanted = hashes(all.filter((e) => e.topic === TOPICS[1]))
		for (const order of ['A', 'B', 'C', 'D', 'E'])
			for (const mail of both.mails) {
				const page = await mail.page({ form: 'sealed', order, topics: [TOPICS[1]], ...window })
				assert.deepEqual(sorted(hashes(page.envelopes)), sorted(wanted), `${mail.name} ${order}`)
			}
	})

	await t.test('bounds are inclusive, nothing found is answered', async () => {
		const second = all[20].sent
		const page = await both.waku.page({ bloom: FULL_BLOOM, from: second, to: second })
		assert.deepEqual(hashes(page.envelopes), hashes(all.filter((e) => e.sent === second)))
		const none = await both.waku.page({ topics: ['99999999'], ...window })
		assert.deepEqual(none.envelopes, [])
		assert.equal(none.last, '00'.repeat(32))
		assert.equal(none.packets, 0)
	})

	await t.test('a full last page has a cursor, and the next page is empty', async () => {
		const page = await both.shh.page({ bloom: FULL_BLOOM, limit: all.length, ...window })
		assert.equal(page.envelopes.length, all.length)
		assert.equal(page.cursor.length, 36)
		const next = await both.shh.page({ bloom: FULL_BLOOM, cursor: page.cursor, ...window })
		assert.deepEqual(next.envelopes, [])
		assert.equal(next.cursor, undefined)
	})

	await t.test('a restart keeps everything', async () => {
		assert.equal((await daemon.stop()).code, 0)
		await daemon.up()
		const again = await peer(t).connect(daemon.enode)
		const { envelopes } = await again.waku.history({ bloom: FULL_BLOOM, ...window })
		assert.deepEqual(hashes(envelopes), hashes(all))
	})
})

test('a peer is sent what it wants, and nothing else', async (t) => {
	const daemon = await Daemon.start(t)
	const sender = await peer(t).connect(daemon.enode)
	const topical = await peer(t, { caps: ['waku'], topics: [TOPICS[0]] }).connect(daemon.enode)
	const blooming = await peer(t, { caps: ['shh'], bloom: bloomOf([TOPICS[1]]) }).connect(daemon.enode)
	const choosy = await peer(t, { caps: ['waku'], pow: 1 }).connect(daemon.enode)
	await sleep(2200)
	const envelopes = batch(20)
	await sender.waku.post(envelopes)
	const ofTopic = (topic) => sorted(hashes(envelopes.filter((e) => e.topic === topic)))
	await until('topic interest', () => topical.waku.seen.size === 5)
	await until('bloom', () => blooming.shh.seen.size === 5)
	assert.deepEqual(sorted(topical.waku.seen.keys()), ofTopic(TOPICS[0]))
	assert.deepEqual(sorted(blooming.shh.seen.keys()), ofTopic(TOPICS[1]))

	await t.test('and wishes can change', async () => {
		topical.waku.setTopics([TOPICS[2]])
		blooming.shh.setBloom(new Uint8Array(64))
		await sleep(500)
		topical.waku.seen.clear()
		blooming.shh.seen.clear()
		const more = batch(20)
		const strong = makeEnvelope({ pow: 1.5, size: 40 })
		await sender.shh.post([...more, strong])
		await until('new topic', () => [...topical.waku.seen.keys()].some((h) => hashes(more).includes(h)))
		await sleep(700)
		const got = [...topical.waku.seen.values()].filter((e) => hashes(more).includes(e.hash))
		assert.ok(got.every((e) => e.topic === TOPICS[2]))
		assert.equal(got.length, 5)
		assert.equal(blooming.shh.seen.size, 0)
		assert.deepEqual([...choosy.waku.seen.keys()], [strong.hash])
	})
})

test('a change of interest is told all of it, and not too often', async (t) => {
	const COUNT = 400
	const daemon = await Daemon.start(t)
	const sender = await peer(t).connect(daemon.enode)
	const { waku } = await peer(t, { caps: ['waku'], topics: [] }).connect(daemon.enode)
	let told = 0
	waku.on('envelopes', (envelopes) => { told += envelopes.length })
	for (let i = 0; i < COUNT; i += 50)
		await sender.waku.post(Array.from({ length: 50 }, (_, j) => makeEnvelope({
			topic: Buffer.from(TOPICS[j % 4], 'hex'), size: 500, ttl: 120, pow: 0.00001,
		})))
	await sleep(2800)
	assert.equal(told, 0)
	/* Many times what one packet holds. */
	waku.setTopics(TOPICS)
	await until('all of them', () => waku.seen.size === COUNT)
	assert.equal(told, COUNT)
	const changes = 12
	for (let i = 0; i < changes; i++)
		for (const topics of [[], TOPICS]) {
			waku.setTopics(topics)
			await sleep(350)
		}
	assert.ok(told <= COUNT * changes / 2, `${told} told`)
	/* What is new goes on at once. */
	const fresh = makeEnvelope({ topic: Buffer.from(TOPICS[0], 'hex') })
	await sender.waku.post([fresh])
	await until('a new one', () => waku.seen.has(fresh.hash))
})

test('the daemon dials its static peers and comes back to them', async (t) => {
	const js = peer(t)
	const enode = await js.listen()
	const daemon = await Daemon.start(t, { dir: tempDir(t), args: ['--net.peers', enode] })
	const first = await js.accepted()
	assert.equal(first.remoteId, daemon.enode.slice(8, 136))
	const envelopes = batch(10)
	assert.deepEqual((await first.waku.post(envelopes)).errors, [])
	const page = await first.shh.page({ form: 'sealed', topics: TOPICS, from: now() - 60, to: 0 })
	assert.deepEqual(sorted(hashes(page.envelopes)), sorted(hashes(envelopes)))
	first.close()
	js.connections.clear()
	await js.accepted()
})

function covers(filter, sample) {
	return sample.every((byte, i) => (filter[i] | byte) === filter[i])
}
