import { afterEach, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, setThreads } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { DimensionError, FileError, MemoryError, OptionError } from '../../src/errors.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { scope } from '../../src/memory/scope.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { reshape } from '../../src/operations/arrays/relabel.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { l2loss } from '../../src/operations/losses/l2loss.js'
import { createSolver, type TrainedParameter } from '../../src/training/solvers.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { adamupdate, dlupdate, rmspropupdate, sgdmupdate } from '../../src/training/update-functions.js'
import { expectClose } from '../support/close.js'

const double = (values: number[]) => dlarray(values, { type: 'double' })
const one = (value: number) => dlarray(value, { type: 'double' })

describe('documented first steps', () => {
  it('sgdmupdate', () => {
    const [w, v] = sgdmupdate([double([1, 2]), one(3)], [double([1, 1]), one(1)], [], 0.05, 0.95)
    expectClose(w[0]!.values(), [0.95, 1.95], 1e-15)
    expectClose([...v[0]!.values(), v[1]!.item()], [-0.05, -0.05, -0.05], 1e-15)
  })
  it('adamupdate', () => {
    const [w] = adamupdate({ a: one(1) }, { a: one(1) }, [], [], 1, 0.05, 0.75, 0.95)
    expect(w.a.item()).toBeCloseTo(1 - 0.05 / (1 + 1e-8), 14)
  })
  it('rmspropupdate', () => {
    const [w, v] = rmspropupdate(one(0), one(1), undefined, 0.05, 0.95)
    expect(-w.item()).toBeCloseTo(0.22360679, 8)
    expect(v.item()).toBeCloseTo(0.05, 15)
  })
})

