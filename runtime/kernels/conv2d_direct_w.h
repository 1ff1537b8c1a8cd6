/* Gradient of a convolution's weights, any geometry.
 *
 *   dw[r, s, c, k] = sum over images and output pixels of x[n, p * stride_h + r * dilation_h - pad_top, ...,
 * c] * dy[n, p, q, k]
 *
 * A task owns a block of input channels, a block of output channels and a part of the output rows.  It walks
 * over its rows in chunks that fit the caches and adds a chunk's products to every tile of its block: panel
 * by panel of output channels, whose dy is copied into the first-level cache, and the tiles of x for each.  x
 * is read where it is, but for few channels, whose rows are copied with their padding, for pixels that would
 * push each other out of the cache, and for those that become something else.  Of few channels a kernel row
 * is one tap, and of very few the whole kernel: a tile has rows of several then.
 *
 * Where there are too few blocks to share out, rows are split into parts whose sums meet in a workspace and
 * are added in order; the number of parts follows from the geometry alone. */
#ifndef NETC_KERNELS_CONV2D_DIRECT_W_H
#define NETC_KERNELS_CONV2D_DIRECT_W_H
#include "conv2d_grid.h"

#define CONV_W_BLOCK    128 /* input and output channels of a task; twice that for one tap */
#define CONV_W_PIXELS   192 /* output pixels of a chunk, about */
#define CONV_W_ROWS     64  /* output rows of a chunk at most */
#define CONV_W_SEGMENTS 768 /* runs of pixels, of some taps, that are worked out at a time */
#define CONV_W_TASKS    16  /* tasks wanted */
/* Fewer channels than this, images above all: the kernel is one tap.  Of more a kernel row fills tiles of its
 * own, and those are faster where their rows lie side by side. */
#define CONV_W_MERGED_DEPTH 6
/* Pixels ahead that copied ones are asked for once more: those that share sets of the cache may be gone
 * again. */
#define CONV_W_COPY_AHEAD 3

typedef struct ConvWPlan {
  int depth, rows_a;   /* channels of x per group; rows of dw that one tap has */
  int taps_h, taps_w;  /* taps_w is 1 on the narrow path: the kernel row is part of rows_a */
  bool narrow, merged; /* merged, on the narrow path: the kernel is part of rows_a, there is one tap */
  bool in_place;       /* x is read where it is */
  int channels;        /* output channels per group */
  int blocks_a, blocks_k, parts;
  int block;
  int width, copy_step,
      step; /* pixels of a copied row of x; pixels of x and of the copy from one to the next */
  int chunk_rows;
  const ChannelMap *map; /* what becomes of x as it is copied, or NULL; not with groups */
} ConvWPlan;

