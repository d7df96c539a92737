import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { FileError, OptionError } from '../../src/errors.js'
import { deserializeArrays, loadArrays, saveArrays, serializeArrays } from '../../src/io/arrays.js'
import { encodeSafetensors } from '../../src/io/safetensors.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dlnet-io-'))
})
afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true, force: true })
})

function samples(): Record<string, DlArray> {
  return {
    plain: dlarray([1.5, -0, Number.NaN, Infinity], { type: 'double' }),
    image: dlarray(
      Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
      [2, 3, 4],
      'SSC',
    ),
    mask: dlarray([true, false, true], 'C', { type: 'logical' }),
    one: dlarray(7, 'CB'),
    none: dlarray(new Float32Array(0), [0, 3], 'CB'),
    '7': dlarray([[1, 2]], { type: 'double' }),
  }
}

function expectSame(actual: Readonly<Record<string, DlArray>>, expected: Readonly<Record<string, DlArray>>): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort())
  for (const [name, array] of Object.entries(expected)) {
    expect(actual[name]!.size, name).toEqual(array.size)
    expect(actual[name]!.dims, name).toBe(array.dims)
    expect(actual[name]!.underlyingType, name).toBe(array.underlyingType)
    const bytes = (values: Float32Array | Float64Array) => new Uint8Array(values.buffer)
    expect(bytes(actual[name]!.values()), name).toEqual(bytes(array.values()))
  }
}

