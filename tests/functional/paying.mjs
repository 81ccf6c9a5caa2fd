/*
 * A shop for the tests: a chain, a token, a server that sells, and the user's
 * side of a payment done by hand, so that it can be done wrongly as well.
 */
import * as crypto from 'node:crypto'
import { request } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import { Chain } from './chain.mjs'
import { Daemon, run, tempDir, until } from './harness.mjs'
import { hex, sleep } from './peer.mjs'

export const SNT = 10n ** 18n
export const PRICE = 100n * SNT
export const NO_OFFER = `0x${'0'.repeat(64)}`

/* A key in a file, as --nodekey and --key-file want it. */
export function keyFile(t, privateKey = crypto.randomBytes(32).toString('hex')) {
	const path = join(tempDir(t), 'key')
	writeFileSync(path, `${privateKey}\n`, { mode: 0o600 })
	return { path, privateKey, node: publicOf(privateKey) }
}

/* 64 bytes in hex, without the 04. */
export function publicOf(privateKey) {
	return hex(secp256k1.getPublicKey(privateKey, false)).slice(2)
}

export const newNode = () => publicOf(crypto.randomBytes(32).toString('hex'))

/* The text of payments.md §6.3. */
export function claimText({ server, node, chain_id, token, payee, payer, tx, transfer, offer }) {
	return `Mail service payment claim, version 1

I made the token transfer named below to pay for mail service.
Credit it to this node on this server, and to no other.

Server: ${server}
Node: ${node}
Chain: ${chain_id}
Token: ${token}
Payee: ${payee}
Payer: ${payer}
Transaction: ${tx}
Transfer: ${transfer}
Offer: ${offer}`
}

const yaml = (value, indent = '') => {
	if (Array.isArray(value))
		return value.map((v) => `${indent}- ${yaml(v, `${indent}  `).trimStart()}`).join('')
	return Object.entries(value).filter(([, v]) => v !== undefined).map(([key, v]) => (typeof v === 'object'
		? `${indent}${key}:\n${yaml(v, `${indent}  `)}` : `${indent}${key}: ${v}\n`)).join('')
}

/*
 * §20: no line of a log has two of these, not even their beginnings. Of
 * `secrets` no part is in any, of `ids` no more than the first four bytes.
 */
export function checkLog(log, names, secrets = [], ids = []) {
	const bare = (value) => value.replace(/^0x/, '').toLowerCase()
	const parts = names.map((name) => bare(name).slice(0, 8))
	const hidden = [...secrets.flatMap((secret) => bare(secret).match(/.{8}/g)), ...ids.map((id) => bare(id).slice(0, 10))]
	for (const line of log.toLowerCase().split('\n')) {
		const found = parts.filter((part) => line.includes(part))
		if (found.length > 1 || hidden.some((part) => line.includes(part)))
			throw new Error(`too much in one line: ${line}`)
	}
}

export class Shop {
	/*
	 * Options: chain (a Chain; else a new one with a block each second),
	 * urls (endpoints; else the chain's), endpoints (whole records), token
	 * (an address; else MiniMe is deployed), payments, option, chainSettings:
	 * settings that differ; env, args, port, dir: of the daemon; isDown: do not
	 * start it.
	 */
	static async start(t, options = {}) {
		const shop = new Shop()
		shop.t = t
		shop.chain = options.chain ?? await Chain.start(t, { mining: 1 })
		shop.owner = shop.chain.accounts[0]
		shop.payee = options.payee ?? shop.chain.accounts[8]
		shop.token = options.token ?? await shop.chain.deploy('MiniMe', shop.owner)
		shop.chainId = Number(await shop.chain.rpc('eth_chainId'))
		shop.settings = {
			payments: {
				mode: 'paid', grace: '2s', submit_rate: 100000, submit_burst: 100000, submit_contract_rate: 100000,
				status_rate: 1000000, open_per_source: 10000, open_per_node: 1000, open_per_payer: 1000,
				...options.payments,
			},
			...(options.offer ? { offer: options.offer } : {}),
			...(options.http ? { http: options.http } : {}),
			chain: {
				dev: {
					id: shop.chainId, start_block: 0, block_time: '1s', rest: '1s', quorum: 1,
					...options.chainSettings,
					endpoints: options.endpoints ?? (options.urls ?? [shop.chain.url]).map((url, i) => ({ url, group: `g${i}` })),
				},
			},
			option: [{
				chain: 'dev', token: shop.token, symbol: 'SNT', decimals: 18, payee: shop.payee,
				price: 100, unit: '30d', activate: 2, settle: 'finalized', ...options.option,
			}],
			log: { level: options.logLevel ?? 'info' },
		}
		shop.daemon = await Daemon.start(t, {
			config: yaml(shop.settings), env: options.env, args: options.args, dir: options.dir, port: options.port,
		})
		shop.server = /\/\/([0-9a-f]{128})@/.exec(shop.daemon.enode)[1]
		if (!options.noOffer)
			await shop.waitOffer()
		return shop
	}

	get url() {
		return `http://127.0.0.1:${this.daemon.publicPort}`
	}

	async waitOffer(ms = 30000) {
		this.offer = await until('an offer', async () => {
			const { status, json } = await this.http('GET', '/v1/offer')
			return status === 200 && json
		}, ms)
		return this.offer
	}

	/*
	 * One exchange with the public listener, which cuts off what is beyond
	 * sixteen connections of an address: then again.
	 */
	async http(...args) {
		for (let left = 40; ; left--) {
			try {
				return await this.exchange(...args)
			} catch (err) {
				const { exitCode, signalCode } = this.daemon.child
				const isCut = /ECONNRESET|EPIPE/.test(err.code)
				if (!isCut || left === 0 || exitCode !== null || signalCode !== null)
					throw err
				await sleep(100)
			}
		}
	}