static ConvWPlan conv_w_plan(const Conv2d *g, const ChannelMap *map) {
  ConvWPlan p = {.depth = g->in_c / g->groups, .channels = g->out_c / g->groups, .map = map};
  p.narrow = p.depth < CONV_NARROW_DEPTH && g->kernel_w > 1 && g->dilation_w == 1;
  /* Lines that push each other out cost the more the more tiles share one.  Where a tile takes a whole line,
   * several taps of a copy with its padding cost more than that. */
  p.in_place = !map && !p.narrow &&
               (g->stride_w * g->in_ld % CONV_SAME_SET_FLOATS != 0 ||
                (VEC_WIDTH >= TILE_BLOCK && g->kernel_h * g->kernel_w > 1));
  p.merged = p.narrow && p.depth < CONV_W_MERGED_DEPTH;
  p.taps_h = p.merged ? 1 : g->kernel_h;
  p.taps_w = p.narrow ? 1 : g->kernel_w;
  p.rows_a = p.depth * (p.narrow ? g->kernel_w : 1) * (p.merged ? g->kernel_h : 1);
  p.block = p.taps_h * p.taps_w == 1 ? 2 * CONV_W_BLOCK : CONV_W_BLOCK;
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

/* Floats from one copied pixel of `size` channels to the next. */
static inline int conv_w_pitch(const ConvWPlan *p, int size) {
  return p->narrow ? p->depth : conv_ceil(size, 16) * 16 + 16;
}

static inline size_t conv_w_x_floats(const Conv2d *g, const ConvWPlan *p) {
  int size = p->rows_a < p->block ? p->rows_a : p->block;
  return (size_t)conv_w_input_rows(g, p) * (size_t)p->width * (size_t)conv_w_pitch(p, size) + 16;
}

/* A panel of dy, for tiles of any instruction set. */
static inline size_t conv_w_dy_floats(const Conv2d *g, const ConvWPlan *p) {
  return (size_t)p->chunk_rows * (size_t)g->out_w * 32;
}

/* Scratch per thread: the panels of a chunk. */
static size_t conv2d_bwd_w_direct_scratch_floats(const Conv2d *g) {
  ConvWPlan p = conv_w_plan(g, NULL);
  return (conv_w_dy_floats(g, &p) + conv_w_x_floats(g, &p) + 15) / 16 * 16;
}

/* The workspace: one copy of dw for each part. */
static size_t conv2d_bwd_w_direct_workspace_floats(const Conv2d *g) {
  ConvWPlan p = conv_w_plan(g, NULL);
  return p.parts > 1 ? (size_t)p.parts * (size_t)(g->kernel_h * g->kernel_w * p.depth) * (size_t)g->out_c : 0;
}

/* `size` floats of each of `pixels` pixels, `ld` floats apart, to lines of `pitch` floats, zeros where size
 * ends early; asks: for pixels that are read soon. */
VEC_INLINE void conv_w_copy(const float *from, ptrdiff_t ld, int pixels, int size, float *to, int pitch,
                            bool asks) {
  if (size == TILE_COLUMNS && pitch == TILE_COLUMNS) {
    for (int i = 0; i < pixels; i++, from += ld, to += TILE_COLUMNS) {
      VEC_UNROLL
      for (int v = 0; v < TILE_VECS; v++)
        vec_store(to + v * VEC_WIDTH, vec_load(from + v * VEC_WIDTH));
    }
  } else if (ld == size && size == pitch) {
    memcpy(to, from, (size_t)pixels * (size_t)size * sizeof *to);
  } else if (pitch <= VEC_WIDTH) {
    for (int i = 0; i < pixels; i++, from += ld, to += pitch)
      vec_store_part(to, vec_load_part(from, size), pitch);
  } else {
    for (int i = 0; i < pixels; i++, from += ld, to += pitch)
      for (int c = 0; c < pitch; c += VEC_WIDTH) {
        if (asks)
          VEC_FETCH(from + CONV_W_COPY_AHEAD * ld + c);
        vec_store_upto(to + c, c < size ? vec_load_upto(from + c, size - c) : vec_zero(), pitch - c);
      }
  }
}

/* One padded row of x, `size` channels of each pixel, to lines of `pitch` floats. */
static void conv_w_copy_row(const Conv2d *g, const ConvWPlan *p, const float *image, const ChannelMap *map,
                            int h, int size, float *to, int pitch) {
  size_t line = (size_t)pitch * sizeof *to;
  if (h < 0 || h >= g->in_h) {
    memset(to, 0, (size_t)p->width * line);
    return;
  }
  /* Copied pixel i is pixel i * copy_step - pad_left of x. */
  int left = conv_ceil(g->pad_left, p->copy_step), end = conv_ceil(g->in_w + g->pad_left, p->copy_step);
  left = left < p->width ? left : p->width;
  end = end < p->width ? (end > left ? end : left) : p->width;
  const float *from = image + ((ptrdiff_t)h * g->in_w + left * p->copy_step - g->pad_left) * g->in_ld;
  ptrdiff_t ld = (ptrdiff_t)g->in_ld * p->copy_step;
  float *inside = to + (ptrdiff_t)left * pitch;
  memset(to, 0, (size_t)left * line);
  if (map)
    channel_map_pixels(map, end - left, size, from, ld, inside, pitch);
  else
    conv_w_copy(from, ld, end - left, size, inside, pitch, true);
  memset(to + (ptrdiff_t)end * pitch, 0, (size_t)(p->width - end) * line);
}

/* Copies what output rows [begin, end) of the flat list of n * out_h see of x, `size` channels, to lines of
 * `pitch` floats, and says for each at which copied row its window begins.  map: of these channels, or NULL.
 */
static void conv_w_copy_x(const Conv2d *g, const ConvWPlan *p, int64_t begin, int64_t end, const float *x,
                          const ChannelMap *map, int size, float *to, int pitch, int *first) {
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
      conv_w_copy_row(g, p, x + image * g->in_h * g->in_w * g->in_ld, map, h, size,
                      to + (ptrdiff_t)rows * p->width * pitch, pitch);
    if (h1 > last_h)
      last_h = h1;
  }
}

/* Output rows of a chunk, and where each finds what a tap sees of x. */
typedef struct ConvWChunk {
  int rows;
  ptrdiff_t image[CONV_W_ROWS]; /* in place: the row's image, in rows of x, */
  int top[CONV_W_ROWS];         /* and the first row of its window; copied: the window's first copied row */
} ConvWChunk;

