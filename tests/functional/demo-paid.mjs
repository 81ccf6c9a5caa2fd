/*
 * `./dev demo --paid`: two minutes on a terminal. A chain, a token, a server in
 * paid mode; Alice is refused, reads the offer, pays, claims, is served; Bobby
 * counts his money.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ACCOUNT_KEYS } from './chain.mjs'
import { PRICE, Shop, keyFile } from './paying.mjs'
import { sleep } from './peer.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const RESTANTE = process.env.RESTANTE ?? `${root}/build/release/restante`
const ends = []
const t = { after: (end) => ends.unshift(end) }
const say = (text) => console.log(`\n\x1b[1m${text}\x1b[0m`)

/* Run a command as a person would, on this terminal. */
function show(...args) {
	console.log(`\x1b[2m$ restante ${args.map((a) => (a.length > 70 ? `${a.slice(0, 24)}…` : a)).join(' ')}\x1b[0m`)
	return new Promise((resolve) => spawn(RESTANTE, args, { stdio: 'inherit' }).on('close', resolve))
}

async function demo() {
	say('A chain, a token that behaves as SNT does, and a server that sells 20 seconds for 100 SNT.')
	const shop = await Shop.start(t, { option: { unit: '20s', activate: 6 }, logLevel: 'broken' })
	const [, alice] = shop.chain.accounts
	const node = keyFile(t)
	const purse = keyFile(t, ACCOUNT_KEYS[1])
	const { enode, dir } = shop.daemon
	await shop.fund(alice)
	await show('post', enode, '--count', '1000')

	say('Alice has not paid.')
	await show('fetch', enode, '--nodekey', node.path, '--output', '/dev/null')
	say('She asks what it costs.')
	await show('offer', enode, '--units', '3')
	say('She pays 300 SNT with her wallet and claims them for her node.')
	const tx = await shop.pay(alice, 3n * PRICE)
	await show('claim', shop.url, '--server', shop.server, '--tx', tx, '--key-file', purse.path, '--node', node.node)
	say('Now she is served.')
	await show('fetch', enode, '--nodekey', node.path, '--output', '/dev/null')
	await show('entitlement', enode, '--nodekey', node.path)
	say('Bobby counts.')
	await show('admin', 'stats', '--datadir', `${dir}/data`)
	say('The server is killed and started again; Alice is still served.')
	await shop.daemon.kill()
	await shop.daemon.up()
	await show('fetch', shop.daemon.enode, '--nodekey', node.path, '--output', '/dev/null')
	say('Time passes. When it is over, and the grace with it, she is refused.')
	for (;;) {
		const [row] = await shop.admin('entitlements', 'list')
		if (row.standing === 'expired')
			break
		process.stdout.write(`\r${row.standing}, until ${new Date(row.expiry * 1000).toLocaleTimeString()} `)
		await sleep(1000)
	}
	console.log()
	await show('fetch', shop.daemon.enode, '--nodekey', node.path, '--output', '/dev/null')
}

try {
	await demo()
} finally {
	for (const end of ends)
		await end()
}
