// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), the checksum of PNG and zip: it finds every change of up to 32
// neighbouring bits and misses one in four thousand million of larger ones. Against accidents, not against forgery.

const SLICES = 8

/** `tables[k][byte]` advances the checksum by a byte followed by k zero bytes, so that eight bytes take one step. */
const tables = makeTables()

function makeTables(): Uint32Array[] {
  const made = Array.from({ length: SLICES }, () => new Uint32Array(256))
  const first = made[0]!
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
    first[byte] = remainder
  }
  for (let slice = 1; slice < SLICES; slice++)
    for (let byte = 0; byte < 256; byte++) {
      const before = made[slice - 1]![byte]!
      made[slice]![byte] = (before >>> 8) ^ first[before & 0xff]!
    }
  return made
}

/** The checksum of some bytes, or, with that of the bytes before them, of both together. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ]
  let crc = ~before
  let i = 0
  for (const end = bytes.length - 7; i < end; i += SLICES) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}
