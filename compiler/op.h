/* Operators: one OpDef each, listed in ops.def, one file per family in ops/.
 *
 * An operator has two faces.
 *   Language: `signature`, `infer`, `lower`: a layer that a .net file can call.
 *   IR: `outputs`, `gradient`, `flops`, `emit`: a node that the passes work on.
 * Some have only one: conv2d_bwd_x is never written by a user, separable_conv2d is lowered to two other
 * nodes. */
#ifndef NETC_OP_H
#define NETC_OP_H
#include "signature.h"

typedef struct OpDef OpDef;
typedef struct Layer Layer;
typedef struct Graph Graph;
typedef struct Builder Builder; /* ir.h */
typedef struct Node Node;
typedef struct Value Value;
typedef struct Emitter Emitter; /* emit/emit.h */

typedef enum OpKind {
#define OP(name) OP_##name,
#include "ops.def"
#undef OP
  OP_COUNT
} OpKind;

/* A sample call with input shapes, for the table-driven tests: "conv2d(5, 3x3, same, strides = 2)", "7x8x3".
 */
typedef struct OpSample {
  const char *call;
  const char *inputs; /* one shape per input, space separated */
} OpSample;

struct OpDef {
  OpKind kind;
  const char *name; /* the IR's name; signature.name where there is a language face */

  /* language face */
  Signature signature;        /* signature.name == NULL: not callable from a .net file */
  int min_inputs, max_inputs; /* max -1: any number */
  /* Checks inputs, sets layer->shape, declares weights by layer_add_weight.  Reports through `diag` at the
   * span of the argument at fault and returns false. */
  bool (*infer)(Layer *layer, Arena *arena, Diag *diag);
  /* Builds the forward IR: returns the value of the layer's output. */
  Value *(*lower)(Builder *builder, const Layer *layer, Value **inputs);
  const OpSample *samples; /* ends at call == NULL */

  /* IR face */
  bool not_differentiable; /* said, not forgotten: a NULL gradient without it fails a test */
  bool has_effect;         /* writes memory that is not its output (updates): never dead, never merged */
  bool random;             /* another result each step: never part of a frozen prefix in training */
  bool batch_statistics;   /* depends on the whole batch while it trains; a pure function once frozen */
  bool view;               /* output 0 is input 0 under another shape: shares its memory */
  bool in_place;           /* output 0 may share the memory of input 0 */
  /* Adds gradients of the inputs: `in_grads[i]` is set where in_needed[i]; out_grads[o] may be NULL (none).
   */
  void (*gradient)(Builder *builder, Node *node, Value **out_grads, const bool *in_needed, Value **in_grads);
  int64_t (*flops)(const Node *node); /* per image, or in all where not batched */
  /* Per thread, for a batch that is a multiple of 16: linear in it.  NULL: none. */
  int64_t (*scratch_floats)(const Node *node, int batch);
  void (*emit)(Emitter *emitter, const Node *node);
  void (*print_attrs)(const Node *node, void *strbuf); /* for `netc dump`; NULL: none */
};

extern const OpDef *const op_table[OP_COUNT];
#define OP(name) extern const OpDef op_##name;
#include "ops.def"
#undef OP

/* Declares one weight of a layer.  `initializer` etc. come from the layer's own attributes; a NULL
 * initializer means zeros. */
void layer_add_weight(Layer *layer, const char *name, Shape shape, bool trainable, const Call *initializer,
                      const Call *regularizer, const Call *constraint);
/* A default initializer, regularizer etc. by .net text: call_builtin("glorot_uniform"). */
const Call *call_builtin(const char *text);
#endif
