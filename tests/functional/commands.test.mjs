/* The commands against a server, and against an archive that is closed. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import {
	closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync,
	writeSync,
} from 'node:fs'
import { CODE, JsPeer, RLP, concat, hex, keccak256, makeEnvelope, now, readEnvelope, rlpList, unhex } from './peer.mjs'
import { Daemon, RESTANTE, freePort, join, run, runOk, tempDir, until } from './harness.mjs'

const lines = (path) => readFileSync(path, 'utf8').split('\n').filter(Boolean)
const objects = (path) => lines(path).map((line) => JSON.parse(line))
const sorted = (list) => [...list].sort()
const summary = ({ stderr }) => JSON.parse(stderr.trim().split('\n').at(-1))

test('post and fetch', async (t) => {
	const daemon = await Daemon.start(t)
	const { dir, enode } = daemon
	const ledger = join(dir, 'ledger')
	const post = (args) => runOk(['post', enode, '--json', '--pow', '0.0001', ...args])

	await t.test('post makes envelopes and waits for each', async () => {
		const made = summary(await post(['--count', '3000', '--topics', '30', '--seed', '7', '--size', '120',
			'--connections', '3', '--per-packet', '40', '--hashes', ledger]))
		assert.deepEqual([made.sent, made.confirmed, made.refused], [3000, 3000, 0])
		assert.equal(new Set(lines(ledger)).size, 3000)
		const shh = summary(await post(['--count', '10', '--cap', 'shh', '--topic', 'cafecafe', '--sealed']))
		assert.equal(shh.confirmed, 10)
	})

	await t.test('post seals with a given key', async () => {
		const own = await Daemon.start(t)
		const key = '0123456789abcdef'.repeat(4)
		await runOk(['post', own.enode, '--count', '3', '--pow', '0.0001', '--key', key])
		const { stdout } = await runOk(['fetch', own.enode, '--from', '1h'])
		const sealed = stdout.trim().split('\n').map((line) => Buffer.from(RLP.decode(unhex(JSON.parse(line).rlp))[3]))
		assert.equal(sealed.length, 3)
		for (const data of sealed) {
			const opened = createDecipheriv('aes-256-gcm', Buffer.from(key, 'hex'), data.subarray(-12))
			opened.setAuthTag(data.subarray(-28, -12))
			const plain = Buffer.concat([opened.update(data.subarray(0, -28)), opened.final()])
			assert.equal(plain.length % 256, 0)
		}
		const publicKey = own.enode.match(/[0-9a-f]{128}/)[0]
		assert.equal(summary(await runOk(['post', own.enode, '--json', '--count', '2', '--pow', '0.0001', '--key', publicKey])).confirmed, 2)
		for (const wrong of ['00', 'x'.repeat(64), '00'.repeat(64)]) {
			const refused = await run(['post', own.enode, '--key', wrong])
			assert.equal(refused.code, 2)
			assert.match(refused.stderr, /--key: this is no key; wanted/)
		}
	})

	const all = join(dir, 'all.json')
	await t.test('fetch brings everything back, each once, verified', async () => {
		const result = await runOk(['fetch', enode, '--json', '--jobs', '4', '--page', '100', '--output', all])
		const found = objects(all)
		assert.equal(found.length, 3010)
		assert.equal(summary(result).envelopes, 3010)
		assert.equal(summary(result).complete, true)
		const hashes = new Set(found.map((e) => e.hash))
		assert.equal(hashes.size, 3010)
		assert.ok(lines(ledger).every((hash) => hashes.has(hash)))
		for (const e of found.slice(0, 50)) {
			const read = readEnvelope(unhex(e.rlp))
			assert.deepEqual([read.hash, read.sent, read.topic], [e.hash, e.sent, e.topic])
		}
		assert.ok(!existsSync(`${all}.part`))
		assert.doesNotMatch(result.stderr, /\r|\x1b/)
	})

	await t.test('by topic, in every form, on both capabilities', async () => {
		const wanted = objects(all).filter((e) => e.topic === 'cafecafe').map((e) => e.hash)
		assert.equal(wanted.length, 10)
		for (const cap of ['waku', 'shh'])
			for (const form of ['direct', 'sealed', 'sealed-node']) {
				const { stdout } = await runOk(['fetch', enode, '--cap', cap, '--form', form, '--topic', 'cafecafe', '--page', '3'])
				const got = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).hash)
				assert.deepEqual(sorted(got), sorted(wanted), `${cap} ${form}`)
			}
	})

	await t.test('a limit, and going on from its cursor', async () => {
		const first = await runOk(['fetch', enode, '--json', '--limit', '70', '--page', '50'])
		const { cursor, envelopes } = summary(first)
		assert.equal(envelopes, 70)
		assert.equal(cursor.length, 72)
		const rest = await runOk(['fetch', enode, '--cursor', cursor])
		const got = [first, rest].flatMap((r) => r.stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l).hash))
		assert.equal(got.length, 3010)
		assert.equal(new Set(got).size, 3010)
	})

	await t.test('binary output is the same', async () => {
		const path = join(dir, 'all.bin')
		await runOk(['fetch', enode, '--format', 'binary', '--output', path])
		const bytes = readFileSync(path)
		const found = []
		for (let at = 0; at < bytes.length;) {
			const size = bytes.readUInt32BE(at)
			found.push(hex(keccak256(bytes.subarray(at + 4, at + 4 + size))))
			at += 4 + size
		}
		assert.deepEqual(sorted(found), sorted(objects(all).map((e) => e.hash)))
	})

	await t.test('raw envelopes are posted from a file; refused ones are named', async () => {
		const good = makeEnvelope({ size: 50 })
		const old = makeEnvelope({ size: 50, sent: Math.floor(Date.now() / 1000) - 3600 })
		const path = join(dir, 'raw.json')
		writeFileSync(path, [good, old].map((e) => JSON.stringify({ rlp: hex(e.rlp) })).join('\n') + '\n')
		const result = await run(['post', enode, path, '--json', '--hashes', '-'])
		assert.equal(result.code, 1)
		assert.deepEqual([summary(result).confirmed, summary(result).refused], [1, 1])
		assert.equal(result.stdout.trim(), good.hash)
		assert.match(result.stderr, new RegExp(`refused: ${old.hash}: code 21`))
		const viaPipe = await runOk(['post', enode, '-', '--json'], { input: JSON.stringify({ rlp: hex(good.rlp) }) })
		assert.equal(summary(viaPipe).confirmed, 1)
		const nonsense = await run(['post', enode, '-'], { input: '{"rlp":"c0"}\n' })
		assert.equal(nonsense.code, 1)
		assert.match(nonsense.stderr, /record 1 is no envelope/)
	})

	await t.test('the canary', async () => {
		for (const args of [[], ['--cap', 'shh', '--form', 'sealed'], ['--json']])
			await runOk(['canary', enode, ...args])
	})

	await t.test('a server that is not there, or another one', async () => {
		const gone = `enode://${enode.slice(8, 136)}@127.0.0.1:${await freePort()}`
		const other = new JsPeer()
		other.close()
		const stranger = `enode://${other.id}@127.0.0.1:${daemon.port}`
		for (const url of [gone, stranger])
			for (const command of ['fetch', 'post', 'canary']) {
				const path = join(dir, 'never.json')
				const result = await run([command, url, ...(command === 'fetch' ? ['--output', path] : [])])
				assert.equal(result.code, 1, command)
				assert.match(result.stderr, /connection 1: the server/)
				assert.ok(!existsSync(path) && !existsSync(`${path}.part`))
			}
	})

	await t.test('wrong calls are usage errors', async () => {
		for (const args of [
			['fetch'], ['fetch', 'enode://abc'], ['fetch', enode, '--topic', 'xyz'], ['fetch', enode, '--from', 'yesterday'],
			['fetch', enode, '--jobs', '0'], ['fetch', enode, '--jobs', '2', '--limit', '5'], ['fetch', enode, '--page', '1001'],
			['fetch', enode, '--bloom', 'ff'], ['fetch', enode, '--from', '1h', '--to', '2h'], ['fetch', enode, '--nosuch', '1'],
			['post', enode, '--topic', '12'], ['post', enode, '--count', '0'], ['nosuch'],
		]) {
			const result = await run(args)
			assert.equal(result.code, 2, args.join(' '))
			assert.notEqual(result.stderr, '')
		}
	})
})

test('a server that leads in circles is left', async (t) => {
	const js = new JsPeer({ caps: ['waku'] })
	t.after(() => js.close())
	const enode = await js.listen()
	const found = [makeEnvelope({ sent: now() - 5 }), makeEnvelope({ sent: now() - 9 })]
	let asked = 0
	/* At once: the request may come together with the Status. */
	js.on('connection', ({ waku }) => waku.on('message', (code, payload) => {
		if (code !== CODE.REQUEST)
			return
		const { rlp, hash, sent } = found[asked++ % 2]
		const cursor = Buffer.alloc(4)
		cursor.writeUInt32BE(sent)
		waku.sendPlain(CODE.P2P, rlpList([rlp]))
		waku.sendPlain(CODE.COMPLETE, RLP.encode(concat(RLP.decode(payload)[0], unhex(hash), cursor, unhex(hash))))
	}))
	const result = await run(['fetch', enode, '--from', '1h'], { ms: 20000 })
	assert.equal(result.code, 1)
	assert.match(result.stderr, /cursor does not advance/)
	const hashes = result.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line).hash)
	assert.deepEqual(hashes, found.map((e) => e.hash))
})

