/*
 * A copy of everything while the server works, and back: what had been
 * confirmed before is there, sound, and served.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { JsPeer } from './peer.mjs'
import { Daemon, RESTANTE, join, run, runOk, sleep, tempDir, until } from './harness.mjs'

/* The key of somebody. */
const ID = (() => {
	const js = new JsPeer()
	js.close()
	return js.id
})()
/* Payments are set up, and serve everybody; the chain is never reached. */
const CONFIG = `
storage: { shards: 3, slice_span: 6h }
mail: { pow_min: 0 }
payments: { mode: audit }
chain:
  dev:
    id: 1337
    start_block: 0
    endpoints:
      - url: http://127.0.0.1:1
option:
  - { chain: dev, token: '0x${'11'.repeat(20)}', symbol: SNT, payee: '0x${'22'.repeat(20)}', price: 100 }
`
const readLedger = (path) => existsSync(path)
	? readFileSync(path, 'utf8').split('\n').filter((line) => line.length === 64) : []

/* `restante post` until it is told to stop; answers a function for that. */
function ingest(t, daemon, ledger) {
	const child = spawn(RESTANTE, ['post', daemon.enode, '--count', '10000000', '--topics', '200', '--size', '300',
		'--spread', '3d', '--ttl', '60s', '--pow', '0', '--connections', '4', '--per-packet', '20', '--hashes', ledger],
	{ stdio: 'ignore' })
	const ended = new Promise((resolve) => child.on('close', resolve))
	const stop = () => { child.kill('SIGTERM'); return ended }
	t.after(stop)
	return stop
}

async function hashesOf(daemon) {
	const path = join(daemon.dir, 'all.json')
	await runOk(['fetch', daemon.enode, '--from', '10d', '--output', path], { ms: 120000 })
	return new Set(readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line).hash))
}

const slicesIn = (archive) => readdirSync(archive).filter((name) => name.startsWith('shard-'))
	.flatMap((shard) => readdirSync(join(archive, shard)).filter((name) => name.endsWith('.mdb')).map((name) => join(archive, shard, name)))

