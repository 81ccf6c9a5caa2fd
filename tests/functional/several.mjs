/*
 * Tests that mostly wait, some at once: `several(what, 3)` answers a `test`
 * whose tests run three at a time, as parts of one that is called so.
 */
import { test } from 'node:test'

export function several(what, concurrency, options = {}) {
	const parts = []
	test(what, { concurrency, ...options }, (t) => Promise.all(parts.map((part) => t.test(...part))))
	return (...part) => { parts.push(part) }
}
