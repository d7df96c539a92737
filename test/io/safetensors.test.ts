import { describe, expect, it } from 'vitest'
import { FileError } from '../../src/errors.js'
import { crc32 } from '../../src/io/checksum.js'
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../src/io/safetensors.js'

const reading = { call: 'test', source: 'the bytes' }

function file(header: string, data: Uint8Array = new Uint8Array(0), length = header.length): Uint8Array {
  const text = new TextEncoder().encode(header)
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

function failure(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes, reading)
  } catch (error) {
    expect(error).toBeInstanceOf(FileError)
    return (error as FileError).message
  }
  return 'no error'
}

describe('crc32', () => {
  it('gives the check value of the standard, in one piece or several', () => {
    const text = new TextEncoder().encode('123456789')
    expect(crc32(text)).toBe(0xcbf43926)
    expect(crc32(text.subarray(4), crc32(text.subarray(0, 4)))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
    const long = Uint8Array.from({ length: 1003 }, (_, i) => (i * 37) & 0xff)
    let bytewise = 0
    for (const byte of long) bytewise = crc32(Uint8Array.of(byte), bytewise)
    expect(crc32(long)).toBe(bytewise)
  })
})

describe('safetensors', () => {
  const tensors = new Map<string, Tensor>([
    ['b', { type: 'F32', shape: [3], elements: Float32Array.of(1, -0, Number.NaN) }],
    ['7', { type: 'BOOL', shape: [1, 2], elements: Uint8Array.of(1, 0) }],
    ['a', { type: 'F64', shape: [2, 1], elements: Float64Array.of(Math.PI, -Infinity) }],
    ['empty', { type: 'F32', shape: [0, 4], elements: new Float32Array(0) }],
  ])
  const metadata = new Map([['note', 'Grüße "quoted" \\ \u0000']])

  it('lays a file out as the format says', () => {
    const bytes = encodeSafetensors({ tensors, metadata })
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(length % 8).toBe(0)
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
    expect(header.a).toEqual({ dtype: 'F64', shape: [2, 1], data_offsets: [0, 16] })
    expect(header.b).toEqual({ dtype: 'F32', shape: [3], data_offsets: [16, 28] })
    expect(header['7']).toEqual({ dtype: 'BOOL', shape: [1, 2], data_offsets: [28, 30] })
    expect(header.__metadata__.note).toBe(metadata.get('note'))
    expect(header.__metadata__.checksum).toMatch(/^crc32:[0-9a-f]{8}$/)
    expect(new DataView(bytes.buffer).getFloat64(8 + length, true)).toBe(Math.PI)
    expect(bytes.length).toBe(8 + length + 30)
  })

  it('reads back what it wrote, bit for bit', () => {
    const bytes = encodeSafetensors({ tensors, metadata })
    // At an odd address too.
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    const read = decodeSafetensors(shifted.subarray(1), reading)
    expect(read.metadata).toEqual(metadata)
    expect([...read.tensors.keys()].sort()).toEqual(['7', 'a', 'b', 'empty'])
    for (const [name, tensor] of tensors) expect(read.tensors.get(name)).toEqual(tensor)
    expect(Object.is(read.tensors.get('b')!.elements[1], -0)).toBe(true)
  })

  it('accepts a header in another order with other blanks, as another tool would write it', () => {
    const bytes = encodeSafetensors({ tensors, metadata })
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
    const turned = JSON.stringify(Object.fromEntries(Object.entries(header).reverse()), null, 3)
    const again = decodeSafetensors(
      file(turned, bytes.subarray(8 + length), new TextEncoder().encode(turned).length),
      reading,
    )
    expect(again.tensors.get('a')).toEqual(tensors.get('a'))
  })

  it.each([
    ['nothing', new Uint8Array(0), /0 bytes/],
    ['seven bytes', new Uint8Array(7), /7 bytes/],
    ['a header longer than the file', file('{}', undefined, 3), /a header of 3 bytes in 10 bytes/],
    ['a header of 2^63 bytes', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80, 0x7b, 0x7d), /header of 9223372036854775808/],
    ['no JSON', file('{"a":'), /not JSON/],
    ['no object', file('[1]'), /JSON object/],
    ['no UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0x28), /UTF-8/],
    ['deep nesting', file('['.repeat(1_000_000)), /64 deep/],
    ['deep nesting in an entry', file(`{"a":${'{"b":'.repeat(1000)}1${'}'.repeat(1001)}`), /64 deep/],
    ['a key twice', file('{"a":{"dtype":"F32"},"a":{}}'), /'a' twice/],
    ['a key twice, spelt differently', file('{"a":{},"\\u0061":{}}'), /'a' twice/],
    ['__proto__', file('{"__proto__":{"polluted":1}}'), /'__proto__'/],
    ['__proto__ spelt differently', file('{"\\u005f_proto__" : {}}'), /'__proto__'/],
    ['constructor in metadata', file('{"__metadata__":{"constructor":"x"}}'), /'constructor'/],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}'), /text as metadata 'a'/],
    ['a string without end', file('{"a'), /not JSON/],
    ['an unknown type', file('{"a":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}'), /F32, F64 or BOOL/],
    [
      'a type that is an object',
      file('{"a":{"dtype":{"F32":1},"shape":[0],"data_offsets":[0,0]}}'),
      /F32, F64 or BOOL/,
    ],
    ['a negative extent', file('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'), /whole numbers/],
    ['an extent that is no number', file('{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,0]}}'), /whole numbers/],
    ['an extent beyond all', file('{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,0]}}'), /whole numbers/],
    [
      'extents whose product is beyond all',
      file('{"a":{"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,8]}}', new Uint8Array(8)),
      /bytes of tensor 'a'/,
    ],
    [
      'offsets turned round',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', new Uint8Array(4)),
      /4 bytes/,
    ],
    [
      'an offset that is a fraction',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}'),
      /data_offsets/,
    ],
    ['three offsets', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}'), /data_offsets/],
    ['no offsets', file('{"a":{"dtype":"F32","shape":[1]}}'), /data_offsets/],
    ['an extra field', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}}'), /nothing else/],
    [
      'data beyond the end',
      file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', new Uint8Array(4)),
      /bytes of tensors/,
    ],
    [
      'bytes left over',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', new Uint8Array(5)),
      /bytes of tensors/,
    ],
    [
      'overlapping tensors',
      file(
        '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        new Uint8Array(8),
      ),
      /'b' to begin at byte 8/,
    ],
    [
      'a gap',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', new Uint8Array(8)),
      /'a' to begin at byte 0/,
    ],
    [
      'many dimensions',
      file(`{"a":{"dtype":"F32","shape":[0${',1'.repeat(100)}],"data_offsets":[0,0]}}`),
      /at most 64/,
    ],
    ['no checksum', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), /checksum/],
    ['a wrong checksum', file('{"__metadata__":{"checksum":"crc32:00000000"}}'), /checksum crc32:00000000/],
  ])('refuses %s', (_, bytes, message) => {
    expect(failure(bytes)).toMatch(message)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})
