import { expect, test } from 'vitest'
import { displayPicture, displayPictureRow } from '../../src/cli/picture.js'
import { DimensionError, OptionError } from '../../src/errors.js'

/** A diagonal in 4 x 3 pixels, white on black; column-major. */
const diagonal = { size: [4, 3], values: [255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0] }

test('gray without colour: the mean of two pixels in each character', () => {
  expect(displayPicture(diagonal, { color: false })).toBe('++ \n  +')
  const ramp = { size: [2, 10], values: Array.from({ length: 20 }, (_, index) => (Math.floor(index / 2) * 255) / 9) }
  expect(displayPicture(ramp, { color: false })).toBe(' .:-=+*#%@')
  expect(displayPicture({ size: [1, 3, 1], values: [2, Number.NaN, -1], white: 1 }, { color: false })).toBe('@  ')
})

test('colour: upper pixel in front, lower pixel behind, reset at the end of the line', () => {
  const red = [255, 0, 0]
  const blue = [0, 0, 255]
  // 2 x 2 pixels: the left column red over blue, the right column the same, then one more row of black.
  const planes = [0, 1, 2].map((channel) => [red[channel]!, blue[channel]!, 0, red[channel]!, blue[channel]!, 0])
  expect(displayPicture({ size: [3, 2, 3], values: planes.flat() })).toBe(
    '\x1b[38;2;255;0;0;48;2;0;0;255m▀▀\x1b[0m\n\x1b[38;2;0;0;0m▀▀\x1b[0m',
  )
  expect(displayPicture({ size: [1, 1], values: new Float32Array([0.5]), white: 1 })).toBe(
    '\x1b[38;2;128;128;128m▀\x1b[0m',
  )
})

test('luminance weighs green most', () => {
  const [red, green, blue] = [0, 1, 2].map((lit) =>
    displayPicture(
      { size: [1, 1, 3], values: [0, 1, 2].map((channel) => (channel === lit ? 255 : 0)) },
      { color: false },
    ),
  )
  expect([red, green, blue]).toEqual([':', '#', ' '])
})

test('pictures side by side with captions, wrapped at the width of the terminal', () => {
  const text = displayPictureRow([diagonal, diagonal, diagonal], {
    captions: ['1', 'long caption', ''],
    color: false,
    columns: 8,
  })
  expect(text).toBe('++   ++ \n  +    +\n1    lon\n\n++ \n  +')
  expect(displayPictureRow([], { color: false })).toBe('')
  const uneven = displayPictureRow([{ size: [2, 1], values: [255, 255] }, diagonal], { color: false })
  expect(uneven).toBe('@  ++ \n     +')
})

test('errors name both numbers', () => {
  expect(() => displayPicture({ size: [2, 2, 4], values: new Float32Array(16) })).toThrow(DimensionError)
  expect(() => displayPicture({ size: [2, 2], values: [1] })).toThrow('4 values for 2 x 2 pixels')
  expect(() => displayPicture({ size: [1, 1], values: [1], white: 0 })).toThrow(OptionError)
})
