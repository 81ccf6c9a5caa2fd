/*
 * Rows of the threat table (payments.md §21) that need a chain and a server;
 * the number in each name is the row's. What a row tries fails as it should,
 * and the honest claim beside it still succeeds. docs/payments.md says where
 * the other rows are tested.
 */
import assert from 'node:assert/strict'
import { now, sleep } from './peer.mjs'
import { until } from './harness.mjs'
import { call } from './chain.mjs'
import { NO_OFFER, PRICE, SNT, Shop, checkLog, claimText, newNode, transfer } from './paying.mjs'
import { several } from './several.mjs'

const test = several('threats', 3, { timeout: 230000 })

const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/* So many, a dozen at once: an address has no more connections. */
async function many(count, one) {
	const answers = []
	let next = 0
	await Promise.all(Array.from({ length: 12 }, async () => {
		while (next < count) {
			const i = next++
			answers[i] = await one(i)
		}
	}))
	return answers
}

/* The high-s twin of a signature. */
function twin(proof) {
	const s = BigInt(`0x${proof.slice(66, 130)}`)
	const v = parseInt(proof.slice(130), 16)
	return proof.slice(0, 66) + (N - s).toString(16).padStart(64, '0') + (v === 27 ? '1c' : '1b')
}

test('what is wrong before the chain is asked is refused at once', async (t) => {
	const shop = await Shop.start(t)
	const { chain } = shop
	const [, alice, mallory] = chain.accounts
	await shop.fund(alice)
	const node = newNode()
	const tx = await shop.pay(alice, PRICE)
	const good = await shop.claim({ payer: alice, node, tx })
	const refused = async (body, status, code) => {
		const answer = await shop.post(body)
		assert.equal(answer.status, status, answer.body)
		assert.equal(answer.json.error, code)
		assert.equal(typeof answer.json.message, 'string')
	}

	/* Signed by the payer as it is filed. */
	const agreed = (fields) => shop.claim({ payer: alice, node, tx, signed: fields, ...fields })

	await t.test('1 a stranger\'s signature, the payer\'s for another node', async () => {
		await refused(await shop.claim({ payer: alice, node, tx, signer: mallory }), 403, 'bad_proof')
		await refused({ ...good, node: newNode() }, 403, 'bad_proof')
	})
	await t.test('4 a signature for another server', async () => {
		await refused(await shop.claim({ payer: alice, node, tx, signed: { server: newNode() } }), 403, 'bad_proof')
	})
	await t.test('5 a signature for another chain', async () => {
		await refused(await shop.claim({ payer: alice, node, tx, signed: { chain_id: 1 } }), 403, 'bad_proof')
		await refused({ ...good, chain_id: 1 }, 422, 'unsupported_chain')
		/* Nor if it is one that is not sold on, and all agrees. */
		await refused(await agreed({ chain_id: 1 }), 422, 'unsupported_chain')
	})
	await t.test('26 variants of a signature', async () => {
		await refused({ ...good, proof: twin(good.proof) }, 403, 'bad_proof')
		await refused({ ...good, proof: `${good.proof}00` }, 403, 'bad_proof')
		await refused({ ...good, proof: `${good.proof.slice(0, 130)}1d` }, 403, 'bad_proof')
		await refused({ ...good, proof: `0x${'0'.repeat(130)}` }, 403, 'bad_proof')
		const text = claimText({ server: shop.server, ...good })
		await refused({ ...good, proof: await chain.sign(alice, `${text}\n`) }, 403, 'bad_proof')
		await refused({ ...good, proof: await chain.sign(alice, text.replaceAll('\n', '\r\n')) }, 403, 'bad_proof')
	})
	await t.test('12 a mint: nobody signs for the zero address', async () => {
		const minted = await chain.act(shop.owner, shop.token, call('generateTokens(address,uint256)', shop.payee, PRICE))
		const zero = `0x${'0'.repeat(40)}`
		const claim = await shop.claim({ payer: zero, node, tx: minted.transactionHash, signer: alice })
		await refused(claim, 403, 'bad_proof')
		/* What recovers to nobody is not the zero address's. */
		for (const sig of ['0'.repeat(128), 'f'.repeat(128), `${'0'.repeat(64)}${claim.proof.slice(66, 130)}`])
			for (const v of ['', '1b', '1c'])
				await refused({ ...claim, proof: `0x${sig}${v}` }, 403, 'bad_proof')
	})
	await t.test('each refusal of §7.1 has its code', async () => {
		await refused('', 400, 'bad_format')
		await refused('{}', 400, 'bad_format')
		await refused('[]', 400, 'bad_format')
		await refused(`${JSON.stringify(good)} x`, 400, 'bad_format')
		await refused(JSON.stringify(good).replace('{', '{"version":1,'), 400, 'bad_format')
		await refused({ ...good, node: 'ab'.repeat(64) }, 400, 'bad_format')
		await refused({ ...good, tx: good.tx.slice(2) }, 400, 'bad_format')
		await refused({ ...good, transfer: '0' }, 400, 'bad_format')
		await refused({ ...good, version: 2 }, 400, 'unsupported_version')
		await refused({ ...good, scheme: 3, proof: `0x${'00'.repeat(16)}` }, 400, 'unsupported_scheme')
		await refused({ ...good, scheme: 9 }, 400, 'unsupported_scheme')
		await refused(await agreed({ token: shop.payee.toLowerCase() }), 422, 'unsupported_token')
		await refused(await agreed({ payee: mallory.toLowerCase() }), 422, 'unsupported_payee')
		await refused(' '.repeat(9000), 413, 'too_large')
		await refused(' '.repeat(20000), 413, 'too_large')
	})
	await t.test('35 a guessed claim id, and one of another peer', async () => {
		for (const id of ['00112233445566778899aabbccddeeff', 'x', ''])
			assert.equal((await shop.http('GET', `/v1/claims/${id}`)).status, 404)
		assert.equal((await shop.http('GET', '/v1/claims/00112233445566778899aabbccddeeff?wait=99')).status, 400)
	})
	await t.test('a web page of somebody else is not answered', async () => {
		assert.equal((await shop.http('GET', '/v1/offer', undefined, { host: 'evil.example' })).status, 421)
		assert.equal((await shop.http('POST', '/v1/claims', good, { origin: 'https://evil.example' })).status, 403)
	})
	await t.test('an offer has its hash as ETag', async () => {
		const { headers } = await shop.http('GET', '/v1/offer')
		assert.equal(headers.etag, `"${shop.offer.offer_hash.slice(2)}"`)
		assert.equal((await shop.http('GET', '/v1/offer', undefined, { 'if-none-match': headers.etag })).status, 304)
	})
	let claimId
	await t.test('2 a hundred times at once is one claim', async () => {
		const answers = await many(100, () => shop.post(good))
		claimId = answers[0].json.claim_id
		assert.equal(new Set(answers.map((a) => a.json.claim_id)).size, 1)
		assert.equal(answers.filter((a) => a.status === 202).length, 1)
		const done = await shop.wait(answers[0].json.claim_id, ['active', 'settled'])
		assert.equal(done.units, 1)
		/* The compact form and v of 0 or 1 prove the same and are the same claim. */
		const v = parseInt(good.proof.slice(130), 16) - 27
		const s = (BigInt(`0x${good.proof.slice(66, 130)}`) | (BigInt(v) << 255n)).toString(16).padStart(64, '0')
		const same = await Promise.all([
			shop.post({ ...good, proof: good.proof.slice(0, 66) + s }),
			shop.post({ ...good, proof: `${good.proof.slice(0, 130)}0${v}` })])
		for (const answer of same) {
			assert.equal(answer.status, 200, answer.body)
			assert.equal(answer.json.claim_id, answers[0].json.claim_id)
		}
		const shown = await shop.admin('entitlements', 'show', node)
		assert.equal(shown.ledger.length, 1)
	})
	await t.test('36 node, payer, transaction and source are never logged together', () => {
		assert.match(shop.daemon.stderr, new RegExp(`event=payment .*claim=${claimId.slice(0, 8)} .*to=(active|settled)`))
		checkLog(shop.daemon.stderr, [node, alice, tx, '127.0.0.1'], [good.proof], [claimId])
		checkLog(shop.daemon.stderr, [node, alice, tx, '7f000001'])
	})
	await shop.daemon.stop()
	await shop.fsck()
})

