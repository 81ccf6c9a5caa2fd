/*
 * One minute on a terminal: a server; a peer that was not written here and
 * `restante post` fill it; everything is fetched back and compared, hash by
 * hash. The exit status tells whether all was well. `./dev demo` runs this.
 */
import { fileURLToPath } from 'node:url'
import { existsSync, readFileSync } from 'node:fs'

process.env.RESTANTE ??= fileURLToPath(new URL('../../build/release/restante', import.meta.url))
const { Daemon, runOk, tempDir, until, join, sleep } = await import('./harness.mjs')
const { JsPeer, FULL_BLOOM, makeEnvelope, now } = await import('./peer.mjs')

const isTerminal = process.stdout.isTTY
const paint = (code, text) => (isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text)
let failures = 0

function step(text) {
	console.log(`\n${paint(1, text)}`)
}

function check(isGood, text) {
	console.log(`  ${isGood ? paint(32, 'ok ') : paint(31, 'NO ')} ${text}`)
	if (!isGood)
		failures++
}

const thousands = (n) => n.toLocaleString('en')
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`
const same = (a, b) => a.size === b.size && [...a].every((x) => b.has(x))

async function timed(work) {
	const start = Date.now()
	return [await work(), Date.now() - start]
}

async function fetched(daemon, file, args) {
	const { stderr } = await runOk(['fetch', daemon.enode, '--from', '1h', '--output', file, ...args])
	const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
	return { lines, summary: stderr.trim().split('\n').at(-1) }
}

async function story(clean) {
	const dir = tempDir(clean)
	const topics = Array.from({ length: 20 }, (_, i) => Buffer.from([0xde, 0x30, i, i * 7]))
	const ledger = new Set()

	step('A mail server starts: no settings, a fresh folder, a free port')
	const [daemon, startMs] = await timed(() => Daemon.start(clean, { dir }))
	console.log(`      ${daemon.enode}`)
	check(true, `ready after ${seconds(startMs)}`)

	step('Peers connect: the RLPx stack of @ethereumjs/devp2p, not written here')
	const sender = new JsPeer()
	const listener = new JsPeer({ caps: ['shh'] })
	clean.after(() => { sender.close(); listener.close() })
	const both = await sender.connect(daemon.enode)
	const shhOnly = await listener.connect(daemon.enode)
	check(both.waku.status.confirms && both.shh.status.confirms,
		'one speaks waku/1 and shh/6, one shh/6 alone; the server says it confirms')
	await sleep(2100)

	step('The peer gossips 600 envelopes over waku and 400 over shh')
	const make = (count) => Array.from({ length: count }, (_, i) =>
		makeEnvelope({ topic: topics[i % topics.length], size: 250, pow: 0.0005, sent: now() - (i % 5) }))
	const made = make(1000)
	const [errors, postMs] = await timed(async () => {
		const refused = []
		for (let i = 0; i < made.length; i += 50) {
			const mail = i < 600 ? both.waku : both.shh
			refused.push(...(await mail.post(made.slice(i, i + 50))).errors)
		}
		return refused
	})
	for (const e of made)
		ledger.add(e.hash)
	check(errors.length === 0, `all confirmed after they were on the disk, in ${seconds(postMs)}`)
	await until('relayed', () => shhOnly.shh.seen.size >= made.length, 5000).catch(() => {})
	check(made.every((e) => shhOnly.shh.seen.has(e.hash)),
		`the other peer was sent them all over shh (${thousands(shhOnly.shh.seen.size)})`)

	step('`restante post` adds 20,000 envelopes over four connections')
	const post = await runOk(['post', daemon.enode, '--count', '20000', '--topics', '1000', '--size', '400',
		'--pow', '0.00001', '--connections', '4', '--hashes', join(dir, 'posted')])
	const posted = readFileSync(join(dir, 'posted'), 'utf8').split('\n').filter(Boolean)
	for (const hash of posted)
		ledger.add(hash)
	check(posted.length === 20000, post.stderr.trim().split('\n').at(-1))

	await until('relayed', () => both.waku.seen.size + both.shh.seen.size >= posted.length &&
		shhOnly.shh.seen.size >= ledger.size, 15000).catch(() => {})
	check(true, `and relays them to its peers (${thousands(both.waku.seen.size + both.shh.seen.size)} arrived)`)

	step('The peer asks for history in both forms and follows the cursors')
	for (const form of ['direct', 'sealed']) {
		const wanted = new Set(made.filter((_, i) => i % topics.length === 3).map((e) => e.hash))
		const [page, pageMs] = await timed(() =>
			both.waku.page({ form, topics: [topics[3]], from: now() - 3600, to: 0 }))
		check(same(wanted, new Set(page.envelopes.map((e) => e.hash))),
			`${form}: one topic, ${page.envelopes.length} envelopes, in ${pageMs} ms`)
	}
	const [all, allMs] = await timed(() =>
		both.shh.history({ form: 'direct', bloom: FULL_BLOOM, from: now() - 3600, to: 0 }))
	check(same(ledger, new Set(all.envelopes.map((e) => e.hash))),
		`everything: ${thousands(all.envelopes.length)} envelopes in ${all.pages} pages, in ${seconds(allMs)} (JavaScript)`)

	step('`restante fetch` brings everything back')
	const whole = await fetched(daemon, join(dir, 'all.json'), ['--jobs', '4'])
	console.log(`      ${whole.summary}`)
	check(whole.lines.length === ledger.size && same(ledger, new Set(whole.lines.map((e) => e.hash))),
		`${thousands(whole.lines.length)} lines, each envelope once, every hash as it was confirmed`)
	const single = await fetched(daemon, join(dir, 'one.json'),
		['--topic', topics[3].toString('hex'), '--cap', 'shh', '--form', 'sealed-node'])
	check(single.lines.length === 50, `one topic, sealed for the server's key: ${single.summary}`)

	step('The canary sings; then the server is stopped and comes back')
	const canary = await runOk(['canary', daemon.enode])
	check(true, canary.stdout.trim())
	const stopped = await daemon.stop()
	check(stopped.code === 0 && stopped.ms < 5000, `SIGTERM: ended in order after ${seconds(stopped.ms)}`)
	await daemon.up()
	const again = await fetched(daemon, join(dir, 'again.json'), ['--jobs', '2'])
	const kept = new Set(again.lines.map((e) => e.hash))
	check([...ledger].every((hash) => kept.has(hash)) && kept.size === ledger.size + 3,
		`after the restart all ${thousands(again.lines.length)} are still there`)
	const fsck = await daemon.stop().then(() => runOk(['fsck', '--datadir', join(dir, 'data')]))
	check(true, fsck.stdout.trim().split('\n').at(-1))
}

if (!existsSync(process.env.RESTANTE)) {
	console.error(`demo: ${process.env.RESTANTE} is not there; run ./dev demo`)
	process.exit(1)
}

const cleanups = []
const start = Date.now()
try {
	await story({ after: (work) => cleanups.unshift(work) })
} catch (err) {
	check(false, err.stack)
}
for (const work of cleanups)
	await work()
console.log(failures === 0
	? `\n${paint('1;32', 'All is well')}: whatever was confirmed came back (${seconds(Date.now() - start)}).`
	: `\n${paint('1;31', `${failures} thing(s) went wrong`)} (${seconds(Date.now() - start)}).`)
process.exit(failures === 0 ? 0 : 1)
