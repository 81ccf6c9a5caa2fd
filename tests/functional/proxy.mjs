/*
 * A loopback proxy between the daemon and a chain node that makes the faults
 * of payments.md §15.3. A fault is set with `proxy.fault` and holds until it
 * is taken back; `proxy.change` is a function that may alter each answer.
 *
 *	null          result null to every receipt (or to `methods`)
 *	error         a JSON-RPC error object {code, message} for each member
 *	status        HTTP status `code`, `headers`
 *	delay         `ms` before the answer
 *	reset         the connection is reset
 *	truncate      half of the body, then a reset
 *	garbage       not JSON
 *	id            every id is wrong
 *	twice         the first member's id is used for all
 *	missing       the last member of a batch is left out (all, for one)
 *	reorder       a batch backwards
 *	nobatch       a batch is answered by one error object
 *	giant         `bytes` of blanks before the answer
 *	deep          arrays in arrays, `depth` of them
 *	buried        a good answer, with such arrays beside its results
 *	redirect      302 to `location`
 *	hang          no answer at all
 */
import { createServer, request, Agent } from 'node:http'

/* Post a value as JSON; `where` as request() takes it. Its JSON answer. */
export function postJson(where, body) {
	return new Promise((resolve, reject) => {
		const text = JSON.stringify(body)
		const req = request({
			...where, method: 'POST',
			headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
		}, (res) => {
			const parts = []
			res.on('data', (data) => parts.push(data))
			res.on('error', reject)
			res.on('end', () => resolve(JSON.parse(Buffer.concat(parts))))
		})
		req.on('error', reject)
		req.end(text)
	})
}

export class Proxy {
	static async start(t, target) {
		const proxy = new Proxy()
		proxy.target = new URL(target)
		proxy.agent = new Agent({ keepAlive: true, maxSockets: 16 })
		proxy.requests = 0 /* HTTP requests */
		proxy.calls = []   /* methods asked for, oldest first */
		proxy.seen = []    /* paths and headers, for secrets and redirects */
		proxy.sockets = new Set()
		proxy.server = createServer((req, res) => proxy.serve(req, res).catch(() => res.destroy()))
		proxy.server.on('connection', (socket) => {
			proxy.sockets.add(socket)
			socket.on('close', () => proxy.sockets.delete(socket))
		})
		await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve))
		proxy.port = proxy.server.address().port
		proxy.url = `http://127.0.0.1:${proxy.port}`
		t?.after(() => proxy.stop())
		return proxy
	}

	async stop() {
		this.agent.destroy()
		for (const socket of this.sockets)
			socket.destroy()
		await new Promise((resolve) => this.server.close(resolve))
	}

	/* No listener at all, as a machine that is down. */
	async down() {
		for (const socket of this.sockets)
			socket.destroy()
		await new Promise((resolve) => this.server.close(resolve))
	}

	up() {
		return new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve))
	}

	async serve(req, res) {
		const parts = []
		/* Whatever comes: who follows a redirect may come without a body. */
		this.requests++
		this.seen.push({ path: req.url, headers: req.headers })
		for await (const part of req)
			parts.push(part)
		const body = JSON.parse(Buffer.concat(parts))
		const members = Array.isArray(body) ? body : [body]
		this.calls.push(...members.map((m) => m.method))

		const fault = this.fault?.methods && !members.some((m) => this.fault.methods.includes(m.method))
			? undefined : this.fault
		switch (fault?.kind) {
		case 'delay':
			await new Promise((resolve) => setTimeout(resolve, fault.ms))
			break
		case 'hang':
			return
		case 'reset':
			req.socket.resetAndDestroy?.() ?? req.socket.destroy()
			return
		case 'status':
			res.writeHead(fault.code, fault.headers)
			res.end(fault.body ?? 'no')
			return
		case 'redirect':
			res.writeHead(302, { location: fault.location })
			res.end()
			return
		case 'garbage':
			return this.send(res, '<html>it works</html>')
		case 'deep':
			return this.send(res, '['.repeat(fault.depth) + ']'.repeat(fault.depth))
		case 'nobatch':
			if (Array.isArray(body))
				return this.send(res, JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32600, message: 'batches are not served' } }))
			break
		}
		const answers = await this.forward(body)
		await this.answer(res, members, answers, fault, Array.isArray(body))
	}

	async answer(res, members, answers, fault, isBatch) {
		const byId = new Map(members.map((m) => [m.id, m]))
		let list = Array.isArray(answers) ? answers : [answers]
		list = list.map((answer) => {
			const asked = byId.get(answer.id)
			const isMeant = !fault?.methods || fault.methods.includes(asked?.method)
			if (fault?.kind === 'null' && (fault.methods ? isMeant : asked?.method === 'eth_getTransactionReceipt'))
				return { ...answer, error: undefined, result: null }
			if (fault?.kind === 'error' && isMeant)
				return { jsonrpc: '2.0', id: answer.id, error: { code: fault.code, message: fault.message ?? 'no' } }
			return this.change ? this.change(asked, answer) ?? answer : answer
		})
		if (fault?.kind === 'id')
			list = list.map((answer) => ({ ...answer, id: answer.id + 100000 }))
		if (fault?.kind === 'twice')
			list = list.map((answer) => ({ ...answer, id: list[0].id }))
		if (fault?.kind === 'missing')
			list = list.slice(0, -1)
		if (fault?.kind === 'buried') {
			const beside = JSON.parse('['.repeat(fault.depth) + ']'.repeat(fault.depth))
			list = list.map((answer) => ({ ...answer, beside }))
		}
		if (fault?.kind === 'reorder')
			list = list.reverse()
		let text = JSON.stringify(isBatch ? list : list[0] ?? {})
		if (fault?.kind === 'giant')
			text = ' '.repeat(fault.bytes) + text
		if (fault?.kind === 'truncate') {
			res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
			res.write(text.slice(0, text.length >> 1))
			setTimeout(() => res.socket?.destroy(), 20)
			return
		}
		this.send(res, text)
	}

	send(res, text) {
		res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
		res.end(text)
	}

	forward(body) {
		return postJson({ host: this.target.hostname, port: this.target.port, agent: this.agent }, body)
	}

}

/* Changes for `proxy.change`. */
export const changeHead = (by) => (asked, answer) => {
	if (asked?.method === 'eth_blockNumber')
		return { ...answer, result: `0x${(Number(answer.result) + by).toString(16)}` }
	if (asked?.method === 'eth_getBlockByNumber' && asked.params[0] === 'latest' && answer.result)
		return { ...answer, result: { ...answer.result, number: `0x${(Number(answer.result.number) + by).toString(16)}` } }
	return answer
}
export const changeReceipt = (edit) => (asked, answer) => {
	if (asked?.method !== 'eth_getTransactionReceipt' || !answer.result)
		return answer
	const result = JSON.parse(JSON.stringify(answer.result))
	return { ...answer, result: edit(result) ?? result }
}
