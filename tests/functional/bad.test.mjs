/*
 * Bad input: over plain TCP, and from a peer that shakes hands properly and
 * then misbehaves. The server answers as the deployed ones do, stays up, and
 * serves the others meanwhile.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as crypto from 'node:crypto'
import {
	CODE, FULL_BLOOM, JsPeer, RLP, makeEnvelope, now, passwordKey, rlpList, seal, sleep, snappy, unhex, within,
} from './peer.mjs'
import { Daemon, run, runOk, until } from './harness.mjs'

const SUBPROTOCOL = 0x10
const BREACH = 0x02

function peer(t, options) {
	const made = new JsPeer(options)
	t.after(() => made.close())
	return made
}

/* How a connection ends: the reason of the Disconnect, if one came. */
const ending = (connection) => within(8000, 'end of the connection', connection.closed)

test('plain TCP', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--net.handshake_timeout', '1s'] })
	const closesOn = async (bytes, what, ms = 6000) => {
		const raw = daemon.raw()
		raw.socket.write(bytes)
		await within(ms, `close after ${what}`, raw.closed)
		assert.equal(raw.data().length, 0, `${what}: nothing is answered`)
	}

	await t.test('garbage is closed without a word', async () => {
		await closesOn(crypto.randomBytes(600), 'random bytes')
		await closesOn(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(400, 'x')), 'HTTP')
		await closesOn(Buffer.from([0x00, 0x10, ...crypto.randomBytes(16)]), 'a size too small')
		await closesOn(Buffer.from([0xff, 0xff]), 'a size too large')
		/* Right in form, wrong in every tag. */
		const auth = Buffer.concat([Buffer.from([0x01, 0xc0, 0x04]), crypto.randomBytes(0x1c0 - 1)])
		await closesOn(auth, 'a false auth packet')
	})

	await t.test('silence and half a packet end with the deadline', async () => {
		await closesOn(Buffer.alloc(0), 'silence')
		await closesOn(Buffer.from([0x01, 0xc0, 0x04, 1, 2, 3]), 'half a packet')
	})

	await t.test('each is counted', async () => {
		assert.equal(await daemon.metric('restante_links_total', 'garbage'), 5)
		assert.equal(await daemon.metric('restante_links_total', 'timeout'), 2)
	})

	await t.test('and nothing of it is in the log', async () => {
		const told = daemon.stderr.split('\n').filter((line) => /level=(unusual|broken)/.test(line))
		assert.deepEqual(told, [])
		await runOk(['canary', daemon.enode])
	})
})

test('frames', async (t) => {
	const daemon = await Daemon.start(t)
	const connect = () => peer(t).connect(daemon.enode)

	await t.test('a wrong MAC closes without a Disconnect', async () => {
		const connection = await connect()
		connection.peer._socket.write(crypto.randomBytes(64))
		assert.equal((await ending(connection)).reason, undefined)
	})

	await t.test('a body that was changed closes too', async () => {
		const connection = await connect()
		const ecies = connection.peer._eciesSession
		const header = ecies.createBlockHeader(32)
		const body = ecies.createBody(new Uint8Array(32))
		body[3] ^= 1
		connection.peer._socket.write(Buffer.concat([header, body]))
		assert.equal((await ending(connection)).reason, undefined)
	})

	await t.test('a frame larger than any packet is refused from its header', async () => {
		const connection = await connect()
		connection.peer._socket.write(connection.peer._eciesSession.createBlockHeader(0xffffff))
		const { reason, isLocal } = await ending(connection)
		assert.ok(reason === BREACH || reason === SUBPROTOCOL || reason === undefined, `${reason}`)
		assert.ok(!isLocal)
	})

	const breaches = [
		['an id out of range', (c) => c.sendFrame(400, snappy.compress(unhex('c0')))],
		['the first id past the last', (c) => c.sendFrame(16 + 256, snappy.compress(unhex('c0')))],
		['a snappy bomb', (c) => c.sendFrame(17, unhex('ffffff7f' + '00'.repeat(30)))],
		['a broken snappy stream', (c) => c.sendFrame(17, unhex('20ff00ff00'))],
		['a snappy stream of another length', (c) => c.sendFrame(17, unhex('0500c0'))],
		['an empty compressed payload', (c) => c.sendFrame(17, new Uint8Array(0))],
	]
	for (const [what, send] of breaches)
		await t.test(`${what} ends with a Disconnect`, async () => {
			const connection = await connect()
			send(connection)
			const { reason, isLocal } = await ending(connection)
			assert.equal(isLocal, false)
			assert.equal(reason, BREACH)
		})
	await t.test('each is counted', () => until('all of them', async () =>
		await daemon.metric('restante_link_ends_total', 'breach') === 3 + breaches.length))
	await runOk(['canary', daemon.enode])
})

