import { type BatchSource, type BatchSourceState, type MiniBatch, releaseBatch } from '../data/minibatch.js'
import { DlnetError, TrainingError } from '../errors.js'
import { BestNetwork } from './best-network.js'
import type { CheckpointFile } from './checkpoint.js'
import { Divergence, diagnose } from './divergence.js'
import { withLayerCopies } from './layer-copies.js'
import { learnRateOf } from './learn-rate.js'
import { pacer } from './pacing.js'
import { type BatchRead, readingAhead } from './read-ahead.js'
import { RecordedSteps } from './recorded-steps.js'
import { restoreRun, saveRun } from './run-checkpoint.js'
import { aboutValidation, callWithin, TrainingInterruptedError, validating } from './training-error.js'
import { Histories, type StopReason, TrainingInfo } from './training-info.js'
import { type Standing, TrainingMonitor } from './training-monitor.js'
import type { OutputFcnInfo } from './training-options.js'
import { Evaluation, type RunSettings, type StepResult, trainingStep } from './training-step.js'

/** One training, from the first iteration (or a checkpoint) to the end. */
export class TrainingRun {
  readonly #settings: RunSettings & { readonly recorded: RecordedSteps }
  readonly #histories: Histories
  readonly #learnRate: (standing: { epoch: number; iteration: number }) => number
  readonly #total: number | undefined
  readonly #pause = pacer()
  readonly #best: BestNetwork
  #monitor: TrainingMonitor | undefined
  #iteration = 0
  #epoch = 0
  #isEpochDone = true
  #elapsedBefore = 0
  #began = performance.now()
  #lastValidated: number | undefined
  #last: Standing | undefined
  /** Where the source stood after the present mini-batch, when it has been asked for more since. */
  #sourceState: BatchSourceState | undefined

  constructor(settings: RunSettings) {
    const { options, source, metrics, validation, net, parameters } = settings
    this.#settings = { ...settings, recorded: new RecordedSteps(settings) }
    this.#histories = new Histories(metrics.map(({ name }) => name))
    this.#total = source.numBatches === undefined ? undefined : source.numBatches * options.maxEpochs
    const rate = learnRateOf(options)
    const fixed = { iterationsPerEpoch: source.numBatches, maxEpochs: options.maxEpochs }
    this.#learnRate = (standing) => rate({ ...standing, ...fixed })
    const isBestWanted = validation !== undefined && options.outputNetwork !== 'last-iteration'
    const objective = metrics.find(({ name }) => name === options.objectiveMetricName)
    const isLargerBetter = objective !== undefined && objective.maximize !== false
    this.#best = new BestNetwork(net, parameters, isBestWanted, isLargerBetter ? 1 : -1)
  }

  /**
   * Trains. Errors after the first iteration, and errors of the user's own functions, are a {@link TrainingInterruptedError} that
   * holds what was reached.
   */
  async run(checkpoint: CheckpointFile | undefined): Promise<TrainingInfo> {
    const { solver, recorded } = this.#settings
    let before = 0
    try {
      if (checkpoint) this.#restore(checkpoint)
      before = this.#iteration
      await this.#start(before)
      const stopReason = await this.#epochs()
      return await this.#finish(stopReason)
    } catch (error) {
      this.#monitor?.abandon()
      if (error instanceof TrainingInterruptedError) throw error
      if (error instanceof DlnetError && this.#iteration === before) throw error
      throw this.#interrupted(
        {
          call: error instanceof DlnetError ? callWithin(error) : 'trainnet',
          expects: error instanceof DlnetError ? error.problem.expects : 'to train to the end',
          got: `${error instanceof DlnetError ? error.problem.got : error instanceof Error ? error.message : String(error)} (after iteration ${this.#iteration})`,
          remedy: `${error instanceof DlnetError ? `${error.problem.remedy} ` : ''}error.net is the network so far.`,
        },
        error,
      )
    } finally {
      recorded.dispose()
      solver.dispose()
      this.#best.dispose()
    }
  }

