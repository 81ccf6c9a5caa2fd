/*
 * A peer that was not written here: the RLPx stack of @ethereumjs/devp2p with
 * `waku/1` and `shh/6` on top, as small as a mail server's tests need them.
 *
 * A JsPeer listens and dials; each connection gives one Mail object for each
 * shared capability: Status, gossip with confirmations, history requests in
 * both forms, and everything that arrived.
 */
import { EventEmitter, once } from 'node:events'
import * as crypto from 'node:crypto'
import { RLPx, Peer, ECIES } from '@ethereumjs/devp2p'
import { RLP } from '@ethereumjs/rlp'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import snappy from 'snappyjs'

export { keccak256, RLP, snappy }

/* ---- bytes ---- */

export const hex = (bytes) => Buffer.from(bytes).toString('hex')
export const unhex = (text) => Uint8Array.from(Buffer.from(text, 'hex'))
export const concat = (...parts) => Uint8Array.from(Buffer.concat(parts))
export const now = () => Math.floor(Date.now() / 1000)
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const toInt = (bytes) => bytes.reduce((sum, b) => sum * 256 + b, 0)

function be64(value) {
	const out = Buffer.alloc(8)
	out.writeBigUInt64BE(BigInt(value))
	return out
}

function doubleBits(value) {
	const out = Buffer.alloc(8)
	out.writeDoubleBE(value)
	return out.readBigUInt64BE()
}

/* Wait for a promise, with a name for what did not come. */
export function within(ms, what, promise) {
	let timer
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms)
	})
	return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/* ---- envelopes (protocol/whisper-waku.md §3, §4, §7) ---- */

function leadingZeroBits(hash) {
	let bits = 0
	for (const byte of hash) {
		if (byte !== 0)
			return bits + Math.clz32(byte) - 24
		bits += 8
	}
	return bits
}

/* A valid envelope with a nonce found by search. */
export function makeEnvelope({ topic, data, size = 200, ttl = 15, sent = now(), pow = 0.002, most = Infinity } = {}) {
	topic ??= crypto.randomBytes(4)
	data ??= crypto.randomBytes(size)
	const fields = [sent + ttl, ttl, Uint8Array.from(topic), Uint8Array.from(data)]
	const short = RLP.encode(fields)
	const state = keccak256.create().update(short)
	for (let nonce = 0; ; nonce++) {
		const bits = leadingZeroBits(state.clone().update(be64(nonce)).digest())
		const work = 2 ** bits / short.length / ttl
		if (work >= pow && work <= most) {
			const rlp = RLP.encode([...fields, nonce])
			return { rlp, hash: hex(keccak256(rlp)), sent, topic: hex(topic) }
		}
	}
}

/* What arrived, from its RLP bytes. */
export function readEnvelope(rlp) {
	const [expiry, ttl, topic] = RLP.decode(rlp)
	return { rlp, hash: hex(keccak256(rlp)), sent: toInt(expiry) - toInt(ttl), topic: hex(topic) }
}

/* The items of an RLP list with their bytes as they were sent. */
function splitList(bytes) {
	const items = []
	let { start, end } = itemBounds(bytes, 0)
	if (bytes[0] < 0xc0)
		throw new Error('not a list')
	while (start < end) {
		const item = itemBounds(bytes, start)
		items.push(bytes.subarray(start, item.end))
		start = item.end
	}
	return items
}

function itemBounds(bytes, at) {
	const first = bytes[at]
	const sized = (lenOfLen) => {
		const start = at + 1 + lenOfLen
		return { start, end: start + toInt(bytes.subarray(at + 1, start)) }
	}
	if (first < 0x80)
		return { start: at, end: at + 1 }
	if (first < 0xb8)
		return { start: at + 1, end: at + 1 + first - 0x80 }
	if (first < 0xc0)
		return sized(first - 0xb7)
	if (first < 0xf8)
		return { start: at + 1, end: at + 1 + first - 0xc0 }
	return sized(first - 0xf7)
}

/* A list around items that are RLP already. */
export function rlpList(items) {
	const size = items.reduce((sum, item) => sum + item.length, 0)
	if (size < 56)
		return concat(Uint8Array.of(0xc0 + size), ...items)
	const len = be64(size).subarray(8 - Math.ceil(size.toString(16).length / 2))
	return concat(Uint8Array.of(0xf7 + len.length), len, ...items)
}

