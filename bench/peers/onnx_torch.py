"""The style network of an ONNX file in PyTorch, node by node, and its picture; as bench/onnx-graph.ts and png.ts read them."""
import struct
import zlib

import numpy as np
import torch
import torch.nn.functional as F


def fields_of(data):
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        field, kind = divmod(varint(), 8)
        if kind == 0:
            yield field, varint()
        elif kind == 2:
            length = varint()
            yield field, data[at : at + length]
            at += length
        elif kind == 5:
            yield field, struct.unpack_from('<f', data, at)[0]
            at += 4
        else:
            raise ValueError(f'wire type {kind}')


def every(message, wanted):
    return [value for field, value in fields_of(message) if field == wanted]


def read_graph(data):
    graph = every(data, 7)[0]
    nodes = []
    for node in every(graph, 1):
        attributes = {}
        for attribute in every(node, 5):
            numbers = [value for field, value in fields_of(attribute) if field in (2, 3, 8)]
            attributes[every(attribute, 1)[0].decode()] = numbers
        inputs = [name.decode() for name in every(node, 1)]
        nodes.append((every(node, 4)[0].decode(), inputs, every(node, 2)[0].decode(), attributes))
    constants = {}
    for constant in every(graph, 5):
        values = np.frombuffer(every(constant, 9)[0], dtype='<f4').reshape(every(constant, 1))
        constants[every(constant, 8)[0].decode()] = torch.from_numpy(values.copy())
    name = lambda field: every(every(graph, field)[0], 1)[0].decode()
    return nodes, constants, name(11), name(12)


def convolution(x, weights, attributes, transposed):
    pads, strides = attributes.get('pads', [0] * 4), attributes.get('strides', [1, 1])
    if pads[:2] == pads[2:]:
        call = F.conv_transpose2d if transposed else F.conv2d
        return call(x, weights, stride=strides, padding=pads[:2])
    top, left, bottom, right = pads
    if not transposed:
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weights, stride=strides)
    y = F.conv_transpose2d(x, weights, stride=strides)
    return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]


OPERATORS = {
    'Conv': lambda a, x, w: convolution(x, w, a, False),
    'ConvTranspose': lambda a, x, w: convolution(x, w, a, True),
    'InstanceNormalization': lambda a, x, scale, offset: F.instance_norm(x, weight=scale, bias=offset, eps=a['epsilon'][0]),
    'Relu': lambda a, x: F.relu(x),
    'Tanh': lambda a, x: torch.tanh(x),
    'Add': lambda a, x, y: x + y,
    'Mul': lambda a, x, y: x * y,
    'Clip': lambda a, x, low, high: torch.clamp(x, low.item(), high.item()),
}


def read_picture(data):
    """An 8-bit RGB picture without interlace as N C H W."""
    at, parts = 8, []
    while at < len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b'IHDR':
            width, height = struct.unpack_from('>II', content)
        if kind == b'IDAT':
            parts.append(content)
        at += length + 12
    lines = np.frombuffer(zlib.decompress(b''.join(parts)), dtype=np.uint8).reshape(height, 3 * width + 1)
    rows, above = [], [0] * (3 * width)
    for line in lines.tolist():
        kind, row = line[0], line[1:]
        for i, up in enumerate(above):
            left, corner = (row[i - 3], above[i - 3]) if i > 2 else (0, 0)
            if kind == 4:
                estimate = left + up - corner
                _, _, predicted = min((abs(estimate - p), order, p) for order, p in enumerate((left, up, corner)))
            else:
                predicted = (0, left, up, (left + up) // 2)[kind]
            row[i] = (row[i] + predicted) % 256
        rows.append(row)
        above = row
    pixels = np.array(rows, dtype=np.float32).reshape(height, width, 3)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]


def style_network(model, picture):
    """A function that makes the picture of the network, as N C H W."""
    with open(model, 'rb') as file:
        nodes, constants, source, result = read_graph(file.read())
    with open(picture, 'rb') as file:
        image = read_picture(file.read())
    last = {name: index for index, (_, inputs, _, _) in enumerate(nodes) for name in inputs}

    def run():
        arrays = {**constants, source: image}
        for index, (kind, inputs, output, attributes) in enumerate(nodes):
            arrays[output] = OPERATORS[kind](attributes, *[arrays[name] for name in inputs])
            for name in set(inputs):
                if last[name] == index:
                    del arrays[name]
        return arrays[result]

    return run
