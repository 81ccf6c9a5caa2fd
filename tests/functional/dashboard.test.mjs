/*
 * The operator's dashboard as a browser runs it: its own script in a document
 * of jsdom, against servers that sell and that do not.
 */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDocument } from './browser.mjs'
import { Daemon, runOk, until } from './harness.mjs'
import { JsPeer, sleep } from './peer.mjs'
import { PRICE, Shop, newNode } from './paying.mjs'

const tokenOf = (daemon) => readFileSync(join(daemon.dir, 'data', 'admin-token'), 'utf8').trim()

/* The page of this server; the server may come back at another port. */
async function openPage(t, daemon, { isEntered = true } = {}) {
	const { body } = await daemon.http('/')
	const page = await openDocument(t, {
		html: body, url: () => `http://127.0.0.1:${daemon.privatePort}`, script: 'dashboard.mjs',
		storage: isEntered ? { sessionStorage: { 'restante-admin-token': tokenOf(daemon) } } : {},
	})
	const { $ } = page
	const text = (id) => $(id).textContent
	return {
		...page, text,
		saw: (id, pattern, ms = 20000) => until(`${pattern} in ${id}`, () => !$(id).hidden && pattern.test(text(id)), ms),
		send(name, fields) {
			for (const [id, value] of Object.entries(fields))
				page.type(id, value)
			$(`${name}-form`).querySelector('button').click()
		},
	}
}

