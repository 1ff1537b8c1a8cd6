/* The intermediate representation: functions of tensor operations in static single assignment form.
 *
 * A Value is a float tensor, either batched ([n] + shape, n chosen when the program runs) or fixed (shape).
 * A Node computes its outputs from its inputs by the operator `op`; nodes stand in a list, definitions before
 * uses. Weights are values too; only nodes whose operator says `has_effect` change memory other than their
 * outputs. Everything lives in Module.arena.  */
#ifndef NETC_IR_H
#define NETC_IR_H
#include "conv.h"
#include "graph.h"
#include "strbuf.h"
#include "../runtime/kernels/pool2d.h"

typedef struct Function Function;
typedef struct Module Module;
typedef struct Weight Weight;

typedef enum ValueKind {
  VALUE_TEMP,          /* an output of a node, lives in the arena */
  VALUE_INPUT,         /* the batch of images, or of features: an argument */
  VALUE_TARGET,        /* an argument of a step */
  VALUE_SAMPLE_WEIGHT, /* an argument of a step, may be null when it runs */
  VALUE_WEIGHT,        /* parameter memory */
  VALUE_CONSTANT,      /* made by the function `prepare` from weights that this function does not change */
} ValueKind;

struct Value {
  int id; /* %id in dumps; unique in the function */
  ValueKind kind;
  Node *def; /* NULL unless TEMP */
  int def_output;
  Shape shape;
  bool batched;
  const char *name;     /* a hint for readers of dumps and of the emitted C */
  const Weight *weight; /* WEIGHT */
  Value *constant;      /* CONSTANT: the value in `prepare` that it is */
  /* Results of analyses, valid after the pass that fills them. */
  int use_count;
  Node **uses;    /* ir_count_uses */
  int64_t offset; /* plan: floats, per image where batched, into the pool it lies in */
  Value *storage; /* plan: the value whose memory this one shares (itself where its own) */
  bool micro;     /* plan: a root that lives in one run of micro-batches only */
  int row;        /* plan: a root's floats from one pixel to the next where more than its channels, or 0 */
  bool sliced;    /* plan: as a run of channels of that value, a concatenation, from `slice` on */
  int slice;
};

enum { NODE_MAX_OUTPUTS = 4 };

/* What an operator needs besides its inputs; each uses the fields it wants. */
typedef struct NodeAttr {
  Conv2d conv;
  Pool2d pool;
  Act act;
  ConvAlgorithm algorithm;
  bool has_bias, has_residual; /* trailing inputs of fused nodes, in this order */
  ConvAlgorithm few;           /* for fewer images than few_below, its packed weights the last input */
  int few_below;               /* 0: there is no such algorithm */
  /* depthwise_pointwise, of which `conv` is the last: its depthwise convolution, the 1x1 convolution before,
     and what each of them ends with. */
  Conv2d depthwise, expand;
  Act depthwise_act, expand_act;
  bool depthwise_bias, expands, expand_bias;
  const Layer *depthwise_layer, *expand_layer;
  bool max_pool; /* the output is a 2 x 2 maximum pooling of the convolution's, with where the maxima were as
                    second output in steps; gradients read that of the pooling, and the places as an input */
  bool mapped; /* in[0] is read through a ChannelMap: scale and offset are the last inputs, its clamp map_act
                */
  Act map_act;
  bool masked; /* conv2d_bwd_x: the last input is what the clamp `act` made of x; `act` itself is not done */
  int64_t ints[8];
  double floats[4];
  const Call *call; /* loss or optimizer */
} NodeAttr;

struct Node {
  const OpDef *op;
  Function *function;
  Node *prev, *next;
  Value **in;
  int in_count;
  Value *out[NODE_MAX_OUTPUTS];
  int out_count;
  NodeAttr attr;
  const Layer *layer; /* where it comes from, for messages and names; or NULL */
  bool backward;
  bool again;      /* makes a forward value a second time, for the gradients that need it */
  bool microbatch; /* takes Module.microbatch images at a time, with the nodes beside it that do */
  int position;    /* ir_number */
};

typedef enum FunctionKind {
  FUNCTION_FORWARD,  /* image -> output, inference mode */
  FUNCTION_FEATURES, /* image -> features: the frozen prefix of a phase */
  FUNCTION_VARIED,   /* the same with its random layers at work, each image by a draw of its own */
  FUNCTION_HEAD,     /* features -> output, inference mode */
  FUNCTION_STEP,     /* features, target -> loss, output, with all updates */
  FUNCTION_PREPARE,  /* weights -> constants */
} FunctionKind;

struct Function {
  FunctionKind kind;
  const char *name;
  Module *module;
  int phase;
  Node *first, *last;
  int value_count;
  Value *input, *target, *sample_weight; /* arguments, or NULL */
  Value **weight_values;                 /* by Weight.index, NULL where not used */
  Value **results; /* batched: output, or features in record order; STEP: [0] output, [1] loss (fixed, one
                      float) */
  int result_count;
  /* plan */
  /* Arena needed: n * batch_floats + k * micro_floats + fixed_floats, k the images of a micro-batch. */
  int64_t batch_floats, micro_floats, fixed_floats;
  int64_t batch_bound, micro_bound, fixed_bound; /* lower bounds: the most live floats at any node */
  int64_t scratch_floats,
      scratch_batch_floats; /* per thread: fixed, and per image of a batch rounded up to 16 */
};