test('under ingest', async (t) => {
	const daemon = await Daemon.start(t, { config: CONFIG })
	const data = join(daemon.dir, 'data')
	const ledger = join(daemon.dir, 'ledger')
	const dir = tempDir(t)
	const stop = ingest(t, daemon, ledger)
	await until('some are confirmed', () => readLedger(ledger).length > 3000, 60000)
	await runOk(['admin', 'entitlements', 'grant', ID, '--for', '30d', '--reason', 'friend', '--datadir', data])
	writeFileSync(join(data, 'archive', 'mark-test'), 'how far\n')

	const copies = []
	for (let i = 0; i < 3; i++) {
		const before = readLedger(ledger)
		const to = join(dir, `copy-${i}`)
		const { stdout } = await runOk(['backup', to, '--datadir', data, ...(i === 2 ? ['--nodekey'] : [])])
		assert.match(stdout, i === 2 ? /slices, .*payments, node key \(/ : /slices, .*payments, no node key \(/)
		copies.push({ to, before })
		await sleep(500)
	}

	await t.test('a backup that is killed hurts nobody', async () => {
		for (let i = 0; i < 5; i++) {
			const to = join(dir, `killed-${i}`)
			const child = spawn(RESTANTE, ['backup', to, '--datadir', data], { stdio: 'ignore' })
			const end = new Promise((resolve) => child.on('close', resolve))
			await sleep(20 + 30 * i)
			child.kill('SIGKILL')
			await end
			if (existsSync(join(to, 'BACKUP')))
				continue
			const result = await run(['restore', to, '--datadir', join(dir, 'never')])
			assert.equal(result.code, 1)
			assert.match(result.stderr, /BACKUP.*not finished/)
			assert.ok(!existsSync(join(dir, 'never')))
		}
		const count = readLedger(ledger).length
		await until('it goes on', () => readLedger(ledger).length > count + 500)
	})

	await stop()
	assert.equal(await daemon.metric('mailserver_healthy'), 1)
	assert.equal(await daemon.metric('mailserver_archive_slices_quarantined'), 0)

	for (const [i, { to, before }] of copies.entries())
		await t.test(`copy ${i} has what was confirmed before`, async (t) => {
			const sound = await runOk(['fsck', '--datadir', to])
			assert.match(sound.stdout, /sound/)
			const home = join(dir, `home-${i}`)
			mkdirSync(home)
			const { stdout } = await runOk(['restore', to, '--datadir', join(home, 'data')])
			assert.match(stdout, i === 2 ? /payments, node key \(/ : /no node key: put the server's there/)
			assert.deepEqual(readdirSync(join(home, 'data')).sort(), ['archive', ...(i === 2 ? ['nodekey'] : []), 'payments'])
			assert.equal(readFileSync(join(home, 'data', 'archive', 'mark-test'), 'utf8'), 'how far\n')
			await runOk(['fsck', '--datadir', join(home, 'data')])
			await runOk(['admin', 'payments', 'fsck', '--datadir', join(home, 'data')])

			const again = await Daemon.start(t, { dir: home, config: CONFIG })
			const found = await hashesOf(again)
			const missing = before.filter((hash) => !found.has(hash))
			assert.deepEqual(missing.slice(0, 5), [], `${missing.length} of ${before.length} missing`)
			assert.ok(before.length > 3000)
			assert.equal(again.enode.split('@')[0] === daemon.enode.split('@')[0], i === 2)
			const list = await runOk(['admin', 'entitlements', 'list', '--datadir', join(home, 'data')])
			assert.match(list.stdout, new RegExp(ID.slice(0, 16)))
			/* And it takes envelopes as before. */
			await runOk(['canary', again.enode])
			await again.stop()
		})
})

test('what is refused', async (t) => {
	const daemon = await Daemon.start(t)
	const data = join(daemon.dir, 'data')
	const dir = tempDir(t)
	const good = join(dir, 'good')
	await runOk(['post', daemon.enode, '--count', '200', '--pow', '0.00001'])
	await runOk(['backup', good, '--datadir', data])
	const fails = async (args, expected) => {
		const result = await run(args)
		assert.equal(result.code, 1, result.stdout)
		assert.match(result.stderr, expected)
	}

	await t.test('a folder that is not empty', async () => {
		await fails(['backup', good, '--datadir', data], /good: is not empty/)
		await fails(['restore', good, '--datadir', data], /data: is not empty/)
		assert.equal((await hashesOf(daemon)).size, 200)
	})
	await t.test('a source that is none', async () => {
		await fails(['backup', join(dir, 'b'), '--datadir', join(dir, 'nothing')], /there is no archive/)
		await fails(['restore', join(dir, 'nothing'), '--datadir', join(dir, 'c')], /BACKUP: is missing/)
		await fails(['restore', data, '--datadir', join(dir, 'c')], /BACKUP: is missing/)
		writeFileSync(join(dir, 'b', 'BACKUP'), 'restante-backup 9\n')
		await fails(['restore', join(dir, 'b'), '--datadir', join(dir, 'c')], /another version/)
		assert.ok(!existsSync(join(dir, 'c')))
	})
	await t.test('a copy that was damaged', async () => {
		const [slice] = slicesIn(join(good, 'archive'))
		const fd = openSync(slice, 'r+')
		/* Somewhere in the chunk: the bytes of an envelope. */
		const size = statSync(slice).size
		const bytes = readFileSync(slice)
		const at = bytes.lastIndexOf(Buffer.from('rstrun01'))
		assert.ok(at > 0)
		for (const place of [4096 * 4 + 200, Math.min(size - 4096, 4096 * 6 + 300)])
			writeSync(fd, Buffer.alloc(64, 0x5a), 0, 64, place)
		closeSync(fd)
		await fails(['restore', good, '--datadir', join(dir, 'd')], /nothing was restored/)
		assert.deepEqual(readdirSync(join(dir, 'd')), ['restoring'])
		rmSync(join(dir, 'd'), { recursive: true })
	})
	await t.test('and a stopped server is copied as well', async () => {
		await daemon.stop()
		await runOk(['backup', join(dir, 'cold'), '--datadir', data])
		await runOk(['restore', join(dir, 'cold'), '--datadir', join(dir, 'warm')])
		const { stdout } = await runOk(['export', '--datadir', join(dir, 'warm')])
		assert.equal(stdout.trim().split('\n').length, 200)
	})
})
