import { expect, it } from 'vitest'
import { kernelBytes } from '../../src/backends/wasm/kernel-bytes.js'
import { ALPHABET, bytesOf, joinStreams, PAIRS } from '../../src/backends/wasm/streams.js'

const [pair0, pair1, first, second, third] = ALPHABET

it('reads one character for a small byte and two for a large one', () => {
  const singles = ALPHABET.length - PAIRS
  expect([...bytesOf(`${first}${second}${ALPHABET.at(-1)}`)]).toEqual([0, 1, singles - 1])
  expect([...bytesOf(`${pair0}${pair0}${first}${pair0}${pair1}`)]).toEqual([singles, 0, singles + 1])
  expect(singles + PAIRS * ALPHABET.length).toBeGreaterThan(256)
  expect(ALPHABET).not.toMatch(/['"`\\<\n]/)
})

it('takes operands from their streams: whole numbers, single bytes, or none', () => {
  const text = (...bytes: number[]) =>
    bytes
      .map((byte) => {
        const large = byte - (ALPHABET.length - PAIRS)
        if (large < 0) return ALPHABET[byte + PAIRS]
        return `${ALPHABET[Math.floor(large / ALPHABET.length)]}${ALPHABET[large % ALPHABET.length]}`
      })
      .join('')
  const streams = {
    length: 10,
    tokens: '20:A 6a fd0c:bA',
    order: `${first}${second}${third}${first}`,
    operands: [text(0x85, 0x01, 7, 9), text(0xff)],
  }
  expect([...joinStreams(streams)]).toEqual([0x20, 0x85, 0x01, 0x6a, 0xfd, 0x0c, 0xff, 7, 0x20, 9])
})

it('gives a module that engines accept', () => {
  expect(WebAssembly.validate(kernelBytes())).toBe(true)
})
