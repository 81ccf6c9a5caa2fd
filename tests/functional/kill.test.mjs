/*
 * kill -9 at random moments under ingest, and an outside ledger of what was
 * confirmed: nothing confirmed is ever missing. Five rounds; fifty with LONG=1.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { FULL_BLOOM, JsPeer, makeEnvelope, now, sleep } from './peer.mjs'
import { Daemon, LONG, RESTANTE, join, runOk, tempDir } from './harness.mjs'

const ROUNDS = Number(process.env.ROUNDS ?? (LONG ? 50 : 5))

/* Gossip from a peer that was not written here, until the connection goes. */
async function gossip(daemon, ledger) {
	const js = new JsPeer()
	try {
		const connection = await js.connect(daemon.enode)
		for (;;) {
			const batch = Array.from({ length: 5 }, () => makeEnvelope({ size: 300, pow: 0.00001 }))
			const { errors } = await connection.waku.post(batch)
			if (errors.length === 0)
				batch.forEach((e) => ledger.add(e.hash))
		}
	} catch {
		/* killed */
	} finally {
		js.close()
	}
}

/* `restante post` over four connections, its ledger in a file. */
function post(daemon, path) {
	const child = spawn(RESTANTE, ['post', daemon.enode, '--count', '10000000', '--topics', '200', '--size', '300',
		'--pow', '0.00001', '--connections', '4', '--per-packet', '20', '--timeout', '5s', '--hashes', path],
	{ stdio: 'ignore' })
	return new Promise((resolve) => {
		child.on('close', resolve)
		child.on('error', resolve)
		setTimeout(() => child.kill('SIGTERM'), 8000).unref()
		daemon.child.exited.then(() => child.kill('SIGTERM'))
	})
}

function readLedger(path, ledger) {
	if (!existsSync(path))
		return
	/* The last line may be cut off. */
	for (const line of readFileSync(path, 'utf8').split('\n'))
		if (line.length === 64)
			ledger.add(line)
}

test(`nothing confirmed is missing after ${ROUNDS} kills`, async (t) => {
	const start = now()
	const ledger = new Set()
	const daemon = await Daemon.start(t, { args: ['--storage.slice_span', '1h'] })
	const fetchAll = async (path) => {
		await runOk(['fetch', daemon.enode, '--from', `${start - 60}`, '--output', path], { ms: 120000 })
		return new Set(readFileSync(path, 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l).hash))
	}

	for (let round = 0; round < ROUNDS; round++) {
		const path = join(daemon.dir, `ledger-${round}`)
		const work = [gossip(daemon, ledger), post(daemon, path)]
		await sleep(150 + Math.random() * 1200)
		await daemon.kill()
		await Promise.all(work)
		readLedger(path, ledger)
		await daemon.up()
		const isLast = round === ROUNDS - 1
		if (!isLast && round % 5 !== 1)
			continue
		const found = await fetchAll(join(daemon.dir, 'found.json'))
		const missing = [...ledger].filter((hash) => !found.has(hash))
		assert.deepEqual(missing.slice(0, 5), [], `${missing.length} of ${ledger.size} missing after round ${round + 1}`)
	}
	t.diagnostic(`${ledger.size} confirmed envelopes, ${ROUNDS} kills, none missing`)
	assert.ok(ledger.size > 100 * ROUNDS, `only ${ledger.size} were confirmed`)
	await runOk(['canary', daemon.enode])
	await daemon.stop()
	await runOk(['fsck', '--datadir', join(daemon.dir, 'data')])
})

test('SIGTERM under load ends in order, within five seconds', async (t) => {
	const ledger = new Set()
	const daemon = await Daemon.start(t)
	const path = join(daemon.dir, 'ledger')
	const work = [gossip(daemon, ledger), post(daemon, path)]
	const reader = new JsPeer()
	t.after(() => reader.close())
	/* It may have more to read than there is time for; this one has not. */
	const idle = new JsPeer()
	t.after(() => idle.close())
	const { closed } = await idle.connect(daemon.enode)
	const { waku } = await reader.connect(daemon.enode)
	waku.history({ bloom: FULL_BLOOM, from: now() - 60, to: 0 }).catch(() => {})
	await sleep(1500)
	const end = await daemon.stop()
	assert.deepEqual([end.code, end.signal], [0, null])
	assert.ok(end.ms < 5000, `${end.ms} ms`)
	assert.equal((await closed).reason, 8, 'peers are told')
	await Promise.all(work)
	readLedger(path, ledger)
	const out = join(daemon.dir, 'all.json')
	await runOk(['export', '--datadir', join(daemon.dir, 'data'), '--output', out])
	const found = new Set(readFileSync(out, 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l).hash))
	assert.ok(ledger.size > 0)
	assert.deepEqual([...ledger].filter((hash) => !found.has(hash)), [])
})

test('a second signal ends at once', async (t) => {
	const daemon = await Daemon.start(t)
	daemon.child.kill('SIGINT')
	daemon.child.kill('SIGINT')
	await sleep(50)
	daemon.child.kill('SIGINT')
	const { code, signal } = await daemon.child.exited
	assert.ok(code === 0 || signal === 'SIGINT')
})

/* A name server that never answers, on an address of its own; undefined: this user may not have one. */
async function silentNames(t) {
	const socket = createSocket('udp4')
	t.after(() => socket.close())
	try {
		execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
		await new Promise((resolve, reject) => socket.once('error', reject).bind(53, '127.0.0.77', resolve))
	} catch {
		return undefined
	}
	const path = join(tempDir(t), 'resolv.conf')
	writeFileSync(path, 'nameserver 127.0.0.77\n')
	return { socket, wrap: ['unshare', '-m', '/bin/sh', '-c', `mount --bind '${path}' /etc/resolv.conf && exec "$@"`, 'sh'] }
}

test('a name server that does not answer does not put off the end', async (t) => {
	const names = await silentNames(t)
	if (!names)
		return t.skip('this takes a user who may mount')
	const asked = new Promise((resolve) => names.socket.once('message', resolve))
	/* Many: those that wait behind the first are not asked for either. */
	const peers = Array.from({ length: 200 }, (_, i) => {
		const js = new JsPeer()
		js.close()
		return `enode://${js.id}@slow${i}.example.org:30303`
	})
	const daemon = await Daemon.start(t, { wrap: names.wrap, args: ['--net.peers', peers.join(',')] })
	await asked
	const end = await daemon.stop()
	assert.deepEqual([end.code, end.signal], [0, null])
	assert.ok(end.ms < 5000, `${end.ms} ms`)
})

test('nor the end of a server that is starting', async (t) => {
	const names = await silentNames(t)
	if (!names)
		return t.skip('this takes a user who may mount')
	const asked = new Promise((resolve) => names.socket.once('message', resolve))
	const daemon = new Daemon({ wrap: names.wrap, args: ['--discovery.enabled', '--net.advertise', 'slow.example.org'] })
	daemon.dir = tempDir(t)
	t.after(() => daemon.end())
	const up = assert.rejects(daemon.upOnce(), /ended at start \(SIGTERM\)/)
	await asked
	const end = await daemon.stop()
	assert.ok(end.ms < 3000, `${end.ms} ms`)
	await up
})
