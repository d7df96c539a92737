import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import asc from 'assemblyscript/asc'
import { beforeAll, expect, it } from 'vitest'
// @ts-expect-error a script of the build, without types
import { packKernels } from '../../../scripts/pack-kernels.mjs'
import { kernelBytes } from '../../../src/backends/wasm/kernel-bytes.js'

type Pack = (module: Uint8Array) => { packed: Uint8Array; module: Uint8Array }

let pack: Pack

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dlnet-unpacking-'))
  const compile = async (options: string[]) => {
    const file = join(folder, 'unpack.wasm')
    const options0 = ['kernels/unpacking/unpack.ts', '--outFile', file, '--runtime', 'stub', '--initialMemory', '144']
    const { error } = await asc.main([...options0, '--enable', 'bulk-memory', '-O1', ...options])
    if (error) throw error
    return readFileSync(file)
  }
  const modules = { unpacker: await compile([]), packer: await compile(['--use', 'ENCODING=1']) }
  rmSync(folder, { recursive: true, force: true })
  pack = (module) => packKernels(module, modules)
}, 60_000)

/** A module with the function of type (i32, f32) -> f32 whose locals and instructions are given, exported as f. */
function moduleOf(body: number[]): Uint8Array<ArrayBuffer> {
  const section = (id: number, bytes: number[]) => [id, bytes.length, ...bytes]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 2, 0x7f, 0x7d, 1, 0x7d]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, body.length, ...body]),
  ])
}

const run = (module: Uint8Array, ...values: number[]) => {
  const compiled = new WebAssembly.Module(Uint8Array.from(module))
  return (new WebAssembly.Instance(compiled).exports.f as (...values: number[]) => number)(...values)
}

it('gives a module that engines accept', () => {
  expect(WebAssembly.validate(kernelBytes())).toBe(true)
})

it('numbers local variables by first use, and keeps what a function computes', () => {
  // Locals 2 (i32), 3 and 4 (f32), of which 4 is used first: f(n, x) = x * 3 + x * 3, n times doubled.
  const instructions = [
    ...[0x20, 1, 0x43, 0, 0, 0x40, 0x40, 0x94, 0x21, 4],
    ...[0x20, 4, 0x20, 4, 0x92, 0x21, 3],
    ...[0x20, 0, 0x21, 2, 0x03, 0x40, 0x20, 2, 0x04, 0x40, 0x20, 3, 0x20, 3, 0x92, 0x21, 3],
    ...[0x20, 2, 0x41, 1, 0x6b, 0x21, 2, 0x0c, 1, 0x0b, 0x0b, 0x20, 3, 0x0b],
  ]
  const original = moduleOf([2, 1, 0x7f, 2, 0x7d, ...instructions])
  const { module } = pack(original)
  expect(run(original, 3, 0.5)).toBe(24)
  expect(run(module, 3, 0.5)).toBe(24)
  // two of type f32, then one of type i32
  expect(Buffer.from(module).includes(Buffer.from([2, 2, 0x7d, 1, 0x7f]))).toBe(true)
})

it('gives back tables of targets, constants of several bytes, vectors and shuffles', () => {
  const vector = (...bytes: number[]) => [0xfd, 0x0c, ...bytes]
  const instructions = [
    ...vector(0, 0, 128, 63, 0, 0, 128, 63, 0, 0, 128, 63, 1, 255, 128, 63),
    ...vector(...Array.from({ length: 16 }, (_, i) => 255 - 13 * i)),
    ...[0xfd, 0x0d, ...Array.from({ length: 16 }, (_, i) => (5 * i) % 32), 0x1a],
    ...[0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x41, 0x80, 0x81, 0x7f, 0x6a, 0x0e, 1, 0, 1, 0x0b, 0x0b, 0x20, 1, 0x0b],
  ]
  const original = moduleOf([0, ...instructions])
  expect(pack(original).module).toEqual(original)
  expect(run(original, 1, 2)).toBe(2)
})

it('refuses what is no instruction it knows', () => {
  expect(() => pack(moduleOf([0, 0x12, 0, 0x20, 1, 0x0b]))).toThrow('instruction 18')
})
