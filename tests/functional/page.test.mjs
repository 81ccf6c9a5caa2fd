/*
 * The payment page as a browser runs it: its own script in a document of
 * jsdom, with a wallet that is the chain's node. And its pure part against
 * the vector of the specification.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { openDocument } from './browser.mjs'
import { runOk, until } from './harness.mjs'
import { hex } from './peer.mjs'
import { call } from './chain.mjs'
import { PRICE, Shop, SNT, claimText as expectedText, keyFile, transfer } from './paying.mjs'
import * as claim from '../../web/claim.mjs'

test('the text to sign, the amounts and the call of the token', () => {
	const vectors = JSON.parse(readFileSync(new URL('../vectors/payments.json', import.meta.url)))
	const fields = {
		server: 'a'.repeat(128), node: 'b'.repeat(128), chain_id: 1, token: `0x${'1'.repeat(40)}`, payee: `0x${'2'.repeat(40)}`,
		payer: `0x${'3'.repeat(40)}`, tx: `0x${'4'.repeat(64)}`, transfer: 0, offer: `0x${'5'.repeat(64)}`,
	}
	assert.equal(claim.claimText(fields), expectedText(fields))
	assert.ok(JSON.stringify(vectors).includes('8ac2ff85f34d91645336f23f22566a440596b9da16ee5ce8b930c189d632d293'))
	/* payments.md §4.5, §6.3: the worked example. */
	const worked = claim.claimText({
		server: 'fda1cff674c90c9a197539fe3dfb53086ace64f83ed7c6eabec741f7f381cc803e52ab2cd55d5569bce4347107a310dfd5f88a010cd2ffd1005ca406f1842877',
		node: 'ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f',
		chain_id: 1, token: '0x744d70fdbe2ba4cf95131626614a1763df805b9e', payee: '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
		payer: '0x70997970c51812dc3a010c7d01b50e0d17dc79c8', tx: '0x1734f4ff6840ec92b589ca7fc2adbee3c8bcb16b4bffe9954496e00f9d27eeb1',
		transfer: 0, offer: '0x733ce45401fd4ab2ef15861d613f8042b09aa307003c7133284572f1f54690a4',
	})
	assert.equal(worked.length, 755)
	assert.equal(hex(keccak256(new TextEncoder().encode(worked))), '8ac2ff85f34d91645336f23f22566a440596b9da16ee5ce8b930c189d632d293')
	assert.equal(claim.amountText('1500000000000000000', 18), '1.5')
	assert.equal(claim.amountText('1', 18), '0.000000000000000001')
	assert.equal(claim.amountText('100', 0), '100')
	assert.equal(claim.timeText(3, 2592000), '3 months')
	assert.equal(claim.timeText(1, 90), '90 seconds')
	assert.equal(claim.transferData(`0x${'2'.repeat(40)}`, 255n),
		`0xa9059cbb${'0'.repeat(24)}${'2'.repeat(40)}${'0'.repeat(62)}ff`)
	assert.deepEqual(['0x', '0xef0100' + '1'.repeat(40), '0x6080', ''].map(claim.schemeOf), [1, 1, 2, 1])
	for (const bad of ['', 'enode://', 'ab'.repeat(63), `${'ab'.repeat(64)} x`, 'zz'.repeat(64)])
		assert.equal(claim.nodeOf(bad), null)
	assert.equal(claim.nodeOf(` enode://${'AB'.repeat(64)}@127.0.0.1:30303?discport=0 `), 'ab'.repeat(64))
	assert.equal(claim.hexOf('0x12', 2), null)
	for (const bad of ['', '0x', '0x1', '12', '0xzz', `0x${'00'.repeat(4097)}`])
		assert.equal(claim.proofOf(bad), null)
	assert.equal(claim.proofOf(' 0xAB '), '0xab')
	assert.deepEqual([1, 63, 64, 65, 66].map((n) => claim.isKeyProof(`0x${'00'.repeat(n)}`)), [false, false, true, true, false])
})

