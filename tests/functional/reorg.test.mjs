/*
 * Reorganisations (payments.md §11; rows 14 to 16 of §21): before and after
 * activation, moved, vanished, spent twice, and below the finalized block.
 */
import assert from 'node:assert/strict'
import { sleep } from './peer.mjs'
import { until } from './harness.mjs'
import { Chain } from './chain.mjs'
import { PRICE, Shop, newNode, transfer } from './paying.mjs'
import { several } from './several.mjs'

const test = several('reorganisations', 3)

/* A chain whose blocks come only when told, a shop on it, and Alice's tokens. */
async function setUp(t, { payments, option, epoch = 4 } = {}) {
	const chain = await Chain.start(t, { mining: 'none', epoch })
	await chain.mine(20)
	const token = await chain.deploy('MiniMe')
	const [owner, alice] = chain.accounts
	await chain.act(owner, token, transfer(alice, 1000n * PRICE))
	await chain.mine(3)
	chain.tick()
	const shop = await Shop.start(t, { chain, token, payments, option: { activate: 3, ...option } })
	return { chain, shop, alice, owner }
}

/*
 * Pay and claim; answers the claim's id and what is needed to replay it. Filed
 * when it is mined, so that the first look finds it, and from then on no block
 * comes but those that are told.
 */
async function payAndFile({ chain, shop, alice }) {
	await chain.hold()
	const tx = await shop.pay(alice, PRICE)
	const node = newNode()
	const body = await shop.claim({ payer: alice, node, tx })
	await chain.mine()
	const id = await shop.file(body)
	const raw = await chain.raw(tx)
	return { tx, raw, node, id, block: Number((await chain.receipt(tx)).blockNumber) }
}

/* A chain that stands still for ten seconds is not asked: on a slow machine some blocks while we wait. */
async function beating(chain, waited) {
	let mined
	const timer = setInterval(() => { mined = chain.mine() }, 5000)
	try {
		return await waited
	} finally {
		clearInterval(timer)
		await mined
	}
}

const depthOf = async (chain, block) => await chain.head() - block + 1

test('14 a payment that is undone before activation', async (t) => {
	const all = await setUp(t, { option: { activate: 9 } })
	const { chain, shop } = all
	for (const isSeen of [false, true]) {
		const paid = await payAndFile(all)
		const seen = await beating(chain, shop.wait(paid.id, 'confirming'))
		assert.equal(seen.needed, 9)
		assert.ok(seen.confirmations < 9)
		/* Else the server has never seen the block that it said it is in. */
		if (isSeen)
			await sleep(1000)
		await chain.reorg(await depthOf(chain, paid.block))
		await chain.mine()
		await beating(chain, shop.wait(paid.id, 'pending'))
		/* At once, not when the number of its activation was reached. */
		assert.ok(await depthOf(chain, paid.block) < 9)
		assert.equal((await shop.admin('stats')).active, isSeen ? 1 : 0)
		/* Whoever sent it sends it again. */
		await chain.rpc('eth_sendRawTransaction', paid.raw)
		chain.tick()
		assert.equal((await shop.wait(paid.id, ['active', 'settled'])).units, 1)
	}
})

test('a payment that moves to another block keeps what it bought', async (t) => {
	const all = await setUp(t, { option: { settle: 14 } })
	const { chain, shop } = all
	const paid = await payAndFile(all)
	await chain.mine(3)
	const before = await beating(chain, shop.wait(paid.id, 'active'))
	const depth = await depthOf(chain, paid.block)
	await chain.reorg(depth, [[paid.raw, 1]])
	await chain.mine(1)
	const after = await beating(chain, until('the new block', async () => {
		const now = await shop.status(paid.id)
		return now.state === 'active' && now.block.hash !== before.block.hash && now
	}, 30000))
	assert.equal(after.expiry, before.expiry)
	assert.equal(after.block.number, paid.block + 1)
	chain.tick()
	const settled = await shop.wait(paid.id, 'settled')
	assert.equal(settled.expiry, before.expiry)
	assert.equal((await shop.admin('entitlements', 'show', paid.node)).ledger.length, 1)
})

test('a payment that vanishes has its grace, and may come back', async (t) => {
	const all = await setUp(t, { payments: { reorg_grace: '1h' } })
	const { chain, shop } = all
	const paid = await payAndFile(all)
	await chain.mine(3)
	const before = await beating(chain, shop.wait(paid.id, 'active'))
	await chain.reorg(await depthOf(chain, paid.block))
	await chain.mine(2)
	await beating(chain, shop.wait(paid.id, 'reorged'))
	/* Service goes on. */
	const during = await shop.admin('entitlements', 'show', paid.node)
	assert.equal(during.expiry, before.expiry)
	assert.equal(during.standing, 'active')
	await chain.rpc('eth_sendRawTransaction', paid.raw)
	chain.tick()
	const after = await shop.wait(paid.id, ['active', 'settled'])
	assert.equal(after.expiry, before.expiry)
	assert.equal((await shop.admin('entitlements', 'show', paid.node)).ledger.length, 1)
	await chain.hold()
	await shop.daemon.stop()
	await shop.fsck()
})

