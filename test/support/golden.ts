import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe } from 'vitest'

/** An array of the reference values: size in the order of the format's labels, data column-major. */
export interface GoldenArray {
  size: number[]
  data: number[]
}

const folder = fileURLToPath(new URL('../../../shared/golden/', import.meta.url))

/** The reference values of a family, or undefined where they are not on this machine. */
export function golden<T>(name: string): T | undefined {
  const file = `${folder}${name}.json`
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined
}

/** Runs the tests when the reference values are there, otherwise skips them and says why. */
export function describeGolden<T>(name: string, tests: (values: T) => void): void {
  const values = golden<T>(name)
  if (values) describe(`reference values: ${name}`, () => tests(values))
  else
    describe.skip(`reference values: ${name} (skipped: ../shared/golden/${name}.json is not on this machine)`, () => {
      tests([] as T)
    })
}