describe('saveArrays and loadArrays', () => {
  it('bring back arrays of every kind exactly, with their texts', async () => {
    const file = join(folder, 'arrays.safetensors')
    const arrays = samples()
    await saveArrays(file, arrays, { iteration: '12', note: 'ä' })
    const read = await loadArrays(file)
    expectSame(read.arrays, arrays)
    expect(read.metadata).toEqual({ iteration: '12', note: 'ä' })
    expect(readdirSync(folder)).toEqual(['arrays.safetensors'])
  })

  it('write the size turned round, so that row-major readers see the same elements', () => {
    const bytes = serializeArrays({ W: dlarray(Float32Array.from([1, 2, 3, 4, 5, 6]), [2, 3]) })
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))).W.shape).toEqual([3, 2])
    expect(new DataView(bytes.buffer).getFloat32(8 + length + 4, true)).toBe(2)
  })

  it('replace a file whole, through a link and with its rights', async () => {
    const file = join(folder, 'a.safetensors')
    const link = join(folder, 'link')
    await saveArrays(file, { x: dlarray(1) })
    chmodSync(file, 0o640)
    symlinkSync(file, link)
    await saveArrays(link, { x: dlarray(2) })
    expect((await loadArrays(file)).arrays.x!.item()).toBe(2)
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(readdirSync(folder).sort()).toEqual(['a.safetensors', 'link'])
  })

  // A limit on the size of files stands for a disk that fills up while the file is written.
  it.skipIf(process.platform === 'win32')(
    'leave the old file and nothing else when writing stops half-way',
    async () => {
      const file = join(folder, 'a.safetensors')
      await saveArrays(file, { x: dlarray(1) })
      const before = readFileSync(file)
      const program = `
      import { saveArrays } from '${new URL('../../src/io/arrays.ts', import.meta.url)}'
      import { dlarray } from '${new URL('../../src/operations/arrays/dlarray.ts', import.meta.url)}'
      const x = dlarray(new Float64Array(1e6), { type: 'double' })
      await saveArrays(process.argv[1], { x }).then(
        () => console.log('written'),
        (error) => console.log(error.name, error.message),
      )`
      const node = `'${process.execPath}' --import tsx --input-type=module -e "$1" "$2"`
      const { stdout } = spawnSync('sh', ['-c', `ulimit -f 100; exec ${node}`, 'sh', program, file], {
        encoding: 'utf8',
        env: { ...process.env, TSX_DISABLE_CACHE: '1' },
      })
      expect(stdout).toMatch(
        /^FileError saveArrays: expected to write \d+ bytes .* larger than the system allows \(EFBIG\)/,
      )
      expect(readFileSync(file)).toEqual(before)
      expect(readdirSync(folder)).toEqual(['a.safetensors'])
    },
  )

  it.skipIf(process.platform !== 'linux')('say that a folder cannot be written to', async () => {
    await expect(saveArrays('/proc/a.safetensors', samples())).rejects.toThrow(FileError)
    await expect(saveArrays(join(folder, 'none', 'a'), samples())).rejects.toThrow(/no such file or folder \(ENOENT\)/)
    writeFileSync(join(folder, 'file'), '')
    await expect(saveArrays(join(folder, 'file', 'a'), samples())).rejects.toThrow(/ENOTDIR/)
    expect(readdirSync(folder)).toEqual(['file'])
  })

  it('say that a folder is no file', async () => {
    await expect(loadArrays(folder)).rejects.toThrow(/a folder \(EISDIR\)/)
    await expect(saveArrays(folder, samples())).rejects.toThrow(FileError)
    expect(readdirSync(folder)).toEqual([])
    await expect(loadArrays(join(folder, 'none'))).rejects.toThrow(/no such file or folder/)
    await expect(loadArrays('')).rejects.toThrow(FileError)
    await expect(loadArrays('a\0b')).rejects.toThrow(FileError)
  })

  it('refuse names and texts that cannot be kept', () => {
    expect(() => serializeArrays({ __metadata__: dlarray(1) })).toThrow(OptionError)
    expect(() => serializeArrays(Object.fromEntries([['__proto__', dlarray(1)]]))).toThrow(OptionError)
    expect(() => serializeArrays({ x: 1 as never })).toThrow(/number as 'x'/)
    expect(() => serializeArrays({}, { dims: 'x' })).toThrow(OptionError)
    expect(() => serializeArrays({}, { n: 1 as never })).toThrow(/number as 'n'/)
  })

  it('refuse files of other programs and formats that do not fit', () => {
    const tensor = { type: 'F32', shape: [2, 3], elements: new Float32Array(6) } as const
    const bytes = (metadata: Record<string, string>) =>
      encodeSafetensors({ tensors: new Map([['x', tensor]]), metadata: new Map(Object.entries(metadata)) })
    const message = (metadata: Record<string, string>) => {
      try {
        deserializeArrays(bytes(metadata))
      } catch (error) {
        expect(error).toBeInstanceOf(FileError)
        return (error as Error).message
      }
      return 'no error'
    }
    expect(message({})).toMatch(/another program/)
    expect(message({ dlnet: '99', dims: '{}' })).toMatch(/format 99/)
    expect(message({ dlnet: '1' })).toMatch(/formats of the arrays/)
    expect(message({ dlnet: '1', dims: '[]' })).toMatch(/formats of the arrays/)
    expect(message({ dlnet: '1', dims: '{"x":"SCB"}' })).toMatch(/fit together for 'x'/)
    expect(message({ dlnet: '1', dims: '{"x":"BC"}' })).toMatch(/fit together for 'x'/)
    expect(message({ dlnet: '1', dims: '{"x":"Cq"}' })).toMatch(/fit together for 'x'/)
    expect(message({ dlnet: '1', dims: '{"x":5}' })).toMatch(/fit together for 'x'/)
    expect(message({ dlnet: '1', dims: '{"x":"CB"}' })).toBe('no error')
    expect(() => deserializeArrays('text' as never)).toThrow(/bytes, a Uint8Array or an ArrayBuffer, but got "text"/)
    expect(() => deserializeArrays([1] as never)).toThrow(FileError)
  })

  it('find every flipped bit and every shortened end, or give the same arrays', () => {
    const arrays = samples()
    const original = serializeArrays(arrays, { iteration: '12' })
    let refused = 0
    for (let position = 0; position < original.length; position++) {
      const bytes = original.slice()
      bytes[position]! ^= 1 << (position % 8)
      scope(() => {
        try {
          const read = deserializeArrays(bytes)
          expectSame(read.arrays, arrays)
          expect(read.metadata).toEqual({ iteration: '12' })
        } catch (error) {
          if (!(error instanceof FileError)) throw error
          refused++
        }
      })
    }
    expect(refused).toBeGreaterThan(original.length * 0.9)
    for (let length = 0; length < original.length; length++)
      expect(() => deserializeArrays(original.subarray(0, length)), `${length} bytes`).toThrow(FileError)
  })

  it('may write to one file at once: one of them is there in the end, whole', async () => {
    const file = join(folder, 'a.safetensors')
    const writes = Array.from({ length: 8 }, (_, i) =>
      saveArrays(file, { x: dlarray(new Float32Array(1000).fill(i)) }, { writer: String(i) }),
    )
    await Promise.all(writes)
    const { arrays, metadata } = await loadArrays(file)
    expect(new Set(arrays.x!.values())).toEqual(new Set([Number(metadata.writer)]))
    expect(readdirSync(folder)).toEqual(['a.safetensors'])
  })

  it('take the arrays as they are when called, not when the disk is ready', async () => {
    const file = join(folder, 'a.safetensors')
    const x = dlarray([1, 2])
    const written = saveArrays(file, { x })
    x.dispose()
    await written
    expect([...(await loadArrays(file)).arrays.x!.values()]).toEqual([1, 2])
  })

  it('say what works where there are no files', async () => {
    const { getBuiltinModule } = process
    Object.assign(process, { getBuiltinModule: undefined })
    try {
      await expect(saveArrays('a', {})).rejects.toThrow(/in Node, but got .* Use serializeArrays, which works on bytes/)
      await expect(loadArrays('a')).rejects.toThrow(/Use deserializeArrays/)
    } finally {
      Object.assign(process, { getBuiltinModule })
    }
  })

  it('refuse a file of something else', async () => {
    writeFileSync(join(folder, 'x'), 'not safetensors at all, but long enough')
    await expect(loadArrays(join(folder, 'x'))).rejects.toThrow(/header of \d+ bytes/)
  })
})
