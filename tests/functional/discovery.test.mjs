/*
 * Discovery against another implementation (the DPT of @ethereumjs/devp2p),
 * and against datagrams made by hand: what is answered, and what is not.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { randomBytes } from 'node:crypto'
import { DPT, ENR } from '@ethereumjs/devp2p'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import { RLP, concat, hex, keccak256, now, unhex } from './peer.mjs'
import { Daemon, freePort, run, sleep, tempDir, until, within } from './harness.mjs'

const PING = 1, PONG = 2, FINDNODE = 3, NEIGHBORS = 4, ENR_REQUEST = 5, ENR_RESPONSE = 6
const EMPTY = new Uint8Array()

const ipBytes = (ip) => Uint8Array.from(ip.split('.').map(Number))
const soon = () => now() + 20

/* Our Pong counts for half a second: on a busy machine it may be too late. */
async function insist(what, check, act) {
	await until(what, async () => {
		await act()
		for (let i = 0; i < 20; i++) {
			if (await check())
				return true
			await sleep(50)
		}
		return false
	}, 60000)
}

/* A node with a socket and no table, which answers Pings unless it is deaf. */
class RawNode {
	static async open(t, { ip = '127.0.0.1', isDeaf = false, neighbors } = {}) {
		const node = new RawNode()
		Object.assign(node, { ip, isDeaf, neighbors, got: [], private: secp256k1.utils.randomPrivateKey() })
		node.public = secp256k1.getPublicKey(node.private, false).subarray(1)
		node.socket = createSocket('udp4')
		node.socket.on('message', (bytes, { port }) => node.receive(Uint8Array.from(bytes), port))
		t.after(() => node.socket.close())
		await new Promise((resolve) => node.socket.bind(0, ip, resolve))
		node.port = node.socket.address().port
		return node
	}

	get endpoint() {
		return [ipBytes(this.ip), this.port, this.port]
	}

	get enode() {
		return `enode://${hex(this.public)}@${this.ip}:${this.port}`
	}

	make(type, fields) {
		const body = concat(Uint8Array.of(type), RLP.encode(fields))
		const sig = secp256k1.sign(keccak256(body), this.private)
		const signed = concat(sig.toCompactRawBytes(), Uint8Array.of(sig.recovery), body)
		return concat(keccak256(signed), signed)
	}

	sendBytes(bytes, port) {
		this.socket.send(bytes, port, '127.0.0.1')
		return bytes.subarray(0, 32)
	}

	/* Answers the hash. */
	send(type, fields, port) {
		return this.sendBytes(this.make(type, fields), port)
	}

	ping(port, expiration = soon()) {
		return this.send(PING, [4, this.endpoint, [ipBytes('127.0.0.1'), port, EMPTY], expiration], port)
	}

	receive(bytes, port) {
		const sig = secp256k1.Signature.fromCompact(bytes.subarray(32, 96)).addRecoveryBit(bytes[96])
		const packet = {
			type: bytes[97], fields: RLP.decode(bytes.subarray(98)), hash: bytes.subarray(0, 32), size: bytes.length,
			sender: sig.recoverPublicKey(keccak256(bytes.subarray(97))).toRawBytes(false).subarray(1),
		}
		assert.equal(hex(keccak256(bytes.subarray(32))), hex(packet.hash))
		this.got.push(packet)
		if (packet.type === PING && !this.isDeaf)
			this.send(PONG, [packet.fields[1], packet.hash, soon()], port)
		if (packet.type === FINDNODE && this.neighbors)
			this.send(NEIGHBORS, [this.neighbors, soon()], port)
	}

	of(type) {
		return this.got.filter((packet) => packet.type === type)
	}

	/* Ping, and have answered the server's own Ping: then we are known. */
	async bond(daemon) {
		await insist('the proof', () => this.of(ENR_RESPONSE).length > 0, async () => {
			this.ping(daemon.port)
			await sleep(100)
			this.send(ENR_REQUEST, [soon()], daemon.port)
		})
	}
}

