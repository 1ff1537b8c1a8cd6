/* Gradient of a convolution's weights, any geometry.
 *
 *   dw[r, s, c, k] = sum over images and output pixels of x[n, p * stride_h + r * dilation_h - pad_top, ...,
 * c] * dy[n, p, q, k]
 *
 * A task owns a block of input channels, a block of output channels and a part of the output rows.  It walks
 * over its rows in chunks that fit the caches: copies x (with its padding) and dy into panels, then adds the
 * chunk's products to every tile of its block.  Where there are too few blocks to share out, rows are split
 * into parts whose sums meet in a workspace and are added in order; the number of parts follows from the
 * geometry alone. */
#ifndef NETC_KERNELS_CONV2D_DIRECT_W_H
#define NETC_KERNELS_CONV2D_DIRECT_W_H
#include "conv2d_grid.h"

#define CONV_W_BLOCK  128 /* input and output channels of a task; twice that for 1x1 kernels */
#define CONV_W_PIXELS 192 /* output pixels of a chunk, about */
#define CONV_W_ROWS   64  /* output rows of a chunk at most */
#define CONV_W_TASKS  16  /* tasks wanted */

typedef struct ConvWPlan {
  int depth, rows_a;  /* channels of x per group; rows of dw that one tap has */
  int taps_h, taps_w; /* taps_w is 1 on the narrow path: the kernel row is part of rows_a */
  bool narrow;
  int channels; /* output channels per group */
  int blocks_a, blocks_k, parts;
  int block;
  int width, copy_step,
      step; /* pixels of a copied row of x; pixels of x and of the copy from one to the next */
  int chunk_rows;
} ConvWPlan;

static ConvWPlan conv_w_plan(const Conv2d *g) {
  ConvWPlan p = {.depth = g->in_c / g->groups, .channels = g->out_c / g->groups, .taps_h = g->kernel_h};
  p.narrow = p.depth < CONV_NARROW_DEPTH && g->kernel_w > 1 && g->dilation_w == 1;
  p.taps_w = p.narrow ? 1 : g->kernel_w;
  p.rows_a = p.narrow ? g->kernel_w * p.depth : p.depth;
  p.block = g->kernel_h * g->kernel_w == 1 ? 2 * CONV_W_BLOCK : CONV_W_BLOCK;
  p.blocks_a = conv_ceil(p.rows_a, p.block);
  p.blocks_k = conv_ceil(p.channels, p.block);
  p.parts = conv_ceil(CONV_W_TASKS, p.blocks_a * p.blocks_k * g->groups);
  /* Kernels one pixel wide need only every stride-th pixel. */
  p.copy_step = g->kernel_w == 1 ? g->stride_w : 1;
  p.step = g->kernel_w == 1 ? 1 : g->stride_w;
  p.width = (g->out_w - 1) * p.step + (g->kernel_w - 1) * g->dilation_w + 1;
  p.chunk_rows = conv_ceil(CONV_W_PIXELS, g->out_w);
  if (p.chunk_rows > CONV_W_ROWS)
    p.chunk_rows = CONV_W_ROWS;
  return p;
}

/* Rows of x that a chunk may need: one image's rows overlap, each further image begins anew. */
static inline int conv_w_input_rows(const Conv2d *g, const ConvWPlan *p) {
  int images = conv_ceil(p->chunk_rows, g->out_h) + 1;
  return p->chunk_rows * g->stride_h + images * ((g->kernel_h - 1) * g->dilation_h + 1);
}

static inline size_t conv_w_x_floats(const Conv2d *g, const ConvWPlan *p) {
  size_t pixels = (size_t)conv_w_input_rows(g, p) * (size_t)p->width;
  if (p->narrow)
    return pixels * (size_t)p->depth + 16;
  int block = p->rows_a < p->block ? p->rows_a : p->block;
  return pixels * (size_t)(2 * block + 16) + 16; /* tiles of any instruction set */
}

/* Scratch per thread: the panels of a chunk. */
static size_t conv2d_bwd_w_direct_scratch_floats(const Conv2d *g) {
  ConvWPlan p = conv_w_plan(g);
  int block = p.channels < p.block ? p.channels : p.block;
  size_t dy_floats = (size_t)p.chunk_rows * (size_t)g->out_w * (size_t)(conv_ceil(block, 32) * 32);
  return (conv_w_x_floats(g, &p) + dy_floats + 31) / 16 * 16;
}