test('an archive that is closed', async (t) => {
	const dir = tempDir(t)
	const data = join(dir, 'data')
	const daemon = await Daemon.start(t, { dir })
	await runOk(['post', daemon.enode, '--count', '500', '--topics', '5', '--seed', '3', '--pow', '0.0001'])

	await t.test('is not touched while a server runs', async () => {
		for (const args of [['export'], ['fsck'], ['import', '/dev/null']]) {
			const result = await run([...args, '--datadir', data])
			assert.equal(result.code, 1, args[0])
			assert.match(result.stderr, /in use|another process|running/, args[0])
		}
		const second = await run(['serve', '--datadir', data, '--listen', '127.0.0.1:0', '--private-http', ''])
		assert.equal(second.code, 1)
		assert.match(second.stderr, /another process|in use|running/)
	})
	assert.equal((await daemon.stop()).code, 0)

	await t.test('is sound', async () => {
		const { stdout } = await runOk(['fsck', '--datadir', data])
		assert.match(stdout, /sound/)
	})

	await t.test('is exported and imported elsewhere, twice', async () => {
		for (const format of ['json', 'binary']) {
			const file = join(dir, `dump.${format}`)
			const other = join(dir, `other-${format}`)
			await runOk(['export', '--datadir', data, '--format', format, '--output', file])
			const first = await runOk(['import', file, '--datadir', other])
			assert.match(first.stderr, /500 read, 500 stored, 0 known before, 0 bad/)
			const second = await runOk(['import', file, '--datadir', other])
			assert.match(second.stderr, /500 read, 0 stored, 500 known before, 0 bad/)
			await runOk(['fsck', '--datadir', other])
			const back = join(dir, 'back.json')
			await runOk(['export', '--datadir', other, '--output', back])
			await runOk(['export', '--datadir', data, '--output', `${back}.0`])
			assert.deepEqual(lines(back), lines(`${back}.0`))
			const sent = objects(back).map((e) => e.sent)
			assert.deepEqual(sent, [...sent].sort((a, b) => a - b))
		}
	})

	await t.test('one topic alone', async () => {
		const [{ topic }] = objects(join(dir, 'back.json'))
		const { stdout } = await runOk(['export', '--datadir', data, '--topic', topic])
		const found = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))
		assert.equal(found.length, 100)
		assert.ok(found.every((e) => e.topic === topic))
	})

	await t.test('import verifies what it is given', async () => {
		const good = objects(join(dir, 'back.json'))[0]
		const other = join(dir, 'picky')
		const bad = [
			['{"rlp":"c0"}', /line 2 is no envelope/],
			[JSON.stringify({ ...good, hash: '00'.repeat(32) }), /line 2 does not have the hash/],
			['hello', /line 2.*not a JSON object/s],
			[JSON.stringify({ rlp: hex(makeEnvelope({ sent: 0xf0000000 }).rlp) }), /line 2 was sent in the future/],
		]
		for (const [line, expected] of bad) {
			const result = await run(['import', '--datadir', other], { input: `${JSON.stringify(good)}\n${line}\n` })
			assert.equal(result.code, 1)
			assert.match(result.stderr, expected)
		}
		const kept = await run(['import', '--keep-going', '--datadir', other], {
			input: bad.map(([line]) => line).join('\n') + '\n' + JSON.stringify({ rlp: good.rlp }) + '\n',
		})
		assert.equal(kept.code, 1)
		assert.match(kept.stderr, /1 known before, 4 bad/)
	})

	await t.test('damage is found, named, put aside, and the rest is served', async () => {
		const slices = readdirSync(join(data, 'archive'), { recursive: false })
			.filter((name) => name.startsWith('shard-'))
			.flatMap((shard) => readdirSync(join(data, 'archive', shard)).map((s) => join(data, 'archive', shard, s)))
		const target = slices.map((s) => (statSync(s).isDirectory() ? join(s, 'data.mdb') : s)).filter((s) => existsSync(s))
			.sort((a, b) => statSync(b).size - statSync(a).size)[0]
		const fd = openSync(target, 'r+')
		const size = statSync(target).size
		for (let at = 8192; at < size; at += 4096)
			writeSync(fd, Buffer.alloc(512, 0x5a), 0, 512, at + 1024)
		closeSync(fd)
		const copy = join(dir, 'damaged')
		cpSync(data, copy, { recursive: true })
		const check = await run(['fsck', '--datadir', data])
		assert.equal(check.code, 1)
		assert.ok(check.stdout.includes('shard-'), check.stdout + check.stderr)
		await run(['fsck', '--repair', '--datadir', data])
		await runOk(['fsck', '--datadir', data])
		const again = await Daemon.start(t, { dir })
		const result = await runOk(['fetch', again.enode, '--json'])
		assert.ok(summary(result).envelopes < 500)
		await runOk(['canary', again.enode])

		/* Without fsck: whoever asks is sent what can be read. */
		rmSync(join(copy, 'admin.sock'), { force: true })
		const other = new Daemon({ args: [] })
		other.dir = join(dir, 'other')
		mkdirSync(other.dir)
		renameSync(copy, join(other.dir, 'data'))
		t.after(() => other.end())
		await other.up()
		const rest = await runOk(['fetch', other.enode, '--json'])
		assert.ok(summary(rest).envelopes < 500)
		await until('it is counted', () => other.metric('mailserver_archive_slices_quarantined'))
		await until('it is named', () => /level=broken .*damaged.*slice-\d+\.mdb.*quarantine/.test(other.stderr))
		await runOk(['canary', other.enode])
		await other.stop()
		await runOk(['fsck', '--datadir', join(other.dir, 'data')])
	})
})