function start(t, options = {}) {
	return Daemon.start(t, { ...options, args: ['--discovery.enabled', ...(options.args ?? [])] })
}

const record = (daemon) => /^enr:\S+$/m.exec(daemon.stdout)?.[0]
const keyOf = (daemon) => /enode:\/\/([0-9a-f]{128})/.exec(daemon.enode)[1]
const dropped = (daemon, reason) => daemon.metric('discovery_packets_dropped_total', `reason="${reason}"`)

/* The seq of a record, from its text. */
const seqOf = (text) => BigInt(`0x${hex(RLP.decode(Uint8Array.from(Buffer.from(text.slice(4), 'base64url')))[1])}`)

async function dpt(t) {
	const port = await freePort()
	const other = new DPT(randomBytes(32), { endpoint: { address: '127.0.0.1', udpPort: port, tcpPort: port }, timeout: 2000 })
	other.events.on('error', () => {})
	other.port = port
	t.after(() => other.destroy())
	await new Promise((resolve) => {
		other.events.once('listening', resolve)
		other.bind(port, '127.0.0.1')
	})
	return other
}

test('another implementation finds us, and a third node through us', async (t) => {
	const daemon = await start(t)
	const [first, second] = [await dpt(t), await dpt(t)]
	const at = { address: '127.0.0.1', udpPort: daemon.port, tcpPort: daemon.port }

	for (const other of [first, second]) {
		const peer = await other.addPeer(at)
		assert.equal(hex(peer.id), keyOf(daemon))
	}
	await insist('both', async () => await daemon.metric('discovery_nodes') === 2,
		() => Promise.allSettled([first, second].map((other) => other._server.ping(at))))
	const found = new Promise((resolve) => first.events.on('peer:new', (peer) => {
		if (peer.udpPort === second.port)
			resolve(peer)
	}))
	first._server.findneighbours(at, second.id)
	assert.equal(hex((await within(10000, 'the third node', found)).id), hex(second.id))
})

test('the record', async (t) => {
	const dir = tempDir(t)
	const daemon = await start(t, { dir })
	const text = record(daemon)
	const { port } = daemon

	await t.test('is printed, verified by others and handed out', async () => {
		const node = await RawNode.open(t)
		assert.deepEqual(ENR.parseAndVerifyRecord(text), { address: '127.0.0.1', tcpPort: port, udpPort: port })
		await node.bond(daemon)
		const [hash, enr] = node.of(ENR_RESPONSE)[0].fields
		assert.equal(hash.length, 32)
		assert.equal(Buffer.from(RLP.encode(enr)).toString('base64url'), text.slice(4))
		const pong = node.of(PONG)[0].fields
		assert.equal(BigInt(`0x${hex(pong[3])}`), seqOf(text))
	})

	await t.test('names what net.advertise does, and no address for want of one', async () => {
		const named = await start(t, { args: ['--net.advertise', 'localhost'] })
		assert.equal(ENR.parseAndVerifyRecord(record(named)).address, '127.0.0.1')
		const without = await start(t, { args: ['--listen', '0.0.0.0:0'] })
		const keys = RLP.decode(Uint8Array.from(Buffer.from(record(without).slice(4), 'base64url')))
			.filter((_, i) => i > 1 && i % 2 === 0).map((key) => Buffer.from(key).toString())
		assert.deepEqual(keys, ['id', 'secp256k1', 'tcp', 'udp'])
		assert.match(without.stderr, /names no address: set net\.advertise/)
	})

	await t.test('stays over a restart, and its number rises when it changes', async () => {
		daemon.options.port = port
		await daemon.restart()
		assert.equal(record(daemon), text)
		const other = await freePort()
		daemon.options.args.push('--discovery.port', String(other))
		await daemon.restart()
		assert.ok(seqOf(record(daemon)) > seqOf(text))
		assert.equal(ENR.parseAndVerifyRecord(record(daemon)).udpPort, other)
		assert.match(daemon.enode, new RegExp(`:${port}\\?discport=${other}$`))
	})
})

