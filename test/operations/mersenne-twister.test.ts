import { mersenne } from 'pure-rand/generator/mersenne'
import { expect, it } from 'vitest'
import { MersenneTwister } from '../../src/operations/mersenne-twister.js'

it('draws what the reference program draws', () => {
  // the ten thousandth number of seed 5489, as the C++ standard gives it for mt19937
  const generator = MersenneTwister.fromSeed(5489)
  let last = 0
  for (let i = 0; i < 10_000; i++) last = generator.next()
  expect(last >>> 0).toBe(4123659995)
})

it.each([1, 42, 2 ** 31, 2 ** 32 - 1])('draws and keeps the same as another implementation for seed %d', (seed) => {
  const ours = MersenneTwister.fromSeed(seed)
  const theirs = mersenne(seed)
  expect(ours.state()).toEqual(theirs.getState())
  for (let i = 0; i < 2000; i++) expect(ours.next()).toBe(theirs.next())
  expect(ours.state()).toEqual(theirs.getState())
})

it('goes on from its state', () => {
  const generator = MersenneTwister.fromSeed(7)
  for (let i = 0; i < 700; i++) generator.next()
  const copy = MersenneTwister.fromState(JSON.parse(JSON.stringify(generator.state())))
  for (let i = 0; i < 700; i++) expect(copy.next()).toBe(generator.next())
})
