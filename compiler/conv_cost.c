#include "conv_cost.h"
#include "kernel_sizes.h"

/* All in multiply-adds at full rate.  Fitted to what `netc tune` measured for some 200 convolutions (7 to 112
 * pixels, 16 to 512 channels, 1 to 32 images) on an AMD EPYC and an Intel Xeon with AVX-512; as ratios of
 * vector operations they carry over to other widths. */
typedef struct TileCosts {
  double product; /* of a multiplication of transforms: more than 1 where fewer tiles fill the registers */
  double input, output; /* transform of a tile per channel */
  double gradient;      /* the same, of either side, for gradients of weights: those are kept in memory */
} TileCosts;

static const TileCosts tile_2 = {1.0, 100, 450, 0}, tile_4 = {1.0, 230, 1300, 1200},
                       tile_5 = {1.1, 160, 1800, 2300}, tile_6 = {1.15, 120, 2300, 3300};

/* Asked for ahead, two cores on one memory, with vectors of 16 floats and of fewer. */
static const double FLOAT_FROM_MEMORY = 20, FLOAT_FROM_MEMORY_NARROW = 10;
static const double DIRECT_STORE = 10;                    /* of a sum */
static const double DIRECT_PACK = 35, WINOGRAD_PACK = 40; /* of a packed weight */
static const double WINOGRAD_RAW = 22;                    /* of a weight made on the way */
static const double WINOGRAD_GRADIENT = 12;               /* back from a transformed weight */
static const double DIRECT_GRADIENT = 1.05;               /* a product, for panels of dy are copied first */
enum {
  COLUMNS = 32,
  SORTED_PIXELS = 448 /* of a call: 56 of a task (conv_sorted_by) */
};

static double whole(int count, int of) {
  return (double)((count + of - 1) / of);
}

/* Of the taps of all windows along one axis, those inside the image. */
static double taps_inside(int in, int out, int kernel, int stride, int dilation, int pad) {
  double inside = 0;
  for (int p = 0; p < out; p++)
    for (int r = 0; r < kernel; r++) {
      int at = p * stride - pad + r * dilation;
      inside += at >= 0 && at < in;
    }
  return inside;
}

/* Taps of all windows of n images that are multiplied.  Padding is not, but where pixels are too few to be
 * sorted by what they see of it, and at the sides where pixels above each other share sets of the cache
 * (conv2d_taps.h). */
static double direct_windows(const Conv2d *conv, OpKind op, int n) {
  double rows =
      taps_inside(conv->in_h, conv->out_h, conv->kernel_h, conv->stride_h, conv->dilation_h, conv->pad_top);
  double columns =
      taps_inside(conv->in_w, conv->out_w, conv->kernel_w, conv->stride_w, conv->dilation_w, conv->pad_left);
  if (op != OP_conv2d_bwd_w) {
    bool few = (double)n * conv->out_h * conv->out_w < SORTED_PIXELS;
    int64_t row = op == OP_conv2d ? (int64_t)conv->in_w * conv->in_ld : (int64_t)conv->out_w * conv->out_ld;
    if (few)
      rows = (double)conv->out_h * conv->kernel_h;
    if (few || conv_rows_share_sets(row))
      columns = (double)conv->out_w * conv->kernel_w;
  }
  return n * rows * columns;
}

double conv_pass_cost(const Module *module, double floats) {
  return floats * (module->narrow ? FLOAT_FROM_MEMORY_NARROW : FLOAT_FROM_MEMORY);
}

double conv_cost(const Module *module, const Conv2d *conv, OpKind op, ConvAlgorithm algorithm, int n,
                 bool settled) {
  int m = conv_tile(algorithm);
  bool back = op == OP_conv2d_bwd_x;
  double in = back ? conv->out_c : conv->in_c, pixels = (double)n * conv->out_h * conv->out_w;
  /* Register tiles are whole: a few channels cost as many as fill them. */
  double out = COLUMNS * whole(back ? conv->in_c : conv->out_c, COLUMNS);
  double pairs = (double)conv->in_c * conv->out_c / conv->groups;
  double taps = (double)conv->kernel_h * conv->kernel_w, inputs = in / conv->groups;
  if (!m) {
    double products = direct_windows(conv, op, n) * inputs * out,
           weights = conv_pass_cost(module, taps * pairs);
    if (op == OP_conv2d_bwd_w)
      return products * DIRECT_GRADIENT + weights;
    return products + pixels * out * DIRECT_STORE + weights + (settled ? 0 : taps * pairs * DIRECT_PACK);
  }
  const TileCosts *costs = m == 2 ? &tile_2 : m == 4 ? &tile_4 : m == 5 ? &tile_5 : &tile_6;
  /* The input gradient runs over the pixels of x. */
  double tiles = n * whole(back ? conv->in_h : conv->out_h, m) * whole(back ? conv->in_w : conv->out_w, m);
  double positions = (m + 2) * (m + 2), weights = positions * pairs;
  double products = tiles * positions * in * out * costs->product;
  if (op == OP_conv2d_bwd_w)
    return products + tiles * (in + out) * costs->gradient + weights * WINOGRAD_GRADIENT;
  double work = products + tiles * (in * costs->input + out * costs->output);
  if (!conv_is_raw(algorithm))
    return work + conv_pass_cost(module, weights) + (settled ? 0 : weights * WINOGRAD_PACK);
  double runs = tiles / (COST_THREADS * kernel_winograd_shared_tiles(m));
  return work + weights * WINOGRAD_RAW * (runs > 1 ? runs : 1);
}
