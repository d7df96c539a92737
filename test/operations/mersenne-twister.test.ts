import { expect, it } from 'vitest'
import { MersenneTwister } from '../../src/operations/mersenne-twister.js'

const draws = (generator: MersenneTwister, count: number) => Array.from({ length: count }, () => generator.next() >>> 0)

it('draws the numbers of the reference program', () => {
  const numbers = draws(MersenneTwister.seeded(5489), 10_000)
  expect(numbers.slice(0, 5)).toEqual([3499211612, 581869302, 3890346734, 3586334585, 545404204])
  // The number that the C++ standard asks of std::mt19937.
  expect(numbers.at(-1)).toBe(4123659995)
})

it('takes every seed of 32 bits', () => {
  expect(draws(MersenneTwister.seeded(1), 2)).toEqual([1791095845, 4282876139])
  expect(draws(MersenneTwister.seeded(2 ** 32 - 1), 2)).toEqual([419326371, 479346978])
})

it('goes on from a state, in the middle and at the end of its words', () => {
  for (const before of [0, 300, 623, 624, 1000]) {
    const generator = MersenneTwister.seeded(7)
    draws(generator, before)
    const state = generator.state()
    expect(state).toHaveLength(625)
    expect(draws(MersenneTwister.fromState(state), 700)).toEqual(draws(generator, 700))
  }
})
