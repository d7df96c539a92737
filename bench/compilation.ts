import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Files of bench/ that run dlnet, as {@link compile} leaves them. */
export const compiledFile = (name: 'contender' | 'profile' | 'first-prediction') => `${folder}dist/bench/${name}.js`

const packageFolder = fileURLToPath(new URL('..', import.meta.url))

/** The published entries: the one file for Node, and the modules for bundlers. */
export const published = { node: `${packageFolder}dist/node.js`, modules: `${packageFolder}dist/index.js` }

/**
 * Compiles the library and what runs it by the compiler that publishes it: the loader that runs TypeScript directly gives
 * every function made while running its name anew, which costs time that users do not pay.
 */
export function compile(say: (line: string) => void): void {
  say('Compiling dlnet ...')
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', `${folder}tsconfig.json`], {
    encoding: 'utf8',
  })
  if (status !== 0) say(`The compiler complains: ${stdout.trim().split('\n')[0]}`)
}

/** Builds what is published anew. */
export function buildPackage(say: (line: string) => void): void {
  say('Building the package ...')
  const { status, stderr } = spawnSync(process.execPath, [`${packageFolder}scripts/build-package.mjs`], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`The package was not built: ${stderr.trim().split('\n')[0]}`)
}
