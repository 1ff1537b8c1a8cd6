/* The C printer.  Operators write calls of runtime kernels through these. */
#ifndef NETC_EMIT_H
#define NETC_EMIT_H
#include "../ir.h"

typedef struct EmitOptions {
  bool infer;      /* prediction only: libc and libm */
  const char *isa; /* isa.h's name of the one instruction set, or NULL: chosen when it runs */
  const struct WeightBlob *weights; /* that go with the program, or NULL (weights/weights.h) */
  bool embed;                       /* the program carries them itself */
} EmitOptions;

/* Weights of up to so many bytes are embedded as text; more than that the C compiler would be slow at, so the
 * assembler takes them from the file beside. */
enum { EMBED_TEXT_BYTES = 256 * 1024 };

struct Emitter {
  StrBuf *out;
  const Module *module;
  const Function *function;
  const char **names; /* by Value.id in the C function at work, NULL: not named yet */
  Arena *arena;
  bool microbatch; /* the nodes at work take the images from m->image on, n of the call's m->images */
  bool each_image; /* the node at work runs once per image, inside a loop over `image` */
  StrBuf *pieces;  /* the rows of the table of pieces, */
  int piece_count; /* so many */
};

/* One statement, indented, with its line end. */
void emit_line(Emitter *emitter, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The C expression that points at a value: a local pointer of the C function at work. */
const char *emit_value(Emitter *emitter, const Value *value);
/* What random operators print for the number of images and for the draw: `n` and the step's counter, or
 * inside a loop over images `1` and the image's own. */
const char *emit_images(const Emitter *emitter);
const char *emit_draw(const Emitter *emitter);
/* Inputs that may be left out: "NULL" for none. */
const char *emit_optional(Emitter *emitter, const Node *node, bool present, int index);
/* Compound literals of geometry, activation and epilogue, from the arena. */
const char *emit_conv2d(Emitter *emitter, const Conv2d *conv);
const char *emit_pool2d(Emitter *emitter, const Pool2d *pool);
const char *emit_act(Emitter *emitter, Act act);
/* The ChannelMap of a node that is mapped, as an argument with a comma before it; else nothing. */
const char *emit_channel_map(Emitter *emitter, const Node *node);
/* "_mapped" of such a node's kernel, or "". */
const char *emit_mapped(const Node *node);
/* `&(const Epilogue){...}` of a fused node whose fixed inputs are `first` many. */
const char *emit_epilogue(Emitter *emitter, const Node *node, int first);
/* An Epilogue of a bias, input `index` where there is one, and an activation. */
const char *emit_bias_and_act(Emitter *emitter, const Node *node, bool has_bias, int index, Act act);
/* A float literal that reads back as the same value. */
const char *emit_float(Emitter *emitter, double number);

const char *emit_loss_config(Emitter *emitter, const Call *loss);
/* The optimizer state of a weight as three arguments, NULL where the optimizer keeps less. */
const char *update_slots_text(Emitter *emitter, const Weight *weight);
/* The weight's part in the average that the optimizer keeps of it, where it keeps one. */
void emit_average(Emitter *emitter, const Value *weight);
/* An expression: what a regularizer adds to the loss for a weight. */
const char *emit_penalty(Emitter *emitter, const Call *regularizer, const char *weight, int64_t count,
                         int columns);

/* What an instance is made of, in floats: weights with all that is made of them; other values that are no
 * batch's, with and without weights of its own; the most values of a step per image of the batch, and of a
 * prediction per image of its part and of its micro-batch; scratch of one thread, and more of it per image;
 * features per image. */
typedef struct MemorySizes {
  int64_t weights, fixed, fixed_in_place, batch, part, micro, scratch, scratch_batch, features;
} MemorySizes;
MemorySizes emit_sizes(const Module *module);
/* The most that struct Model itself takes. */
enum { INSTANCE_BYTES = 512 };

/* The C file and the header, whole. */
void emit_program(const Module *module, const EmitOptions *options, StrBuf *c_file, StrBuf *h_file);
/* Parts of it: functions.c (first: it finds who needs what is prepared), tables.c.  `pieces`: the table of
 * what functions are made of, for ModelInfo. */
void emit_functions(const Module *module, StrBuf *out, StrBuf *pieces);
void emit_tables(const Module *module, const EmitOptions *options, StrBuf *out);
void emit_schedules(const Module *module, StrBuf *out);
/* "block1_conv1" -> a C identifier. */
const char *emit_identifier(Arena *arena, const char *name);
/* The text as a C string literal, quotes included. */
const char *emit_string(Arena *arena, const char *text);
/* Of a depthwise_pointwise, those of one of its layers (NULL: all). */
int64_t depthwise_pointwise_flops(const Node *node, const Layer *layer);
#endif
