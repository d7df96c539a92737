import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

it.each(['quickstart', 'custom-loop'])('the README shows the example that runs: %s', (name) => {
  const shown = new RegExp(`<!-- examples/${name}\\.ts -->\\n\`\`\`ts\\n([\\s\\S]*?)\`\`\``).exec(
    read('README.md'),
  )?.[1]
  expect(shown).toBe(read(`examples/${name}.ts`).replace("'../src/index.js'", "'dlnet'"))
})

it('the loop of your own learns', () => {
  const program = ['--import', 'tsx', 'examples/custom-loop.ts']
  const printed = execFileSync(process.execPath, program, { cwd: fileURLToPath(root), encoding: 'utf8' })
  const losses = [...printed.matchAll(/loss (\S+)/g)].map((match) => Number(match[1]))
  expect(losses).toHaveLength(5)
  expect(losses[4]!).toBeLessThan(0.01)
})
