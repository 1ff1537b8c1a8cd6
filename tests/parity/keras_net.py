"""Keras layer configurations as .net text, legacy weight files, and running what netc builds: for the parity tests."""
import ctypes
import itertools
import json
import os
import subprocess

import h5py
import numpy as np

NAMES = {
    "Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "SeparableConv2D": "separable_conv2d",
    "Conv2DTranspose": "conv2d_transpose", "MaxPooling2D": "maxpool", "AveragePooling2D": "avgpool",
    "GlobalAveragePooling2D": "global_avgpool", "GlobalMaxPooling2D": "global_maxpool",
    "BatchNormalization": "batchnorm", "LayerNormalization": "layer_normalization", "Dense": "dense",
    "Activation": "activation", "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu",
    "Softmax": "softmax", "ZeroPadding2D": "zero_padding", "Cropping2D": "cropping", "UpSampling2D": "upsampling",
    "Flatten": "flatten", "Reshape": "reshape", "Permute": "permute", "Rescaling": "rescaling",
    "Dropout": "dropout", "Add": "add", "Multiply": "multiply", "Average": "average", "Maximum": "maximum",
    "Minimum": "minimum", "Subtract": "subtract", "Concatenate": "concat",
}
IGNORED = {"noise_shape", "renorm_clipping", "renorm_momentum", "rms_scaling"}


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(value_text(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, dict):
        return value["class_name"].lower() + "(" + ", ".join(
            f"{k} = {value_text(v)}" for k, v in value["config"].items()) + ")"
    return str(value)


def call_text(class_name, config, name):
    """`conv2d(filters = 5, ..., name = "c1")`"""
    args = [f"{key} = {value_text(value)}" for key, value in sorted(config.items()) if key not in IGNORED]
    return f"{NAMES[class_name]}({', '.join(args + [f'name = {json.dumps(name)}'])})"


def write_weights(path, layers):
    """layers: {layer: {weight: array}} as a legacy Keras weight file."""
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = [n.encode() for n in layers]
        f.attrs["backend"] = b"tensorflow"
        f.attrs["keras_version"] = b"3.0.0"
        for layer, weights in layers.items():
            g = f.create_group(layer)
            g.attrs["weight_names"] = [f"{layer}/{w}".encode() for w in weights]
            for w, a in weights.items():
                g.create_dataset(f"{layer}/{w}", data=np.asarray(a, np.float32))


def read_weights(path):
    out = {}
    with h5py.File(path) as f:
        for layer in f.attrs["layer_names"]:
            layer = layer.decode() if isinstance(layer, bytes) else layer
            out[layer] = {}
            for w in f[layer].attrs["weight_names"]:
                w = w.decode() if isinstance(w, bytes) else w
                out[layer][w.split("/")[-1].split(":")[0]] = f[layer][w][()]
    return out


def run(argv, **kw):
    done = subprocess.run(argv, capture_output=True, text=True, **kw)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(netc, text, folder, name, *flags):
    """Writes NAME.net, builds it; returns the executable's path."""
    source = os.path.join(folder, name + ".net")
    with open(source, "w") as f:
        f.write(text)
    exe = os.path.join(folder, name)
    run([netc, "build", source, "-o", exe, *flags])
    return exe


def write_data(path, x, y):
    with h5py.File(path, "w") as f:
        f["x"] = np.asarray(x, np.float32)
        f["y"] = y


def predict(exe, data, weights, folder, *flags):
    out = os.path.join(folder, "pred.h5")
    run([exe, "predict", data, "--weights", weights, "--out", out, *flags])
    with h5py.File(out) as f:
        return f["y"][()]


def log_rows(path, kind):
    with open(path) as f:
        head = f.readline().strip().split(",")
        rows = [dict(zip(head, line.strip().split(","))) for line in f]
    return [r for r in rows if r["kind"] == kind]


class Library:
    """What `netc emit` makes of a .net text, compiled without its command line and called through its C interface.  Without
    optimization: compiling takes longer than the few steps of a test."""
    made = itertools.count()

    def __init__(self, netc, text, folder, name, *flags, batch=32):
        source = os.path.join(folder, name + ".net")
        with open(source, "w") as f:
            f.write(text)
        out = os.path.join(folder, name + "_c")
        run([netc, "emit", source, "-o", out, *flags])
        shared = os.path.join(out, f"{name}{next(Library.made)}.so")  # a name once opened is not opened again
        run([os.environ.get("CC", "cc"), "-std=c11", "-shared", "-fPIC", "-O0", "-march=native", f"-D{name.upper()}_NO_MAIN",
             os.path.join(out, name + ".c"), "-o", shared, "-lm"])
        self.name, self.dll = name, ctypes.CDLL(shared)
        self.model = ctypes.c_void_p()
        self.ask("create", ctypes.byref(self.model), None, ctypes.c_size_t(0), batch, 1)
        self.shapes = self._tensors()

    def function(self, name):
        return getattr(self.dll, f"{self.name}_{name}")

    def ask(self, name, *arguments):
        status = self.function(name)(*arguments)
        if status:
            text = self.function("status_text")
            text.restype = ctypes.c_char_p
            raise RuntimeError(f"{self.name}_{name}: {text(status).decode()}")

    def _tensors(self):
        class Tensor(ctypes.Structure):
            _fields_ = [("layer", ctypes.c_char_p), ("name", ctypes.c_char_p), ("rank", ctypes.c_int),
                        ("dim", ctypes.c_int * 4), ("count", ctypes.c_size_t), ("trainable", ctypes.c_int)]
        shapes = {}
        for i in range(self.function("tensor_count")()):
            t = Tensor()
            self.ask("tensor", i, ctypes.byref(t))
            shapes[f"{t.layer.decode()}/{t.name.decode()}"] = i, tuple(t.dim[:t.rank])
        return shapes

    @staticmethod
    def floats(array):
        array = np.ascontiguousarray(array, np.float32)
        return array, array.ctypes.data_as(ctypes.c_void_p)

    def get(self, name):
        index, shape = self.shapes[name]
        array, place = self.floats(np.empty(shape, np.float32))
        self.ask("get_tensor", self.model, index, place, ctypes.c_size_t(array.size))
        return array

    def set(self, name, value):
        index, shape = self.shapes[name]
        array, place = self.floats(np.reshape(value, shape))
        self.ask("set_tensor", self.model, index, place, ctypes.c_size_t(array.size))

    def begin(self, phase=0, seed=1):
        self.ask("begin_phase", self.model, phase, ctypes.c_uint64(seed))

    def step(self, x, target, sample_weight=None):
        (x, x_place), (target, target_place) = self.floats(x), self.floats(target)
        weight_place = None
        if sample_weight is not None:
            sample_weight, weight_place = self.floats(sample_weight)
        loss = ctypes.c_float()
        self.ask("train_step", self.model, len(x), x_place, target_place, weight_place, ctypes.byref(loss))
        return loss.value

    def predict(self, x, outputs):
        (x, x_place), (y, y_place) = self.floats(x), self.floats(np.empty((len(x), outputs), np.float32))
        self.ask("predict", self.model, len(x), x_place, y_place)
        return y

    def rate(self):
        rate = self.function("learning_rate")
        rate.restype = ctypes.c_double
        return rate(self.model)

    def close(self):
        self.function("destroy")(self.model)
