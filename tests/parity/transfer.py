"""Transfer learning with Keras's numbers: the five bases' outputs; frozen VGG16 heads, VGG16 and ResNet50 with the last
stage unfrozen: predictions, the loss of every step, final weights.

usage: transfer.py NETC GOLDEN [CASES]

Starting weights follow a rule from their names (golden files: rules by FNV-1a and splitmix64), so they are not stored."""
import sys
import tempfile

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1:3]
wanted = sys.argv[3:]
passed = failed = 0


def unit(name, count):
    """`count` doubles in (-1, 1): the splitmix64 stream seeded by the FNV-1a hash of the name."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    z = np.uint64(h) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float64) * 2 + 1) / 2**24 - 1


def rule(key, shape):
    kind = key.split("/")[-1]
    depthwise = kind == "kernel" and len(shape) == 4 and shape[3] == 1 and shape[2] > 1
    if kind == "kernel":
        fan = shape[0] * shape[1] if depthwise else int(np.prod(shape[:-1]))
        center, scale = 0, np.sqrt(6 / fan)
    elif "_block" in key and key.endswith("_3_bn/gamma"):
        center, scale = .3, .1
    else:
        center, scale = {"bias": (0, .05), "gamma": (1, .2), "beta": (0, .1), "moving_mean": (0, .1),
                         "moving_variance": (1, .3)}[kind]
    return (center + scale * unit(key, int(np.prod(shape)))).astype(np.float32).reshape(shape)


def base_weights(app, extra=()):
    """{layer: {weight: array}} of a base in Keras's order, and of the layers of the head."""
    out = {}
    with h5py.File(f"{golden}/apps.h5") as f:
        for line in f[app]["weight_keys"][()]:
            key, shape = line.decode().split(" ", 1)
            layer, name = key.split("/")
            out.setdefault(layer, {})[name] = rule(key, tuple(int(d) for d in shape.strip("[]()").split(",") if d.strip()))
    for key, shape in extra:
        layer, name = key.split("/")
        out.setdefault(layer, {})[name] = rule(key, shape)
    return out


def check(name, got, want, tolerance):
    global passed, failed
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    worst = float(np.abs(got.reshape(want.shape) - want).max())
    if worst <= tolerance:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")


def near(dataset, relative):
    """A few times Keras's own distance from float64, and what sums over deep networks in another order may add."""
    return 8 * dataset.attrs["f64_max_abs_err"] + relative * dataset.attrs["max_abs"]


APPS = {"VGG16": ("vgg16", "vgg16", 48), "ResNet50": ("resnet50", "resnet50", 64),
        "InceptionV3": ("inception_v3", "inception_v3", 75), "MobileNet": ("mobilenet", "mobilenet", 64),
        "MobileNetV2": ("mobilenet_v2", "mobilenet_v2", 64)}


def app(name, folder):
    block, file, side = APPS[name]
    exe = kn.build(netc, f'import "zoo/{file}.net"\nnetwork app {{\n  input({side}x{side}x3)\n'
                   f"  {block}(include_top = false)\n}}\n", folder, "app", "--exact", "--cflags", "-O1")
    kn.write_weights(f"{folder}/w.h5", base_weights(name))
    with h5py.File(f"{golden}/apps.h5") as f:
        g = f[name]
        kn.write_data(f"{folder}/x.h5", g["x"][()], np.zeros(len(g["x"]), np.int32))
        check(name, kn.predict(exe, f"{folder}/x.h5", f"{folder}/w.h5", folder), g["y"], near(g["y"], 2e-5))


def cut(folder):
    """A base cut at a named layer takes the whole base's file; Keras's inner activation is the reference."""
    exe = kn.build(netc, 'import "zoo/inception_v3.net"\nnetwork cut {\n  input(75x75x3)\n'
                   '  base = inception_v3(include_top = false) up to "mixed3"\n  weights base from "whole.h5"\n  flatten()\n}\n',
                   folder, "cut", "--exact", "--cflags", "-O1")
    kn.write_weights(f"{folder}/whole.h5", base_weights("InceptionV3"))
    kn.run([exe, "predict", f"{folder}/x.h5", "--weights", f"{folder}/whole.h5", "--by-name", "--out", f"{folder}/cut.h5"])
    with h5py.File(f"{golden}/apps.h5") as f, h5py.File(f"{folder}/cut.h5") as out:
        want = f["InceptionV3/mid/mixed3"]
        check("InceptionV3 up to mixed3", out["y"][0].reshape(-1)[::7], want, near(want, 2e-5))
    # The file of the whole base by order, as `weights ... from` loads it: layers that were cut away keep their places.
    exe = kn.build(netc, 'import "zoo/inception_v3.net"\nnetwork cut {\n  input(75x75x3)\n'
                   '  base = inception_v3(include_top = false) up to "mixed3"\n  weights base from "whole.h5"\n'
                   "  freeze base\n  global_avgpool()\n  dense(2, softmax)\n}\ntrain cut { loss sparse_categorical_crossentropy; "
                   "optimizer adam; batch 4; epochs 1 }\n", folder, "cut", "--cflags", "-O1")
    kn.run([exe, "train", f"{folder}/x.h5", "--save", f"{folder}/cut.h5"])
    after, whole = kn.read_weights(f"{folder}/cut.h5"), base_weights("InceptionV3")
    for layer in after:
        for weight, value in after[layer].items() if layer in whole else ():
            check(f"cut base {layer}/{weight}", value, whole[layer][weight], 0)


VGG = 'import "zoo/vgg16.net"\nnetwork net {{\n  input({side}x{side}x3)\n  base = vgg16(include_top = false{pooling})\n  {freeze}\n'
TRAIN = "}}\ntrain net {{ loss {loss}; optimizer {optimizer}; metrics accuracy; batch 8; epochs 1; shuffle false }}\n"
HEAD3 = "  flatten()\n  dense(3, softmax)\n"