test('capability messages', async (t) => {
	const daemon = await Daemon.start(t)
	const connect = (options) => peer(t, options).connect(daemon.enode)
	const endings = [
		['Messages that are no list', 'shh', CODE.MESSAGES, RLP.encode(unhex('010203'))],
		['Messages with an envelope of four', 'shh', CODE.MESSAGES, RLP.encode([[1, 2, unhex('01020304'), unhex('00')]])],
		['Messages with a topic of five bytes', 'waku', CODE.MESSAGES, RLP.encode([[1, 2, unhex('0102030405'), unhex('00'), 1]])],
		['Messages with bytes behind the list', 'waku', CODE.MESSAGES, unhex('c000')],
		['truncated RLP', 'waku', CODE.MESSAGES, unhex('f8ff00')],
		['a length that is not canonical', 'waku', CODE.MESSAGES, unhex('f800')],
		['a bloom of three bytes', 'shh', CODE.BLOOM, RLP.encode(unhex('010203'))],
		['a PoW that is no number', 'shh', CODE.POW, RLP.encode(0x7ff8000000000000n)],
		['an update that is no list', 'waku', CODE.UPDATE, RLP.encode(unhex('0102'))],
	]
	for (const [what, name, code, payload] of endings)
		await t.test(`${what} ends with a Disconnect`, async () => {
			const connection = await connect()
			connection[name].sendPlain(code, payload)
			const { reason, isLocal } = await ending(connection)
			assert.equal(isLocal, false)
			assert.ok([BREACH, SUBPROTOCOL].includes(reason), `reason ${reason}`)
		})
	await t.test('each is counted', async () =>
		assert.equal(await daemon.metric('waku_malformed_packets_total'), endings.length))

	await t.test('a packet larger than its limit ends with a Disconnect', async () => {
		const connection = await connect()
		connection.waku.sendPlain(CODE.MESSAGES, rlpList([RLP.encode(new Uint8Array(3 << 20))]))
		assert.equal((await ending(connection)).isLocal, false)
	})

	await t.test('something before Status ends the connection', async () => {
		const connection = await peer(t, { silent: true }).connect(daemon.enode, { wait: false })
		connection.waku.sendPlain(CODE.MESSAGES, unhex('c0'))
		assert.equal((await ending(connection)).isLocal, false)
	})

	await t.test('another version of shh ends the connection', async () => {
		const connection = await peer(t, { silent: true, caps: ['shh'] }).connect(daemon.enode, { wait: false })
		connection.shh.sendPlain(CODE.STATUS, RLP.encode([5]))
		assert.equal((await ending(connection)).reason, SUBPROTOCOL)
	})

	await t.test('no shared capability is useless', async () => {
		const js = new JsPeer({ caps: ['shh'] })
		js.rlpx._capabilities[0] = { ...js.rlpx._capabilities[0], version: 5 }
		t.after(() => js.close())
		await assert.rejects(js.connect(daemon.enode, { ms: 1500 }))
	})

	await t.test('unknown codes, a second Status and answers nobody asked for are ignored', async () => {
		const connection = await connect()
		for (const mail of connection.mails) {
			mail.sendPlain(99, RLP.encode([1]))
			mail.sendPlain(CODE.STATUS, mail.statusPayload({}))
			mail.sendPlain(CODE.P2P, rlpList([makeEnvelope().rlp]))
			mail.sendPlain(CODE.COMPLETE, RLP.encode(new Uint8Array(64)))
			mail.sendPlain(CODE.ACK, RLP.encode(new Uint8Array(32)))
		}
		assert.deepEqual((await connection.waku.post([makeEnvelope()])).errors, [])
		const { envelopes } = await connection.waku.history({ bloom: FULL_BLOOM, from: now() - 60, to: 0 })
		assert.equal(envelopes.length, 1)
	})

	await t.test('a packet of more than a mebibyte is taken', async () => {
		const large = Array.from({ length: 3 }, () => makeEnvelope({ size: 400000, pow: 0.00001 }))
		assert.deepEqual((await (await connect()).waku.post(large)).errors, [])
	})
})