  async #start(before: number): Promise<void> {
    const { net, options, metrics, validation, source, random } = this.#settings
    this.#began = performance.now()
    this.#monitor = await TrainingMonitor.open(options, {
      total: this.#total,
      done: before,
      hasValidation: validation !== undefined,
      metricNames: metrics.map(({ name }) => name),
      layers: withLayerCopies(net, String),
      histories: this.#histories,
    })
    if (before > 0) return
    if (options.shuffle !== 'never') source.shuffle(random)
    if (!validation) return
    const result = await this.#validate()
    if (result)
      this.#monitor.row({ ...this.#standing(this.#learnRate({ epoch: 1, iteration: 1 })), validation: result })
  }

  async #epochs(): Promise<StopReason> {
    const { options, source, random } = this.#settings
    if (await this.#tell('start', this.#standing(this.#learnRate({ epoch: 1, iteration: 1 }))))
      return 'Stopped by output function'
    while (this.#epoch < options.maxEpochs || !this.#isEpochDone) {
      if (this.#isEpochDone) {
        if (this.#epoch > 0 && options.shuffle === 'every-epoch') source.shuffle(random)
        this.#epoch++
        this.#isEpochDone = false
      }
      const stopped = await this.#batches()
      if (stopped) return stopped
      this.#isEpochDone = true
      if (options.checkpointFrequencyUnit === 'epoch' && this.#epoch % options.checkpointFrequency === 0)
        await this.#checkpoint()
    }
    return 'Max epochs completed'
  }

  /** The rest of a pass over the data; why to stop, if there is a reason. */
  async #batches(): Promise<StopReason | undefined> {
    const { source, options } = this.#settings
    const { signal } = options
    const iterator = passOver(source)
    try {
      for (;;) {
        if (signal?.aborted) return 'Stopped by signal'
        const next = iterator.next()
        // A stream that waits for data must not keep the signal waiting.
        const result = next instanceof Promise ? await unlessAborted(next, signal) : next
        if (result === undefined) return 'Stopped by signal'
        if (result.done) return undefined
        const { value } = result
        const isAhead = 'state' in value
        this.#sourceState = isAhead ? value.state : undefined
        const stopped = await this.#iterate(isAhead ? value.batch : value)
        if (stopped) return stopped
        await this.#pause()
      }
    } finally {
      this.#sourceState = undefined
      const returned = iterator.return?.()
      // After the signal not awaited: a stream that hangs would keep training from ending.
      if (!signal?.aborted) await returned
      else if (returned instanceof Promise) returned.catch(() => undefined)
    }
  }

  async #iterate(batch: MiniBatch): Promise<StopReason | undefined> {
    const { options, validation } = this.#settings
    const iteration = this.#iteration + 1
    const learnRate = this.#learnRate({ epoch: this.#epoch, iteration })
    const training = this.#step(batch, learnRate, iteration)
    this.#iteration = iteration
    this.#histories.addTraining({ iteration, epoch: this.#epoch, learnRate, ...training })
    this.#monitor!.progress(iteration, batch.observations, training.loss)
    const isLast = iteration === this.#total
    const isValidationDue = validation && (isLast || iteration % options.validationFrequency === 0)
    const validated = isValidationDue ? await this.#validate() : undefined
    const standing = { ...this.#standing(learnRate), training, validation: validated }
    this.#last = standing
    const isToldToStop = await this.#tell('iteration', standing)
    const isPatienceOver = validated !== undefined && this.#best.failures >= options.validationPatience
    const isStopping = isLast || isToldToStop || isPatienceOver || options.signal?.aborted === true
    this.#monitor!.row(standing, isStopping)
    if (options.checkpointFrequencyUnit === 'iteration' && iteration % options.checkpointFrequency === 0)
      await this.#checkpoint()
    await this.#monitor!.page()
    if (isPatienceOver) return 'Validation patience met'
    return isToldToStop ? 'Stopped by output function' : undefined
  }

  #step(batch: MiniBatch, learnRate: number, iteration: number): StepResult {
    const { net, random } = this.#settings
    try {
      checkTargets(batch)
      return trainingStep(this.#settings, batch, learnRate, iteration)
    } catch (error) {
      if (!(error instanceof Divergence)) throw error
      throw this.#interrupted(diagnose(error, net, batch, random, { iteration, epoch: this.#epoch, learnRate }))
    } finally {
      releaseBatch(batch)
    }
  }

  #interrupted(problem: ConstructorParameters<typeof TrainingInterruptedError>[0], cause?: unknown) {
    const info = new TrainingInfo(this.#histories, this.#iteration, 'Stopped by error')
    return new TrainingInterruptedError(problem, this.#settings.net, info, cause === undefined ? undefined : { cause })
  }

  async #finish(reason: StopReason): Promise<TrainingInfo> {
    const { validation } = this.#settings
    let stopReason = reason
    const isComplete = stopReason === 'Max epochs completed'
    if (isComplete && validation && this.#lastValidated !== this.#iteration) {
      // Only now it shows that the iteration before was the last: the data does not tell its length.
      const result = await this.#validate()
      if (result && this.#last) this.#last = { ...this.#last, validation: result }
      if (!result) stopReason = 'Stopped by signal'
    }
    if (this.#last) this.#monitor!.row(this.#last, true)
    await this.#tell('done', this.#last ?? this.#standing(this.#learnRate({ epoch: 1, iteration: 1 })))
    this.#best.apply()
    const info = new TrainingInfo(this.#histories, this.#best.keptIteration ?? this.#iteration, stopReason)
    await this.#monitor!.close(stopReason)
    return info
  }

  // --- Validation -----------------------------------------------------------------------------------------------------

  /** Loss and metrics of the validation data; undefined when the signal came in between. */
  async #validate(): Promise<StepResult | undefined> {
    const { validation, options } = this.#settings
    const evaluation = new Evaluation(this.#settings)
    for await (const batch of validation!) {
      try {
        if (options.signal?.aborted) return undefined
        checkTargets(batch, validating)
        evaluation.update(batch)
      } catch (error) {
        throw aboutValidation(error)
      } finally {
        releaseBatch(batch)
      }
      await this.#pause()
    }
    const result = evaluation.result()
    this.#lastValidated = this.#iteration
    this.#histories.addValidation({ iteration: this.#iteration, ...result })
    const { objectiveMetricName } = options
    const value = objectiveMetricName === 'loss' ? result.loss : result.metrics[objectiveMetricName]!
    this.#best.judge({ iteration: this.#iteration, value })
    return result
  }

  // --- Telling ----------------------------------------------------------------------------------------------------------

  #timeElapsed(): number {
    return this.#elapsedBefore + (performance.now() - this.#began) / 1000
  }

  #standing(learnRate: number): Standing {
    return { iteration: this.#iteration, epoch: this.#epoch, learnRate, timeElapsed: this.#timeElapsed() }
  }

  /** Calls the output functions, and waits for those that give promises; true when one of them wants to stop. */
  async #tell(state: OutputFcnInfo['state'], { training, validation, ...where }: Standing): Promise<boolean> {
    const { outputFcn } = this.#settings.options
    if (outputFcn.length === 0) return false
    const info: OutputFcnInfo = {
      state,
      ...where,
      trainingLoss: training?.loss,
      validationLoss: validation?.loss,
      trainingMetrics: training?.metrics ?? {},
      validationMetrics: validation?.metrics ?? {},
    }
    const answers = await Promise.all(outputFcn.map((told) => told(info)))
    return answers.includes(true)
  }

  // --- Checkpoints --------------------------------------------------------------------------------------------------------

  async #checkpoint(): Promise<void> {
    const { options, source } = this.#settings
    if (options.checkpointPath === '') return
    await saveRun(this.#settings, {
      histories: this.#histories,
      best: this.#best,
      iteration: this.#iteration,
      epoch: this.#epoch,
      timeElapsed: this.#timeElapsed(),
      sourceState: this.#sourceState ?? source.state(),
    })
  }

  #restore(checkpoint: CheckpointFile): void {
    restoreRun(this.#settings, { histories: this.#histories, best: this.#best }, checkpoint)
    const { iteration, epoch, isEpochDone, timeElapsed } = checkpoint.progress
    this.#iteration = iteration
    this.#epoch = epoch
    this.#isEpochDone = isEpochDone
    this.#elapsedBefore = timeElapsed
    this.#lastValidated = this.#histories.validation.iteration.at(-1)
  }
}

function checkTargets(batch: MiniBatch, call = 'trainnet'): void {
  if (batch.targets.length > 0) return
  throw new TrainingError({
    call,
    expects: 'mini-batches with targets',
    got: 'inputs alone',
    remedy: 'Give targets: trainnet(X, T, layers, loss, options), or a datastore that combines both.',
  })
}

/** The mini-batches from where a source stands, read ahead where that gains time. */
function passOver(source: BatchSource): Iterator<MiniBatch> | AsyncIterator<MiniBatch | BatchRead> {
  if (!(Symbol.asyncIterator in source)) return source[Symbol.iterator]()
  return source.waits === false ? source[Symbol.asyncIterator]() : readingAhead(source)
}

/** What a promise resolves to; undefined when the signal comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (!signal) return promise
  // Not a race with one promise for all of them: that would hold on to every result until the signal comes.
  return new Promise((resolve, reject) => {
    const abort = () => resolve(undefined)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