describe('update functions', () => {
  it('leave parameters as they are, and go on from averages, which they take over', () => {
    const w = one(1)
    const [w1, v1] = sgdmupdate(w, one(2), undefined, 0.1, 0.5)
    expect(v1.item()).toBeCloseTo(-0.2, 15)
    const [w2, v2] = sgdmupdate(w1, one(2), v1, 0.1, 0.5)
    expect(w.item()).toBe(1)
    expect(() => v1.item()).toThrow(MemoryError)
    expect(v2.item()).toBeCloseTo(-0.3, 15)
    expect(w2.item()).toBeCloseTo(0.5, 15)
  })
  it('adam by hand over three steps', () => {
    let w = one(0.5)
    let m: DlArray | undefined
    let v: DlArray | undefined
    let [wh, mh, vh] = [0.5, 0, 0]
    for (const [i, g] of [0.3, -0.2, 0.7].entries()) {
      ;[w, m, v] = adamupdate(w, one(g) as DlArray, m, v, i + 1, 0.01) as [typeof w, DlArray, DlArray]
      mh = 0.9 * mh + 0.1 * g
      vh = 0.999 * vh + 0.001 * g * g
      wh -= (0.01 * (mh / (1 - 0.9 ** (i + 1)))) / (Math.sqrt(vh / (1 - 0.999 ** (i + 1))) + 1e-8)
    }
    expect(w.item()).toBeCloseTo(wh, 14)
    expect(m!.item()).toBeCloseTo(mh, 15)
    expect(v!.item()).toBeCloseTo(vh, 15)
  })
  it('take learnables as a list of records', () => {
    const learnables = [{ layer: 'fc', parameter: 'Bias', value: one(1) }]
    const [updated] = sgdmupdate(learnables, [{ layer: 'fc', parameter: 'Bias', value: one(1) }], [], 0.25)
    expect(updated[0]).toMatchObject({ layer: 'fc', parameter: 'Bias' })
    expect(updated[0]!.value.item()).toBe(0.75)
  })
  it('take a network and its learn-rate factors', async () => {
    const { dlnetwork } = await import('../../src/network/network-making.js')
    const { instanceNormalizationLayer } = await import('../../src/layers/instance-normalization.js')
    const layer = instanceNormalizationLayer({ scaleLearnRateFactor: 2, offsetLearnRateFactor: 0 })
    const net = dlnetwork([layer], dlarray(new Float32Array(8), [2, 2, 2, 1], 'SSCB'))
    const gradients = net.learnables.map((row) => ({ ...row, value: dlarray(new Float32Array(2).fill(1), [1, 1, 2]) }))
    const [next, velocity] = sgdmupdate(net, gradients, [], 0.125)
    const value = (name: string, from = next) => [
      ...from.learnables.find((row) => row.parameter === name)!.value!.values(),
    ]
    expect(value('Scale')).toEqual([0.75, 0.75])
    expect(value('Offset')).toEqual([0, 0])
    expect(next).toBe(net)
    expect(velocity.map((row) => row.parameter)).toEqual(['Offset', 'Scale'])
  })
  it('train a network in a loop of your own, in flat memory', async () => {
    const { dlnetwork } = await import('../../src/network/network-making.js')
    const { featureInputLayer } = await import('../../src/layers/feature-input.js')
    const { fullyConnectedLayer } = await import('../../src/layers/fully-connected.js')
    const net = dlnetwork([featureInputLayer(2), fullyConnectedLayer(1)], { seed: 1 })
    const X = dlarray([1, 2, -1, 0.5, 3, -2], [2, 3], 'CB')
    const T = dlarray([5, 0, -1], [1, 3], 'CB')
    let average: unknown
    let square: unknown
    const losses: number[] = []
    const bytes: number[] = []
    for (let iteration = 1; iteration <= 60; iteration++) {
      scope(() => {
        const { loss, gradients } = dlfeval((traced: typeof net) => {
          const loss = l2loss(traced.forward(X).outputs[0]!, T)
          return { loss, gradients: dlgradient(loss, traced.learnables) }
        }, net)
        ;[, average, square] = adamupdate(net, gradients, average as never, square as never, iteration, 0.1)
        losses.push(loss.item())
      })
      bytes.push(memory().bytesInUse)
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 10)
    expect(new Set(bytes).size).toBe(1)
    const other = dlupdate((array) => times(array, 2), net)
    expect(other.predict(X).values()[0]).not.toBe(net.predict(X).values()[0])
    expect(dlfeval((traced: typeof net) => traced.predict(X), other).values()).toEqual(other.predict(X).values())
  })
  it('check shapes and numbers', () => {
    expect(() => sgdmupdate([one(1)], [one(1), one(2)])).toThrow(DimensionError)
    expect(() => sgdmupdate(double([1, 2]), one(1) as never)).toThrow(/of the size of parameter 1/)
    expect(() => sgdmupdate(one(1), one(1), [], -1)).toThrow(OptionError)
    expect(() => sgdmupdate(one(1), one(1), [], 0.1, 2)).toThrow(/momentum/)
    expect(() => adamupdate(one(1), one(1), [], [], 0)).toThrow(/iteration/)
    expect(() => rmspropupdate(one(1), one(1), [], 0.1, 1)).toThrow(/squaredGradientDecay/)
  })
})

describe('dlupdate', () => {
  it('gives a table for a table', () => {
    const { learnables } = dlnetwork([featureInputLayer(3), fullyConnectedLayer(2)], { seed: 1 })
    const doubled = dlupdate((array) => times(array, 2), learnables)
    expect(String(doubled)).toBe(String(learnables))
    expect(String(doubled)).toMatch(/Layer +Parameter +Value/)
    expect(String(dlupdate((array) => reshape(array, [array.numel, 1]), doubled))).toMatch(/\{6×1 dlarray\}/)
    expect(Object.keys(doubled)).toEqual(['0', '1'])
  })

  it('maps over containers of equal shape', () => {
    const sums = dlupdate(
      (a, b) => dlarray(a.item() + b!.item()),
      { x: one(1), y: [one(2)] },
      { x: one(3), y: [one(4)] },
    )
    expect([sums.x.item(), sums.y[0]!.item()]).toEqual([4, 6])
  })
  it('gives one container for each array the function returns', () => {
    const [same, twice] = dlupdate((a) => [a, dlarray(2 * a.item())] as const, [one(1), one(5)])
    expect(same!.map((x) => x.item())).toEqual([1, 5])
    expect(twice!.map((x) => x.item())).toEqual([2, 10])
  })
  it('checks', () => {
    expect(() => dlupdate((a) => a, [one(1)], [one(1), one(2)])).toThrow(DimensionError)
    expect(() => dlupdate((() => 3) as never, [one(1)])).toThrow(OptionError)
  })
})

