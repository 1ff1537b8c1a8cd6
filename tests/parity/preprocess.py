"""Every case of golden/preprocess.h5 to the byte; the ways of tf.image.resize against formulas in NumPy; and all of it again
through a built program and an emitted library.

usage: preprocess.py NETC GOLDEN

Where Pillow or OpenCV is installed, hundreds of random sizes are compared with it as well."""
import ctypes
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1], h5py.File(sys.argv[2] + "/preprocess.h5")
here = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.TemporaryDirectory()
failed = passed = 0


def check(name, good, more=""):
    global failed, passed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name} {more}")


def same(name, got, want, tolerance=0.0):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    worst = np.abs(got - want).max() if got.shape == want.shape else np.inf
    check(name, worst <= tolerance, f"off by {worst:.3g}, allowed {tolerance:.3g}")


def compile_library():
    path = f"{folder.name}/resize.so"
    subprocess.run([os.environ.get("CC", "cc"), "-O3", "-march=native", "-shared", "-fPIC", "-w", f"-I{here}/../../runtime",
                    f"{here}/resize_library.c", "-o", path, "-lm"], check=True)
    return ctypes.CDLL(path)


library = compile_library()


def resize(way, x, height, width, crop=False, pad=False):
    x = np.ascontiguousarray(x)
    y = np.full((height, width, x.shape[2]), np.nan, np.float32)
    if library.resize_by_name(way.encode(), int(crop), int(pad), x.ctypes.data_as(ctypes.c_void_p), *x.shape, height, width,
                              y.ctypes.data_as(ctypes.c_void_p)):
        raise KeyError(way)
    return y


def gray(opencv, x):
    x, y = np.ascontiguousarray(x), np.empty(x.shape[:2], np.uint8)
    library.gray_of(int(opencv), x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(y.size), y.ctypes.data_as(ctypes.c_void_p))
    return y


# ---- the golden file ----

image = golden["image"][()]
for house in ("pillow", "opencv"):
    for way in golden[house]:
        if isinstance(golden[house][way], h5py.Group):
            for size in golden[house][way]:
                want = golden[house][way][size][()]
                same(f"{house}_{way} {size}", resize(f"{house}_{way}", image, *want.shape[:2]), want)
same("pillow gray", gray(False, image), golden["pillow/gray"][()])
same("opencv gray", gray(True, image[:, :, ::-1]), golden["opencv/gray_from_bgr"][()])


# ---- tf.image.resize, as its documentation and the papers it names define the filters ----

def keys(x):
    x = np.abs(x)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def lanczos(radius):
    return lambda x: np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0)


def mitchell(x):
    x = np.abs(x)
    return np.where(x < 1, (21 * x**3 - 36 * x**2 + 16) / 18, np.where(x < 2, (-7 * x**3 + 36 * x**2 - 60 * x + 32) / 18, 0))


def bell(x):
    return np.where(np.abs(x) < 1.5, np.exp(-x**2 / (2 * 0.5**2)), 0)


def sampled(kernel, inside, out, rounded=False):
    """[out, in]: the kernel around each output pixel's centre, summing to one over the pixels that exist."""
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(inside / out)  # a bell ends in a step: the same side
    if rounded:
        at = at - np.float32(0.5)
        at = np.floor(at) + np.rint((at - np.floor(at)) * 1024) / 1024 + 0.5
    at = at.astype(float) - 0.5
    weight = kernel(np.arange(inside)[None, :] - at[:, None])
    return weight / weight.sum(1, keepdims=True)


def covered(inside, out):
    edges = np.arange(out + 1) * inside / out
    pixel = np.arange(inside)
    return np.clip(np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel), 0, None) * out / inside


def hat(inside, out):
    at = np.clip((np.arange(out) + 0.5) * inside / out - 0.5, 0, inside - 1)
    return np.clip(1 - np.abs(np.arange(inside)[None, :] - at[:, None]), 0, None)


