/*
 * The bench's own works: the paid path is small enough to be run here whole,
 * with few claims and records, and what it writes is read back.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { RESTANTE, tempDir } from './harness.mjs'

const BENCH = join(dirname(RESTANTE), 'restante-bench')
const SANITIZER = /Sanitizer:|runtime error:/

/* Its results, and what it said to people. Nothing of it must stay behind. */
async function benchRounds(t, scenario, ...args) {
	const dir = tempDir(t)
	const { stdout, stderr } = await promisify(execFile)(BENCH, [scenario, '--dir', dir, ...args],
		{ timeout: 300000, maxBuffer: 1 << 26 })
	assert.doesNotMatch(stderr, SANITIZER)
	assert.deepEqual(readdirSync(dir), [], 'a temporary folder is left')
	return { lines: stdout.trim().split('\n').map((line) => JSON.parse(line)), stdout, stderr }
}

const bench = (t, scenario, ...args) => benchRounds(t, scenario, '--rounds', '1', ...args)

const find = (lines, metric, who = 'restante') =>
	lines.filter((line) => line.kind === 'result' && line.metric === metric && line.who === who)

test('every scenario says what is measured', async () => {
	const { stdout } = await promisify(execFile)(BENCH, ['--help'])
	const names = stdout.split('scenarios:\n')[1].split('\n\n')[0].split('\n').map((line) => line.trim().split(' ')[0])
	assert.ok(names.includes('claims') && names.includes('denied') && names.includes('entitlements'))
	for (const name of names.filter(Boolean)) {
		const help = await promisify(execFile)(BENCH, [name, '--help'])
		assert.match(help.stdout, /--rounds/, name)
	}
})

test('a backlog of claims is settled and its figures can be reported', async (t) => {
	const { lines, stdout } = await bench(t, 'claims', '--part', 'b1', '--claims', '300')
	assert.equal(lines[0].kind, 'machine')
	assert.ok(find(lines, 'rate')[0].median > 0)
	assert.equal(find(lines, 'rate', 'target')[0].median, 2000)
	assert.equal(find(lines, 'latency_p99', 'target')[0].median, 50)
	const dir = join(tempDir(t), 'run')
	mkdirSync(dir)
	writeFileSync(join(dir, 'results.jsonl'), stdout)
	await promisify(execFile)(BENCH, ['report', dir])
	assert.ok(existsSync(join(dir, 'report.md')))
	const report = readFileSync(join(dir, 'report.md'), 'utf8')
	assert.match(report, /\| B1 backlog of 300 final \| rate \| .* ≥ 2000 \| claims\/s \|/)
	assert.match(report, /\| B1 backlog of 300 final \| rate \| .* \| 1 \| (reached|\*\*missed\*\*) \|/)
	assert.match(report, /\| work \| who \| metric \| median \| min \| max \| unit \| rounds \|/)
	assert.match(report, /\| B7 check during B1 \| latency_p99 \| .* ≤ 50 \| us \|/)
	const { stdout: compared } = await promisify(execFile)(BENCH, ['compare', dir, dir])
	assert.match(compared, /0 changed/)
})

test('moved payments are followed and none is revoked', async (t) => {
	const { lines } = await bench(t, 'claims', '--part', 'b5', '--claims', '50')
	assert.equal(find(lines, 'revoked')[0].median, 0)
	assert.ok(find(lines, 'updated')[0].median > 0)
})

test('one claim is looked at before the crowd is done', async (t) => {
	const { lines } = await bench(t, 'claims', '--part', 'b6', '--claims', '6000')
	const before = find(lines, 'before_it')
	assert.equal(before.length, 2)
	/* So many that the crowd is not done before a busy machine lets the one file. */
	assert.ok(before[1].median < 6000, `${before[1].median} of 6000 were looked at before`)
})

test('the gate knows its records idle and while payments are credited', async (t) => {
	const { lines } = await bench(t, 'entitlements', '--records', '2000', '--checks', '10000')
	assert.equal(find(lines, 'latency_p99').filter((line) => !/beside/.test(line.work)).length, 2)
	assert.ok(find(lines, 'credits')[0].median > 0)
	assert.equal(lines.filter((line) => line.kind === 'latency').length, 6)
})

test('everybody is refused who has not paid', async (t) => {
	const { lines } = await bench(t, 'denied', '--requests', '500')
	const cpu = find(lines, 'cpu')
	assert.equal(cpu.filter((line) => line.work.startsWith('received and dropped')).length, 2)
	assert.equal(cpu.length, 8)
	/* What was to be reached is asked of what comes after decryption, and of nothing else. */
	const targets = find(lines, 'cpu', 'target').map((line) => line.work)
	assert.deepEqual(targets, ['denied, 64 clients, after decryption', 'denied, 1 client, after decryption'])
	for (const work of targets) {
		const all = cpu.find((line) => line.work === work.replace(', after decryption', ''))
		assert.ok(cpu.find((line) => line.work === work).median < all.median, work)
	}
})

test('a short time leaves no figure with less than five rounds', async (t) => {
	const { lines } = await benchRounds(t, 'denied', '--requests', '200', '--budget', '1')
	const figures = lines.filter((line) => line.kind === 'result' && line.who === 'restante')
	assert.ok(figures.length > 0)
	for (const figure of figures)
		assert.ok(figure.rounds.length === 5, `${figure.work}, ${figure.metric}: ${figure.rounds.length}`)
})

test('one stream of claims is several rounds', async (t) => {
	const { lines } = await benchRounds(t, 'claims', '--part', 'b2', '--seconds', '1', '--rounds', '2')
	assert.equal(find(lines, 'latency_p99')[0].rounds.length, 2)
	assert.equal(lines.find((line) => line.kind === 'latency').count, 200)
})

test('beside peers that never read stands what idle ones do twice', async (t) => {
	const { lines } = await bench(t, 'stuck')
	for (const phase of ['first', 'then'])
		for (const work of [`never read / idle, ${phase}`, `idle again / idle, ${phase}`]) {
			const of = (metric) => find(lines, metric).find((line) => line.work === work)
			assert.equal(of('latency_p99').rounds.length, 1)
			/* Of one round all packets together are that round's. */
			assert.ok(Math.abs(of('latency_p99_pooled').median / of('latency_p99').median - 1) < 1e-4, work)
		}
	assert.equal(lines.filter((line) => line.kind === 'latency' && line.who === 'restante').length, 6)
})