/** Parameters and gradients of odd sizes, the same for every run. */
function setUp(type: 'single' | 'double'): { parameters: TrainedParameter[]; gradients: (step: number) => DlArray[] } {
  const stream = new RandomStream(11)
  const values = (count: number) => Float64Array.from({ length: count }, () => stream.normal())
  const sizes = [5, 4099, 1]
  const parameters = sizes.map((size, i) => ({
    name: `layer${i}/Weights`,
    value: dlarray(values(size), [size, 1], { type }),
    learnRateFactor: [1, 0.5, 0][i]!,
    l2Factor: [0, 1, 1][i]!,
  }))
  const steps = Array.from({ length: 4 }, () => sizes.map((size) => values(size)))
  return {
    parameters,
    gradients: (step) => steps[step]!.map((one, i) => dlarray(one, [sizes[i]!, 1], { type })),
  }
}

/** The rules once more, number by number. */
function byHand(
  options: ReturnType<typeof trainingOptions>,
  { parameters, gradients }: ReturnType<typeof setUp>,
  learnRate: number,
): number[][] {
  const w = parameters.map(({ value }) => [...value.values()])
  const m = w.map((list) => list.map(() => 0))
  const v = w.map((list) => list.map(() => 0))
  for (let t = 1; t <= 4; t++) {
    const g = gradients(t - 1).map((gradient, p) =>
      [...gradient.values()].map((x, i) => x + options.l2Regularization * parameters[p]!.l2Factor * w[p]![i]!),
    )
    const norm = (list: number[]) => Math.sqrt(list.reduce((sum, x) => sum + x * x, 0))
    const threshold = options.gradientThreshold
    const shrink = (n: number) => (n > threshold ? threshold / n : 1)
    const all = shrink(norm(g.flat()))
    const clipped = g.map((list) => {
      if (options.gradientThresholdMethod === 'absolute-value')
        return list.map((x) => Math.sign(x) * Math.min(Math.abs(x), threshold))
      const factor = options.gradientThresholdMethod === 'l2norm' ? shrink(norm(list)) : all
      return list.map((x) => x * factor)
    })
    for (const [p, list] of clipped.entries()) {
      const alpha = learnRate * parameters[p]!.learnRateFactor
      for (const [i, x] of list.entries()) {
        if (options.solver === 'sgdm') {
          m[p]![i] = options.momentum * m[p]![i]! - alpha * x
          if (alpha > 0) w[p]![i]! += m[p]![i]!
        } else if (options.solver === 'adam') {
          const [b1, b2] = [options.gradientDecayFactor, options.squaredGradientDecayFactor]
          m[p]![i] = b1 * m[p]![i]! + (1 - b1) * x
          v[p]![i] = b2 * v[p]![i]! + (1 - b2) * x * x
          w[p]![i]! -= (alpha * (m[p]![i]! / (1 - b1 ** t))) / (Math.sqrt(v[p]![i]! / (1 - b2 ** t)) + options.epsilon)
        } else {
          v[p]![i] = options.squaredGradientDecayFactor * v[p]![i]! + (1 - options.squaredGradientDecayFactor) * x * x
          w[p]![i]! -= (alpha * x) / (Math.sqrt(v[p]![i]!) + options.epsilon)
        }
      }
    }
  }
  return w
}

