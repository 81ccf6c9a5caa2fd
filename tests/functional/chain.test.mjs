/*
 * The bench of the payment tests itself: the contracts behave as they claim,
 * the chain reorganises as told, and the proxy makes its faults.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { Chain, built, call } from './chain.mjs'
import { Proxy, changeHead } from './proxy.mjs'
import { keccak256, hex } from './peer.mjs'

const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const SNT = 10n ** 18n

test('the bytecode is that of the sources', () => {
	for (const [name, { source_sha256 }] of Object.entries(built.contracts)) {
		const text = readFileSync(new URL(`contracts/${name}.sol`, import.meta.url))
		assert.equal(createHash('sha256').update(text).digest('hex'), source_sha256, name)
	}
})

test('the token behaves as MiniMe', async (t) => {
	const chain = await Chain.start(t)
	const [owner, alice, bob] = chain.accounts
	const token = await chain.deploy('MiniMe')

	const paid = await chain.act(owner, token, call('transfer(address,uint256)', alice, 5n * SNT))
	assert.equal(paid.status, '0x1')
	assert.equal(paid.logs.length, 1)
	assert.equal(paid.logs[0].topics[0], TRANSFER)
	assert.equal(await chain.balance(token, alice), 5n * SNT)

	/* Above the balance: a successful transaction without a log. */
	const short = await chain.act(alice, token, call('transfer(address,uint256)', bob, 6n * SNT))
	assert.equal(short.status, '0x1')
	assert.equal(short.logs.length, 0)
	assert.equal(await chain.balance(token, bob), 0n)
	/* Nothing: likewise. */
	const none = await chain.act(alice, token, call('transfer(address,uint256)', bob, 0))
	assert.equal(none.status, '0x1')
	assert.equal(none.logs.length, 0)
	for (const to of [`0x${'0'.repeat(40)}`, token]) {
		const refused = await chain.act(alice, token, call('transfer(address,uint256)', to, 1))
		assert.equal(refused.status, '0x0')
	}
	const before = await chain.head()
	await chain.act(owner, token, call('generateTokens(address,uint256)', bob, 7))
	assert.equal(BigInt(await chain.view(token, 'balanceOfAt(address,uint256)', bob, before)), 0n)
	assert.equal(await chain.balance(token, bob), 7n)
})

test('a wallet contract speaks for its owner', async (t) => {
	const chain = await Chain.start(t)
	const [owner, alice] = chain.accounts
	const wallet = await chain.deploy('Wallet', alice)
	const text = 'hello'
	const signature = await chain.sign(alice, text)
	const digest = `0x${hex(keccak256(Buffer.from(`\x19Ethereum Signed Message:\n${text.length}${text}`)))}`
	const ask = () => chain.view(wallet, 'isValidSignature(bytes32,bytes)', digest, signature)
	assert.equal((await ask()).slice(0, 10), '0x1626ba7e')
	assert.match(await ask(), /^0x1626ba7e0{56}$/)
	await chain.act(alice, wallet, call('setOwner(address)', owner))
	assert.equal((await ask()).slice(0, 10), '0xffffffff')
	await chain.act(alice, wallet, call('setMood(uint256)', 2))
	await assert.rejects(ask())
})

test('payments vanish, move and are spent twice when told', async (t) => {
	const chain = await Chain.start(t, { mining: 'none' })
	const [owner, alice, bob] = chain.accounts
	const token = await chain.deploy('Plain')
	await chain.act(owner, token, call('mint(address,uint256)', alice, 100))
	await chain.mine(3)

	const gone = await chain.pay(token, alice, bob, 10)
	await chain.mine(2)
	const raw = await chain.raw(gone)
	const first = await chain.receipt(gone)
	await chain.reorg(2)
	assert.equal(await chain.receipt(gone), null)
	await chain.reorg(2, [[raw, 1]])
	const moved = await chain.receipt(gone)
	assert.ok(moved)
	assert.notEqual(moved.blockHash, first.blockHash)

	const nonce = Number(moved && (await chain.rpc('eth_getTransactionByHash', gone)).nonce)
	await chain.reorg(2, [[{
		from: alice, to: token, data: call('transfer(address,uint256)', owner, 10),
		nonce: `0x${nonce.toString(16)}`, gas: '0x30000',
	}, 0]])
	assert.equal(await chain.receipt(gone), null)
	assert.equal(await chain.balance(token, bob), 0n)
})

test('the proxy passes on and makes its faults', async (t) => {
	const chain = await Chain.start(t)
	await chain.mine(3)
	const proxy = await Proxy.start(t, chain.url)
	/* A connection each: one kept from before a reset may be dead already. */
	const ask = (body) => new Promise((resolve, reject) => {
		const asked = request(proxy.url, { method: 'POST', agent: false }, (res) => {
			const parts = []

			res.on('data', (part) => parts.push(part))
			res.on('error', reject)
			res.on('end', () => resolve({
				status: res.statusCode,
				json: async () => JSON.parse(Buffer.concat(parts)),
			}))
		})

		asked.on('error', reject)
		asked.end(JSON.stringify(body))
	})
	const one = { jsonrpc: '2.0', id: 7, method: 'eth_blockNumber', params: [] }
	const two = [one, { ...one, id: 8, method: 'eth_chainId' }]

	assert.deepEqual((await (await ask(two)).json()).map((a) => a.id), [7, 8])
	proxy.fault = { kind: 'reorder' }
	assert.deepEqual((await (await ask(two)).json()).map((a) => a.id), [8, 7])
	proxy.fault = { kind: 'missing' }
	assert.deepEqual((await (await ask(two)).json()).map((a) => a.id), [7])
	proxy.fault = { kind: 'id' }
	assert.equal((await (await ask(one)).json()).id, 100007)
	proxy.fault = { kind: 'error', code: -32000, message: 'header not found' }
	assert.equal((await (await ask(one)).json()).error.code, -32000)
	proxy.fault = { kind: 'status', code: 429, headers: { 'retry-after': '1' } }
	assert.equal((await ask(one)).status, 429)
	proxy.fault = { kind: 'truncate' }
	await assert.rejects(ask(one).then((res) => res.json()))
	proxy.fault = { kind: 'reset' }
	await assert.rejects(ask(one))
	proxy.fault = undefined
	proxy.change = changeHead(1000)
	assert.equal((await (await ask(one)).json()).result, '0x3eb')
	proxy.change = undefined
	await proxy.down()
	await assert.rejects(ask(one))
	await proxy.up()
	assert.equal((await (await ask(one)).json()).result, '0x3')
})
