import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Operation } from '../../src/operations/operation.js'

export type AnyOperation = Operation<string, never, string, object>

const folder = fileURLToPath(new URL('../../src/operations/', import.meta.url))

function isOperation(value: unknown): value is AnyOperation {
  return typeof value === 'object' && value !== null && 'samples' in value && 'runAll' in value
}

/** Every operation that a file of src/operations exports, found by looking: a new one is tested without being listed. */
export async function allOperations(): Promise<AnyOperation[]> {
  const found: AnyOperation[] = []
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!file.endsWith('.ts')) continue
    const exports = (await import(`../../src/operations/${file.replace(/\.ts$/, '.js')}`)) as Record<string, unknown>
    for (const value of Object.values(exports)) if (isOperation(value) && !found.includes(value)) found.push(value)
  }
  return found
}