/* In place: the first floats of what row `row`'s window sees from tap row r on, were it not cut by borders.
 */
static inline ptrdiff_t conv_w_row_at(const Conv2d *g, const ConvWChunk *chunk, int row, int r) {
  return (chunk->image[row] + chunk->top[row] + r) * g->in_w * g->in_ld;
}

/* The chunk of `rows` output rows from row `begin` of the flat list of n * out_h on. */
static void conv_w_rows(const Conv2d *g, int64_t begin, int rows, ConvWChunk *chunk) {
  chunk->rows = rows;
  for (int row = 0; row < rows; row++) {
    chunk->image[row] = (ptrdiff_t)((begin + row) / g->out_h) * g->in_h;
    chunk->top[row] = (int)((begin + row) % g->out_h) * g->stride_h - g->pad_top;
  }
}

/* Floats from what one output pixel sees of x, or of its copy, to what the next does. */
static inline ptrdiff_t conv_w_line(const Conv2d *g, const ConvWPlan *p, int pitch) {
  return p->in_place ? (ptrdiff_t)g->stride_w * g->in_ld : (ptrdiff_t)p->step * pitch;
}

/* The products of one tap: runs of pixels, as offsets from x (or its copy, `pitch` floats a pixel) and from
 * the panel of dy.  Neighbouring runs are one.  Returns their number, at most that of the rows. */
static int conv_w_segments(const Conv2d *g, const ConvWPlan *p, const ConvWChunk *chunk, int tap, int pitch,
                           TileSegment *segment) {
  int r = tap / p->taps_w * g->dilation_h, s = tap % p->taps_w * g->dilation_w;
  int q0 = 0, q1 = g->out_w, count = 0;
  ptrdiff_t line = conv_w_line(g, p, pitch);
  if (p->in_place) { /* output pixels whose window is inside the image here */
    int past = g->in_w + g->pad_left - s;
    q0 = g->pad_left > s ? conv_ceil(g->pad_left - s, g->stride_w) : 0;
    q1 = past <= 0 ? 0 : conv_ceil(past, g->stride_w);
    q1 = q1 < g->out_w ? q1 : g->out_w;
  }
  for (int row = 0; row < chunk->rows && q0 < q1; row++) {
    TileSegment next = {.b = ((ptrdiff_t)row * g->out_w + q0) * TILE_COLUMNS, .count = q1 - q0};
    if (p->in_place) {
      int h = chunk->top[row] + r;
      if (h < 0 || h >= g->in_h)
        continue;
      next.a = conv_w_row_at(g, chunk, row, r) + ((ptrdiff_t)q0 * g->stride_w + s - g->pad_left) * g->in_ld;
    } else {
      next.a = ((ptrdiff_t)(chunk->top[row] + r) * p->width + s) * pitch;
    }
    TileSegment *last = segment + count - 1;
    if (count && last->a + last->count * line == next.a && last->b + last->count * TILE_COLUMNS == next.b)
      last->count += next.count;
    else
      segment[count++] = next;
  }
  return count;
}

/* What is read next is asked for while a chunk is multiplied: of dy the next panel, of x the next chunk.  A
 * call of the tile asks for one line of the cache, TILE_BLOCK channels, of each pixel. */
typedef struct ConvWAhead {
  const float *dy;
  ptrdiff_t x;         /* in place: floats from a chunk's first channels to what is asked for */
  const float *copied; /* else: the next chunk's, of kernels of one pixel */
  ptrdiff_t copied_ld;
  int dy_lines, x_lines, copied_lines;
} ConvWAhead;

/* dy: the panel after that of channels [k, k + TILE_COLUMNS), NULL after the last. */
static void conv_w_ahead_dy(const float *dy, int channels, ConvWAhead *ahead) {
  ahead->dy = dy;
  ahead->dy_lines = !dy ? 0 : conv_ceil(channels < TILE_COLUMNS ? channels : TILE_COLUMNS, TILE_BLOCK);
}

/* x: where the rows of `next` lie from those of `chunk`. */
static void conv_w_ahead_x(const Conv2d *g, const ConvWChunk *chunk, const ConvWChunk *next, int channels,
                           ConvWAhead *ahead) {
  ahead->x = conv_w_row_at(g, next, 0, 0) - conv_w_row_at(g, chunk, 0, 0);
  ahead->x_lines = conv_ceil(channels, TILE_BLOCK);
}

