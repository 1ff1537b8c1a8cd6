"""The benchmark's networks in PyTorch, as Keras builds them; no softmax at the end, losses include it."""
import torch
from torch import nn
from torch.nn import functional as F

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


def same(kernel):
    return kernel[0] // 2, kernel[1] // 2


def conv_bn(channels, width, kernel=1, stride=1, padding=0, groups=1, bias=False, act=nn.ReLU):
    layers = [nn.Conv2d(channels, width, kernel, stride, padding, groups=groups, bias=bias), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


def top(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]


def vgg16():
    layers, channels = [], 3
    for width in VGG16:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return layers


def vgg16_top():
    return [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(True), nn.Linear(4096, 4096), nn.ReLU(True),
            nn.Linear(4096, 1000)]


class Sum(nn.Module):
    """main(x) + shortcut(x), then relu if asked for."""

    def __init__(self, main, shortcut=None, relu=False):
        super().__init__()
        self.main, self.shortcut, self.relu = nn.Sequential(*main), shortcut or nn.Identity(), relu

    def forward(self, x):
        y = self.main(x) + self.shortcut(x)
        return F.relu(y) if self.relu else y


class Branches(nn.Module):
    """Concatenated along channels."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def resnet50():
    """The stride is in the first 1x1 convolution of a block."""
    layers = [conv_bn(3, 64, 7, 2, 3, bias=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            main = [conv_bn(channels, width, 1, stride, bias=True), conv_bn(width, width, 3, 1, 1, bias=True),
                    conv_bn(width, 4 * width, bias=True, act=None)]
            shortcut = None if block else conv_bn(channels, 4 * width, 1, stride, bias=True, act=None)
            layers.append(Sum(main, shortcut, relu=True))
            channels = 4 * width
    return layers + top(2048)


def mobilenet():
    layers = [conv_bn(3, 32, 3, 2, 1, act=nn.ReLU6)]
    channels = 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
                          (1024, 1)):
        layers += [conv_bn(channels, channels, 3, stride, 1, channels, act=nn.ReLU6),
                   conv_bn(channels, width, act=nn.ReLU6)]
        channels = width
    return layers + top(1024)


def mobilenet_v2():
    layers, channels = [conv_bn(3, 32, 3, 2, 1, act=nn.ReLU6)], 32
    for expand, width, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                          (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(blocks):
            inner = channels * expand
            main = [conv_bn(channels, inner, act=nn.ReLU6)] * (expand > 1)
            main += [conv_bn(inner, inner, 3, 1 if block else stride, 1, inner, act=nn.ReLU6),
                     conv_bn(inner, width, act=None)]
            layers.append(Sum(main) if block else nn.Sequential(*main))
            channels = width
    return layers + [conv_bn(320, 1280, act=nn.ReLU6)] + top(1280)


def inception_v3():
    def conv(channels, width, kernel=(1, 1)):
        return conv_bn(channels, width, kernel, padding=same(kernel))

    def chain(channels, *parts):
        """Convolutions with padding one after the other: (width, kernel) each."""
        layers = []
        for width, kernel in parts:
            layers.append(conv(channels, width, kernel))
            channels = width
        return layers

    def pooled(channels, width):
        return [nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(channels, width)]

    one, three, five, row, column = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)
    layers = [conv_bn(3, 32, 3, 2), conv_bn(32, 32, 3), conv(32, 64, three), nn.MaxPool2d(3, 2), conv(64, 80),
              conv_bn(80, 192, 3), nn.MaxPool2d(3, 2)]
    channels = 192
    for pool in (32, 64, 64):
        layers.append(Branches([conv(channels, 64)], chain(channels, (48, one), (64, five)),
                               chain(channels, (64, one), (96, three), (96, three)), pooled(channels, pool)))
        channels = 224 + pool
    layers.append(Branches([conv_bn(288, 384, 3, 2)],
                           chain(288, (64, one), (96, three)) + [conv_bn(96, 96, 3, 2)], [nn.MaxPool2d(3, 2)]))
    for width in (128, 160, 160, 192):
        layers.append(Branches([conv(768, 192)], chain(768, (width, one), (width, row), (192, column)),
                               chain(768, (width, one), (width, column), (width, row), (width, column), (192, row)),
                               pooled(768, 192)))
    layers.append(Branches([conv(768, 192), conv_bn(192, 320, 3, 2)],
                           chain(768, (192, one), (192, row), (192, column)) + [conv_bn(192, 192, 3, 2)],
                           [nn.MaxPool2d(3, 2)]))
    for channels in (1280, 2048):
        def fork():
            return Branches([conv(384, 384, (1, 3))], [conv(384, 384, (3, 1))])
        layers.append(Branches([conv(channels, 320)], [conv(channels, 384), fork()],
                               chain(channels, (448, one), (384, three)) + [fork()], pooled(channels, 192)))
    return layers + top(2048)


def naive_cnn():
    return [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(True), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(True),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(160000, 120), nn.ReLU(True), nn.Dropout(.25),
            nn.Linear(120, 60), nn.ReLU(True), nn.Dropout(.4), nn.Linear(60, 3)]


class Network:
    """frozen, rest: layers before and after the freeze; shape: [channels, height, width]."""

    def __init__(self, frozen, rest, shape, classes=1000, optimizer=torch.optim.Adam):
        def whole(layers):
            return nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.frozen, self.rest = whole(frozen).eval().requires_grad_(False), whole(rest)
        self.shape, self.classes, self.optimizer = shape, classes, optimizer


def network_of(name):
    """Of a network of networks.py."""
    if name == "naive_cnn":
        return Network([], naive_cnn(), (1, 100, 100), 3)
    if name == "vgg16_224":
        return Network([], vgg16() + vgg16_top(), (3, 224, 224))
    if name == "vgg16_tune_last":
        base = vgg16()
        return Network(base[:26], base[26:] + [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3)],
                       (3, 100, 100), 3, torch.optim.SGD)
    if name.startswith("vgg16"):
        head = [nn.Flatten()] + ([nn.Linear(4608, 1024), nn.ReLU(True), nn.Dropout(.5), nn.Linear(1024, 3)]
                                 if name == "vgg16_frozen_1024" else [nn.Linear(4608, 3)])
        base = vgg16()
        cut = len(base) if name.startswith("vgg16_frozen") else 0
        return Network(base[:cut], base[cut:] + head, (3, 100, 100), 3)
    build = {"resnet50": resnet50, "inception_v3": inception_v3, "mobilenet": mobilenet, "mobilenet_v2": mobilenet_v2}
    size = 299 if name == "inception_v3" else 224
    return Network([], build[name](), (3, size, size))