test('keygen, check-config, version', async (t) => {
	const dir = tempDir(t)
	const key = join(dir, 'key')
	const { stdout } = await runOk(['keygen', key])
	assert.match(stdout, /^enode:\/\/[0-9a-f]{128}\n$/)
	assert.equal(statSync(key).mode & 0o777, 0o600)
	assert.equal((await run(['keygen', key])).code, 1)
	assert.equal((await runOk(['keygen', '--print', key])).stdout, stdout)
	const daemon = await Daemon.start(t, { dir, args: ['--nodekey', key] })
	assert.equal(daemon.enode.slice(0, 136), stdout.trim())
	await runOk(['canary', daemon.enode, '--nodekey', await newKey(dir)])
	assert.match((await runOk(['version'])).stdout, /\d+\.\d+\.\d+/)
	assert.match((await runOk(['check-config', '--net.rings', '3'])).stdout, /net\.rings.*3/)
})

async function newKey(dir) {
	const path = join(dir, 'client-key')
	await runOk(['keygen', path])
	return path
}

/* A command of the shell in which $R is the program. */
const shell = (line, ...words) => new Promise((resolve) => {
	execFile('/bin/sh', ['-c', line, 'sh', ...words], { env: { ...process.env, R: RESTANTE } },
		(err, stdout, stderr) => resolve({ code: err?.code ?? 0, stdout, stderr }))
})