/* A document with the page of this server, and a wallet if one is given. */
async function openPage(t, shop, wallet, { storage = {} } = {}) {
	const { body } = await shop.http('GET', '/')
	const page = await openDocument(t, {
		html: body, url: () => shop.url, script: 'pay.mjs', storage: { localStorage: storage },
		prepare: (window) => { window.ethereum = wallet },
	})
	const { $, window } = page
	const said = []
	new window.MutationObserver(() => said.push($('state').textContent)).observe($('state'), { childList: true })
	return {
		...page, said,
		saw: (id, pattern, ms = 60000) => until(`${pattern} in ${id}`, () => {
			const text = $('problem').hidden ? '' : $('problem').textContent
			assert.ok(id === 'problem' || text === '', text)
			return pattern.test($(id).textContent)
		}, ms),
	}
}

/* EIP-1193, as far as the page asks, over the chain's own accounts. */
function walletOf(shop, account, { refuses = [] } = {}) {
	const asked = []
	return {
		asked,
		async request({ method, params }) {
			asked.push(method)
			if (refuses.includes(method))
				throw Object.assign(new Error('no'), { code: 4001 })
			if (method === 'eth_requestAccounts')
				return [account]
			return shop.chain.rpc(method, ...(params ?? []))
		},
	}
}

