/*
 * wmpay/1 spoken by a peer that is not ours (payments.md §7.2; row 35 of §21):
 * a peer claims for itself, and is told about itself alone.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { JsPeer, hex, unhex } from './peer.mjs'
import { until } from './harness.mjs'
import { PRICE, Shop, checkLog } from './paying.mjs'

const CODE = { GET_OFFER: 0, OFFER: 1, CLAIM: 2, STATUS: 3, GET_CLAIM: 4, GET_ENTITLEMENT: 5, ENTITLEMENT: 6, ERROR: 7 }
const number = (bytes) => Number(`0x${hex(bytes) || '0'}`)
const text = (bytes) => Buffer.from(bytes).toString()
const bytesOf = (value) => unhex(value.replace(/^0x/, ''))

test('the questions of a peer have a rate, and none holds up another', async (t) => {
	const { daemon } = await Shop.start(t, { payments: { status_rate: 6 } })
	const connect = async () => {
		const js = new JsPeer({ key: randomBytes(32), caps: ['shh', 'waku', 'wmpay'] })
		t.after(() => js.close())
		return (await js.connect(daemon.enode)).wmpay
	}
	const curious = await connect()
	const answers = []
	for (let i = 0; i < 10; i++)
		answers.push(i % 2 ? await curious.ask(CODE.GET_CLAIM, [randomBytes(16)]) : await curious.ask(CODE.GET_ENTITLEMENT))
	const late = answers.slice(6)
	assert.ok(answers.slice(0, 6).every(({ code }, i) => code === (i % 2 ? CODE.ERROR : CODE.ENTITLEMENT)))
	assert.ok(late.some(({ code, fields }) => code === CODE.ERROR && /^rate_limited/.test(text(fields[1])) && number(fields[2]) > 0))
	assert.ok(!late.every(({ code }) => code === CODE.ENTITLEMENT))
	assert.equal((await (await connect()).ask(CODE.GET_ENTITLEMENT)).code, CODE.ENTITLEMENT)
})

test('35 a peer is told only about itself', async (t) => {
	const shop = await Shop.start(t)
	const { chain, daemon } = shop
	const [, payer] = chain.accounts
	const connect = async () => {
		const js = new JsPeer({ key: randomBytes(32), caps: ['shh', 'waku', 'wmpay'] })
		t.after(() => js.close())
		const connection = await js.connect(daemon.enode)
		return { id: js.id, pay: connection.wmpay, waku: connection.waku }
	}
	await shop.fund(payer)
	const alice = await connect()
	const mallory = await connect()

	const offer = await alice.pay.ask(CODE.GET_OFFER)
	assert.equal(offer.code, CODE.OFFER)

	const tx = await shop.pay(payer, PRICE)
	await chain.waitReceipt(tx)
	const body = await shop.claim({ payer, node: alice.id, tx })
	const fields = [1, body.chain_id, ...['token', 'payee', 'payer', 'tx'].map((name) => bytesOf(body[name])), 0,
		bytesOf(body.offer), bytesOf(body.proof)]
	let claim
	await t.test('a claim is for the peer that files it', async () => {
		const stolen = await mallory.pay.ask(CODE.CLAIM, fields)
		assert.equal(stolen.code, CODE.ERROR)
		assert.match(text(stolen.fields[1]), /signature|proof|payer/i)
		const filed = await alice.pay.ask(CODE.CLAIM, fields)
		assert.equal(filed.code, CODE.STATUS, text(filed.fields[1] ?? []))
		claim = filed.fields[0]
		assert.equal(claim.length, 16)
	})
	await t.test('its changes are told to it, unasked, and to nobody else', async () => {
		await until('active', () => alice.pay.unasked.some(({ code, fields: [id, state] }) =>
			code === CODE.STATUS && hex(id) === hex(claim) && number(state) >= 4), 40000)
		assert.deepEqual(mallory.pay.unasked, [])
	})
	await t.test('the claim of another peer is unknown, as one that is guessed', async () => {
		const own = await alice.pay.ask(CODE.GET_CLAIM, [claim])
		assert.equal(own.code, CODE.STATUS)
		assert.equal(number(own.fields[5]), 1) /* units */
		const other = await mallory.pay.ask(CODE.GET_CLAIM, [claim])
		const guess = await mallory.pay.ask(CODE.GET_CLAIM, [randomBytes(16)])
		assert.equal(other.code, CODE.ERROR)
		assert.deepEqual(other, guess)
	})
	await t.test('the entitlement is the asker\'s', async () => {
		const own = await alice.pay.ask(CODE.GET_ENTITLEMENT)
		assert.equal(own.code, CODE.ENTITLEMENT)
		assert.ok(number(own.fields[2]) > number(own.fields[0]))
		/* There is no way to name another node: what is added is nothing. */
		const none = await mallory.pay.ask(CODE.GET_ENTITLEMENT, [unhex(alice.id)])
		if (none.code === CODE.ENTITLEMENT)
			assert.equal(number(none.fields[2]), 0)
		else
			assert.equal(none.code, CODE.ERROR)
	})
	await t.test('what only a server says is answered with an error, and the peer stays', async () => {
		for (const code of [CODE.OFFER, CODE.STATUS, CODE.ENTITLEMENT]) {
			const answer = await mallory.pay.ask(code, [randomBytes(16)])
			assert.equal(answer.code, CODE.ERROR)
		}
		assert.equal((await mallory.pay.ask(CODE.GET_OFFER)).code, CODE.OFFER)
		assert.deepEqual((await mallory.waku.post([])).errors, [])
	})
	await t.test('nor is another peer told later', () => assert.deepEqual(mallory.pay.unasked, []))
	await t.test('36 what links a peer to its payer is not logged', () => {
		checkLog(daemon.stderr, [alice.id, payer, tx, '127.0.0.1'], [body.proof], [hex(claim)])
	})
	await daemon.stop()
	await shop.fsck()
})