/* With the deployed rule: a later bit overwrites an earlier one of its byte. */
export function bloomOf(topics) {
	const out = new Uint8Array(64)
	for (const topic of topics) {
		const one = new Uint8Array(64)
		const t = typeof topic === 'string' ? unhex(topic) : topic
		for (let j = 0; j < 3; j++) {
			const index = t[j] + (t[3] & (1 << j) ? 256 : 0)
			one[index >> 3] = 1 << (index & 7)
		}
		for (let i = 0; i < 64; i++)
			out[i] |= one[i]
	}
	return out
}
export const FULL_BLOOM = new Uint8Array(64).fill(0xff)

/* ---- sealed messages (protocol/message-codec.md) ---- */

const passwordKeys = new Map()
export function passwordKey(password) {
	if (!passwordKeys.has(password))
		passwordKeys.set(password, crypto.pbkdf2Sync(password, '', 65356, 32, 'sha256'))
	return passwordKeys.get(password)
}

export function seal(key, payload, signer) {
	const sizeBytes = payload.length > 0xffff ? 3 : payload.length > 0xff ? 2 : 1
	const size = Buffer.alloc(4)
	size.writeUInt32LE(payload.length)
	const head = concat(Uint8Array.of(sizeBytes | (signer ? 4 : 0)), size.subarray(0, sizeBytes), payload)
	const length = head.length + (signer ? 65 : 0)
	let plain = concat(head, crypto.randomBytes(256 - (length % 256)))
	if (signer) {
		const sig = secp256k1.sign(keccak256(plain), signer)
		plain = concat(plain, sig.toCompactRawBytes(), Uint8Array.of(sig.recovery))
	}
	const nonce = crypto.randomBytes(12)
	const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce)
	const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
	return concat(sealed, cipher.getAuthTag(), nonce)
}

/* ---- ids of two and three bytes ----
 *
 * The library takes the first body byte as the message id. Longer ids (`81 xx`
 * and `82 xx yy`, every code a mail server has) are folded into the one byte
 * ff, and the lookup that follows is told which one was meant.
 */
const FOLDED = 0xff
const parseBody = ECIES.prototype.parseBody
ECIES.prototype.parseBody = function (data) {
	const body = parseBody.call(this, data)
	this.foldedId = undefined
	if (!body || body.length === 0 || body[0] <= 0x80)
		return body
	const idSize = body[0] - 0x80
	this.foldedId = toInt(body.subarray(1, 1 + idSize))
	return concat(Uint8Array.of(FOLDED), body.subarray(1 + idSize))
}
const getProtocol = Peer.prototype._getProtocol
Peer.prototype._getProtocol = function (code) {
	const id = this._eciesSession.foldedId
	if (code !== FOLDED || id === undefined)
		return getProtocol.call(this, code)
	const found = getProtocol.call(this, id)
	return found && { protocol: found.protocol, offset: FOLDED - (id - found.offset) }
}

/* ---- the two capabilities ---- */

export const CODE = {
	STATUS: 0, MESSAGES: 1, POW: 2, BLOOM: 3, ACK: 11, RESPONSE: 12, LIMITS: 20, UPDATE: 22,
	SYNC: 123, SYNC_ANSWER: 124, COMPLETE: 125, REQUEST: 126, P2P: 127,
}

/*
 * One capability of one connection. Events: 'status', 'envelopes' (gossip),
 * 'message' (code, payload: everything). `seen` has each gossiped envelope.
 */
class Mail extends EventEmitter {
	constructor(version, peer, send) {
		super()
		this.setMaxListeners(0)
		this.peer = peer
		this.send = send
		this.seen = new Map()
		this.unasked = []
		this.status = undefined
		this.options = peer.restanteOptions ?? {}
		this.batches = new Map()
		this.requests = new Map()
		peer.events.once('connect', () => {
			if (!this.options.silent)
				this.sendPlain(CODE.STATUS, this.statusPayload(this.options))
		})
		peer.events.once('close', (reason) => this.fail(new Error(`connection closed, reason ${reason}`)))
	}

	/* Snappy on what is sent is the caller's in this library. */
	sendPlain(code, payload) {
		const isNew = this.peer._hello !== null && this.peer._hello.protocolVersion >= 5
		this.send(code, isNew ? Uint8Array.from(snappy.compress(payload)) : payload)
	}

	fail(err) {
		for (const waiter of [...this.batches.values(), ...this.requests.values()])
			waiter.reject(err)
		this.batches.clear()
		this.requests.clear()
		this.emit('closed', err)
	}

	async ready(ms = 5000) {
		if (this.status === undefined)
			await within(ms, `Status on ${this.name}`, once(this, 'status'))
		return this
	}

	/* Gossip envelopes; answers {errors} when codes 12 and 11 have come. */
	post(envelopes, { ms = 15000 } = {}) {
		return this.postRaw(rlpList(envelopes.map((e) => e.rlp ?? e)), { ms })
	}

