/*
 * Starts the real program on loopback for a test and never leaves it behind:
 * free ports, a folder of its own, the enode line awaited, everything killed
 * at the end, and a word of a sanitizer on standard error fails the test.
 */
import { spawn } from 'node:child_process'
import { createServer, connect as netConnect } from 'node:net'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'node:http'
import { sleep, within } from './peer.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const RESTANTE = process.env.RESTANTE ?? join(root, 'build/dev/restante')
export const LONG = Boolean(process.env.LONG)

const SANITIZER = /Sanitizer:|runtime error:/
/* Sanitized programs are slow to start on a busy machine. */
const START_MS = 30000

const children = new Set()
process.on('exit', () => {
	for (const child of children)
		child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'])
	process.on(signal, () => process.exit(1))

function launch(command, args, options) {
	const child = spawn(command, args, options)
	children.add(child)
	child.exited = new Promise((resolve) => {
		child.on('close', (code, signal) => {
			children.delete(child)
			resolve({ code, signal })
		})
		child.on('error', (err) => {
			children.delete(child)
			resolve({ code: -1, signal: null, err })
		})
	})
	return child
}

/* A folder that goes when the test ends. */
export function tempDir(t) {
	const dir = mkdtempSync(join(tmpdir(), 'restante-test-'))
	t?.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
	return dir
}

export async function freePort() {
	const server = createServer()
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
	const { port } = server.address()
	await new Promise((resolve) => server.close(resolve))
	return port
}

/* What commands remember for their user: of this process only. */
let userDir
function userData() {
	if (!userDir) {
		userDir = mkdtempSync(join(tmpdir(), 'restante-user-'))
		process.on('exit', () => rmSync(userDir, { recursive: true, force: true }))
	}
	return userDir
}

/* Start a command. Answers {child, out}: out.stdout and out.stderr grow. */
export function begin(args, env = {}) {
	const child = launch(RESTANTE, args, {
		stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, XDG_DATA_HOME: userData(), ...env },
	})
	const out = { stdout: '', stderr: '' }
	for (const name of ['stdout', 'stderr']) {
		child[name].setEncoding('utf8')
		child[name].on('data', (data) => { out[name] += data })
	}
	child.stdin.on('error', () => {})
	return { child, out }
}

/*
 * Run a command to its end. Answers {code, signal, stdout, stderr}; `input`
 * goes to its standard input.
 */
export async function run(args, { input, ms = 60000, env } = {}) {
	const { child, out } = begin(args, env)
	child.stdin.end(input)
	try {
		const end = await within(ms, `end of restante ${args[0]}`, child.exited)
		if (SANITIZER.test(out.stderr))
			throw new Error(`a sanitizer spoke:\n${out.stderr}`)
		return { ...end, ...out }
	} finally {
		child.kill('SIGKILL')
	}
}

/* The same, and it must succeed. */
export async function runOk(args, options) {
	const result = await run(args, options)
	if (result.code !== 0)
		throw new Error(`restante ${args.join(' ')}: exit ${result.code ?? result.signal}\n${result.stderr}`)
	return result
}

export class Daemon {
	/*
	 * Options: dir (kept; else a fresh one), args, config (YAML text), env,
	 * wrap (a command that is given ours, as in ['prlimit', '--fsize=1']).
	 */
	static async start(t, options = {}) {
		const daemon = new Daemon(options)
		/* First ended, then its folder removed: that is the order of the hooks. */
		t?.after(() => daemon.end())
		daemon.dir = options.dir ?? tempDir(t)
		await daemon.up()
		return daemon
	}

	constructor(options) {
		this.options = options
		this.stderr = ''
	}

	/* A port that was free a moment ago may be somebody else's now. */
	async up() {
		for (let left = 3; ; left--) {
			try {
				return await this.upOnce()
			} catch (err) {
				if (left === 0 || !/cannot serve HTTP on .*: already there/.test(err.message))
					throw err
			}
		}
	}

	async upOnce() {
		const { args = [], config, wrap = [], env } = this.options
		this.publicPort = await freePort()
		this.privatePort = await freePort()
		const all = [...wrap, RESTANTE, 'serve', '--datadir', join(this.dir, 'data'),
			'--listen', `127.0.0.1:${this.options.port ?? 0}`,
			'--public-http', `127.0.0.1:${this.publicPort}`,
			'--private-http', `127.0.0.1:${this.privatePort}`]
		/* What is shared between rings is tested wherever they are not the matter. */
		if (!args.includes('--net.rings'))
			all.push('--net.rings', '2')
		if (config !== undefined) {
			const path = join(this.dir, 'restante.yaml')
			writeFileSync(path, config)
			all.push('--config', path)
		}
		all.push(...args)
		this.child = launch(all[0], all.slice(1), {
			stdio: ['ignore', 'pipe', 'pipe'],
			/* Every chain of the tests has the same accounts. */
			env: { ...process.env, RESTANTE_PAYMENTS_OWN_PAYEE: 'false', ...env },
		})
		this.stdout = ''
		this.child.stderr.on('data', (data) => { this.stderr += data })
		const enode = new Promise((resolve, reject) => {
			this.child.stdout.on('data', (data) => {
				this.stdout += data
				const line = /^enode:\/\/\S+$/m.exec(this.stdout)
				if (line && this.stdout.endsWith('\n'))
					resolve(line[0])
			})
			this.child.exited.then((end) => reject(new Error(
				`the daemon ended at start (${end.code ?? end.signal}):\n${this.stderr}`)))
		})
		this.enode = await within(START_MS, 'enode line', enode)
		this.port = Number(/:(\d+)(\?|$)/.exec(this.enode)[1])
		return this
	}

	/* SIGTERM; answers how it ended and how long it took. */
	async stop(signal = 'SIGTERM', ms = 10000) {
		const start = Date.now()
		this.child.kill(signal)
		const end = await within(ms, `end after ${signal}`, this.child.exited)
		this.checkWords()
		return { ...end, ms: Date.now() - start }
	}

	async restart() {
		await this.stop()
		return this.up()
	}

	async kill() {
		this.child.kill('SIGKILL')
		await this.child.exited
		this.checkWords()
	}

	checkWords() {
		if (SANITIZER.test(this.stderr))
			throw new Error(`a sanitizer spoke:\n${this.stderr}`)
	}

	async end() {
		if (!this.child)
			return
		if (this.child.exitCode === null && this.child.signalCode === null) {
			this.child.kill('SIGTERM')
			await within(8000, 'end', this.child.exited).catch(() => this.child.kill('SIGKILL'))
			await this.child.exited
		}
		this.checkWords()
	}

	http(path, { isPublic = false, headers = {}, method = 'GET' } = {}) {
		const port = isPublic ? this.publicPort : this.privatePort
		return new Promise((resolve, reject) => {
			const req = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
				const parts = []
				res.on('data', (data) => parts.push(data))
				res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(parts).toString() }))
			})
			req.on('error', reject)
			req.setTimeout(10000, () => req.destroy(new Error('no HTTP answer')))
			req.end()
		})
	}

	/* The sum of a metric over all its labels (that contain `label`). */
	async metric(name, label = '') {
		const { body } = await this.http('/metrics')
		let sum
		for (const line of body.split('\n')) {
			const found = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line)
			if (found && found[1] === name && (found[2] ?? '').includes(label))
				sum = (sum ?? 0) + Number(found[3])
		}
		return sum
	}

	/* A plain TCP connection; answers {socket, data(), closed}. */
	raw(localAddress = '127.0.0.1') {
		const socket = netConnect({ port: this.port, host: '127.0.0.1', localAddress })
		const parts = []
		socket.on('data', (data) => parts.push(data))
		socket.on('error', () => {})
		const closed = new Promise((resolve) => socket.on('close', resolve))
		return { socket, closed, data: () => Buffer.concat(parts) }
	}
}

/* Until `check` answers something true. */
export async function until(what, check, ms = 10000) {
	const end = Date.now() + ms
	for (;;) {
		const found = await check()
		if (found)
			return found
		if (Date.now() > end)
			throw new Error(`${what}: not within ${ms} ms`)
		await sleep(25)
	}
}

export { mkdirSync, writeFileSync, join, sleep, within }