/* x: the first channels of the block. */
static void conv_w_ahead_copied(const Conv2d *g, const ConvWChunk *next, const float *x, int channels,
                                ConvWAhead *ahead) {
  ahead->copied = x + conv_w_row_at(g, next, 0, 0);
  ahead->copied_ld = (ptrdiff_t)g->stride_w * g->in_ld;
  ahead->copied_lines = conv_ceil(channels, TILE_BLOCK);
}

/* What a call asks for of what is copied. */
static TileFetch conv_w_fetch(ConvWAhead *ahead, const Conv2d *g) {
  TileFetch fetch = {NULL, 0};
  if (ahead->dy_lines > 0) {
    fetch = (TileFetch){ahead->dy, g->out_ld};
    ahead->dy += TILE_BLOCK;
    ahead->dy_lines--;
  } else if (ahead->copied_lines > 0) {
    fetch = (TileFetch){ahead->copied, ahead->copied_ld};
    ahead->copied += TILE_BLOCK;
    ahead->copied_lines--;
  }
  return fetch;
}

/* Of x where it is: by how much a call whose first channel is number `channel` of the block asks ahead. */
static ptrdiff_t conv_w_ahead_by(ConvWAhead *ahead, int channel) {
  if (ahead->x_lines <= 0)
    return 0;
  ptrdiff_t by = ahead->x - channel;
  ahead->x += TILE_BLOCK;
  ahead->x_lines--;
  return by;
}

/* Where the kernel is one tap, so many tiles at most read dy where it is: a copy costs as much as one. */
#define CONV_W_IN_PLACE_TILES 2

/* Whether `rows` rows of dw need no copy of a panel of dy, `columns` of its channels. */
static bool conv_w_dy_in_place(const Conv2d *g, const ConvWPlan *p, int rows, int columns) {
  /* Vectors must not reach behind the last pixel. */
  bool whole = columns == TILE_COLUMNS || (VEC_WIDTH == TILE_BLOCK && columns == TILE_BLOCK);
  return p->merged && whole && (tile_calls(rows) <= CONV_W_IN_PLACE_TILES || g->out_ld <= TILE_COLUMNS);
}

/* Where the kernel is one tap: adds a chunk's products with dy, `line` floats a pixel, to rows [a0, a1) of
 * dw, the first of which is at `out`; `copy` holds the chunk's rows of x. */
static void conv_w_merged(const Conv2d *g, const ConvWPlan *p, const ConvWChunk *chunk, int a0, int a1,
                          const float *copy, const float *dy, int line, ConvWAhead *ahead, TileOut *out) {
  const float *rows[CONV_W_ROWS * TILE_ROWS];
  int kernel_row = g->kernel_w * p->depth;
  ptrdiff_t copied_row = (ptrdiff_t)p->width * p->depth, at[TILE_ROWS];
  for (int a = a0, size; a < a1; a += size, out->y += (ptrdiff_t)size * g->out_c) {
    size = tile_share(a1 - a);
    for (int r = 0; r < TILE_ROWS; r++) {
      int row = a + (r < size ? r : 0);
      at[r] = row / kernel_row * g->dilation_h * copied_row + row % kernel_row;
    }
    for (int row = 0; row < chunk->rows; row++)
      for (int r = 0; r < TILE_ROWS; r++)
        rows[row * TILE_ROWS + r] = copy + chunk->top[row] * copied_row + at[r];
    TileFetch fetch = conv_w_fetch(ahead, g);
    tile_multiply_strided(size, chunk->rows, g->out_w, rows, (ptrdiff_t)p->step * p->depth, dy, line,
                          fetch.place ? &fetch : NULL, out);
  }
}

/* One task: rows [begin, end), rows [a0, a1) of each tap of dw, output channels [k0, k1) of a group whose
 * first channels x, dy and dw point at. */
