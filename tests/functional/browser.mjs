/*
 * A page as a browser runs it: its document in jsdom, its own script, and a
 * fetch that asks the server it came from.
 */
import { JSDOM } from 'jsdom'

const realFetch = fetch

/*
 * Open `html` as the page at `url()` and run `script`, a file of web/. `storage`
 * is what the browser has kept; `prepare` may change the window before. Answers
 * {$, window, type(id, text)}; it is closed when the test ends.
 */
export async function openDocument(t, { html, url, script, storage = {}, prepare }) {
	const { window } = new JSDOM(html, { url: `${url()}/`, pretendToBeVisual: true })
	for (const kind of ['localStorage', 'sessionStorage'])
		for (const [key, value] of Object.entries(storage[kind] ?? {}))
			window[kind].setItem(key, value)
	prepare?.(window)
	Object.assign(globalThis, {
		window, document: window.document, localStorage: window.localStorage, sessionStorage: window.sessionStorage,
		location: window.location, Option: window.Option,
		fetch: (path, options) => realFetch(new URL(path, url()), options),
	})
	/* A module is run once for each address. */
	await import(`../../web/${script}?${Math.random()}`)
	t.after(() => window.close())
	const $ = (id) => window.document.getElementById(id)
	return {
		$, window,
		type(id, text) {
			$(id).value = text
			$(id).dispatchEvent(new window.Event('input'))
		},
	}
}
