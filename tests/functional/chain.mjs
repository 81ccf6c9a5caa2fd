/*
 * A real chain for the tests: anvil, driven by plain JSON-RPC, with the
 * contracts of contracts/ deployed on it.
 *
 * What was learnt the hard way: every transaction has explicit gas; a batch
 * has explicit nonces; empty blocks that replace empty blocks have the same
 * hashes, so reorg() puts a transaction into the oldest; transactions of
 * replaced blocks do not return to the pool.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { hex, keccak256, within, sleep } from './peer.mjs'
import { freePort } from './harness.mjs'
import { postJson } from './proxy.mjs'

const ANVIL = fileURLToPath(new URL('node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil', import.meta.url))
const BYTECODE = fileURLToPath(new URL('contracts/bytecode.json', import.meta.url))
export const built = JSON.parse(readFileSync(BYTECODE, 'utf8'))

/* Published keys of the common development mnemonic: accounts 0 to 9. */
export const ACCOUNT_KEYS = [
	'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
	'59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
	'5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
	'7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
]

const children = new Set()
process.on('exit', () => {
	for (const child of children)
		child.kill('SIGKILL')
})

/* ---- ABI, as little as the contracts need ---- */

const word = (value) => BigInt.asUintN(256, BigInt(value)).toString(16).padStart(64, '0')

function encodeOne(type, value) {
	if (type.endsWith('[]'))
		return word(value.length) + value.map((v) => encodeOne(type.slice(0, -2), v)).join('')
	if (type === 'bytes') {
		const body = value.replace(/^0x/, '')
		return word(body.length / 2) + body.padEnd(Math.ceil(body.length / 64) * 64, '0')
	}
	if (type === 'bytes32')
		return value.replace(/^0x/, '').padEnd(64, '0')
	return word(value)
}

/* call('transfer(address,uint256)', to, value) → 0x data */
export function call(signature, ...args) {
	const types = /\((.*)\)/.exec(signature)[1].split(',').filter(Boolean)
	let head = '', tail = ''
	types.forEach((type, i) => {
		const encoded = encodeOne(type, args[i])
		if (type === 'bytes' || type.endsWith('[]')) {
			head += word(32 * types.length + tail.length / 2)
			tail += encoded
		} else {
			head += encoded
		}
	})
	return `0x${hex(keccak256(Buffer.from(signature))).slice(0, 8)}${head}${tail}`
}

const quantity = (value) => `0x${BigInt(value).toString(16)}`

export class Chain {
	/*
	 * Options: mining ('none': blocks only by mine(); a number: one every
	 * so many seconds; otherwise one for each transaction), chainId, epoch
	 * (slots: safe is head − epoch, finalized head − 2 epoch), time.
	 */
	static async start(t, options = {}) {
		if (!existsSync(ANVIL))
			throw new Error('no chain node: npm ci in tests/functional installs it (linux, x64)')
		const chain = new Chain()
		chain.port = options.port ?? await freePort()
		chain.url = `http://127.0.0.1:${chain.port}`
		chain.agent = new Agent({ keepAlive: true, maxSockets: 8 })
		chain.nextId = 1
		const args = ['--port', `${chain.port}`, '--chain-id', `${options.chainId ?? 31337}`,
			'--slots-in-an-epoch', `${options.epoch ?? 4}`, '--silent', '--order', 'fifo']
		if (options.mining === 'none')
			args.push('--no-mining')
		else if (options.mining !== undefined)
			args.push('--block-time', `${options.mining}`)
		if (options.time !== undefined)
			args.push('--timestamp', `${options.time}`)
		chain.mining = options.mining
		chain.child = spawn(ANVIL, args, { stdio: ['ignore', 'ignore', 'pipe'] })
		children.add(chain.child)
		let words = ''
		chain.child.stderr.on('data', (data) => { words += data })
		t?.after(() => chain.stop())
		await within(10000, 'chain', (async () => {
			for (;;) {
				try {
					chain.accounts = await chain.rpc('eth_accounts')
					return
				} catch (err) {
					if (chain.child.exitCode !== null)
						throw new Error(`anvil ended: ${words}`, { cause: err })
					await sleep(20)
				}
			}
		})())
		chain.genesis = (await chain.rpc('eth_getBlockByNumber', '0x0', false)).hash
		return chain
	}

	async stop() {
		this.isHeld = true
		this.agent.destroy()
		this.child.kill('SIGKILL')
		children.delete(this.child)
	}