static void conv_w_task(const Conv2d *g, const ConvWPlan *p, int64_t begin, int64_t end, int a0, int a1,
                        int k0, int k1, const float *x, const float *dy, float *dw, float *scratch) {
  float *dy_panel = scratch, *x_copy = scratch + conv_w_dy_floats(g, p);
  int taps = p->taps_h * p->taps_w;
  /* The narrow path copies whole pixels, and a block's rows of dw begin inside their windows. */
  int copied = p->narrow ? p->depth : a1 - a0, pitch = conv_w_pitch(p, copied);
  ChannelMap map;
  if (p->map)
    map = channel_map_from(p->map, p->narrow ? 0 : a0);
  const float *block = p->in_place ? x + a0 : (p->narrow ? x_copy + a0 : x_copy);
  TileSegment segment[CONV_W_SEGMENTS];
  int segments[CONV_W_SEGMENTS];
  ConvWChunk chunk, next;
  ptrdiff_t at[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++)
    at[r] = (ptrdiff_t)r * g->out_c;
  TileOut out = {.at = at, .low = -INFINITY, .high = INFINITY};
  TilePanel panel = {
      .b = dy_panel, .a_line = conv_w_line(g, p, pitch), .line = TILE_COLUMNS, .block = TILE_BLOCK};
  ConvWAhead ahead = {.dy = NULL};
  int64_t row = begin;
  do { /* once even for no rows at all: the sums are zero then */
    int rows = (int)(p->chunk_rows < end - row ? p->chunk_rows : end - row), pixels = rows * g->out_w;
    bool last_chunk = row + rows >= end;
    const float *dy_rows = dy + row * g->out_w * g->out_ld;
    conv_w_rows(g, row, rows, &chunk);
    if (!p->in_place)
      conv_w_copy_x(g, p, row, row + rows, p->narrow ? x : x + a0, p->map ? &map : NULL, copied, x_copy,
                    pitch, chunk.top);
    if (!last_chunk && (p->in_place || (taps == 1 && !p->narrow))) {
      conv_w_rows(g, row + rows, 1, &next);
      if (p->in_place)
        conv_w_ahead_x(g, &chunk, &next, a1 - a0, &ahead);
      else
        conv_w_ahead_copied(g, &next, x + a0, a1 - a0, &ahead);
    }
    out.accumulate = row > begin;
    int group = CONV_W_SEGMENTS / (rows > 0 ? rows : 1);
    for (int first = 0; first < taps; first += group) {
      int last = first + group < taps ? first + group : taps;
      for (int tap = first; tap < last; tap++)
        segments[tap - first] =
            conv_w_segments(g, p, &chunk, tap, pitch, segment + (ptrdiff_t)(tap - first) * rows);
      for (int k = k0; k < k1; k += TILE_COLUMNS) {
        int then = k + TILE_COLUMNS;
        out.columns = k1 - k < TILE_COLUMNS ? k1 - k : TILE_COLUMNS;
        bool dy_in_place = conv_w_dy_in_place(g, p, a1 - a0, out.columns);
        if (!dy_in_place) {
          conv_w_copy(dy_rows + k, g->out_ld, pixels, out.columns, dy_panel, TILE_COLUMNS, false);
          if (then < k1)
            conv_w_ahead_dy(dy_rows + then, k1 - then, &ahead);
          else
            conv_w_ahead_dy(last_chunk ? NULL : dy_rows + (ptrdiff_t)pixels * g->out_ld + k0, k1 - k0,
                            &ahead);
        }
        if (p->merged) {
          out.y = dw + (ptrdiff_t)a0 * g->out_c + k;
          conv_w_merged(g, p, &chunk, a0, a1, x_copy, dy_in_place ? dy_rows + k : dy_panel,
                        dy_in_place ? g->out_ld : TILE_COLUMNS, &ahead, &out);
          continue;
        }
        for (int a = a0, size; a < a1; a += size) {
          size = p->in_place ? tile_share_exact(a1 - a, out.columns) : tile_share(a1 - a);
          panel.a = block + (a - a0);
          for (int tap = first; tap < last; tap++) {
            panel.segments = segments[tap - first];
            panel.segment = segment + (ptrdiff_t)(tap - first) * rows;
            out.y = dw + ((ptrdiff_t)tap * p->rows_a + a) * g->out_c + k;
            panel.fetch = conv_w_fetch(&ahead, g);
            /* The last row of windows is the new one. */
            panel.ahead = tap == taps - 1 ? conv_w_ahead_by(&ahead, a - a0) : 0;
            tile_multiply_panel(size, &panel, &out);
          }
        }
      }
    }
    row += rows;
  } while (row < end);
}

/* dw overwritten, in Keras's layout, for map(x); `map` may be NULL, and is with groups.  workspace:
 * conv2d_bwd_w_direct_workspace_floats. */
static void conv2d_bwd_w_direct_mapped(const Conv2d *g, int n, const float *x, const ChannelMap *map,
                                       const float *dy, float *dw, float *workspace, const Work *work) {
  ConvWPlan p = conv_w_plan(g, map);
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

static void conv2d_bwd_w_direct(const Conv2d *g, int n, const float *x, const float *dy, float *dw,
                                float *workspace, const Work *work) {
  conv2d_bwd_w_direct_mapped(g, n, x, NULL, dy, dw, workspace, work);
}
#endif
