#include "conv.h"

const char *const conv_algorithm_names[CONV_ALGORITHMS] = {
    [CONV_UNCHOSEN] = "direct",
    [CONV_DIRECT] = "direct",
    [CONV_WINOGRAD2] = "winograd2",
    [CONV_WINOGRAD4] = "winograd4",
    [CONV_WINOGRAD4_RAW] = "winograd4_raw",
    [CONV_WINOGRAD5] = "winograd5",
    [CONV_WINOGRAD5_RAW] = "winograd5_raw",
    [CONV_WINOGRAD6] = "winograd6",
    [CONV_WINOGRAD6_RAW] = "winograd6_raw",
};

const char *conv_algorithm_list(Arena *arena) {
  const char *list = conv_algorithm_names[CONV_DIRECT];
  for (int i = CONV_DIRECT + 1; i < CONV_ALGORITHMS; i++)
    list = arena_printf(arena, "%s, %s", list, conv_algorithm_names[i]);
  return list;
}

int conv_tile(ConvAlgorithm algorithm) {
  static const int tiles[CONV_ALGORITHMS] = {
      [CONV_WINOGRAD2] = 2, [CONV_WINOGRAD4] = 4, [CONV_WINOGRAD5] = 5, [CONV_WINOGRAD6] = 6};
  return tiles[conv_packed(algorithm)];
}

bool conv_is_raw(ConvAlgorithm algorithm) {
  return conv_packed(algorithm) != algorithm;
}

ConvAlgorithm conv_raw(ConvAlgorithm algorithm) {
  static const ConvAlgorithm raws[CONV_ALGORITHMS] = {[CONV_WINOGRAD4] = CONV_WINOGRAD4_RAW,
                                                      [CONV_WINOGRAD5] = CONV_WINOGRAD5_RAW,
                                                      [CONV_WINOGRAD6] = CONV_WINOGRAD6_RAW};
  return raws[algorithm] ? raws[algorithm] : algorithm;
}

ConvAlgorithm conv_packed(ConvAlgorithm algorithm) {
  static const ConvAlgorithm packed[CONV_ALGORITHMS] = {[CONV_WINOGRAD4_RAW] = CONV_WINOGRAD4,
                                                        [CONV_WINOGRAD5_RAW] = CONV_WINOGRAD5,
                                                        [CONV_WINOGRAD6_RAW] = CONV_WINOGRAD6};
  return packed[algorithm] ? packed[algorithm] : algorithm;
}

const char *conv_call(ConvAlgorithm algorithm, const char *what, Arena *arena) {
  int tile = conv_tile(algorithm);
  return tile ? arena_printf(arena, "winograd%s%s(%d, ", conv_is_raw(algorithm) ? "_raw" : "", what, tile)
              : arena_printf(arena, "direct%s(", what);
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