	postRaw(payload, { ms = 15000 } = {}) {
		const hash = hex(keccak256(payload))
		const waiter = { errors: undefined, isAcked: false }
		const promise = new Promise((resolve, reject) => Object.assign(waiter, { resolve, reject }))
		this.batches.set(hash, waiter)
		this.sendPlain(CODE.MESSAGES, payload)
		return within(ms, `confirmation of ${hash.slice(0, 8)} on ${this.name}`, promise)
	}

	/*
	 * One page of history. `form`: 'sealed' or 'direct'. Answers {envelopes,
	 * cursor, last} or throws an Error with `refusal` (the text of ERROR=).
	 */
	async page({ form = 'direct', ms = 30000, ...query }) {
		const { id, payload } = form === 'sealed' ? this.sealedRequest(query) : this.directRequest(query)
		return this.pageRaw(id, payload, { ms })
	}

	pageRaw(id, payload, { ms = 30000 } = {}) {
		const waiter = { envelopes: [], packets: 0 }
		const promise = new Promise((resolve, reject) => Object.assign(waiter, { resolve, reject }))
		this.requests.set(hex(id), waiter)
		this.sendPlain(CODE.REQUEST, payload)
		return within(ms, `completion on ${this.name}`, promise)
	}

	/* Follow the cursor to the end. */
	async history(query) {
		const all = []
		let cursor = query.cursor
		let pages = 0
		do {
			const page = await this.page({ ...query, cursor })
			all.push(...page.envelopes)
			cursor = page.cursor
			pages++
		} while (cursor)
		return { envelopes: all, pages }
	}

	directRequest({ from = 0, to = 0, limit = 1000, cursor, bloom, topics }) {
		const id = utf8(crypto.randomBytes(16).toString('hex'))
		const fields = [id, from, to, limit, cursor ?? EMPTY, bloom ?? EMPTY]
		if (this.name === 'waku' || topics)
			fields.push((topics ?? []).map((t) => (typeof t === 'string' ? unhex(t) : t)))
		return { id, payload: RLP.encode(fields) }
	}

	sealedRequest({ from = 0, to = 0, limit = 1000, cursor, bloom, topics, batch = true, order = 'B',
			password = 'status-offline-inbox', signer = this.peer._eciesSession._privateKey }) {
		const list = (topics ?? []).map((t) => (typeof t === 'string' ? unhex(t) : t))
		const filter = bloom ?? bloomOf(list)
		const head = [from, to, filter]
		const forms = {
			A: [...head, limit, cursor ?? EMPTY, batch ? 1 : 0],
			B: [...head, list, limit, cursor ?? EMPTY, batch ? 1 : 0],
			C: [...head, limit, cursor ?? EMPTY],
			D: [...head, limit],
			E: [...head, limit, cursor ?? EMPTY, list],
		}
		const data = seal(passwordKey(password), RLP.encode(forms[order]), signer)
		const envelope = makeEnvelope({ topic: new Uint8Array(4), data, ttl: 50 })
		return { id: unhex(envelope.hash), payload: envelope.rlp }
	}

	_handleMessage(code, payload) {
		this.emit('message', code, payload)
		if (this.options.deaf)
			return
		switch (code) {
		case CODE.STATUS:
			this.status ??= this.readStatus(payload)
			this.emit('status', this.status)
			break
		case CODE.MESSAGES:
			this.gossiped(payload)
			break
		case CODE.RESPONSE: {
			const [version, [hash, errors]] = RLP.decode(payload)
			const waiter = this.batches.get(hex(hash))
			if (toInt(version) === 1 && waiter)
				waiter.errors = errors.map(([h, c, text]) => ({
					hash: hex(h), code: toInt(c), text: Buffer.from(text).toString(),
				}))
			break
		}
		case CODE.ACK: {
			/* 12 comes first, then 11, a bare string. */
			const hash = hex(RLP.decode(payload))
			const waiter = this.batches.get(hash)
			this.batches.delete(hash)
			if (waiter?.errors)
				waiter.resolve({ hash, errors: waiter.errors })
			else if (waiter)
				waiter.reject(new Error('code 11 without a code 12 before it'))
			break
		}
		case CODE.P2P:
			this.delivered(payload)
			break
		case CODE.COMPLETE:
			this.completed(RLP.decode(payload))
			break
		}
	}

	gossiped(payload) {
		const envelopes = splitList(payload).map(readEnvelope)
		for (const e of envelopes)
			this.seen.set(e.hash, e)
		this.emit('envelopes', envelopes)
		if (this.options.confirmations === false)
			return
		const hash = keccak256(payload)
		this.sendPlain(CODE.RESPONSE, RLP.encode([1, [hash, []]]))
		this.sendPlain(CODE.ACK, RLP.encode(hash))
	}