test('envelopes that are refused', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--mail.pow_min', '0.001', '--mail.envelope_max', '10K'] })
	const connection = await peer(t).connect(daemon.enode)
	const codes = { waku: { clock: 21, other: 22 }, shh: { clock: 37, other: 38 } }
	for (const name of ['waku', 'shh']) {
		const good = makeEnvelope()
		const cases = [
			[makeEnvelope({ sent: now() + 60 }), 'clock'],
			[makeEnvelope({ sent: now() - 100 }), 'clock'],
			[makeEnvelope({ size: 11000, pow: 0.002 }), 'other'],
			[weak(), 'other'],
		]
		await t.test(`${name}: code 12 names them, code 11 follows, the rest is stored`, async () => {
			const { errors } = await connection[name].post([good, ...cases.map(([e]) => e)])
			const expected = cases.map(([e, kind]) => [e.hash, codes[name][kind]])
			assert.deepEqual(errors.map((e) => [e.hash, e.code]), expected)
			assert.ok(errors.every((e) => e.text.length > 0))
			const again = await connection[name].post([good])
			assert.deepEqual(again.errors, [])
		})
		await t.test(`${name}: a moment too late is dropped in silence`, async () => {
			const late = makeEnvelope({ sent: now() - 20, ttl: 15 })
			assert.deepEqual((await connection[name].post([late])).errors, [])
		})
		await t.test(`${name}: an empty packet is confirmed`, async () => {
			assert.deepEqual((await connection[name].post([])).errors, [])
		})
	}
	const { envelopes } = await connection.waku.history({ bloom: FULL_BLOOM, from: now() - 1000, to: now() + 1000 })
	assert.equal(envelopes.length, 2)

	await t.test('each is counted, by reason', async () => {
		for (const [reason, count] of [['clock', 4], ['oversized', 2], ['low_pow', 2], ['expired', 2]])
			assert.equal(await daemon.metric('waku_envelopes_rejected_total', `"${reason}"`), count, reason)
	})
})

/* Valid but for its proof of work: a thirtieth of what the server asks for. */
function weak() {
	return makeEnvelope({ size: 300, ttl: 100, pow: 0, most: 0.00005 })
}

test('a sealed request is served however small the burst', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--mail.request_rate', '1', '--mail.request_burst', '1'] })
	const mail = (await peer(t).connect(daemon.enode)).waku
	const ask = () => mail.page({ topics: ['01020304'], from: now() - 60, to: now(), form: 'sealed' })

	assert.equal((await ask()).envelopes.length, 0)
	await assert.rejects(ask(), { refusal: 'rate limit exceeded' })
	await sleep(1500)
	assert.equal((await ask()).envelopes.length, 0)
})

