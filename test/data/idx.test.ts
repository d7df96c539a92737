import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { imagesFromIDX, labelsFromIDX, parseIDX } from '../../src/data/idx.js'
import { FileError } from '../../src/errors.js'

function idx(type: number, size: number[], elements: number[]): Uint8Array {
  const sizes = size.flatMap((extent) => [extent >>> 24, (extent >>> 16) & 255, (extent >>> 8) & 255, extent & 255])
  return Uint8Array.from([0, 0, type, size.length, ...sizes, ...elements])
}

describe('parseIDX', () => {
  it('reads every element type, big-endian', () => {
    expect(parseIDX(idx(0x08, [2], [1, 255]))).toEqual({ values: Uint8Array.of(1, 255), size: [2] })
    expect(parseIDX(idx(0x09, [2], [1, 255])).values).toEqual(Int8Array.of(1, -1))
    expect(parseIDX(idx(0x0b, [1], [1, 2])).values).toEqual(Int16Array.of(258))
    expect(parseIDX(idx(0x0c, [1], [255, 255, 255, 254])).values).toEqual(Int32Array.of(-2))
    expect(parseIDX(idx(0x0d, [1], [0x3f, 0xc0, 0, 0])).values).toEqual(Float32Array.of(1.5))
    expect(parseIDX(idx(0x0e, [1], [0x3f, 0xf8, 0, 0, 0, 0, 0, 0])).values).toEqual(Float64Array.of(1.5))
  })

  it('refuses what is cut, too long, of another kind or claims to be huge', () => {
    const whole = idx(0x08, [2, 2], [1, 2, 3, 4])
    for (let length = 0; length < whole.length; length++)
      expect(() => parseIDX(whole.subarray(0, length)), `${length} bytes`).toThrow(FileError)
    expect(() => parseIDX(Uint8Array.from([...whole, 0]))).toThrow(/4 bytes of elements, but got 5/)
    expect(() => parseIDX(idx(0x0a, [1], [1]))).toThrow(/type 10/)
    expect(() => parseIDX(Uint8Array.from([0x1f, 0x8b, 8, 0]))).toThrow(/0x1f 0x8b/)
    expect(() => parseIDX(idx(0x08, [], []))).toThrow(FileError)
    expect(() => parseIDX(idx(0x0e, [0xffffffff, 0xffffffff, 0xffffffff], [1]))).toThrow(FileError)
  })

  it('answers any bytes with an array or a FileError', () => {
    const bytes = fc.uint8Array({ maxLength: 64 }).map((tail) => Uint8Array.from([0, 0, ...tail]))
    fc.assert(
      fc.property(bytes, (data) => {
        try {
          const { values, size } = parseIDX(data)
          expect(values.length).toBe(size.reduce((product, extent) => product * extent, 1))
        } catch (error) {
          expect(error).toBeInstanceOf(FileError)
        }
      }),
    )
  })
})

describe('images and labels', () => {
  // Two pictures of 2 rows and 3 columns.
  const pictures = parseIDX(idx(0x08, [2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))

  it('makes pixels column-major, and gray of all channels', () => {
    expect(imagesFromIDX(pictures)).toEqual({
      values: Uint8Array.of(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12),
      size: [2, 3, 1, 2],
    })
    expect(imagesFromIDX(pictures, { channels: 3, limit: 1 })).toEqual({
      values: Uint8Array.of(1, 4, 2, 5, 3, 6, 1, 4, 2, 5, 3, 6, 1, 4, 2, 5, 3, 6),
      size: [2, 3, 3, 1],
    })
  })

  it('takes labels from arrays with one dimension', () => {
    const labels = parseIDX(idx(0x08, [3], [7, 2, 1]))
    expect(labelsFromIDX(labels, { limit: 2 })).toEqual(Uint8Array.of(7, 2))
    expect(() => labelsFromIDX(pictures)).toThrow(FileError)
    expect(() => imagesFromIDX(labels)).toThrow(FileError)
  })
})