	/* shh: one bare envelope or a list of them; waku: always a list. */
	delivered(payload) {
		const items = splitList(payload)
		const isBare = items.length === 5 && items[0][0] < 0xc0
		if (isBare && this.name === 'waku')
			throw new Error('a bare envelope in code 127 on waku')
		const list = isBare ? [payload] : items
		/* The answers to one peer's requests come in order. */
		const waiter = this.requests.values().next().value
		if (!waiter) {
			this.unasked.push(CODE.P2P)
			return
		}
		waiter.packets++
		waiter.envelopes.push(...list.map(readEnvelope))
	}

	completed(bytes) {
		const isError = Buffer.from(bytes.subarray(0, 6)).toString() === 'ERROR='
		const id = hex(isError ? bytes.subarray(6, 38) : bytes.subarray(0, 32))
		const waiter = this.requests.get(id)
		if (!waiter) {
			this.unasked.push(CODE.COMPLETE)
			return
		}
		this.requests.delete(id)
		if (isError) {
			const text = Buffer.from(bytes.subarray(38)).toString()
			waiter.reject(Object.assign(new Error(`refused: ${text}`), { refusal: text }))
			return
		}
		if (bytes.length !== 64 && bytes.length !== 100) {
			waiter.reject(new Error(`a completion of ${bytes.length} bytes`))
			return
		}
		waiter.resolve({
			envelopes: waiter.envelopes,
			packets: waiter.packets,
			last: hex(bytes.subarray(32, 64)),
			cursor: bytes.length === 100 ? bytes.slice(64) : undefined,
		})
	}
}

const EMPTY = new Uint8Array(0)
const utf8 = (text) => Uint8Array.from(Buffer.from(text))

class Shh extends Mail {
	name = 'shh'

	statusPayload({ pow = 0, bloom = FULL_BLOOM, confirmations = true }) {
		return RLP.encode([6, doubleBits(pow), bloom, 0, confirmations ? 1 : 0, [0, 0, 0]])
	}

	readStatus(payload) {
		const [version, pow, bloom, light, confirmations] = RLP.decode(payload)
		if (toInt(version) !== 6)
			throw new Error('not shh/6')
		return { pow: readPow(pow), bloom, isLight: toInt(light) === 1, confirms: toInt(confirmations) === 1 }
	}

	setBloom(bloom) {
		this.sendPlain(CODE.BLOOM, RLP.encode(bloom))
	}
}

class Waku extends Mail {
	name = 'waku'

	statusPayload({ pow = 0, bloom = FULL_BLOOM, topics, confirmations = true }) {
		const pairs = [[0, doubleBits(pow)], [2, 0], [3, confirmations ? 1 : 0]]
		pairs.push(topics ? [5, topics.map((t) => (typeof t === 'string' ? unhex(t) : t))] : [1, bloom])
		return RLP.encode(pairs)
	}

	readStatus(payload) {
		const options = new Map(RLP.decode(payload).map(([key, value]) => [toInt(key), value]))
		return {
			pow: options.has(0) ? readPow(options.get(0)) : 0.001,
			bloom: options.get(1),
			isLight: toInt(options.get(2) ?? EMPTY) === 1,
			confirms: toInt(options.get(3) ?? EMPTY) === 1,
		}
	}

	update(pairs) {
		this.sendPlain(CODE.UPDATE, RLP.encode(pairs))
	}

	setTopics(topics) {
		this.update([[5, topics.map((t) => (typeof t === 'string' ? unhex(t) : t))]])
	}
}

function readPow(bytes) {
	const bits = Buffer.alloc(8)
	bits.set(bytes, 8 - bytes.length)
	return bits.readDoubleBE()
}

/* wmpay/1 (payments.md §7.2): questions by number, and what comes unasked. */
class Pay extends EventEmitter {
	name = 'wmpay'

	constructor(version, peer, send) {
		super()
		this.peer = peer
		this.send = send
		this.nextId = 1
		this.waiting = new Map()
		this.unasked = []
	}

	async ready() {
		return this
	}

	/* Fields after the request id; answers {code, fields} without it. */
	ask(code, fields = [], { ms = 10000 } = {}) {
		const id = this.nextId++
		const promise = new Promise((resolve) => this.waiting.set(id, resolve))
		const payload = RLP.encode([id, ...fields])
		this.send(code, Uint8Array.from(snappy.compress(payload)))
		return within(ms, `answer to wmpay ${code}`, promise)
	}