test('the page', async (t) => {
	const shop = await Shop.start(t, { option: { unit: '30d', activate: 3 } })
	const [, alice, poor, hand] = shop.chain.accounts
	await shop.fund(alice)
	await shop.fund(hand)

	await t.test('comes with a policy that lets nothing foreign in', async () => {
		const { status, headers, body } = await shop.http('GET', '/')
		assert.equal(status, 200)
		assert.match(headers['content-type'], /^text\/html/)
		assert.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/)
		assert.doesNotMatch(body, /<script>|style=|https?:\/\//)
		for (const [path, type] of [['/pay.mjs', 'text/javascript'], ['/claim.mjs', 'text/javascript'], ['/pay.css', 'text/css']]) {
			const file = await shop.http('GET', path)
			assert.equal(file.status, 200)
			assert.ok(file.headers['content-type'].startsWith(type))
			assert.equal(file.body, readFileSync(new URL(`../../web${path}`, import.meta.url), 'utf8'))
		}
	})

	await t.test('draws the code of a payment that is offered, and of no other', async () => {
		const id = shop.offer.decoded.options[0].option_id
		const good = await shop.http('GET', `/qr.svg?option=${id}&units=3`)
		assert.equal(good.status, 200)
		assert.equal(good.headers['content-type'], 'image/svg+xml')
		assert.match(good.body, /^<svg .*<\/svg>\n$/s)
		for (const query of ['', '?option=1', `?option=${id}&units=0`, `?option=${id}&units=99999999999`, `?option=${id}&units=-1`,
			`?option=x&units=1`, `?option=${id + 1}&units=1`])
			assert.equal((await shop.http('GET', `/qr.svg${query}`)).status, 404, query)
	})

	await t.test('pays and claims with the wallet of the browser', async () => {
		const key = keyFile(t)
		const wallet = walletOf(shop, alice)
		const page = await openPage(t, shop, wallet)
		assert.match(page.$('price').textContent, /^100 SNT for 1 month$/)
		assert.equal(page.$('wallet').disabled, true)
		page.type('node', 'enode://nonsense')
		assert.equal(page.$('node-problem').hidden, false)
		page.type('node', `enode://${key.node}@1.2.3.4:30303`)
		page.type('units', '3')
		assert.equal(page.$('sum').textContent, '300 SNT')
		page.$('wallet').click()
		await page.saw('state', /Paid\. The server serves your node until/)
		assert.match(page.said.join('\n'), /Confirm the payment.*Sign the claim.*The claim was received/s)
		const shown = await shop.admin('entitlements', 'show', key.node)
		assert.equal(shown.ledger[0].value, `${3n * PRICE}`)
		assert.match(page.$('claims').textContent, /Paid\..*Forget/)
		const { stdout } = await runOk(['entitlement', shop.daemon.enode, '--nodekey', key.path, '--json'])
		assert.ok(JSON.parse(stdout).expiry > Date.now() / 1000 + 80 * 86400)
	})

	await t.test('claims what was paid for, whatever is typed while the wallet asks', async () => {
		const key = keyFile(t)
		const wallet = walletOf(shop, alice)
		const page = await openPage(t, shop, {
			async request(ask) {
				if (ask.method === 'eth_sendTransaction')
					page.type('node', 'enode://some')
				return wallet.request(ask)
			},
		})
		page.type('node', key.node)
		page.$('wallet').click()
		await page.saw('state', /Paid\./)
		assert.equal((await shop.admin('entitlements', 'show', key.node)).ledger[0].value, `${PRICE}`)
	})

	await t.test('goes on in a browser that keeps nothing', async () => {
		const key = keyFile(t)
		const page = await openPage(t, shop, walletOf(shop, alice))
		Object.defineProperty(globalThis, 'localStorage', { configurable: true, get() { throw new Error('denied') } })
		t.after(() => { delete globalThis.localStorage })
		page.type('node', key.node)
		page.$('wallet').click()
		await page.saw('state', /Paid\./)
		delete globalThis.localStorage
		assert.equal((await shop.admin('entitlements', 'show', key.node)).ledger[0].value, `${PRICE}`)
	})

	await t.test('has the chain judge the proof of a contract', async () => {
		const wallet = walletOf(shop, alice)
		const page = await openPage(t, shop, {
			request: (ask) => ask.method === 'eth_getCode' ? '0x6000' : wallet.request(ask),
		})
		page.type('node', keyFile(t).node)
		page.$('wallet').click()
		/* It is none, so nobody answers for it. */
		await page.saw('state', /Refused: the payer has not signed/)
	})

	await t.test('claims again what was not found, and what the server has forgotten', async () => {
		const key = keyFile(t)
		const first = await openPage(t, shop, walletOf(shop, alice))
		first.type('node', key.node)
		first.$('wallet').click()
		await first.saw('state', /Paid\./)
		const [entry] = JSON.parse(first.window.localStorage.getItem('restante-claims'))
		for (const [changes, label] of [[{ may_retry: true }, 'Claim again'], [{ is_done: false, claim_id: '0'.repeat(32) }, 'Go on']]) {
			const storage = { 'restante-claims': JSON.stringify([{ ...entry, ...changes }]) }
			const page = await openPage(t, shop, undefined, { storage })
			const [again] = page.$('claims').getElementsByTagName('button')
			assert.equal(again.textContent, label)
			assert.equal(page.$('payee-new').hidden, true)
			again.click()
			await page.saw('state', /Paid\./)
		}
	})

	await t.test('warns of another payee than the one that was paid before', async () => {
		const { server, options: [{ chain_id, token }] } = shop.offer.decoded
		const claim = { server, chain_id, token, payee: `0x${'5'.repeat(40)}`, tx: `0x${'6'.repeat(64)}`, node: '7'.repeat(128) }
		const storage = { 'restante-claims': JSON.stringify([{ claim, is_done: true }]) }
		const page = await openPage(t, shop, undefined, { storage })
		assert.equal(page.$('payee-new').hidden, false)
	})

	await t.test('asks for nothing when the account is too poor', async () => {
		const wallet = walletOf(shop, poor)
		const page = await openPage(t, shop, wallet)
		page.type('node', keyFile(t).node)
		page.$('wallet').click()
		await page.saw('problem', /this account holds 0 SNT, the sum is 100/)
		assert.ok(!wallet.asked.includes('eth_sendTransaction'))
	})

	await t.test('goes on with a payment that was made before the page was closed', async () => {
		const key = keyFile(t)
		const first = await openPage(t, shop, walletOf(shop, alice, { refuses: ['personal_sign'] }))
		first.type('node', key.node)
		first.$('wallet').click()
		await first.saw('problem', /The wallet says no/)
		const storage = { 'restante-claims': first.window.localStorage.getItem('restante-claims') }
		const second = await openPage(t, shop, walletOf(shop, alice), { storage })
		const [again] = second.$('claims').getElementsByTagName('button')
		assert.equal(again.textContent, 'Go on')
		again.click()
		await second.saw('state', /Paid\./)
		assert.equal((await shop.admin('entitlements', 'show', key.node)).ledger[0].value, `${PRICE}`)
	})

	await t.test('takes a payment of another wallet by hand', async () => {
		const key = keyFile(t)
		const page = await openPage(t, shop, undefined)
		assert.equal(page.$('wallet').hidden, true)
		page.type('node', key.node)
		assert.match(page.$('link').href, new RegExp(`^ethereum:${shop.token}@31337/transfer\\?address=${shop.payee}&uint256=${100n * SNT}$`, 'i'))
		const tx = await shop.pay(hand, PRICE)
		page.type('payer', hand)
		page.type('tx', tx)
		page.type('signature', await shop.chain.sign(hand, 'something else'))
		page.$('file').click()
		await page.saw('problem', /the payer has not signed this claim/)
		page.type('signature', await shop.chain.sign(hand, page.$('text').value))
		page.$('file').click()
		await page.saw('state', /Paid\./)
	})

	await t.test('takes the short signature of a contract wallet by hand', async () => {
		const contract = async () => {
			const address = await shop.chain.deploy('Wallet', alice)
			await shop.fund(address)
			const tx = await shop.chain.send(alice, address, call('execute(address,bytes)', shop.token, transfer(shop.payee, PRICE)))
			return { address: address.toLowerCase(), tx }
		}
		const fill = async (page, { address, tx }) => {
			const key = keyFile(t)
			page.type('node', key.node)
			page.type('payer', address)
			page.type('tx', tx)
			page.type('signature', await shop.chain.sign(alice, page.$('text').value))
			return key
		}
		/* As said by the payer, and as the chain says where a wallet can be asked. */
		for (const isSaid of [true, false]) {
			const page = await openPage(t, shop, isSaid ? undefined : walletOf(shop, alice))
			const paid = await contract()
			const key = await fill(page, paid)
			assert.equal(page.$('contract-label').hidden, false)
			if (isSaid) {
				page.$('file').click()
				await page.saw('problem', /the payer has not signed this claim; if it is a contract wallet, say so above/)
				page.$('contract').checked = true
			}
			page.$('file').click()
			await page.saw('state', /Paid\./)
			assert.equal((await shop.admin('entitlements', 'show', key.node)).ledger[0].value, `${PRICE}`)
		}
	})

	await t.test('shows what is announced beside what is in force', async () => {
		const from = Math.floor(Date.now() / 1000) + 10 * 86400
		await shop.change((settings) => {
			settings.option[0].price = 120
			settings.offer = { from }
		})
		const next = await until('the announcement', async () => {
			const { status, json } = await shop.http('GET', '/v1/offer/next')
			return status === 200 && json
		})
		assert.equal(next.decoded.not_before, from)
		const now = await shop.waitOffer()
		/* It would have run out after seven days. */
		assert.equal(now.decoded.not_after, from)
		const page = await openPage(t, shop, undefined)
		assert.match(page.$('price').textContent, /^100 SNT for 1 month$/)
		assert.equal(page.$('price-next').hidden, false)
		assert.match(page.$('price-next').textContent, /^\(from .*: 120 SNT for 1 month\)$/)
		const told = await shop.admin('offers')
		assert.deepEqual([told.offer_hash, told.next.offer_hash], [now.offer_hash, next.offer_hash])
		const byHttp = await runOk(['offer', shop.url])
		assert.match(byHttp.stdout, /option 1: 100 SNT[\s\S]*announced: from .* UTC\n {2}option 1: 120 SNT for 30 days/)
		const byPeer = await runOk(['offer', shop.daemon.enode])
		assert.match(byPeer.stdout, /option 1: 100 SNT/)
	})
})
