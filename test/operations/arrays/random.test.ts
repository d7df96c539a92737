import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../../../src/backends/current.js'
import { OptionError } from '../../../src/errors.js'
import { RandomStream, rand, randi, randn, rng } from '../../../src/operations/arrays/random.js'

beforeAll(() => setBackend('reference'))

/** Mean and variance of `count` draws. */
function moments(count: number, draw: () => number): { mean: number; variance: number } {
  let sum = 0
  let squares = 0
  for (let i = 0; i < count; i++) {
    const value = draw()
    sum += value
    squares += value * value
  }
  return { mean: sum / count, variance: squares / count - (sum / count) ** 2 }
}

describe('rand', () => {
  it("begins with MATLAB's numbers", () => {
    rng('default')
    expect([rand(), rand(), rand()].map((value) => value.toFixed(4))).toEqual(['0.8147', '0.9058', '0.1270'])
    rng(0)
    expect(rand().toFixed(4)).toBe('0.8147')
  })

  it('fills arrays column by column', () => {
    rng('default')
    const X = rand(4, 3, { type: 'double' })
    expect(X.size).toEqual([4, 3])
    // rand(4,3) > 0.5 after rng("default") on the page of dlarray.
    expect([...X.values()].map((value) => Number(value > 0.5))).toEqual([1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1])
  })

  it("draws randi's whole numbers as MATLAB does", () => {
    rng('default')
    rand(5, 7)
    expect([...randi(5, [1, 7]).values()]).toEqual([5, 4, 2, 5, 1, 3, 2])
    rng('default')
    rand([10, 12])
    expect([...randi(10, 1, 12).values()]).toEqual([2, 10, 1, 8, 9, 9, 1, 4, 3, 9, 5, 10])
  })

  it('takes sizes as MATLAB does', () => {
    expect(rand(3).size).toEqual([3, 3])
    expect(rand([2]).size).toEqual([2, 2])
    expect(rand(2, 3, 4).size).toEqual([2, 3, 4])
    expect(rand([2, 0]).size).toEqual([2, 0])
    expect(rand(2, 2).underlyingType).toBe('single')
    const draws = Array.from({ length: 1000 }, () => randi([3, 5]))
    expect(new Set(draws)).toEqual(new Set([3, 4, 5]))
  })

  it('says what is wrong', () => {
    expect(() => rand(-1, 2)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: rand: expected a size of whole numbers, none negative, but got [-1,2]. Write rand(3, 2) or rand([3, 2]).]`,
    )
    expect(() => rand([1.5, 2])).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: rand: expected a size of whole numbers, none negative, but got [1.5,2]. Write rand(3, 2) or rand([3, 2]).]`,
    )
    expect(() => rand(2, 2, { type: 'logical' } as never)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: rand: expected the options type ('single' or 'double') and stream (a RandomStream), but got type "logical". Leave them out for single numbers from the stream that rng controls.]`,
    )
    expect(() => randn(2, 2, { seed: 1 } as never)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: randn: expected options among type, stream, but got 'seed'. Check the spelling, or leave it out.]`,
    )
    expect(() => randi(0)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: randi: expected a largest number of 1 or more, or [smallest, largest], but got 0. Write randi(10) or randi([5, 10]).]`,
    )
    expect(() => randi([5, 2])).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: randi: expected a largest number of 1 or more, or [smallest, largest], but got [5,2]. Write randi(10) or randi([5, 10]).]`,
    )
    expect(() => rng(-1)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: rng: expected a seed that is a whole number from 0 to 4294967295, but got -1. Give such a number, or 'default'.]`,
    )
    expect(() => rng('fast' as never)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: rng: expected a seed that is a whole number from 0 to 4294967295, but got 'fast'. Give such a number, or 'default'.]`,
    )
    expect(() => rng({ generator: [1, 2] })).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: RandomStream: expected a state that RandomStream.state() gave, but got one with 2 words. Keep the whole object, for instance as JSON.]`,
    )
    expect(() => new RandomStream(0.5)).toThrow(OptionError)
  })
})

describe('a stream', () => {
  it('has the moments of its distributions', () => {
    const stream = new RandomStream(42)
    const count = 200_000
    const uniform = moments(count, () => stream.uniform())
    // Deviations of the estimates: sqrt(1/12/n) = 6e-4 for the mean; four of them are allowed.
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(2.6e-3)
    expect(Math.abs(uniform.variance - 1 / 12)).toBeLessThan(1e-3)
    const normal = moments(count, () => stream.normal())
    expect(Math.abs(normal.mean)).toBeLessThan(9e-3)
    expect(Math.abs(normal.variance - 1)).toBeLessThan(1.3e-2)
  })

  it('draws normal numbers whose tails are normal', () => {
    const stream = new RandomStream(1)
    const count = 200_000
    let beyond = 0
    for (let i = 0; i < count; i++) if (Math.abs(stream.normal()) > 2) beyond++
    // P(|x| > 2) = 0.0455, deviation of the estimate 4.7e-4.
    expect(Math.abs(beyond / count - 0.0455)).toBeLessThan(1.9e-3)
  })

  it('draws the same numbers from the same seed, others from another', () => {
    const draw = (seed: number) => {
      const stream = new RandomStream(seed)
      return [stream.uniform(), stream.normal(), stream.normal(), stream.integer(1000), ...stream.permutation(5)]
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('goes on from its state, through JSON', () => {
    const stream = new RandomStream(3)
    stream.normal()
    const state = JSON.parse(JSON.stringify(stream.state()))
    const copy = RandomStream.fromState(state)
    const next = (from: RandomStream) => [from.normal(), from.normal(), from.uniform(), from.integer(9)]
    expect(next(copy)).toEqual(next(stream))
    expect(copy.state()).toEqual(stream.state())
  })

  it('shuffles: every order is as likely', () => {
    const stream = new RandomStream(11)
    const counts = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const order = stream.permutation(3).join()
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    // 1000 expected, deviation 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120)
    expect([...stream.permutation(0)]).toEqual([])
  })

  it('is what rng returns and restores', () => {
    rng(5)
    rand()
    const state = rng()
    const next = [rand(), randn()]
    const before = rng(state)
    expect([rand(), randn()]).toEqual(next)
    rng(before)
    const after = rand()
    rng(before)
    expect(rand()).toBe(after)
    rng('default')
  })
})
