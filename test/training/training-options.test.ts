import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { OptionError } from '../../src/errors.js'
import {
  type TrainingOptions,
  type TrainingOptionsADAM,
  type TrainingOptionsSGDM,
  trainingOptions,
} from '../../src/training/training-options.js'

const named = { reset() {}, update() {}, evaluate: () => 0 }

describe('trainingOptions', () => {
  it("has MATLAB's defaults", () => {
    const sgdm = trainingOptions('sgdm')
    expect([sgdm.momentum, sgdm.initialLearnRate, sgdm.maxEpochs, sgdm.miniBatchSize]).toEqual([0.9, 0.01, 30, 128])
    expect([sgdm.shuffle, sgdm.l2Regularization, sgdm.gradientThreshold]).toEqual(['once', 1e-4, Infinity])
    const adam = trainingOptions('adam')
    expect([adam.initialLearnRate, adam.gradientDecayFactor, adam.squaredGradientDecayFactor]).toEqual([
      0.001, 0.9, 0.999,
    ])
    const rmsprop = trainingOptions('rmsprop')
    expect([rmsprop.initialLearnRate, rmsprop.squaredGradientDecayFactor, rmsprop.epsilon]).toEqual([0.001, 0.9, 1e-8])
    expect('momentum' in adam).toBe(false)
    expect('gradientDecayFactor' in rmsprop).toBe(false)
  })

  it('takes an object, and names and values in any case', () => {
    const options = trainingOptions('sgdm', { maxEpochs: 4, initialLearnRate: 0.05, shuffle: 'every-epoch' })
    const pairs = trainingOptions('SGDM' as 'sgdm', 'MaxEpochs', 4, 'initiallearnrate', 0.05, 'Shuffle', 'Every-Epoch')
    expect(String(pairs)).toBe(String(options))
    expect(options.maxEpochs).toBe(4)
    expect(trainingOptions('sgdm', 'Verbose', 0).verbose).toBe(false)
  })

  it('takes another result with changes', () => {
    const first = trainingOptions('adam', { maxEpochs: 4, metrics: 'accuracy' })
    const second = trainingOptions('adam', { ...first, maxEpochs: 5 })
    expect([second.maxEpochs, second.metrics]).toEqual([5, ['accuracy']])
  })

  it('is frozen', () => {
    const options = trainingOptions('adam', { metrics: ['accuracy'] })
    expect(Object.isFrozen(options)).toBe(true)
    expect(Object.isFrozen(options.metrics)).toBe(true)
    expect(() => {
      ;(options as { maxEpochs: number }).maxEpochs = 3
    }).toThrow(TypeError)
  })

  it('makes lists of single entries', () => {
    const stop = () => true
    const options = trainingOptions('sgdm', { metrics: 'rmse', outputFcn: stop, inputDataFormats: 'SSCB' })
    expect(options.metrics).toEqual(['rmse'])
    expect(options.outputFcn).toEqual([stop])
    expect(options.inputDataFormats).toEqual(['SSCB'])
  })

  it("prints as MATLAB's object", () => {
    expect(String(trainingOptions('sgdm', { maxEpochs: 20, learnRateSchedule: 'piecewise' }))).toBe(
      [
        '  TrainingOptionsSGDM with properties:',
        '',
        '                        Momentum: 0.9000',
        '                InitialLearnRate: 0.0100',
        '                       MaxEpochs: 20',
        "               LearnRateSchedule: 'piecewise'",
        '             LearnRateDropFactor: 0.1000',
        '             LearnRateDropPeriod: 10',
        '                   MiniBatchSize: 128',
        "                         Shuffle: 'once'",
        '             CheckpointFrequency: 1',
        "         CheckpointFrequencyUnit: 'epoch'",
        "                  SequenceLength: 'longest'",
        "        PreprocessingEnvironment: 'serial'",
        '                L2Regularization: 1.0000e-04',
        "         GradientThresholdMethod: 'l2norm'",
        '               GradientThreshold: Inf',
        '                         Verbose: 1',
        '                VerboseFrequency: 50',
        '                  ValidationData: []',
        '             ValidationFrequency: 50',
        '              ValidationPatience: Inf',
        "             ObjectiveMetricName: 'loss'",
        "                  CheckpointPath: ''",
        "            ExecutionEnvironment: 'auto'",
        '                       OutputFcn: []',
        '                         Metrics: []',
        "                           Plots: 'none'",
        '            SequencePaddingValue: 0',
        "        SequencePaddingDirection: 'right'",
        '                InputDataFormats: "auto"',
        '               TargetDataFormats: "auto"',
        '         ResetInputNormalization: 1',
        "    BatchNormalizationStatistics: 'auto'",
        "                   OutputNetwork: 'auto'",
        '                    Acceleration: "auto"',
      ].join('\n'),
    )
    expect(String(trainingOptions('adam'))).toMatch(
      /^ {2}TrainingOptionsADAM with properties:\n\n +GradientDecayFactor: 0.9000\n +SquaredGradientDecayFactor: 0.9990\n +Epsilon: 1.0000e-08\n +InitialLearnRate: 1.0000e-03\n/,
    )
    expect(String(trainingOptions('rmsprop'))).toContain('TrainingOptionsRMSProp')
    expect(String(trainingOptions('adam', { metrics: ['accuracy', 'auc'] }))).toContain(
      'Metrics: ["accuracy"    "auc"]\n',
    )
  })

  it('refuses values outside their range', () => {
    const wrong: [string, unknown][] = [
      ['initialLearnRate', 0],
      ['initialLearnRate', Number.NaN],
      ['momentum', 1.5],
      ['maxEpochs', 2.5],
      ['miniBatchSize', -1],
      ['shuffle', 'sometimes'],
      ['l2Regularization', -1],
      ['gradientThreshold', 0],
      ['learnRateDropFactor', 2],
      ['validationPatience', 0],
      ['validationData', [1, 2, 3]],
      ['metrics', ['accurracy']],
      ['outputFcn', 'print'],
      ['inputDataFormats', 'SSCC'],
      ['learnRateSchedule', []],
      ['seed', 1.5],
      ['signal', {}],
      ['progress', 'yes'],
      ['verbose', 'yes'],
    ]
    for (const [name, value] of wrong)
      expect(() => trainingOptions('sgdm', name, value), `${name} ${String(value)}`).toThrow(OptionError)
  })

  it('words errors in four parts', () => {
    expect(() => trainingOptions('sgdm', 'miniBatchSize', '64')).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: trainingOptions: expected miniBatchSize to be a positive whole number of observations, but got '64'. Change the value, or leave the option out for its default.]`,
    )
    expect(() => trainingOptions('sgdm', 'epsilon', 1e-8)).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: trainingOptions: expected options of the solver 'sgdm', but got epsilon, an option of 'adam' and 'rmsprop'. Leave it out, or choose that solver.]`,
    )
    expect(() => trainingOptions('sgdm', 'ExecutionEnvironment', 'gpu')).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: trainingOptions: expected executionEnvironment to be 'auto' or 'cpu', but got 'gpu', which is not supported yet. Change the value, or leave the option out for its default.]`,
    )
    expect(() => trainingOptions('lbfgs' as 'sgdm')).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: trainingOptions: expected one of the solvers 'sgdm', 'adam', 'rmsprop', but got 'lbfgs', which is not supported yet. Begin with the solver: trainingOptions('sgdm', { maxEpochs: 4 }).]`,
    )
    // @ts-expect-error a name without a value
    expect(() => trainingOptions('sgdm', 'maxEpochs')).toThrow(/'maxEpochs' without one/)
    expect(() => trainingOptions('sgdm', 'MaxIterations', 3)).toThrow(/maxIterations, which is not supported yet/)
    expect(() => trainingOptions('sgdm', 'maxEpoch', 3)).toThrow(/'maxEpoch'/)
    expect(() => trainingOptions('sgdm', { objectiveMetricName: 'accuracy' })).toThrow(/no metrics/)
    expect(() => trainingOptions('sgdm', { outputNetwork: 'best-validation' })).toThrow(/no validationData/)
  })

  it('answers any option value with options or an OptionError', () => {
    const names = Object.keys(trainingOptions('adam')).filter((name) => name !== 'solver')
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.anything(), (name, value) => {
        try {
          expect(String(trainingOptions('adam', name, value))).toContain('TrainingOptionsADAM')
        } catch (error) {
          expect(error).toBeInstanceOf(OptionError)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('metrics have different names', () => {
    expect(() => trainingOptions('sgdm', { metrics: ['accuracy', 'Accuracy' as 'accuracy'] })).toThrow(
      /metrics with different names.*'accuracy' twice/,
    )
    const f1 = { loss: () => 1 }
    const f2 = { loss: () => 2 }
    expect(() => trainingOptions('sgdm', { metrics: [f1.loss, f2.loss] })).toThrow(/'loss' twice/)
    const options = trainingOptions('sgdm', { metrics: [() => 1, () => 2], objectiveMetricName: 'metric_2' })
    expect(options.metrics.length).toBe(2)
    expect(() => trainingOptions('sgdm', { metrics: [() => 1, () => 2, { ...named, name: 'metric_1' }] })).toThrow(
      /'metric_1' twice/,
    )
    expect(trainingOptions('sgdm', { metrics: [() => 1], objectiveMetricName: 'metric' }).metrics.length).toBe(1)
  })

  it('lets the compiler find wrong names and values in an object', () => {
    // Never called: what counts is that each line is an error of types.
    const wrong = () => [
      // @ts-expect-error no such option
      trainingOptions('adam', { maxEpoch: 3 }),
      // @ts-expect-error no such value
      trainingOptions('adam', { maxEpochs: 'x' }),
      // @ts-expect-error no such word
      trainingOptions('adam', { shuffle: 'sometimes' }),
      // @ts-expect-error an option of another solver
      trainingOptions('adam', { momentum: 0.9 }),
      // @ts-expect-error no such solver
      trainingOptions('adm', { maxEpochs: 3 }),
      // @ts-expect-error a value where a name belongs
      trainingOptions('adam', 3, 'MaxEpochs'),
    ]
    expect(wrong).toBeTypeOf('function')
  })

  it('has a type for each solver', () => {
    expectTypeOf(trainingOptions('sgdm')).toEqualTypeOf<TrainingOptionsSGDM>()
    expectTypeOf(trainingOptions('adam')).toEqualTypeOf<TrainingOptionsADAM>()
    expectTypeOf(trainingOptions('adam', 'MaxEpochs', 3)).toExtend<TrainingOptions>()
  })
})
