/* The JavaScript peer against itself and the published vectors. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import * as crypto from 'node:crypto'
import {
	JsPeer, CODE, RLP, bloomOf, concat, hex, makeEnvelope, passwordKey, readEnvelope, rlpList, seal, unhex,
} from './peer.mjs'

const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url)))

test('blooms follow the deployed rule', () => {
	for (const v of vectors('bloom').topics)
		assert.equal(hex(bloomOf([v.topic])), v.deployed_bloom, v.topic)
})

test('the password of the public servers gives their key', () => {
	const { pbkdf2 } = vectors('message-codec')
	for (const v of pbkdf2.keys)
		assert.equal(hex(passwordKey(v.password)), v.key)
})

test('a sealed message opens again', () => {
	const key = crypto.randomBytes(32)
	const sealed = seal(key, unhex('000102'), crypto.randomBytes(32))
	assert.equal(sealed.length, 284)
	const open = crypto.createDecipheriv('aes-256-gcm', key, sealed.subarray(-12))
	open.setAuthTag(sealed.subarray(-28, -12))
	const plain = concat(open.update(sealed.subarray(0, -28)), open.final())
	assert.equal(hex(plain.subarray(0, 5)), '0503000102')
})

test('two JavaScript peers gossip and confirm on both capabilities', async (t) => {
	const a = new JsPeer()
	const b = new JsPeer()
	t.after(() => { a.close(); b.close() })
	const there = await b.connect(await a.listen())
	const here = await a.accepted()
	const envelopes = Array.from({ length: 20 }, () => makeEnvelope())
	for (const name of ['waku', 'shh']) {
		const { errors } = await there[name].post(envelopes)
		assert.deepEqual(errors, [])
		assert.deepEqual([...here[name].seen.keys()], envelopes.map((e) => e.hash))
	}
})

test('ids of one, two and three bytes arrive at their capability', async (t) => {
	const a = new JsPeer()
	const b = new JsPeer()
	t.after(() => { a.close(); b.close() })
	const there = await b.connect(await a.listen())
	const here = await a.accepted()
	const envelope = makeEnvelope()
	for (const name of ['shh', 'waku']) {
		/* The other side plays the server: 127 and 125 to whatever is asked. */
		here[name].on('message', (code, payload) => {
			if (code !== CODE.REQUEST)
				return
			const [id] = RLP.decode(payload)
			here[name].sendPlain(CODE.P2P, rlpList([envelope.rlp]))
			here[name].sendPlain(CODE.COMPLETE, RLP.encode(concat(id, unhex(envelope.hash))))
		})
		const page = await there[name].page({ topics: [envelope.topic], ms: 3000 })
		assert.deepEqual(page.envelopes.map((e) => e.hash), [envelope.hash])
		assert.equal(page.envelopes[0].sent, readEnvelope(envelope.rlp).sent)
		assert.equal(page.cursor, undefined)
	}
})