/* The workspace: one copy of dw for each part. */
static size_t conv2d_bwd_w_direct_workspace_floats(const Conv2d *g) {
  ConvWPlan p = conv_w_plan(g);
  return p.parts > 1 ? (size_t)p.parts * (size_t)(g->kernel_h * g->kernel_w * p.depth) * (size_t)g->out_c : 0;
}

/* Where channels go: panels of so many channels, each panel's pixels side by side. */
typedef struct ConvWPanels {
  float *to;
  int pitch;          /* floats of a pixel */
  bool shares;        /* how channels are shared out: by tile_share, or `pitch` each */
  ptrdiff_t distance; /* floats from one panel to the next */
} ConvWPanels;

static inline int conv_w_width(const ConvWPanels *p, int left) {
  return p->shares ? tile_share(left) : (left < p->pitch ? left : p->pitch);
}

/* `size` floats of each of `pixels` pixels to lines of `pitch` floats, zeros where size ends early. */
VEC_INLINE void conv_w_copy_panel(const float *from, ptrdiff_t ld, int pixels, int size, float *to,
                                  int pitch) {
  if (size == TILE_COLUMNS && pitch == TILE_COLUMNS) {
    for (int i = 0; i < pixels; i++, from += ld, to += TILE_COLUMNS) {
      VEC_UNROLL
      for (int v = 0; v < TILE_VECS; v++)
        vec_store(to + v * VEC_WIDTH, vec_load(from + v * VEC_WIDTH));
    }
  } else if (pitch <= VEC_WIDTH) {
    for (int i = 0; i < pixels; i++, from += ld, to += pitch)
      vec_store_part(to, vec_load_part(from, size), pitch);
  } else {
    for (int i = 0; i < pixels; i++, from += ld, to += pitch)
      for (int c = 0; c < pitch; c += VEC_WIDTH)
        vec_store_upto(to + c, c < size ? vec_load_upto(from + c, size - c) : vec_zero(), pitch - c);
  }
}

/* Copies `count` channels of each of `pixels` pixels, `ld` floats apart; panels get zeros up to their pitch
 * where they have fewer channels. */
static void conv_w_copy(const float *from, ptrdiff_t ld, int pixels, int count, const ConvWPanels *panels,
                        ptrdiff_t pixel) {
  /* Pixels with many channels one by one, as they come from memory, and some are asked for ahead. */
  enum { MANY = 128, AHEAD = 2 };
  float *to = panels->to + pixel * panels->pitch;
  if (ld == count && count == panels->pitch) {
    memcpy(to, from, (size_t)pixels * (size_t)count * sizeof *to);
    return;
  }
  int run = ld > MANY ? 1 : pixels;
  for (int i = 0; i < pixels; i += run, from += ld, to += panels->pitch) {
    float *panel = to;
    for (int c = 0, size; c < count; c += size, panel += panels->distance) {
      size = conv_w_width(panels, count - c);
      if (run == 1)
        VEC_FETCH(from + AHEAD * ld + c);
      conv_w_copy_panel(from + c, ld, run, size, panel, panels->pitch);
    }
  }
}

/* Zeros, the same. */
static void conv_w_clear(int pixels, int count, const ConvWPanels *panels, ptrdiff_t pixel) {
  float *to = panels->to + pixel * panels->pitch;
  for (int c = 0; c < count; c += conv_w_width(panels, count - c), to += panels->distance)
    memset(to, 0, (size_t)pixels * (size_t)panels->pitch * sizeof *to);
}

/* One padded row of x from pixel `pixel` of the panels on, `count` channels of each. */
static void conv_w_copy_row(const Conv2d *g, const ConvWPlan *p, const float *image, int h, int count,
                            const ConvWPanels *panels, ptrdiff_t pixel) {
  if (h < 0 || h >= g->in_h) {
    conv_w_clear(p->width, count, panels, pixel);
    return;
  }
  /* Copied pixel i is pixel i * copy_step - pad_left of x. */
  int left = conv_ceil(g->pad_left, p->copy_step), end = conv_ceil(g->in_w + g->pad_left, p->copy_step);
  left = left < p->width ? left : p->width;
  end = end < p->width ? (end > left ? end : left) : p->width;
  const float *from = image + ((ptrdiff_t)h * g->in_w + left * p->copy_step - g->pad_left) * g->in_ld;
  conv_w_clear(left, count, panels, pixel);
  conv_w_copy(from, (ptrdiff_t)g->in_ld * p->copy_step, end - left, count, panels, pixel + left);
  conv_w_clear(p->width - end, count, panels, pixel + end);
}

/* Fills the panels of x for output rows [begin, end) of the flat list of n * out_h, and says for each at
 * which panel row its window begins.  Returns the number of panel rows.  With `panels` NULL only counts. */