test('what is not proved is not answered', async (t) => {
	const daemon = await start(t)
	const { port } = daemon

	await t.test('FindNode and ENRRequest of a stranger, or of another key at a known address', async () => {
		const node = await RawNode.open(t, { isDeaf: true })
		node.send(FINDNODE, [node.public, soon()], port)
		node.send(ENR_REQUEST, [soon()], port)
		node.ping(port)
		await until('Pong and Ping', () => node.of(PONG).length === 1 && node.of(PING).length === 1)
		/* A Pong of the right hash by another key proves nothing. */
		const own = node.private
		node.private = secp256k1.utils.randomPrivateKey()
		node.send(PONG, [node.endpoint, node.of(PING)[0].hash, soon()], port)
		node.private = own
		node.send(PONG, [node.endpoint, randomBytes(32), soon()], port)
		node.send(FINDNODE, [node.public, soon()], port)
		await sleep(300)
		assert.deepEqual(node.got.map(({ type }) => type).sort(), [PING, PONG])
		assert.equal(await dropped(daemon, 'unproven'), 3)
		assert.equal(await dropped(daemon, 'unsolicited'), 2)
		assert.equal(await daemon.metric('discovery_nodes'), 0)

		const known = await RawNode.open(t)
		await known.bond(daemon)
		known.private = secp256k1.utils.randomPrivateKey()
		const before = known.got.length
		known.send(FINDNODE, [known.public, soon()], port)
		await sleep(200)
		assert.equal(known.got.length, before)
	})

	await t.test('bad datagrams', async () => {
		const node = await RawNode.open(t, { isDeaf: true })
		const good = node.make(PING, [4, node.endpoint, node.endpoint, soon()])
		const badHash = Uint8Array.from(good)
		badHash[0] ^= 1
		const badSig = Uint8Array.from(good)
		badSig[96] = 3
		badSig.set(keccak256(badSig.subarray(32)), 0)
		for (const bytes of [EMPTY, good.subarray(0, 97), good.subarray(0, 120), badHash, badSig,
			Buffer.from('temporary discovery v5'), randomBytes(1281), randomBytes(9000),
			node.make(PING, []), node.make(9, [soon()]), node.make(PING, [4, node.endpoint, node.endpoint, now() - 2]),
			node.make(NEIGHBORS, [[[...node.endpoint, node.public]], soon()]),
			node.make(ENR_RESPONSE, [randomBytes(32), []])])
			node.sendBytes(bytes, port)
		await until('expired', async () => await dropped(daemon, 'expired') === 1)
		await until('hash', async () => await dropped(daemon, 'hash') === 2)
		assert.equal(await dropped(daemon, 'signature'), 1)
		assert.equal(await dropped(daemon, 'malformed'), 6)
		assert.deepEqual(node.got, [])
		/* A Ping of EIP-8: another version, more in the list and behind it. */
		node.sendBytes(node.make(PING, [555, [...node.endpoint, 7], node.endpoint, soon(), [1], 'more']), port)
		await until('a Pong', () => node.of(PONG).length === 1)
	})
})

test('sixteen nodes in two packets', async (t) => {
	const daemon = await start(t)
	const all = []

	for (let i = 0; i < 24; i++)
		all.push(await RawNode.open(t, { ip: `127.0.1.${i + 1}` }))
	/* Buckets have sixteen places: more than that can be known of 24. */
	await insist('nodes', async () => await daemon.metric('discovery_nodes') >= 17,
		() => all.forEach((node) => node.ping(daemon.port)))
	const asker = await RawNode.open(t)
	await asker.bond(daemon)
	asker.send(FINDNODE, [asker.public, soon()], daemon.port)
	await until('both', () => asker.of(NEIGHBORS).length === 2)
	const answers = asker.of(NEIGHBORS)
	assert.deepEqual(answers.map(({ fields }) => fields[0].length), [12, 4])
	assert.ok(answers.every(({ size }) => size <= 1280))
	const named = answers.flatMap(({ fields }) => fields[0]).map((node) => hex(node[3]))
	const known = new Set([...all, asker].map((node) => hex(node.public)))
	assert.equal(new Set(named).size, 16)
	assert.ok(named.every((key) => known.has(key)))
	/* Closest first, by XOR of the hashes. */
	const distance = (key) => BigInt(`0x${hex(keccak256(unhex(key)))}`) ^ BigInt(`0x${hex(keccak256(asker.public))}`)
	assert.ok(named.every((key, i) => i === 0 || distance(named[i - 1]) < distance(key)))
})