	post(body) {
		return postJson({ host: '127.0.0.1', port: this.port, agent: this.agent }, body)
	}


	async rpc(method, ...params) {
		const { result, error } = await this.post({ jsonrpc: '2.0', id: this.nextId++, method, params })
		if (error)
			throw new Error(`${method}: ${error.message}`)
		return result
	}

	/* Several at once; an error in one throws. */
	async batch(calls) {
		const answers = await this.post(calls.map(([method, ...params], id) => ({ jsonrpc: '2.0', id, method, params })))
		return answers.sort((a, b) => a.id - b.id).map(({ result, error }, i) => {
			if (error)
				throw new Error(`${calls[i][0]}: ${error.message}`)
			return result
		})
	}

	async mine(blocks = 1) {
		await this.rpc('anvil_mine', quantity(blocks))
	}

	/* A block every so often, until hold(); for mining 'none'. */
	tick(ms = 500) {
		this.isHeld = false
		this.ticking ??= (async () => {
			while (!this.isHeld) {
				await this.mine()
				await sleep(ms)
			}
		})().catch(() => {})
	}

	async hold() {
		this.isHeld = true
		await this.ticking
		this.ticking = undefined
	}

	/* The chain's height. */
	async head() {
		return Number(await this.rpc('eth_blockNumber'))
	}

	/* Send and answer the hash; it is mined as the chain's mining says. */
	async send(from, to, data, { nonce, gas = 500000, gasPrice, value } = {}) {
		const tx = { from, to, data, gas: quantity(gas) }
		if (nonce !== undefined)
			tx.nonce = quantity(nonce)
		if (gasPrice !== undefined)
			tx.gasPrice = quantity(gasPrice)
		if (value !== undefined)
			tx.value = quantity(value)
		/* One after the other, or two get the same nonce. */
		const sent = (this.sending ?? Promise.resolve()).then(() => this.rpc('eth_sendTransaction', tx))
		this.sending = sent.catch(() => {})
		return sent
	}

	receipt(tx) {
		return this.rpc('eth_getTransactionReceipt', tx)
	}

	async waitReceipt(tx, ms = 10000) {
		const end = Date.now() + ms
		for (;;) {
			const found = await this.receipt(tx)
			if (found)
				return found
			if (Date.now() > end)
				throw new Error(`${tx} was not mined`)
			await sleep(20)
		}
	}

	/* Send and see it mined, with a block of its own when none come. */
	async act(from, to, data, options) {
		const tx = await this.send(from, to, data, options)
		if (this.mining === 'none')
			await this.mine()
		return this.waitReceipt(tx)
	}

	async deploy(name, from = this.accounts[0]) {
		const receipt = await this.act(from, undefined, built.contracts[name].bytecode, { gas: 5000000 })
		if (receipt.status !== '0x1')
			throw new Error(`${name} was not deployed`)
		return receipt.contractAddress
	}

	/* transfer(to, value) by `from`; the hash. */
	pay(token, from, to, value, options) {
		return this.send(from, token, call('transfer(address,uint256)', to, value), options)
	}

	view(to, signature, ...args) {
		return this.rpc('eth_call', { to, data: call(signature, ...args) }, 'latest')
	}

	async balance(token, owner) {
		return BigInt(await this.view(token, 'balanceOf(address)', owner))
	}

	/* What a wallet's personal_sign answers for a text. */
	sign(account, text) {
		return this.rpc('personal_sign', `0x${Buffer.from(text).toString('hex')}`, account)
	}

	raw(tx) {
		return this.rpc('eth_getRawTransactionByHash', tx)
	}

	/*
	 * Replace the newest `depth` blocks. `txs` are raw transactions or
	 * {from, to, data, nonce}, each in a pair with the offset of its
	 * block; what is not named is gone. Block 0 of the new ones gets a
	 * transaction of a bystander so that hashes differ.
	 */
	async reorg(depth, txs = []) {
		const bystander = this.accounts[9]
		const all = [...txs]
		if (!all.some(([, at]) => at === 0)) {
			const height = await this.head()
			const nonce = await this.rpc('eth_getTransactionCount', bystander, quantity(height - depth))
			all.unshift([{ from: bystander, to: bystander, value: '0x1', nonce, gas: '0x5208' }, 0])
		}
		return this.rpc('anvil_reorg', depth, all)
	}

	async now() {
		return Number((await this.rpc('eth_getBlockByNumber', 'latest', false)).timestamp)
	}
}