test('requests that are refused', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--mail.request_rate', '1', '--mail.request_burst', '100'] })
	const connection = await peer(t).connect(daemon.enode)
	const window = { from: now() - 60, to: now() + 60 }
	const refusal = async (mail, query) => {
		try {
			await mail.page({ topics: ['01020304'], ...window, ...query })
		} catch (err) {
			return err.refusal ?? `${err}`
		}
		return undefined
	}

	for (const name of ['waku', 'shh'])
		await t.test(`${name}: with the deployed texts`, async () => {
			const mail = connection[name]
			assert.equal(await refusal(mail, { from: 200, to: 100 }), 'request is invalid: query range is invalid: lower > upper')
			assert.equal(await refusal(mail, { from: 200, to: 100, form: 'sealed' }), 'query range is invalid: lower > upper')
			assert.equal(await refusal(mail, { topics: [] }), 'request is invalid: bloom filter and topics is empty')
			assert.equal(await refusal(mail, { form: 'sealed', password: 'another' }), 'failed to decrypt p2p request')
			assert.match(await refusal(mail, { form: 'sealed', signer: crypto.randomBytes(32) }), /^signature does not match peer/)
			assert.match(await refusal(mail, { form: 'sealed', signer: null }), /^check message signature failed|signature does not match/)
			assert.equal(await refusal(mail, { limit: 100000 }), undefined)
		})

	await t.test('a sealed request that is nonsense inside', async () => {
		const data = seal(passwordKey('status-offline-inbox'), unhex('0102030405'), connection.peer._eciesSession._privateKey)
		const envelope = makeEnvelope({ topic: new Uint8Array(4), data, ttl: 50 })
		await assert.rejects(connection.waku.pageRaw(unhex(envelope.hash), envelope.rlp), /refused: failed to decode data/)
	})

	await t.test('a cursor or bloom of another size', async () => {
		for (const query of [{ cursor: new Uint8Array(35) }, { bloom: new Uint8Array(10), topics: undefined }]) {
			const mail = (await peer(t).connect(daemon.enode)).waku
			assert.match(await refusal(mail, query), /^(failed to decode data|request is invalid|connection closed|Error: connection closed)/)
		}
	})

	await t.test('any 36 bytes are a cursor, however silly', async () => {
		for (const byte of [0x00, 0x7f, 0xff])
			for (const name of ['waku', 'shh'])
				assert.equal(await refusal(connection[name], { cursor: new Uint8Array(36).fill(byte) }), undefined)
		assert.equal(await refusal(connection.waku, { from: 0, to: 0xffffffff }), undefined)
		assert.equal(await refusal(connection.waku, { from: 0xffffffff, to: 0xffffffff }), undefined)
	})

	await t.test('a sealed one counts as four', async () => {
		const fresh = await peer(t).connect(daemon.enode)
		let served = 0
		while (await refusal(fresh.waku, { form: 'sealed' }) === undefined)
			served++
		assert.ok(served >= 25 && served < 40, `${served}`)
	})

	await t.test('too many at once are told so, and served later', async () => {
		const fresh = await peer(t).connect(daemon.enode)
		let told
		for (let i = 0; i < 300 && told === undefined; i++)
			told = await refusal(fresh.waku, {})
		assert.equal(told, 'rate limit exceeded')
		assert.ok(await daemon.metric('mailserver_request_errors_total', '"rate"') >= 1)
		assert.ok(await daemon.metric('mailserver_request_errors_total', '"invalid"') >= 12)
		await sleep(1500)
		assert.equal(await refusal(fresh.waku, {}), undefined)
	})
})