	_handleMessage(code, payload) {
		const [id, ...fields] = RLP.decode(payload)
		const answered = this.waiting.get(toInt(id))
		this.waiting.delete(toInt(id))
		if (answered)
			answered({ code, fields })
		else
			this.unasked.push({ code, fields })
	}
}

const CAPABILITIES = {
	wmpay: { name: 'wmpay', version: 1, length: 8, constructor: Pay },
	shh: { name: 'shh', version: 6, length: 128, constructor: Shh },
	waku: { name: 'waku', version: 1, length: 128, constructor: Waku },
}

/* ---- the peer ---- */

export function parseEnode(url) {
	const [, id, host, port] = /^enode:\/\/([0-9a-f]{128})@\[?([^\]]+?)\]?:(\d+)/i.exec(url)
	return { id: unhex(id), address: host, tcpPort: Number(port) }
}

/*
 * Options: key, caps (names), confirmations, pow, bloom, topics: what Status
 * says; client: what it calls itself; deaf: reads nothing into meaning; silent:
 * sends no Status.
 */
export class JsPeer extends EventEmitter {
	constructor({ key = crypto.randomBytes(32), caps = ['shh', 'waku'], client = 'restante-js-peer/1.0', ...options } = {}) {
		super()
		this.key = Uint8Array.from(key)
		this.options = options
		this.connections = new Set()
		this.rlpx = new RLPx(this.key, {
			clientId: utf8(client),
			capabilities: caps.map((name) => CAPABILITIES[name]),
			common: { customCrypto: {} },
			maxPeers: 1000,
			listenPort: null,
		})
		/* Each peer object must know our options before its Hello comes. */
		const onConnect = this.rlpx._onConnect.bind(this.rlpx)
		this.rlpx._onConnect = (socket, id) => {
			socket.setNoDelay(true)
			Object.defineProperty(socket, 'restanteOptions', { value: this.options })
			onConnect(socket, id)
		}
		this.rlpx.events.on('peer:added', (peer) => {
			const connection = new Connection(peer)
			this.connections.add(connection)
			this.emit('connection', connection)
		})
		this.rlpx.events.on('peer:error', (peer, err) => this.emit('peer-error', err))
		this.rlpx.events.on('error', (err) => this.emit('peer-error', err))
	}

	get id() {
		return hex(this.rlpx.id)
	}

	/* Listen on loopback; answers the enode URL. */
	async listen(port = 0) {
		this.rlpx.listen(port, '127.0.0.1')
		await once(this.rlpx._server, 'listening')
		return `enode://${this.id}@127.0.0.1:${this.rlpx._server.address().port}`
	}

	/* Wait for a connection from the node of this enode URL, or from any. */
	async accepted(ms = 20000) {
		for (const connection of this.connections)
			return connection.ready()
		const [connection] = await within(ms, 'incoming connection', once(this, 'connection'))
		return connection.ready()
	}

	/* Dial and wait until each shared capability has seen a Status. */
	async connect(enode, { ms = 10000, wait = true } = {}) {
		const target = parseEnode(enode)
		const isNew = (async () => {
			for (;;) {
				const [connection] = await once(this, 'connection')
				if (connection.remoteId === hex(target.id))
					return connection
			}
		})()
		const refused = once(this, 'peer-error').then(([err]) => { throw err })
		refused.catch(() => {})
		await this.rlpx.connect(target)
		const connection = await within(ms, 'RLPx connection', Promise.race([isNew, refused]))
		return wait ? connection.ready() : connection
	}

	close() {
		clearInterval(this.rlpx._refillIntervalId)
		for (const peer of this.rlpx._peers.values())
			(peer._socket ?? peer).destroy()
		this.rlpx._server?.close()
	}
}

Object.defineProperty(Peer.prototype, 'restanteOptions', {
	get() {
		return this._socket.restanteOptions
	},
})

class Connection extends EventEmitter {
	constructor(peer) {
		super()
		this.peer = peer
		this.remoteId = hex(peer.getId())
		for (const mail of peer.getProtocols())
			this[mail.name] = mail
		this.closed = new Promise((resolve) =>
			peer.events.once('close', (reason, isLocal) => resolve({ reason, isLocal })))
	}

	get mails() {
		return this.peer.getProtocols()
	}

	async ready() {
		await Promise.all(this.mails.map((mail) => mail.ready()))
		return this
	}

	/* A frame with this message id and these bytes, nothing added. */
	sendFrame(id, bytes) {
		this.peer._sendMessage(id, bytes)
	}

	close() {
		this.peer._socket.destroy()
	}
}
