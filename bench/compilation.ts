import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Files of bench/ that run dlnet, as {@link compile} leaves them. */
export const compiledFile = (name: 'contender' | 'profile' | 'first-prediction') => `${folder}dist/bench/${name}.js`

/** The library's entry, compiled with them. */
export const compiledLibrary = `${folder}dist/src/index.js`

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