static int conv_w_pack_x(const Conv2d *g, const ConvWPlan *p, int64_t begin, int64_t end, const float *x,
                         int count, const ConvWPanels *panels, int *first) {
  int rows = 0, last_h = 0;
  int64_t last_image = -1;
  for (int64_t row = begin; row < end; row++) {
    int64_t image = row / g->out_h;
    int h0 = (int)(row % g->out_h) * g->stride_h - g->pad_top;
    int h1 = h0 + (g->kernel_h - 1) * g->dilation_h;
    if (image != last_image) {
      last_image = image;
      last_h = h0 - 1;
    }
    if (last_h < h0 - 1)
      last_h = h0 - 1; /* rows that no window covers */
    first[row - begin] = rows + h0 - last_h - 1;
    for (int h = last_h + 1; h <= h1; h++, rows++)
      if (panels)
        conv_w_copy_row(g, p, x + image * g->in_h * g->in_w * g->in_ld, h, count, panels,
                        (ptrdiff_t)rows * p->width);
    if (h1 > last_h)
      last_h = h1;
  }
  return rows;
}

/* What the next chunk copies, asked for call by call while this one is multiplied: so many floats of x, then
 * of dy. */
typedef struct ConvWAhead {
  const float *x, *dy;
  ptrdiff_t x_floats, dy_floats, per_call;
} ConvWAhead;

/* Of a chunk of `pixels` pixels, whose first are at x and dy: what lies in one piece because the block has
 * all channels. */
static ConvWAhead conv_w_ahead(const Conv2d *g, ptrdiff_t pixels, int count_a, int count_k, const float *x,
                               const float *dy) {
  ConvWAhead ahead = {.x = x, .dy = dy};
  int calls = conv_ceil(count_k, TILE_COLUMNS) * tile_calls(count_a);
  ahead.x_floats = count_a == g->in_ld ? pixels * count_a : 0;
  ahead.dy_floats = count_k == g->out_ld ? pixels * count_k : 0;
  ahead.per_call = (ahead.x_floats + ahead.dy_floats + calls - 1) / calls;
  return ahead;
}

/* The share of a call over `pixels` pixels; place is NULL where nothing is left to ask for. */
static inline TileFetch conv_w_ask(ConvWAhead *ahead, int pixels) {
  ptrdiff_t *left = ahead->x_floats > 0 ? &ahead->x_floats : &ahead->dy_floats;
  const float **next = ahead->x_floats > 0 ? &ahead->x : &ahead->dy;
  if (*left <= 0)
    return (TileFetch){NULL, 0};
  TileFetch fetch = tile_fetch(*next, (int)ahead->per_call, pixels);
  *next += ahead->per_call < *left ? ahead->per_call : *left;
  *left -= ahead->per_call;
  return fetch;
}

/* One task: rows [begin, end), rows [a0, a1) of each tap of dw, output channels [k0, k1) of a group whose
 * first channels x, dy and dw point at. */