test('what could not be written was not done', async (t) => {
	const dir = tempDir(t)
	const key = join(dir, 'key')
	await runOk(['keygen', key])
	for (const words of ['version', 'check-config', 'check-config example', `keygen --print ${key}`, '--help', 'serve --help'])
		for (const place of ['>/dev/full', '>&-']) {
			const { code, stderr } = await shell(`"$R" ${words} ${place}`)
			assert.equal(code, 1, `${words} ${place}: ${stderr}`)
			assert.match(stderr, /standard output/)
		}
	/* Somebody who has seen enough. */
	assert.equal((await shell('"$R" check-config | head -1')).stdout.split('\n').length, 2)
})

test('a server without standard files keeps its own apart', async (t) => {
	const data = join(tempDir(t), 'data')
	const { code } = await shell(
		'"$R" serve --datadir "$1" --listen 127.0.0.1:0 --private-http "" <&- >&- 2>&- & p=$!; sleep 2; kill $p; wait $p', data)
	assert.equal(code, 0)
	assert.match((await runOk(['fsck', '--datadir', data])).stdout, /sound/)
	for (const name of readdirSync(data, { recursive: true }))
		if (statSync(join(data, name)).isFile())
			assert.ok(!readFileSync(join(data, name)).includes('enode://'), name)
})
