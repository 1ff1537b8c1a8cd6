#include "conv.h"

const char *const conv_algorithm_names[CONV_ALGORITHMS] = {
    [CONV_UNCHOSEN] = "direct",
    [CONV_DIRECT] = "direct",
    [CONV_WINOGRAD2] = "winograd2",
    [CONV_WINOGRAD4] = "winograd4",
    [CONV_WINOGRAD4_RAW] = "winograd4_raw",
    [CONV_WINOGRAD6] = "winograd6",
    [CONV_WINOGRAD6_RAW] = "winograd6_raw",
};

int conv_tile(ConvAlgorithm algorithm) {
  if (algorithm == CONV_WINOGRAD2)
    return 2;
  if (algorithm == CONV_WINOGRAD4 || algorithm == CONV_WINOGRAD4_RAW)
    return 4;
  return algorithm == CONV_WINOGRAD6 || algorithm == CONV_WINOGRAD6_RAW ? 6 : 0;
}

bool conv_is_raw(ConvAlgorithm algorithm) {
  return algorithm == CONV_WINOGRAD4_RAW || algorithm == CONV_WINOGRAD6_RAW;
}

int64_t conv_flops(const Conv2d *conv) {
  return (int64_t)2 * conv->out_h * conv->out_w * conv->out_c * conv->kernel_h * conv->kernel_w *
         (conv->in_c / conv->groups);
}

void conv_print(const Conv2d *conv, StrBuf *out) {
  strbuf_printf(out, "%dx%d, stride %dx%d, pad %d,%d, dilation %dx%d", conv->kernel_h, conv->kernel_w,
                conv->stride_h, conv->stride_w, conv->pad_top, conv->pad_left, conv->dilation_h,
                conv->dilation_w);
}