	exchange(method, path, body, headers = {}) {
		return new Promise((resolve, reject) => {
			const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
			const req = request({
				host: '127.0.0.1', port: this.daemon.publicPort, method, path, agent: false,
				headers: { ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }), ...headers },
			}, (res) => {
				const parts = []
				res.on('data', (data) => parts.push(data))
				res.on('error', reject)
				res.on('end', () => {
					const answer = Buffer.concat(parts).toString()
					let json
					try {
						json = JSON.parse(answer)
					} catch {
						json = undefined
					}
					resolve({ status: res.statusCode, headers: res.headers, body: answer, json })
				})
			})
			req.on('error', reject)
			req.setTimeout(45000, () => req.destroy(new Error('no HTTP answer')))
			req.end(text)
		})
	}

	/* The same over a chain whose blocks come when they are asked for, and are
	 * final soon; account 1 has tokens. */
	static async startOnSteps(t, options = {}) {
		const chain = await Chain.start(t, { mining: 'none', epoch: 1 })
		await chain.mine(20)
		const token = await chain.deploy('MiniMe')
		await chain.act(chain.accounts[0], token, transfer(chain.accounts[1], 1000n * PRICE))
		await chain.mine(3)
		chain.tick()
		return Shop.start(t, { chain, token, ...options, option: { activate: 3, ...options.option } })
	}

	/* What must never happen, on such a chain: answers the alarm. */
	async changeFinal(account) {
		await this.chain.hold()
		/* What replaces an empty block by an empty one changes nothing. */
		await this.chain.act(this.owner, this.token, transfer(account, PRICE))
		await this.chain.mine(4)
		this.chain.tick()
		await sleep(2500)
		const final = (await this.admin('chains'))[0].finalized
		await this.chain.reorg(await this.chain.head() - final + 8)
		await this.chain.mine(2)
		const [alarm] = await until('the alarm', async () => {
			const list = await this.admin('alarms')
			return list.length > 0 && list
		}, 30000)
		return alarm
	}

	/* Give an account tokens to pay with. */
	async fund(account, value = 10000n * SNT) {
		await this.chain.act(this.owner, this.token, transfer(account, value))
	}

	/* An unmined payment; answers its hash. */
	pay(payer, value, { to = this.payee, token = this.token, ...options } = {}) {
		return this.chain.send(payer, token, transfer(to, value), options)
	}

	/* Sign and answer the body to POST; `wrong` changes it after the signing. */
	async claim({ payer, node, tx, transfer: index = 0, token = this.token, signer = payer, signed = {}, scheme = 1, offer, ...wrong }) {
		const fields = {
			node, chain_id: this.chainId, token: token.toLowerCase(), payee: this.payee.toLowerCase(), payer: payer.toLowerCase(), tx,
			transfer: index, offer: offer ?? this.offer.offer_hash,
		}
		const text = claimText({ server: this.server, ...fields, ...signed })
		const proof = await this.chain.sign(signer, text)
		return { version: 1, scheme, ...fields, proof, ...wrong }
	}

	post(body) {
		return this.http('POST', '/v1/claims', body)
	}

	/* File it; it must be taken. */
	async file(body) {
		const answer = await this.post(body)
		if (answer.status !== 202 && answer.status !== 200)
			throw new Error(`not taken: ${answer.status} ${answer.body}`)
		return answer.json.claim_id
	}

	async status(id, query = '') {
		const { status, json, body } = await this.http('GET', `/v1/claims/${id}${query}`)
		if (status !== 200)
			throw new Error(`no status: ${status} ${body}`)
		return json
	}

	/* Until a claim is in one of these states. */
	async wait(id, states, ms = 40000) {
		const wanted = [states].flat()
		const end = Date.now() + ms
		let now = await this.status(id, '?wait=0')
		while (!wanted.includes(now.state)) {
			if (Date.now() > end)
				throw new Error(`claim is ${JSON.stringify(now)}, not ${wanted} within ${ms} ms`)
			try {
				now = await this.status(id, `?wait=2&rev=${now.rev}`)
			} catch (err) {
				if (!/ECONN|socket/.test(`${err.code} ${err.message}`))
					throw err
				await sleep(100)
			}
		}
		return now
	}

	/* Other settings from now on: `edit` changes them, the server starts anew. */
	async change(edit) {
		edit(this.settings)
		this.daemon.options.config = yaml(this.settings)
		await this.daemon.restart()
	}

	/* Pay, claim when it is mined, and follow to `state`. */
	async buy(payer, node, value = PRICE, state = ['active', 'settled']) {
		const tx = await this.pay(payer, value)
		await this.chain.waitReceipt(tx)
		const body = await this.claim({ payer, node, tx })
		const id = await this.file(body)
		return { id, tx, body, ...await this.wait(id, state) }
	}

	/* `restante admin …`, its answer as JSON. */
	async admin(...args) {
		const result = await run(['admin', '--json', '--datadir', join(this.daemon.dir, 'data'), ...args])
		if (result.code !== 0)
			throw new Error(`admin ${args.join(' ')}: ${result.stderr}`)
		return JSON.parse(result.stdout)
	}

	/* Of a server that is stopped. */
	async fsck() {
		const result = await run(['admin', 'payments', 'fsck', '--datadir', join(this.daemon.dir, 'data')])
		if (result.code !== 0)
			throw new Error(`fsck: ${result.stdout}${result.stderr}`)
	}
}

export function transfer(to, value) {
	return `0xa9059cbb${to.replace(/^0x/, '').toLowerCase().padStart(64, '0')}${BigInt(value).toString(16).padStart(64, '0')}`
}
