/*
 * Compiles the contracts of this folder into bytecode.json. The tests do not
 * need a compiler: the bytecode is kept, with the compiler's version and the
 * hash of each source, which contracts.test.mjs compares. After a change:
 *
 *	mkdir /tmp/solc && cd /tmp/solc && npm install solc@0.8.30
 *	node tests/functional/contracts/build.mjs /tmp/solc
 *
 * (the folder named is the one that holds node_modules).
 */
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const NAMES = ['LookAlike', 'MiniMe', 'Plain', 'Splitter', 'Wallet']
const here = fileURLToPath(new URL('.', import.meta.url))
const solc = createRequire(join(resolve(process.argv[2] ?? '.'), 'x.js'))('solc')

/* No metadata, so that the same source gives the same bytes everywhere. */
const settings = {
	evmVersion: 'paris',
	optimizer: { enabled: true, runs: 200 },
	metadata: { appendCBOR: false, bytecodeHash: 'none' },
}
const texts = Object.fromEntries(NAMES.map((name) => [name, readFileSync(join(here, `${name}.sol`), 'utf8')]))
const output = JSON.parse(solc.compile(JSON.stringify({
	language: 'Solidity',
	sources: Object.fromEntries(NAMES.map((name) => [`${name}.sol`, { content: texts[name] }])),
	settings: { ...settings, outputSelection: { '*': { '*': ['evm.bytecode.object'] } } },
})))
for (const { severity, formattedMessage } of output.errors ?? []) {
	process.stderr.write(formattedMessage)
	if (severity === 'error')
		process.exitCode = 1
}
if (!process.exitCode) {
	const contracts = {}
	for (const name of NAMES) {
		contracts[name] = {
			source_sha256: createHash('sha256').update(texts[name]).digest('hex'),
			bytecode: `0x${output.contracts[`${name}.sol`][name].evm.bytecode.object}`,
		}
	}
	writeFileSync(join(here, 'bytecode.json'),
		`${JSON.stringify({ compiler: solc.version(), settings, contracts }, null, '\t')}\n`)
}