test('when the grace is over it is taken back, and credited anew when it comes', async (t) => {
	const all = await setUp(t, { payments: { reorg_grace: '3s' } })
	const { chain, shop } = all
	const paid = await payAndFile(all)
	await chain.mine(3)
	const before = await beating(chain, shop.wait(paid.id, 'active'))
	await chain.reorg(await depthOf(chain, paid.block))
	chain.tick()
	await shop.wait(paid.id, 'reorged')
	await until('the revocation', async () =>
		(await shop.admin('entitlements', 'show', paid.node)).ledger[0].void, 60000)
	assert.equal((await shop.admin('entitlements', 'show', paid.node)).standing, 'expired')
	await chain.hold()
	await chain.rpc('eth_sendRawTransaction', paid.raw)
	chain.tick()
	await chain.waitReceipt(paid.tx)
	/* It is looked at ever more seldom; the user files it again, Bobby has it looked at. */
	await shop.file(await shop.claim({ payer: all.alice, node: paid.node, tx: paid.tx }))
	await shop.admin('claims', 'recheck', paid.id, '--reason', 'she says that it is mined')
	const after = await shop.wait(paid.id, ['active', 'settled'], 60000)
	assert.ok(after.expiry >= before.expiry)
	const { ledger } = await shop.admin('entitlements', 'show', paid.node)
	assert.deepEqual(ledger.map((entry) => entry.void), [true, false])
	await chain.hold()
	await shop.daemon.stop()
	await shop.fsck()
})

test('15 a payment that is spent twice is taken back', async (t) => {
	const all = await setUp(t, { payments: { reorg_grace: '1h' }, option: { settle: 40 } })
	const { chain, shop, alice, owner } = all
	const paid = await payAndFile(all)
	await chain.mine(1)
	await beating(chain, shop.wait(paid.id, 'confirming'))
	const { nonce } = await chain.rpc('eth_getTransactionByHash', paid.tx)
	await chain.mine(1)
	await beating(chain, shop.wait(paid.id, ['active', 'settled']))
	await chain.reorg(await depthOf(chain, paid.block), [[{
		from: alice, to: shop.token, data: transfer(owner, PRICE), nonce, gas: '0x30000',
	}, 0]])
	chain.tick()
	const end = await until('the revocation', async () => {
		const now = await shop.admin('entitlements', 'show', paid.node)
		return now.ledger[0].void && now
	}, 60000)
	assert.equal(end.standing, 'expired')
	const state = await shop.status(paid.id)
	assert.match(state.state, /reorged|rejected/)
})

test('16 below the finalized block: an alarm, and nothing is taken back', async (t) => {
	const all = await setUp(t, { epoch: 1 })
	const { chain, shop, alice } = all
	const paid = await payAndFile(all)
	await chain.mine(6)
	await beating(chain, shop.wait(paid.id, 'settled'))
	await sleep(2500)
	await chain.reorg(await depthOf(chain, paid.block) + 4)
	await chain.mine(2)
	await beating(chain, until('the alarm', async () => (await shop.admin('chains'))[0].alarm, 30000))
	assert.equal((await shop.status(paid.id)).state, 'settled')
	assert.equal((await shop.admin('entitlements', 'show', paid.node)).standing, 'active')
	/* Nothing is credited on that chain any more. */
	const tx = await shop.pay(alice, PRICE)
	const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
	chain.tick()
	await sleep(6000)
	assert.doesNotMatch((await shop.status(id)).state, /active|settled|rejected/)
})

test('16 below the finalized block while the server is away', async (t) => {
	const all = await setUp(t, { epoch: 1 })
	const { chain, shop, alice } = all
	const paid = await payAndFile(all)
	await chain.mine(6)
	await beating(chain, shop.wait(paid.id, 'settled'))
	await shop.daemon.stop()
	/* So far that what it saw last is no longer among the headers it asks for at the start. */
	await chain.reorg(await depthOf(chain, paid.block) + 4)
	await chain.mine(300)
	const tx = await shop.pay(alice, PRICE)
	await chain.mine(4)
	await shop.daemon.up()
	const [alarm] = await beating(chain, until('the alarm', async () => {
		const list = await shop.admin('alarms')
		return list.length > 0 && list
	}, 30000))
	assert.ok(alarm.block > paid.block)
	assert.equal((await shop.status(paid.id)).state, 'settled')
	const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
	chain.tick()
	await sleep(5000)
	assert.doesNotMatch((await shop.status(id)).state, /active|settled|rejected/)
	await shop.admin('acknowledge', '--reason', 'the test did it')
	await shop.wait(id, ['active', 'settled'])
	/* It is no news at the next start. */
	await shop.daemon.restart()
	await shop.waitOffer()
	await until('the head', async () => (await shop.admin('chains'))[0].usable)
	assert.deepEqual(await shop.admin('alarms'), [])
	await chain.hold()
	await shop.daemon.stop()
	await shop.fsck()
})