test('what is wrong on the chain is rejected with its reason', async (t) => {
	const shop = await Shop.start(t, { chainSettings: { start_block: 12 } })
	const { chain } = shop
	const [owner, alice, bob, carol] = chain.accounts
	const early = await shop.chain.act(owner, shop.token, transfer(shop.payee, PRICE))
	await shop.fund(alice)
	await shop.fund(bob)
	while (await chain.head() < 12)
		await sleep(500)
	const alike = await chain.deploy('LookAlike', owner)
	const splitter = await chain.deploy('Splitter', owner)
	await chain.act(alice, shop.token, call('approve(address,uint256)', splitter, 10n * PRICE))
	await chain.act(bob, shop.token, call('approve(address,uint256)', splitter, 10n * PRICE))
	const cases = []
	const add = (name, reason, payer, tx, more = {}) => cases.push({ name, reason, payer, tx, node: newNode(), ...more })

	add('the honest one', undefined, alice, await shop.pay(alice, PRICE))
	add('6 reverted', 'tx_failed', bob, await chain.send(bob, shop.token, transfer(shop.token, 1n)))
	add('6 out of gas', 'tx_failed', bob, await chain.send(bob, shop.token, transfer(shop.payee, PRICE), { gas: 30000 }))
	add('7 MiniMe above the balance', 'no_transfer', carol, await shop.pay(carol, PRICE))
	add('7 an address without code', 'no_transfer', bob, await chain.send(bob, `0x${'12'.repeat(20)}`, transfer(shop.payee, PRICE)))
	add('8 a look-alike token', 'wrong_token', bob, await shop.pay(bob, PRICE, { token: alike }))
	add('9 an Approval of the same parties', 'no_transfer', bob,
		await chain.send(bob, shop.token, call('approve(address,uint256)', shop.payee, PRICE)))
	add('10 to another payee', 'wrong_payee', bob, await shop.pay(bob, PRICE, { to: carol }))
	add('11 a transfer of nothing', 'no_transfer', bob, await shop.pay(bob, 0n))
	add('1 paid by somebody else', 'payer_mismatch', bob, cases[0].tx)
	add('32 before the start', 'too_old', owner, early.transactionHash)
	const split = await chain.send(owner, splitter, call('split(address,address[],address[],uint256[])', shop.token,
		[alice, bob, alice], [shop.payee, shop.payee, shop.payee], [2n * PRICE, 3n * PRICE, 4n * PRICE]), { gas: 1500000 })
	add('13 Alice\'s first in a bundle', undefined, alice, split, { transfer: 0, units: 2 })
	add('13 Alice\'s second', undefined, alice, split, { transfer: 1, units: 4 })
	add('13 Bob\'s only', undefined, bob, split, { transfer: 0, units: 3 })
	add('13 Bob has no second', 'no_transfer', bob, split, { transfer: 1 })

	await chain.waitReceipt(split)
	await Promise.all(cases.map(async (one) => {
		one.id = await shop.file(await shop.claim({ payer: one.payer, node: one.node, tx: one.tx, transfer: one.transfer }))
		one.end = await shop.wait(one.id, ['active', 'settled', 'rejected'], 60000)
	}))
	for (const { name, reason, end, units = 1 } of cases)
		await t.test(name, () => {
			assert.equal(end.reason, reason)
			assert.equal(end.state === 'rejected', reason !== undefined)
			if (!reason)
				assert.equal(end.units, units)
		})

	await t.test('11 nothing «from» a stranger does not shift the index (plain token)', async () => {
		const plain = await chain.deploy('Plain', owner)
		const other = await Shop.start(t, { chain, token: plain, payee: chain.accounts[7], option: { symbol: 'PLN', decimals: 6 } })
		const units = 10n ** 6n
		await chain.act(owner, plain, transfer(alice, 1000n * units))
		await chain.act(alice, plain, call('approve(address,uint256)', splitter, 1000n * units))
		const tx = await chain.send(owner, splitter, call('split(address,address[],address[],uint256[])', plain,
			[alice, alice], [other.payee, other.payee], [0n, 100n * units]), { gas: 1500000 })
		const node = newNode()
		const id = await other.file(await other.claim({ payer: alice, node, tx }))
		assert.equal((await other.wait(id, ['active', 'settled', 'rejected'])).units, 1)
	})
	await t.test('an old offer, none, and an unknown one are priced by the day', async () => {
		for (const offer of [NO_OFFER, `0x${'ab'.repeat(32)}`]) {
			const tx = await shop.pay(alice, PRICE)
			const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx, offer }))
			assert.equal((await shop.wait(id, ['active', 'settled', 'rejected'])).units, 1)
		}
	})
	await t.test('too little is credit, too much is kept', async () => {
		const node = newNode()
		const half = await shop.buy(alice, node, PRICE / 2n)
		assert.equal(half.outcome, 'underpaid')
		assert.equal(half.credit, `${PRICE / 2n}`)
		const rest = await shop.buy(alice, node, PRICE)
		assert.equal(rest.outcome, 'overpaid')
		assert.equal(rest.units, 1)
		assert.equal(rest.credit, `${PRICE / 2n}`)
		const cap = await shop.buy(alice, newNode(), 30n * PRICE)
		assert.equal(cap.outcome, 'capped')
		assert.equal(cap.units, 24)
	})
	await shop.daemon.stop()
	await shop.fsck()
})

