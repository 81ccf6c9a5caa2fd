/* The engines of the sockets, and a machine that forbids io_uring. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { JsPeer, FULL_BLOOM, makeEnvelope, now } from './peer.mjs'
import { Daemon, runOk, tempDir } from './harness.mjs'

const DENY = process.env.DENY_URING

async function story(t, daemon) {
	const js = new JsPeer()
	t.after(() => js.close())
	const connection = await js.connect(daemon.enode)
	const envelopes = Array.from({ length: 50 }, () => makeEnvelope())
	assert.deepEqual((await connection.shh.post(envelopes)).errors, [])
	await runOk(['post', daemon.enode, '--count', '2000', '--pow', '0.00001', '--connections', '3', '--io', 'epoll'])
	const { envelopes: found } = await connection.waku.history({ bloom: FULL_BLOOM, from: now() - 60, to: 0, form: 'sealed' })
	assert.equal(found.length, 2050)
	await runOk(['fetch', daemon.enode, '--jobs', '3', '--io', 'epoll'])
	assert.equal((await daemon.stop()).code, 0)
}

test('epoll when it is asked for', async (t) => {
	const daemon = await Daemon.start(t, { args: ['--io', 'epoll'] })
	assert.match(daemon.stderr, /io=epoll/)
	await story(t, daemon)
})

test('one ring', async (t) => {
	await story(t, await Daemon.start(t, { args: ['--net.rings', '1'] }))
})

test('where io_uring is forbidden', { skip: !DENY && 'DENY_URING is not set' }, async (t) => {
	await t.test('auto takes epoll', async () => {
		const daemon = await Daemon.start(t, { wrap: [DENY] })
		assert.match(daemon.stderr, /io=epoll/)
		await story(t, daemon)
	})
	await t.test('uring is refused with what to do', async () => {
		const dir = tempDir(t)
		await assert.rejects(Daemon.start(t, { dir, wrap: [DENY], args: ['--io', 'uring'] }), /io_uring|epoll/)
	})
})