function train(options: ReturnType<typeof trainingOptions>, setup: ReturnType<typeof setUp>, learnRate: number) {
  const solver = createSolver(options, setup.parameters)
  for (let t = 1; t <= 4; t++) solver.step(setup.gradients(t - 1), learnRate, t)
  return { values: setup.parameters.map(({ value }) => value.values()), solver }
}

const own = {
  sgdm: { momentum: 0.8 },
  adam: { gradientDecayFactor: 0.7, squaredGradientDecayFactor: 0.9, epsilon: 1e-3 },
  rmsprop: { squaredGradientDecayFactor: 0.8, epsilon: 1e-2 },
}
const clipping = [
  {},
  { gradientThreshold: 3 },
  { gradientThreshold: 3, gradientThresholdMethod: 'global-l2norm' },
  { gradientThreshold: 0.5, gradientThresholdMethod: 'absolute-value' },
] as const

describe('solvers', () => {
  afterEach(() => {
    setBackend('wasm')
    setThreads(1)
  })
  for (const name of ['sgdm', 'adam', 'rmsprop'] as const)
    for (const clip of clipping) {
      const options = trainingOptions(name, { l2Regularization: 0.1, ...own[name], ...clip })
      const method = 'gradientThresholdMethod' in clip ? clip.gradientThresholdMethod : 'l2norm'
      it(`${name}, ${'gradientThreshold' in clip ? `clipped by ${method}` : 'not clipped'}: formulas, backends, threads`, () => {
        const expected = byHand(options, setUp('double'), 0.05)
        const double = train(options, setUp('double'), 0.05).values
        for (const [p, list] of double.entries()) expectClose(list, expected[p]!, 1e-13, `double ${p}`)
        setThreads(1)
        const single = train(options, setUp('single'), 0.05).values
        for (const [p, list] of single.entries()) expectClose(list, expected[p]!, 2e-6, `single ${p}`)
        setThreads(3)
        expect(train(options, setUp('single'), 0.05).values).toEqual(single)
        setBackend('reference')
        for (const [p, list] of train(options, setUp('single'), 0.05).values.entries())
          expectClose(list, expected[p]!, 2e-6, `single on the reference ${p}`)
      })
    }

  it('a state goes on where it was', () => {
    const options = trainingOptions('adam', {})
    const whole = train(options, setUp('single'), 0.01)
    const setup = setUp('single')
    const first = createSolver(options, setup.parameters)
    for (let t = 1; t <= 2; t++) first.step(setup.gradients(t - 1), 0.01, t)
    const second = createSolver(options, setup.parameters)
    second.restore(first.state(), 'a test')
    first.dispose()
    for (let t = 3; t <= 4; t++) second.step(setup.gradients(t - 1), 0.01, t)
    expect(setup.parameters.map(({ value }) => value.values())).toEqual(whole.values)
    expect(Object.keys(second.state())).toEqual([
      'averageGrad/layer0/Weights',
      'averageSqGrad/layer0/Weights',
      'averageGrad/layer1/Weights',
      'averageSqGrad/layer1/Weights',
      'averageGrad/layer2/Weights',
      'averageSqGrad/layer2/Weights',
    ])
    const other = createSolver(trainingOptions('sgdm', {}), setup.parameters)
    expect(() => other.restore(second.state(), "'file'")).toThrow(FileError)
  })

  it('a gradient that is not a number makes the parameter one that is not', () => {
    for (const type of ['single', 'double'] as const) {
      const value = dlarray([1, 2], { type })
      const parameter = { name: 'a/b', value, learnRateFactor: 1, l2Factor: 0 }
      const options = trainingOptions('sgdm', { gradientThreshold: 1, gradientThresholdMethod: 'absolute-value' })
      createSolver(options, [parameter]).step([dlarray([Number.NaN, 1], { type })], 0.5, 1)
      expect([...value.values()]).toEqual([Number.NaN, 1.5])
    }
  })
})