test('HTTP', async (t) => {
	const daemon = await Daemon.start(t)
	assert.equal((await daemon.http('/livez', { isPublic: true })).status, 200)
	assert.equal((await daemon.http('/livez')).status, 200)
	assert.equal((await daemon.http('/readyz')).status, 200)
	assert.match((await daemon.http('/metrics')).body, /^# HELP mailserver_/m)
	assert.equal((await daemon.http('/metrics', { isPublic: true })).status, 404)
	assert.equal((await daemon.http('/readyz', { isPublic: true })).status, 404)
	assert.equal((await daemon.http('/nosuch')).status, 404)
	assert.equal((await daemon.http('/livez', { method: 'POST' })).status, 405)
	assert.equal((await daemon.http('/metrics', { headers: { host: 'evil.example' } })).status, 421)
	assert.equal((await daemon.http('/metrics', { headers: { origin: 'https://evil.example' } })).status, 403)
	assert.equal((await daemon.http('/metrics', { headers: { origin: `http://127.0.0.1:${daemon.privatePort}` } })).status, 200)
})

test('a peer that never reads delays nobody else', async (t) => {
	const daemon = await Daemon.start(t)
	await runOk(['post', daemon.enode, '--count', '4000', '--size', '2000', '--pow', '0.00001'])
	const rude = await peer(t).connect(daemon.enode)
	rude.peer._socket.pause()
	for (let i = 0; i < 30; i++)
		rude.waku.pageRaw(crypto.randomBytes(32), rude.waku.directRequest({ bloom: FULL_BLOOM }).payload).catch(() => {})
	await sleep(300)
	for (let i = 0; i < 5; i++) {
		const { code, stderr } = await run(['canary', daemon.enode, '--timeout', '5s'])
		assert.equal(code, 0, stderr)
	}
	await until('the rude peer is let go or kept at bay', async () => (await daemon.http('/readyz')).status === 200)
})

test('an address that only begins handshakes keeps no other one out', async (t) => {
	const daemon = await Daemon.start(t, {
		args: ['--net.rings', '1', '--net.handshakes_max', '8', '--net.handshake_timeout', '60s'],
	})
	const silent = Array.from({ length: 8 }, () => daemon.raw('127.0.0.2'))
	t.after(() => silent.forEach(({ socket }) => socket.destroy()))
	const shaking = () => daemon.metric('restante_links', 'handshake')
	await until('all places are taken', async () => await shaking() === 8)
	/* One more of its own is refused. */
	const ninth = daemon.raw('127.0.0.2')
	await within(5000, 'refusal', ninth.closed)
	assert.equal(await shaking(), 8)
	/* Others are served, one after the other and at once. */
	await runOk(['canary', daemon.enode])
	await runOk(['post', daemon.enode, '--count', '10', '--connections', '3', '--pow', '0.00001'])
	assert.ok(await daemon.metric('restante_links_total', 'too_many') >= 2)
})

test('few addresses that stand before the crowd of one do not hide it', async (t) => {
	const daemon = await Daemon.start(t, {
		args: ['--net.rings', '1', '--net.handshakes_max', '24', '--net.handshake_timeout', '60s'],
	})
	const silent = []
	t.after(() => silent.forEach(({ socket }) => socket.destroy()))
	/* The oldest are of eight networks. */
	for (let i = 1; i <= 24; i++) {
		silent.push(daemon.raw(`127.0.${Math.min(i, 9)}.2`))
		await until('it has its place', async () => await daemon.metric('restante_links', 'handshake') === i)
	}
	await runOk(['canary', daemon.enode])
	await runOk(['post', daemon.enode, '--count', '10', '--connections', '3', '--pow', '0.00001'])
})

test('rates of envelopes and of bytes slow a peer down, and no other one', async (t) => {
	const cases = [
		['net.envelope_rate', '20', (mail) => mail.post(Array.from({ length: 60 }, () => makeEnvelope({ pow: 0.00001 })))],
		/* Bytes are bytes, whatever they say. */
		['net.byte_rate', '20K', (mail) => mail.sendPlain(CODE.UPDATE, RLP.encode([[5, Array.from({ length: 10000 }, () => crypto.randomBytes(4))]]))],
	]
	for (const [setting, value, send] of cases)
		await t.test(setting, async (t) => {
			const daemon = await Daemon.start(t, { args: [`--${setting}`, value] })
			const { waku } = await peer(t).connect(daemon.enode)
			await send(waku)
			await until('it is counted', () => daemon.metric('waku_rate_limits_exceeded_total'))
			/* What it sends now waits for about a second. */
			const start = Date.now()
			await waku.post([makeEnvelope()])
			assert.ok(Date.now() - start > 300, `${Date.now() - start} ms`)
			const another = await peer(t).connect(daemon.enode)
			await another.waku.post([makeEnvelope()])
		})
})
