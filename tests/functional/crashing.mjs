/* What the crash tests share: dying, coming back whole, filing anyhow. */
import assert from 'node:assert/strict'
import { until, within } from './harness.mjs'

export async function killedAt(shop, ms = 40000) {
	const end = await within(ms, 'kill point', shop.daemon.child.exited)
	assert.equal(end.code, 137, 'the kill point was not reached')
}

/* Come back without the kill point, whole. */
export async function comeBack(shop) {
	shop.daemon.options.env = {}
	await shop.fsck()
	await shop.daemon.up()
}

/* Post until it is taken: the answer may be lost with the server. */
export async function fileAnyhow(shop, body) {
	return until('a claim that is taken', async () => {
		const answer = await shop.post(body).catch(() => undefined)
		return answer?.json?.claim_id
	}, 60000)
}