test('29 the block time chooses the price, not an offer that is named afterwards', async (t) => {
	const shop = await Shop.start(t, { offer: { valid: '10s', pay_window: '0s' } })
	const { chain } = shop
	const [, alice] = chain.accounts
	const ended = async (tx, offer) =>
		shop.wait(await shop.file(await shop.claim({ payer: alice, node: newNode(), tx, offer })), ['active', 'settled', 'rejected'])
	await shop.fund(alice)
	const cheap = await shop.waitOffer()
	const early = [await shop.pay(alice, PRICE), await shop.pay(alice, PRICE)]
	const { blockNumber } = await chain.waitReceipt(early[1])
	const mined = Number((await chain.rpc('eth_getBlockByNumber', blockNumber, false)).timestamp)
	assert.ok(mined <= cheap.decoded.not_after)
	/* A chain that mines in haste is ahead of the clock, and so could the payment be of the next offer. */
	while (now() <= mined)
		await sleep(200)
	await shop.change((settings) => { settings.option[0].price = 250 })
	const dear = await until('the new price', async () => {
		const offer = await shop.waitOffer()
		return offer.decoded.options[0].price === `${250n * SNT}` && offer
	}, 30000)
	assert.ok(dear.decoded.sequence > cheap.decoded.sequence)
	while (await chain.now() <= cheap.decoded.not_after)
		await sleep(500)
	const late = [await shop.pay(alice, PRICE), await shop.pay(alice, PRICE)]
	await chain.waitReceipt(late[1])
	/* Paid late: the new price, whatever is named. Paid in time: the old one, also without a name. */
	for (const offer of [cheap.offer_hash, NO_OFFER]) {
		const end = await ended(late.pop(), offer)
		assert.equal(end.outcome, 'underpaid', JSON.stringify(end))
		assert.equal(end.units, 0)
		assert.equal(end.credit, `${PRICE}`)
	}
	for (const offer of [cheap.offer_hash, NO_OFFER])
		assert.equal((await ended(early.pop(), offer)).units, 1)
	await shop.daemon.stop()
	await shop.fsck()
})

