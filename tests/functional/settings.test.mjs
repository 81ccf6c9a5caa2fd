/* Wrong settings are refused at start, with the place and the reason. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { JsPeer } from './peer.mjs'
import { Daemon, join, run, runOk, tempDir, until } from './harness.mjs'

async function refused(dir, yaml, expected, { args = [], env } = {}) {
	const path = join(dir, 'bad.yaml')
	writeFileSync(path, yaml)
	for (const command of ['serve', 'check-config']) {
		const result = await run([command, '--config', path, '--datadir', join(dir, 'none'), ...args], { env, ms: 20000 })
		assert.equal(result.code, 2, `${command}: ${result.stderr}`)
		assert.match(result.stderr, expected, command)
		assert.equal(result.stdout, '')
	}
}

test('files', async (t) => {
	const dir = tempDir(t)
	const cases = [
		['net:\n  rings: 999\n', /bad\.yaml:2: net\.rings: .*out of range/],
		['net:\n  ring: 2\n', /bad\.yaml:2: .*ring.*(unknown|no such)/],
		['storage:\n  shards: many\n', /bad\.yaml:2: storage\.shards/],
		['net:\n  io: fast\n', /bad\.yaml:2: net\.io/],
		['net:\n  listen: nowhere\n', /bad\.yaml:2: net\.listen: is no address/],
		['net:\n  listen: 0.0.0.0:99999\n', /bad\.yaml:2: net\.listen: is no address/],
		['http:\n  private: 127.0.0.1:70000\n', /bad\.yaml:2: http\.private: is no address/],
		['http:\n  public: everywhere\n', /bad\.yaml:2: http\.public: is no address/],
		['net:\n  peers:\n    - enode://12@1.2.3.4:5\n', /bad\.yaml:3: net\.peers.*is no enode URL/],
		['storage:\n  retention_bytes: 15M\n', /bad\.yaml:2: storage\.retention_bytes.*too little/],
		['net: [1\n', /bad\.yaml:/],
		['\tnet: 1\n', /bad\.yaml:/],
	]
	for (const [yaml, expected] of cases)
		await t.test(JSON.stringify(yaml), () => refused(dir, yaml, expected))
	await t.test('all that is wrong is said at once', () =>
		refused(dir, 'net:\n  rings: 999\nstorage:\n  shards: 0\n', /net\.rings[\s\S]*storage\.shards/))
	await t.test('flags and variables have their place too', async () => {
		await refused(dir, '', /--net\.rings.*out of range/, { args: ['--net.rings', '1000'] })
		await refused(dir, '', /RESTANTE_NET_RINGS/, { env: { RESTANTE_NET_RINGS: 'x' } })
		await refused(dir, '', /RESTANTE_NOSUCH/, { env: { RESTANTE_NOSUCH: 'x' } })
	})
	await t.test('a file that is not there', async () => {
		const result = await run(['serve', '--config', join(dir, 'nosuch.yaml')])
		assert.equal(result.code, 2)
		assert.match(result.stderr, /nosuch\.yaml/)
	})
})

test('flag over variable over file over default', async (t) => {
	const dir = tempDir(t)
	const path = join(dir, 'good.yaml')
	writeFileSync(path, 'net:\n  rings: 3\nstorage:\n  shards: 3\n  readers: 3\n')
	const { stdout } = await runOk(['check-config', '--config', path, '--net.rings', '5'],
		{ env: { RESTANTE_NET_RINGS: '4', RESTANTE_STORAGE_SHARDS: '4' } })
	const value = (name) => new RegExp(`^${name.replace('.', '\\.')}\\W+(\\S+)`, 'm').exec(stdout)?.[1]
	assert.equal(value('net.rings'), '5')
	assert.equal(value('storage.shards'), '4')
	assert.equal(value('storage.readers'), '3')
	assert.equal(value('storage.reads_max'), '4096')
})

test('what cannot be served is refused with what to do', async (t) => {
	const dir = tempDir(t)
	const start = (args) => run(['serve', '--datadir', join(dir, 'data'), '--private-http', '', '--listen', '127.0.0.1:0', ...args], { ms: 20000 })

	await t.test('another shard count', async () => {
		const daemon = await Daemon.start(t, { dir, args: ['--storage.shards', '2'] })
		await daemon.stop()
		const result = await start(['--storage.shards', '3'])
		assert.equal(result.code, 1)
		assert.match(result.stderr, /2/)
		assert.match(result.stderr, /shards/)
		assert.match(result.stderr, /storage\.shards|export/)
		const other = await start(['--storage.shards', '2', '--storage.slice_span', '2h'])
		assert.equal(other.code, 1)
		assert.match(other.stderr, /slices of 86400 s, not 2 and 7200/)
	})

	await t.test('a port that is taken', async () => {
		const server = createServer()
		await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
		t.after(() => server.close())
		const taken = `127.0.0.1:${server.address().port}`
		for (const args of [['--listen', taken], ['--private-http', taken]]) {
			const result = await start(['--storage.shards', '2', ...args])
			assert.equal(result.code, 1, args[0])
			assert.ok(result.stderr.includes(taken.split(':')[1]), result.stderr)
		}
	})

	await t.test('a key that others may read, or that is none', async () => {
		const key = join(dir, 'key')
		writeFileSync(key, '11'.repeat(32), { mode: 0o644 })
		chmodSync(key, 0o644)
		const open = await start(['--storage.shards', '2', '--nodekey', key])
		assert.equal(open.code, 1)
		assert.match(open.stderr, /key.*(others|600|mode|read)/s)
		chmodSync(key, 0o600)
		writeFileSync(key, 'ff'.repeat(32))
		assert.equal((await start(['--storage.shards', '2', '--nodekey', key])).code, 1)
	})

	await t.test('a data folder that is a file', async () => {
		const path = join(dir, 'file')
		writeFileSync(path, '')
		const result = await run(['serve', '--datadir', path, '--listen', '127.0.0.1:0', '--private-http', ''])
		assert.equal(result.code, 1)
		assert.ok(result.stderr.includes(path))
	})
})

test('all of a file is read', async (t) => {
	const dir = tempDir(t)
	mkdirSync(join(dir, 'x'))
	const js = new JsPeer()
	t.after(() => js.close())
	const enode = await js.listen()
	const daemon = await Daemon.start(t, {
		config: `net:\n  rings: 1\n  client_id: My/1\n  peers:\n    - ${enode}\nmail:\n  password: geheim\nlog:\n  format: json\n`,
	})
	const connection = await js.accepted()
	assert.equal(connection.peer._hello.clientId, 'My/1')
	await runOk(['canary', daemon.enode, '--form', 'sealed', '--password', 'geheim'])
	assert.equal((await run(['canary', daemon.enode, '--form', 'sealed'])).code, 1)
	for (const line of daemon.stderr.trim().split('\n'))
		assert.equal(JSON.parse(line).level, 'info')
	assert.doesNotMatch((await runOk(['check-config', '--config', join(daemon.dir, 'restante.yaml')])).stdout, /geheim/)
})

test('packets of history may be as large as the setting allows', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--mail.page_bytes', '1M'] })
	await runOk(['canary', daemon.enode])
})

test('bounds on connections hold over all rings', async (t) => {
	for (const [setting, bound] of [['net.per_ip_max', 3], ['net.per_net_max', 3], ['net.sessions_max', 5]])
		await t.test(setting, async (t) => {
			const daemon = await Daemon.start(t, { args: ['--net.rings', '4', `--${setting}`, `${bound}`] })
			const count = () => daemon.metric('p2p_peers_count')
			const open = []
			const connect = async () => {
				const js = new JsPeer()
				t.after(() => js.close())
				open.push(await js.connect(daemon.enode, { ms: 1000 }))
			}
			/* At once, then one after the other. */
			await Promise.allSettled(Array.from({ length: 10 }, connect))
			assert.ok(await count() <= bound, `${await count()} of ${bound}`)
			for (let i = 0; i < 5; i++)
				await connect().catch(() => {})
			assert.equal(await count(), bound)
			/* Who goes makes room for one. */
			open[0].close()
			await until('it has gone', async () => await count() === bound - 1)
			await connect()
			await connect().catch(() => {})
			assert.equal(await count(), bound)
		})
})