test('boot nodes are pinged, asked, and whom they name is met', async (t) => {
	const [third, victim] = [await RawNode.open(t, { ip: '127.0.0.3' }), await RawNode.open(t, { ip: '127.0.0.4' })]
	const asNode = (node, port = node.port) => [ipBytes(node.ip), port, port, node.public]
	const boot = await RawNode.open(t, {
		ip: '127.0.0.2',
		neighbors: [asNode(third), asNode(victim, 53), [ipBytes('203.0.113.1'), 30303, 30303, randomBytes(64)]],
	})
	const daemon = await start(t, { args: ['--discovery.nodes', boot.enode] })

	await until('FindNode', () => boot.of(FINDNODE).length > 0, 60000)
	assert.equal(hex(boot.of(FINDNODE)[0].fields[0]), keyOf(daemon))
	assert.ok(boot.of(FINDNODE).every(({ sender }) => hex(sender) === keyOf(daemon)))
	await until('the third is met', () => third.of(PING).length > 0, 60000)
	assert.equal(victim.got.length, 0)
})

test('a flood costs its sender the answers, and nobody else', async (t) => {
	const daemon = await start(t)
	const flooder = await RawNode.open(t, { isDeaf: true })
	const honest = await RawNode.open(t, { ip: '127.0.0.9' })
	const bytes = flooder.make(PING, [4, flooder.endpoint, flooder.endpoint, soon()])
	const begin = Date.now()

	for (let i = 0; i < 3000; i++) {
		flooder.sendBytes(bytes, daemon.port)
		if (i % 100 === 0)
			await sleep(5)
	}
	await honest.bond(daemon)
	const seconds = (Date.now() - begin) / 1000
	assert.ok(flooder.of(PONG).length <= 60 + 20 * (seconds + 1), `${flooder.of(PONG).length} in ${seconds} s`)
	assert.ok(await dropped(daemon, 'rate') > 1000)
	/* Ours are not repeated while one is under way. */
	assert.ok(flooder.of(PING).length <= 2 + 2 * seconds)
	const { ms, code } = await daemon.stop()
	assert.equal(code, 0)
	assert.ok(ms < 5000, `${ms} ms`)
})

test('off unless it is wanted, and refused when it cannot be', async (t) => {
	await t.test('off', async () => {
		const daemon = await Daemon.start(t)
		assert.equal(record(daemon), undefined)
		assert.doesNotMatch(daemon.enode, /discport/)
		const node = await RawNode.open(t)
		node.socket.on('error', () => {})
		node.ping(daemon.port)
		await sleep(200)
		assert.deepEqual(node.got, [])
	})

	await t.test('a port that is taken', async () => {
		const taken = await RawNode.open(t)
		await assert.rejects(start(t, { args: ['--discovery.port', String(taken.port)] }),
			new RegExp(`UDP port ${taken.port} of 127\\.0\\.0\\.1 is in use .*discovery\\.port`))
	})

	await t.test('a boot node without an address', async () => {
		const key = hex(secp256k1.getPublicKey(secp256k1.utils.randomPrivateKey(), false).subarray(1))
		for (const [enode, words] of [[`enode://${key}@boot.example.org:30303`, /names no address/], [key, /names no address/],
			['enode://12@1.2.3.4:5', /is no enode URL/]]) {
			const { code, stderr } = await run(['check-config', '--discovery.nodes', enode])
			assert.equal(code, 2)
			assert.match(stderr, words)
		}
	})
})
