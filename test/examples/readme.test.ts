import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

it('the README shows the example that runs', () => {
  const shown = /<!-- examples\/quickstart\.ts -->\n```ts\n([\s\S]*?)```/.exec(read('README.md'))?.[1]
  expect(shown).toBe(read('examples/quickstart.ts').replace("'../src/index.js'", "'dlnet'"))
})