test('contract wallets prove at crediting', async (t) => {
	const shop = await Shop.start(t)
	const { chain } = shop
	const [owner, alice, bob] = chain.accounts
	const wallet = async () => {
		const address = await chain.deploy('Wallet', alice)
		await shop.fund(address, 10n * PRICE)
		const tx = await chain.send(alice, address, call('execute(address,bytes)', shop.token, transfer(shop.payee, PRICE)))
		return { address, tx }
	}
	const file = async ({ address, tx }, more = {}) => shop.file(await shop.claim({
		payer: address, node: newNode(), tx, signer: alice, scheme: 2, ...more }))
	const ended = (id) => shop.wait(id, ['active', 'settled', 'rejected'], 60000)
	const honest = await wallet()
	const other = await wallet()
	const loops = await wallet(), reverts = await wallet(), odd = await wallet(), changed = await wallet()
	const minted = await chain.act(owner, shop.token, call('generateTokens(address,uint256)', shop.payee, PRICE))
	await Promise.all([[loops, 1], [reverts, 2], [odd, 4]].map(([w, mood]) =>
		chain.act(owner, w.address, call('setMood(uint256)', mood))))
	await chain.act(alice, changed.address, call('setOwner(address)', bob))

	const ids = {
		honest: await file(honest),
		/* One owner, two wallets: the signature names the payer. */
		other: await file(other, { signed: { payer: honest.address.toLowerCase() } }),
		stranger: await file(await wallet(), { signer: bob }),
		loops: await file(loops), reverts: await file(reverts), odd: await file(odd), changed: await file(changed),
		/* Nobody is at the zero address: the chain answers with nothing at all. */
		mint: await file({ address: `0x${'0'.repeat(40)}`, tx: minted.transactionHash }),
	}
	const ends = Object.fromEntries(await Promise.all(Object.entries(ids).map(async ([name, id]) =>
		[name, await ended(id).catch((err) => ({ state: err.message }))])))
	await t.test('the honest one is served', () => assert.equal(ends.honest.units, 1))
	for (const [name, what] of [['other', '25 a signature for another wallet of the owner'], ['stranger', 'a stranger\'s'],
		['loops', '24 a contract that loops'], ['reverts', 'one that reverts'], ['odd', 'one that answers more'],
		['changed', '25 an owner who was changed'], ['mint', '12 a mint: no contract answers for the zero address']])
		await t.test(what, () => assert.equal(ends[name].reason, 'bad_proof'))
	await t.test('a contract has no key: scheme 1 is refused', async () => {
		const answer = await shop.post(await shop.claim({ payer: honest.address, node: newNode(), tx: honest.tx, signer: alice }))
		assert.equal(answer.json.error, 'bad_proof')
	})
})

