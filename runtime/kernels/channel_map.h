/* Values that are normalised where they are read: what a BatchNorm of a training step and the clamp after it
 * would have made of x, without being kept in memory. */
#ifndef NETC_KERNELS_CHANNEL_MAP_H
#define NETC_KERNELS_CHANNEL_MAP_H
#include "act.h"
#include <stddef.h>
#include <stdint.h>

/* y = act(x * scale[c] + offset[c]); act: one that is a clamp (act_is_clamp). */
typedef struct ChannelMap {
  const float *scale, *offset;
  Act act;
} ChannelMap;

enum { CHANNEL_MAP_PIXELS = 4 }; /* that share a load of scale and offset */

static inline ChannelMap channel_map_from(const ChannelMap *map, int channel) {
  return (ChannelMap){map->scale + channel, map->offset + channel, map->act};
}

/* `pixels` of them, a constant where this is called. */
VEC_INLINE void channel_map_some(const ChannelMap *map, int pixels, int channels, const float *x,
                                 ptrdiff_t x_ld, float *y, ptrdiff_t y_ld, Vec low, Vec high) {
  for (int c = 0; c < channels; c += VEC_WIDTH) {
    int left = channels - c;
    Vec scale = vec_load_upto(map->scale + c, left), offset = vec_load_upto(map->offset + c, left);
    VEC_UNROLL
    for (int pixel = 0; pixel < pixels; pixel++) {
      Vec v = vec_fma(vec_load_upto(x + pixel * x_ld + c, left), scale, offset);
      vec_store_upto(y + pixel * y_ld + c, vec_min(high, vec_max(low, v)), left);
    }
  }
}

/* The first `channels` channels of `pixels` pixels, x_ld and y_ld floats apart.  y may be x. */
static void channel_map_pixels(const ChannelMap *map, int64_t pixels, int channels, const float *x,
                               ptrdiff_t x_ld, float *y, ptrdiff_t y_ld) {
  float least, most;
  act_is_clamp(&map->act, &least, &most);
  Vec low = vec_set(least), high = vec_set(most);
  for (; pixels >= CHANNEL_MAP_PIXELS; pixels -= CHANNEL_MAP_PIXELS) {
    channel_map_some(map, CHANNEL_MAP_PIXELS, channels, x, x_ld, y, y_ld, low, high);
    x += CHANNEL_MAP_PIXELS * x_ld;
    y += CHANNEL_MAP_PIXELS * y_ld;
  }
  for (; pixels > 0; pixels--, x += x_ld, y += y_ld)
    channel_map_some(map, 1, channels, x, x_ld, y, y_ld, low, high);
}
#endif