/* One weight array of the network. */
struct Weight {
  int index;
  const Layer *layer;
  const LayerWeight *spec;
  int64_t count, offset, slot_offset; /* floats */
  uint32_t phases;                    /* bit p: trained in phase p */
};

/* What the freeze pass found for a phase. */
typedef struct PhaseCut {
  bool *in_prefix;      /* by Layer.index */
  const Layer **layers; /* whose outputs cross the cut, creation order; empty: no prefix worth keeping */
  int layer_count;
  int64_t feature_floats;
  int variants; /* of each training image; 0: nothing in the prefix is random */
} PhaseCut;

struct Module {
  Arena *arena;
  Diag *diag;
  const Graph *graph;
  Weight *weights; /* Keras order */
  int weight_count;
  int64_t param_floats, slot_floats;
  int slot_count;
  PhaseCut cuts[MAX_PHASES];
  Function *forward;
  Function *features[MAX_PHASES], *head[MAX_PHASES],
      *step[MAX_PHASES];        /* features, head NULL without prefix */
  Function *varied[MAX_PHASES]; /* NULL where the prefix is not random */
  Function *prepare;
  Function *functions[2 + 4 * MAX_PHASES]; /* all of the above, prepare first */
  int function_count;
  int64_t constant_floats; /* of prepare's results */
  int microbatch; /* images that a thread takes at a time through nodes of micro-batches; 0: there are none */
  bool exact;     /* no Winograd */
  bool narrow;    /* for a processor that is known to have vectors of fewer than 16 floats */
  struct Tuning *tuning; /* measured choices (tuning.h), or NULL */
};

struct Builder {
  Module *module;
  Function *function;
  const Layer *layer; /* stamped on new nodes */
  bool training;
  bool backward;
  int phase;
  Node *before; /* new nodes go before it; NULL: at the end */
};

/* For nodes before `node`, which they come from: of its layer, direction and phase. */
Builder ir_builder_before(Node *node);
Function *ir_function(Module *module, FunctionKind kind, const char *name, int phase);
/* Adds a node whose outputs are added by ir_output; inputs are copied. */
Node *ir_node(Builder *builder, OpKind op, int in_count, Value *const *in);
Value *ir_output(Node *node, Shape shape, bool batched, const char *name);
/* Shorthands: one output with the given shape, batched. */
Value *ir_unary(Builder *builder, OpKind op, Value *in, Shape shape);
Value *ir_binary(Builder *builder, OpKind op, Value *a, Value *b, Shape shape);
Value *ir_argument(Function *function, ValueKind kind, Shape shape, const char *name);
/* The value of a layer's weight by name ("kernel"), or NULL where the layer has none of that name. */
Value *ir_weight(Builder *builder, const Layer *layer, const char *name);
bool ir_weight_trained(const Builder *builder, const Value *weight);
void ir_remove(Node *node);
/* One more input, as number `index` or at the end. */
void ir_insert_input(Node *node, int index, Value *value);
void ir_add_input(Node *node, Value *value);
/* Replaces every use of `from` (results of the function included) by `to`. */
void ir_replace(Function *function, Value *from, Value *to);
/* True where `value` is a weight that a run of the function leaves as it is, or a constant made of such. */
bool ir_unchanging(const Function *function, const Value *value);
/* Whether the function hands the value to its caller. */
bool ir_is_result(const Function *function, const Value *value);
void ir_count_uses(Function *function);
void ir_number(Function *function);
static inline int64_t value_floats(const Value *value) {
  return shape_count(value->shape);
}
/* Plan: the value whose memory it takes, itself where it has its own. */
Value *value_root(const Value *value);
/* Plan: whether a result of the function lies in a root's memory. */
bool value_holds_result(const Function *function, const Value *root);
/* Plan: floats from one pixel of an image to the next: its channels, those of the concatenation it lies in,
 * or more where the plan sets pixels apart. */
int value_row_floats(const Value *value);
/* Plan: what a root takes, per image where batched, with what lies between its pixels. */
int64_t value_memory_floats(const Value *root);
/* Plan: where a value begins in the memory of the value it lies in. */
int64_t value_slice_floats(const Value *value);
Value *node_input(const Node *node, int index); /* aborts where there is none */
bool node_is(const Node *node, OpKind op);      /* false for NULL */
/* Of a convolution: the number of its first trailing input (bias, residual, mask). */
int node_trailing(const Node *node);
/* FLOPs, per image where batched: 2 per multiply-add, 0 for what only moves memory. */
int64_t node_flops(const Node *node);
/* Predictions and features are computed in parts of so many images at most: enough to keep the cores busy,
 * few enough that whole networks need little memory. */
enum { FORWARD_BATCH = 16 };
/* Images that a call of a function of this kind gets where there are so many: a part, or all. */
int function_images(FunctionKind kind, int images);
/* Images that are at once in nodes of micro-batches, of a call of so many on so many threads. */
int module_microbatch(const Module *module, int images, int threads);
int module_weight_index(const Module *module, const Layer *layer, const LayerWeight *weight);

void ir_print(const Module *module, StrBuf *out);
/* Checks the invariants; on a violation prints the function, the node and the pass, and aborts. */
void ir_verify(const Module *module, const char *pass);
#endif
