"""Seeds of initializers: a weight that has one starts the same whatever the training seed and its place; others do not.

usage: seeds.py NETC GOLDEN"""
import ctypes
import sys
import tempfile

import numpy as np

import keras_net as kn

folder = tempfile.TemporaryDirectory()
KINDS = ["glorot_uniform", "he_normal", "random_normal", "truncated_normal", "orthogonal", "variance_scaling"]
text = "network seeds {\n  input(6)\n"
for kind in KINDS:
    for name, arguments in (("a", "seed = 5"), ("b", "seed = 5"), ("c", "seed = 6"), ("free", "")):
        text += f'  dense(6, kernel_initializer = {kind}({arguments}), name = "{kind}_{name}")\n'
made = kn.Library(sys.argv[1], text + "}\n", folder.name, "seeds", "--infer")
drawn = []
for seed in (1, 2):
    made.ask("initialize", made.model, ctypes.c_uint64(seed))
    drawn.append({name: made.get(name) for name in made.shapes if name.endswith("kernel")})
made.close()
failed = 0
for kind in KINDS:
    first, second = ({n: d[f"{kind}_{n}/kernel"] for n in ("a", "b", "c", "free")} for d in drawn)
    good = (np.array_equal(first["a"], second["a"]) and np.array_equal(first["a"], first["b"])
            and not np.array_equal(first["a"], first["c"]) and not np.array_equal(first["free"], second["free"]))
    failed += not good
    print("" if good else f"FAILED {kind}", end="" if good else "\n")
print(f"seeds: {len(KINDS) - failed} passed, {failed} failed")
sys.exit(failed > 0)