def nearest(inside, out):
    at = np.minimum(((np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(inside / out)).astype(int), inside - 1)
    return np.eye(inside)[at]


ways = {"nearest": nearest, "bilinear": hat, "area": covered,
        "bicubic": lambda i, o: sampled(keys, i, o, True), "lanczos3": lambda i, o: sampled(lanczos(3), i, o),
        "lanczos5": lambda i, o: sampled(lanczos(5), i, o), "gaussian": lambda i, o: sampled(bell, i, o),
        "mitchellcubic": lambda i, o: sampled(mitchell, i, o)}
random = np.random.RandomState(5)


def random_image():
    height, width, out_height, out_width = (int(v) for v in random.randint(1, 50, 4))
    return random.randint(0, 256, (height, width, random.choice([1, 3]))).astype(np.uint8), out_height, out_width


for trial in range(60):
    x, height, width = random_image()
    for way, matrix in ways.items():
        want = np.einsum("ih,jw,hwc->ijc", matrix(x.shape[0], height), matrix(x.shape[1], width), x.astype(float))
        same(f"{way} {x.shape} -> {height}x{width}", resize(way, x, height, width), want, 0.02)


# ---- cutting and padding to the aspect ratio ----

for trial in range(60):
    x, height, width = random_image()
    h, w = x.shape[:2]
    rows, columns = max(1, min(h, w * height // width)), max(1, min(w, h * width // height))
    top, left = (h - rows) // 2, (w - columns) // 2
    cut = x[top:top + rows, left:left + columns]
    for way in ("bilinear", "area", "opencv_cubic"):
        same(f"crop {way} {x.shape} -> {height}x{width}", resize(way, x, height, width, crop=True), resize(way, cut, height, width))
    above, before = max(0, w * height // width - h) // 2, max(0, h * width // height - w) // 2
    framed = np.pad(x, ((above, above), (before, before), (0, 0)))
    for way in ("bilinear", "lanczos3", "pillow_box"):
        same(f"pad {way} {x.shape} -> {height}x{width}", resize(way, x, height, width, pad=True), resize(way, framed, height, width))


# ---- the libraries themselves, where they are ----

try:
    from PIL import Image
except ImportError:
    Image = None
    print("Pillow is not installed: random sizes are not compared with it")
for trial in range(100 if Image else 0):
    x, height, width = random_image()
    h, w = x.shape[:2]
    rows, columns = max(1, min(h, w * height // width)), max(1, min(w, h * width // height))
    top, left = (h - rows) // 2, (w - columns) // 2
    picture = Image.fromarray(x if x.shape[2] == 3 else x[:, :, 0])
    for way in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"):
        method = getattr(Image, way.upper())
        want = np.asarray(picture.resize((width, height), method)).reshape(height, width, -1)
        same(f"pillow_{way} {x.shape} -> {height}x{width}", resize("pillow_" + way, x, height, width), want)
        want = np.asarray(picture.resize((width, height), method, box=(left, top, left + columns, top + rows)))
        same(f"pillow_{way} {x.shape} cut -> {height}x{width}", resize("pillow_" + way, x, height, width, crop=True),
             want.reshape(height, width, -1))
try:
    import cv2
except ImportError:
    cv2 = None
    print("OpenCV is not installed: random sizes are not compared with it")
for trial in range(100 if cv2 else 0):
    x, height, width = random_image()
    if trial % 4 == 0:
        x = random.randint(0, 256, (height * random.randint(1, 4), width * random.randint(1, 4), 3)).astype(np.uint8)
    for way in ("nearest", "linear", "area", "cubic"):
        want = cv2.resize(x, (width, height), interpolation=getattr(cv2, "INTER_" + way.upper())).reshape(height, width, -1)
        same(f"opencv_{way} {x.shape} -> {height}x{width}", resize("opencv_" + way, x, height, width), want)


# ---- preprocess_input, as a layer and on pixels ----

x = golden["x"][()]
modes = {"vgg16": "caffe", "resnet50": "caffe", "inception_v3": "tf", "mobilenet": "tf", "mobilenet_v2": "tf", "mode_torch": "torch"}
text = "network pre {\n  x = input(5x6x3)\n" + "".join(
    f'  m{i} = x -> preprocess({mode}) -> flatten(name = "f{i}")\n' for i, mode in enumerate(("caffe", "tf", "torch"))) + \
    "  concat(m0, m1, m2)\n}\n"
pre = kn.Library(netc, text, folder.name, "pre")
y = pre.predict(x, 270).reshape(2, 3, 5, 6, 3)
for name, mode in modes.items():
    want = golden["preprocess_input"][name]
    tolerance = 8 * want.attrs.get("f64_max_abs_err", 0) + 1e-6 * np.abs(want[()]).max()
    same(f"preprocess_input {name}", y[:, ("caffe", "tf", "torch").index(mode)], want[()], tolerance)
pre.close()


# ---- the .net file's choice: in a program that reads files, and in a library ----

def network(name, arguments, channels=3):
    return (f"network {name} {{\n  input(8x8x{channels}, {arguments})\n  flatten()\n"
            f'  dense({64 * channels}, use_bias = false, name = "d")\n}}\n')


def preprocessed(mode, x):
    x = np.asarray(x, np.float32)
    if mode == "caffe":
        return x[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    return x / 127.5 - 1 if mode == "tf" else x


def through(name, arguments, mode, want, channels=3):
    text = network(name, arguments, channels)
    made = kn.Library(netc, text, folder.name, name, "--infer")
    y = np.empty((8, 8, channels), np.float32)
    h, w = image.shape[:2]
    size = made.function("image_bytes")
    size.restype = ctypes.c_size_t
    memory = (ctypes.c_float * (size(h, w, 3) // 4 + 1))()
    for place, length in ((None, 0), (memory, ctypes.sizeof(memory))):
        y[:] = np.nan
        made.ask("preprocess_image", image.ctypes.data_as(ctypes.c_void_p), h, w, 3, place, ctypes.c_size_t(length),
                 y.ctypes.data_as(ctypes.c_void_p))
        same(f"{name}: library", y, preprocessed(mode, want), 2e-5)
    check(f"{name}: short memory", made.function("preprocess_image")(
        image.ctypes.data_as(ctypes.c_void_p), h, w, 3, memory, ctypes.c_size_t(size(h, w, 3) - 1), y.ctypes.data_as(ctypes.c_void_p)) != 0)
    check(f"{name}: two channels", size(h, w, 2) == 0)
    made.close()
    exe = kn.build(netc, text, folder.name, name, "--cflags", "-O0")
    kn.write_weights(f"{folder.name}/w.h5", {"d": {"kernel": np.eye(64 * channels)}})
    with h5py.File(f"{folder.name}/x.h5", "w") as f:
        f["x"] = image[None]
        f["y"] = np.zeros(1, np.int64)
    got = kn.predict(exe, f"{folder.name}/x.h5", f"{folder.name}/w.h5", folder.name)
    same(f"{name}: HDF5 pixels", got.reshape(8, 8, channels), preprocessed(mode, want), 2e-5)
    if Image:
        Image.fromarray(image).save(f"{folder.name}/x.png")
        got = kn.predict(exe, f"{folder.name}/x.png", f"{folder.name}/w.h5", folder.name)
        same(f"{name}: PNG file", got.reshape(8, 8, channels), preprocessed(mode, want), 2e-5)


through("by_pillow", "preprocess = caffe, interpolation = pillow_lanczos", "caffe", golden["pillow/lanczos/8x8"][()])
through("by_opencv", "tf, opencv_area", "tf", golden["opencv/area/8x8"][()])
through("grayed", "interpolation = area, grayscale = opencv, crop_to_aspect_ratio = true", "none",
        resize("area", gray(True, image)[:, :, None], 8, 8, crop=True), 1)

print(f"preprocess: {passed} passed, {failed} failed")
sys.exit(failed > 0)