def vgg(side, head, loss, optimizer, freeze="freeze base", pooling=""):
    return VGG.format(side=side, freeze=freeze, pooling=pooling) + head + TRAIN.format(loss=loss, optimizer=optimizer)


CE = "categorical_crossentropy"
RESNET = ('import "zoo/resnet50.net"\nnetwork net {\n  input(64x64x3)\n  base = resnet50(include_top = false, pooling = avg)\n'
          '  freeze base\n  unfreeze "conv5_*"\n  dense(3, softmax)\n' + TRAIN.format(loss=CE, optimizer="sgd(1e-3, momentum = 0.9)"))
TUNES = {  # file: (.net, base, weights of the head, relative tolerance of what training changes)
    "vgg_frozen": (vgg(64, HEAD3, CE, "adam(1e-5)"), "VGG16", [("dense/kernel", (2048, 3)), ("dense/bias", (3,))]),
    "vgg_frozen_fast": (vgg(64, HEAD3, CE, "adam(1e-3)"), "VGG16", [("dense/kernel", (2048, 3)), ("dense/bias", (3,))]),
    "vgg_tune_last": (vgg(64, "  dense(3, softmax)\n", CE, "sgd(1e-5)", "freeze base[:-4]", ", pooling = avg"), "VGG16",
                      [("dense/kernel", (512, 3)), ("dense/bias", (3,))]),
    "vgg_tune_last_fast": (vgg(64, "  dense(3, softmax)\n", CE, "sgd(1e-3)", "freeze base[:-4]", ", pooling = avg"),
                           "VGG16", [("dense/kernel", (512, 3)), ("dense/bias", (3,))]),
    "binary_head": (vgg(32, "  flatten()\n  dense(1024, relu)\n  dropout(0)\n  dense(1, sigmoid)\n", "binary_crossentropy",
                        "rmsprop(1e-4)"), "VGG16",
                    [("dense/kernel", (512, 1024)), ("dense/bias", (1024,)), ("dense_1/kernel", (1024, 1)), ("dense_1/bias", (1,))]),
    "resnet50_tune": (RESNET, "ResNet50", [("dense/kernel", (2048, 3)), ("dense/bias", (3,))]),
}


def tune(name, folder, exact):
    text, base, extra = TUNES[name]
    flags = ["--exact"] if exact else []
    exe = kn.build(netc, text, folder, "net", "--cflags", "-O1", *flags)
    relative = 2e-5 if exact else 1e-3  # Winograd's transforms cost accuracy: 1e-3 is allowed where they are in use
    start, data, log = f"{folder}/w.h5", f"{folder}/data.h5", f"{folder}/log.csv"
    weights = base_weights(base, extra)
    kn.write_weights(start, weights)
    with h5py.File(f"{golden}/{name}.h5") as g:
        source = h5py.File(f"{golden}/{g.attrs['inputs_in']}") if "inputs_in" in g.attrs else g
        x, y = source["x"][()], source["y"][()]
        kn.write_data(data, x, y)
        kn.write_data(f"{folder}/head.h5", x[:8], y[:8])
        label = name + ("" if exact else " with Winograd")
        check(f"{label} prediction", kn.predict(exe, f"{folder}/head.h5", start, folder), g["infer/y_pred"],
              near(g["infer/y_pred"], relative))
        kn.run([exe, "train", data, "--weights", start, "--no-shuffle", "--log", log, "--save", f"{folder}/after.h5"])
        steps = kn.log_rows(log, "step")
        want = g["train/step_loss"]
        check(f"{label} loss", [float(r["loss"]) for r in steps], want,
              8 * want.attrs["f64_max_abs_err"] + 5 * relative * float(np.abs(want[()]).max()))
        check(f"{label} prediction after", kn.predict(exe, f"{folder}/head.h5", f"{folder}/after.h5", folder),
              g["train/y_pred_after"], near(g["train/y_pred_after"], 5 * relative))
        after = kn.read_weights(f"{folder}/after.h5")
        for key, final in g["train/final"].items():
            layer, weight = final.attrs["weight"].split("/")
            value = after[layer][weight]
            if base == "ResNet50" and weight == "bias" and layer != "dense":
                continue  # a bias before a training BatchNorm has gradient zero up to rounding: its change is noise
            if "index" in final:
                value = value.reshape(-1)[final["index"][()]]
            # The change of a weight, compared with the largest change of its array.
            initial = weights[layer][weight]
            initial = initial.reshape(-1)[final["index"][()]] if "index" in final else initial
            moved = float(final.attrs["delta_max_abs"])
            check(f"{label} {layer}/{weight}", value.astype(np.float64) - initial, final["final"][()].astype(np.float64) - initial,
                  (2e-3 if exact else 2e-2) * moved + 3e-7 * float(np.abs(initial).max())
                  + 8 * final.attrs.get("final_f32_minus_f64_max_abs", 0))
        frozen = [k for k in weights if k not in {f.attrs["weight"].split("/")[0] for f in g["train/final"].values()}]
        for layer in frozen:
            for weight, value in weights[layer].items():
                check(f"{label} frozen {layer}/{weight}", after[layer][weight], value, 0)


with tempfile.TemporaryDirectory() as folder:
    for name in APPS:
        if not wanted or name in wanted:
            app(name, folder)
            if name == "InceptionV3":
                cut(folder)
    for name in TUNES:
        if not wanted or name in wanted:
            tune(name, folder, True)
    if not wanted or "winograd" in wanted:
        tune("vgg_tune_last_fast", folder, False)
print(f"transfer: {passed} passed, {failed} failed")
sys.exit(failed > 0)