static void conv_w_task(const Conv2d *g, const ConvWPlan *p, int64_t begin, int64_t end, int a0, int a1,
                        int k0, int k1, const float *x, const float *dy, float *dw, float *scratch) {
  float *x_panel = scratch, *dy_panel = scratch + conv_w_x_floats(g, p) / 16 * 16 + 16;
  int first[CONV_W_ROWS];
  TileSegment segment[CONV_W_ROWS];
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * g->out_c;
  TileOut out = {.at = at, .low = -INFINITY, .high = INFINITY};
  ptrdiff_t a_line = (ptrdiff_t)p->step * (p->narrow ? p->depth : TILE_ROWS);
  int64_t chunk = begin;
  do { /* once even for no rows at all: the sums are zero then */
    int64_t chunk_end = chunk + p->chunk_rows < end ? chunk + p->chunk_rows : end;
    int rows = (int)(chunk_end - chunk);
    ptrdiff_t pixels = (ptrdiff_t)rows * g->out_w;
    conv_w_copy(dy + chunk * g->out_w * g->out_ld + k0, g->out_ld, (int)pixels, k1 - k0,
                &(const ConvWPanels){dy_panel, TILE_COLUMNS, false, pixels * TILE_COLUMNS}, 0);
    /* Rows of 1x1 windows follow each other without padding: one segment. */
    bool joined = p->taps_h * p->taps_w == 1 && p->width == g->out_w && !p->narrow;
    int segments = joined ? 1 : rows, segment_pixels = joined ? (int)pixels : g->out_w;
    ptrdiff_t panel = 0;
    if (p->narrow) {
      conv_w_pack_x(g, p, chunk, chunk_end, x, p->depth, &(const ConvWPanels){x_panel, p->depth, false, 0},
                    first);
    } else {
      panel = (ptrdiff_t)conv_w_pack_x(g, p, chunk, chunk_end, x, 0, NULL, first) * p->width * TILE_ROWS;
      conv_w_pack_x(g, p, chunk, chunk_end, x + a0, a1 - a0,
                    &(const ConvWPanels){x_panel, TILE_ROWS, true, panel}, first);
    }
    /* Grid points are the input's pixels, in their order. */
    bool flat = joined && g->in_h == g->out_h && g->in_w == g->out_w && !g->pad_top && !g->pad_left;
    int64_t next = !flat ? 0 : p->chunk_rows < end - chunk_end ? p->chunk_rows : end - chunk_end;
    ConvWAhead ahead =
        conv_w_ahead(g, (ptrdiff_t)next * g->out_w, a1 - a0, k1 - k0, x + chunk_end * g->out_w * g->in_ld,
                     dy + chunk_end * g->out_w * g->out_ld);
    for (int k = k0; k < k1; k += TILE_COLUMNS) {
      out.columns = k1 - k < TILE_COLUMNS ? k1 - k : TILE_COLUMNS;
      for (int a = a0, i = 0, size; a < a1; a += size, i++) {
        size = tile_share(a1 - a);
        for (int tap = 0; tap < p->taps_h * p->taps_w; tap++) {
          int r = tap / p->taps_w * g->dilation_h, s = tap % p->taps_w * g->dilation_w;
          for (int row = 0; row < segments; row++) {
            ptrdiff_t pixel = (ptrdiff_t)(first[row] + r) * p->width + s;
            segment[row] = (TileSegment){
                p->narrow ? x_panel + pixel * p->depth + a : x_panel + i * panel + pixel * TILE_ROWS,
                dy_panel + (k - k0) * pixels + (ptrdiff_t)row * g->out_w * TILE_COLUMNS, segment_pixels};
          }
          out.y = dw + ((ptrdiff_t)tap * p->rows_a + a) * g->out_c + k;
          out.accumulate = chunk > begin;
          TileFetch fetch = conv_w_ask(&ahead, segment_pixels);
          tile_multiply_panel(size, segments, segment, a_line, TILE_COLUMNS, TILE_BLOCK,
                              fetch.place ? &fetch : NULL, &out);
        }
      }
    }
    chunk = chunk_end;
  } while (chunk < end);
}

/* dw overwritten, in Keras's layout.  workspace: conv2d_bwd_w_direct_workspace_floats. */
static void conv2d_bwd_w_direct(const Conv2d *g, int n, const float *x, const float *dy, float *dw,
                                float *workspace, const Work *work) {
  ConvWPlan p = conv_w_plan(g);
  int64_t rows = (int64_t)n * g->out_h, dw_floats = (int64_t)g->kernel_h * g->kernel_w * p.depth * g->out_c;
  int blocks = p.blocks_a * p.blocks_k;
  WORK_TASKS(work, turn, (int64_t)g->groups * p.parts * blocks) {
    int task = (int)turn.task, group = task / (p.parts * blocks), part = task / blocks % p.parts,
        block = task % blocks;
    int a0 = block % p.blocks_a * p.block, k0 = block / p.blocks_a * p.block;
    int a1 = a0 + p.block < p.rows_a ? a0 + p.block : p.rows_a;
    int k1 = k0 + p.block < p.channels ? k0 + p.block : p.channels;
    float *to = p.parts > 1 ? workspace + part * dw_floats : dw;
    conv_w_task(g, &p, rows * part / p.parts, rows * (part + 1) / p.parts, a0, a1, k0, k1,
                x + group * p.depth, dy + group * p.channels, to + group * p.channels, work_scratch(work));
  }
  if (p.parts == 1)
    return;
  int64_t chunks = (dw_floats + 4095) / 4096;
  WORK_PARALLEL_FOR(work)
  for (int64_t i = 0; i < chunks; i++) {
    int64_t end = i * 4096 + 4096 < dw_floats ? i * 4096 + 4096 : dw_floats;
    for (int64_t j = i * 4096; j < end; j += VEC_WIDTH) {
      Vec sum = vec_load_upto(workspace + j, end - j);
      for (int part = 1; part < p.parts; part++)
        sum = vec_add(sum, vec_load_upto(workspace + part * dw_floats + j, end - j));
      vec_store_upto(dw + j, sum, end - j);
    }
  }
}
#endif
