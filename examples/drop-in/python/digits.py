"""The network as a shared library, called with NumPy arrays.

    cc -std=c11 -O3 -shared -fPIC -DDIGITS_NO_MAIN digits.c -o libdigits.so -lm
    python3 digits.py ./libdigits.so
"""
import ctypes
import sys

import numpy as np

library = ctypes.CDLL(sys.argv[1])
library.digits_status_text.restype = ctypes.c_char_p
floats, bytes_ = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_uint8)


def check(status):
    if status:
        raise RuntimeError(library.digits_status_text(status).decode())


class Digits:
    """An instance; arrays are float32 or uint8, C order."""

    def __init__(self, batch=16, threads=1, seed=1):
        self.model = ctypes.c_void_p()
        check(library.digits_create(ctypes.byref(self.model), None, ctypes.c_size_t(0), batch, threads))
        check(library.digits_initialize(self.model, ctypes.c_uint64(seed)))

    def __del__(self):
        library.digits_destroy(self.model)

    def train_step(self, pixels, target):
        loss = ctypes.c_float()
        check(library.digits_train_step_pixels(
            self.model, len(pixels), pixels.ctypes.data_as(bytes_), target.ctypes.data_as(floats), None,
            ctypes.byref(loss)))
        return loss.value

    def predict(self, pixels):
        y = np.empty((len(pixels), 4), np.float32)
        check(library.digits_predict_pixels(self.model, len(pixels), pixels.ctypes.data_as(bytes_),
                                            y.ctypes.data_as(floats)))
        return y


corner = np.arange(64) % 4
pixels = np.full((64, 8, 8, 1), 10, np.uint8)
for i, c in enumerate(corner):
    pixels[i, c // 2 * 5:c // 2 * 5 + 3, c % 2 * 5:c % 2 * 5 + 3] = 120 + i
model = Digits()
for step in range(60):
    at = step * 16 % 64
    loss = model.train_step(pixels[at:at + 16], corner[at:at + 16].astype(np.float32))
right = int((model.predict(pixels).argmax(1) == corner).sum())
print(f"loss {loss:.4f}, {right} of 64 right")
sys.exit(right < 58)