test('a server that sells nothing', async (t) => {
	const daemon = await Daemon.start(t)
	const page = await openPage(t, daemon, { isEntered: false })
	const { $, text, window } = page

	await t.test('serves the page to everybody, and tells nothing without the token', async () => {
		const { status, headers, body } = await daemon.http('/')
		assert.equal(status, 200)
		assert.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/)
		assert.doesNotMatch(body, /<script>|style=|https?:\/\//)
		for (const path of ['/dashboard.mjs', '/dashboard.css', '/pay.css', '/claim.mjs'])
			assert.equal((await daemon.http(path)).body, readFileSync(new URL(`../../web${path}`, import.meta.url), 'utf8'))
		assert.equal((await daemon.http('/', { method: 'POST' })).status, 405)
		assert.equal((await daemon.http('/', { headers: { host: 'evil.example' } })).status, 421)
		assert.equal((await daemon.http('/v1/admin/status', { method: 'POST' })).status, 401)
		assert.equal((await daemon.http('/v1/admin/status', {
			method: 'POST', headers: { authorization: `Bearer ${tokenOf(daemon)}`, origin: 'http://evil.example' },
		})).status, 403)
		assert.equal((await daemon.http('/', { isPublic: true })).status, 404)
		assert.equal($('all').hidden, true)
		assert.equal($('login').hidden, false)
	})

	await t.test('says what to do about a wrong token', async () => {
		page.send('login', { token: 'secret' })
		assert.match(text('login-problem'), /no admin token: it has 64 digits/)
		page.send('login', { token: '0'.repeat(64) })
		await page.saw('login-problem', /does not take this token.*file/)
		assert.match(text('login'), /admin-token.*data folder/s)
		assert.equal($('all').hidden, true)
		assert.equal(window.sessionStorage.length, 0)
	})

	await t.test('tells what the server really has', async () => {
		page.send('login', { token: ` ${tokenOf(daemon)}\n` })
		await page.saw('readiness', /^ready$/)
		assert.equal(window.sessionStorage.getItem('restante-admin-token'), tokenOf(daemon))
		assert.equal($('login').hidden, true)
		assert.equal(text('enode'), daemon.enode)
		assert.equal(text('state'), 'ready')
		assert.match(text('version'), /^\d+\.\d+\.\d+ \(\w+/)
		assert.match(text('needs'), /^Nothing\.$/)
		assert.equal($('free').hidden, false)
		for (const section of window.document.getElementsByClassName('paid'))
			assert.equal(section.hidden, true)
		await runOk(['post', daemon.enode, '--count', '1234'])
		await runOk(['fetch', daemon.enode, '--from', '1h', '--output', join(daemon.dir, 'out.json')])
		await page.saw('envelopes', /^1,234$/)
		assert.match(text('in'), /^1,234 \([\d,.]+\/s\)$/)
		await page.saw('delivered', /^1,234 .*kB$/)
		assert.match(text('oldest'), /\((\d+ s|1 min) ago\)$/)
		assert.match(text('shards'), /^1, well$/)
		/* The same in a terminal. */
		const { stdout } = await runOk(['admin', 'status', '--datadir', join(daemon.dir, 'data')])
		assert.match(stdout, /^readiness +ready$/m)
		assert.match(stdout, /^archive:\n( {2}.*\n)* {2}envelopes +1234$/m)
		assert.match(stdout, /^ {2}oldest +20\d\d-/m)
	})

	await t.test('shows what a peer calls itself as text', async () => {
		const client = '<img src=x onerror=alert(1)>&amp;<script>alert(2)</script>'
		const peer = new JsPeer({ client })
		t.after(() => peer.close())
		await peer.connect(daemon.enode)
		$('peers-list').open = true
		await page.saw('peers-table', /onerror/)
		assert.equal(text('peers'), '1')
		const [, row] = $('peers-table').rows
		assert.equal(row.cells[0].textContent, client)
		assert.equal($('peers-table').querySelectorAll('img, script').length, 0)
		assert.equal(row.lastChild.title, peer.id)
	})

	await t.test('says that the server is away, and comes back with it', async () => {
		const since = text('since')
		await daemon.stop()
		await page.saw('problem', /does not answer, since .*old; trying again/)
		assert.equal(window.document.body.className, 'away')
		assert.equal(text('state'), 'away')
		assert.equal($('all').hidden, false)
		await daemon.up()
		await until('it is well again', () => $('problem').hidden)
		assert.equal(window.document.body.className, '')
		assert.equal(text('state'), 'ready')
		assert.equal(text('enode'), daemon.enode)
		assert.equal(text('envelopes'), '1,234')
		assert.match(text('in'), /^0/)
		assert.notEqual(text('since'), since)
	})

	await t.test('forgets the token', async () => {
		$('leave').click()
		assert.equal($('all').hidden, true)
		assert.equal(window.sessionStorage.length, 0)
	})
})

test('a server that sells', async (t) => {
	const shop = await Shop.startOnSteps(t, { option: { activate: 1 } })
	const alice = shop.chain.accounts[1]
	const bought = await shop.buy(alice, newNode(), 3n * PRICE)
	const page = await openPage(t, shop.daemon)
	const { $, text } = page

	await t.test('shows offer, money, nodes, claims and chains', async () => {
		await page.saw('sold', /^3 months sold in all\.$/)
		assert.equal($('free').hidden, true)
		assert.match(text('mode'), /^paid$/)
		assert.match(text('mode-reason'), /the settings say so/)
		assert.match($('received').rows[1].textContent, /^20\d\d-\d\d300 SNT13 months$/)
		assert.match($('offer').rows[1].textContent, /^100 SNT for 1 month1 to 24/)
		assert.equal($('offer').rows[1].cells[3].title, shop.payee.toLowerCase())
		assert.equal(text('active'), '1')
		await until('it is settled or active', () => text('claims-active') === '1' || text('claims-settled') === '1')
		const [chain] = await shop.admin('chains')
		await page.saw('chains', new RegExp(`dev \\(${shop.chainId}\\).*1 of 1 goodfollowed`, 's'))
		assert.ok(chain.head >= Number($('chains').rows[1].cells[1].textContent.replace(/,/g, '')) - 10)
		assert.equal($('look').hidden, true)
		assert.ok(bought.id)
	})

	await t.test('counts a gift as soon as it is made', async () => {
		await shop.admin('entitlements', 'grant', newNode(), '--for', 'forever', '--reason', 'a friend')
		await page.saw('without_end', /^1$/)
		assert.match(text('sold'), /1 grant/)
	})

	await t.test('switches the mode, for a reason, for now or over restarts', async () => {
		page.send('mode', { 'mode-new': 'free', 'mode-why': '' })
		assert.equal(text('mode-said'), '')
		$('mode-keep').checked = false
		page.send('mode', { 'mode-new': 'free', 'mode-why': 'an <hour> of grace' })
		await page.saw('mode-said', /^The mode is free until the server ends, then paid\.$/)
		await page.saw('mode', /^free$/)
		assert.match(text('mode-reason'), /for now: paid after a restart/)
		$('mode-keep').checked = true
		page.send('mode', { 'mode-new': 'audit', 'mode-why': 'a <trial>' })
		await page.saw('mode-said', /^The mode is audit, over restarts too/)
		await page.saw('mode-reason', /^a <trial>, .*ago\)$/)
		assert.equal($('mode-why').value, '')
		assert.deepEqual((await shop.admin('orders')).slice(-2).map((o) => [o.order, o.reason]),
			[['mode free for now', 'an <hour> of grace'], ['mode audit', 'a <trial>']])
	})

	await t.test('has an alarm acknowledged', async () => {
		const alarm = await shop.changeFinal(alice)
		await page.saw('alarm', /finalized block/)
		assert.match($('alarms').rows[1].textContent, /^dev/)
		assert.equal($('alarms').rows[1].cells[2].title, alarm.hash)
		assert.match(text('needs'), /nothing is credited/)
		assert.match(text('chains'), /alarm/)
		page.type('alarm-why', 'the test did it')
		const before = $('alarm-chain').firstChild
		await sleep(4000)
		assert.equal($('alarm-why').value, 'the test did it', 'what is typed stays')
		assert.equal($('alarm-chain').firstChild, before)
		page.send('alarm', {})
		await until('it is gone', () => $('alarm').hidden)
		assert.deepEqual(await shop.admin('alarms'), [])
		assert.equal((await shop.admin('orders')).at(-1).reason, 'the test did it')
		await page.saw('needs', /^Nothing\.$/)
	})
	await t.test('names a payment that the chain has dropped', async () => {
		const { chain } = shop
		await chain.hold()
		const tx = await shop.pay(alice, PRICE)
		await chain.mine(1)
		const id = await shop.file(await shop.claim({ payer: alice, node: newNode(), tx }))
		await shop.wait(id, 'active')
		await sleep(1000)
		await chain.reorg(1)
		await chain.mine(1)
		await shop.wait(id, 'reorged')
		await page.saw('needs', /1 claim to look at/)
		assert.equal($('look').hidden, false)
		const [state, , , , claim] = $('claims').rows[1].cells
		assert.equal(state.textContent, 'reorged')
		assert.equal(claim.textContent, id)
		assert.deepEqual((await shop.admin('claims', 'look')).map((c) => c.claim), [id])
	})
})