test('23 a flood is bounded and the honest claim comes through', async (t) => {
	const shop = await Shop.start(t, {
		payments: { submit_rate: 600, submit_burst: 40, open_per_source: 30, open_per_node: 4, open_per_payer: 8 },
	})
	const { chain } = shop
	const [, alice, mallory] = chain.accounts
	await shop.fund(alice)
	const before = await shop.pay(alice, PRICE)
	const honest = await shop.claim({ payer: alice, node: newNode(), tx: before })
	const codes = new Map()
	const waits = []
	const body = await shop.claim({ payer: mallory, node: newNode(), tx: `0x${'77'.repeat(32)}` })
	await many(200, async (i) => {
		const one = i % 2 ? { ...body, proof: `0x${'11'.repeat(65)}` }
			: await shop.claim({ payer: mallory, node: newNode(), tx: `0x${i.toString(16).padStart(64, '0')}` })
		const answer = await shop.post(one)
		const code = answer.json.error ?? answer.json.state
		codes.set(code, (codes.get(code) ?? 0) + 1)
		if (answer.status === 429 || answer.status === 503)
			waits.push(answer.headers['retry-after'])
	})
	assert.ok(codes.get('rate_limited') > 0, JSON.stringify([...codes]))
	assert.ok((codes.get('received') ?? 0) <= 8, JSON.stringify([...codes]))
	assert.ok(waits.every((text) => Number(text) > 0))
	/* After the time it named, the same honest claim is taken. */
	let answer
	for (let i = 0; i < 40; i++) {
		answer = await shop.post(honest)
		if (answer.status === 202)
			break
		await sleep(1000)
	}
	assert.equal((await shop.wait(answer.json.claim_id, ['active', 'settled'])).units, 1)
})
