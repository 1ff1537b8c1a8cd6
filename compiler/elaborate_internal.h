/* What the files of the elaborator share.  Everything lives in the session's arena. */
#ifndef NETC_ELABORATE_INTERNAL_H
#define NETC_ELABORATE_INTERNAL_H
#include "ast.h"
#include "bind.h"
#include "elaborate.h"

enum {
  BLOCK_DEPTH_LIMIT = 100, /* blocks that call blocks */
  STEP_LIMIT = 1000000,    /* statements carried out and entries of lists made */
  LAYER_LIMIT = 65536,     /* layers of all networks of a file */
  LIST_LIMIT = 65536,      /* entries of a list or a range */
  STRING_LIMIT = 65536,    /* bytes of a string that is put together */
};

/* The layers that one call of a block made. */
struct Part {
  const char *name; /* of the block */
  Layer *input;     /* the block's `in` */
  Layer *output;
  struct Part *whole; /* of a part that is cut: what it was cut from */
  Layer **order;      /* Keras's model.layers: the input first; filled when asked for */
  int count;
};

typedef struct Binding {
  const char *name;
  Datum value;
  Span span;
  const Stmt *stmt;  /* that made it; NULL: a parameter */
  const Stmt *level; /* the first statement of the list that `stmt` stands in */
  struct Binding *next;
} Binding;

typedef struct Scope {
  Binding *bindings;
  struct Scope *outer; /* the file's own names, or NULL */
  Datum in;            /* of a block; NONE in a network */
  Datum current;       /* what the next layer takes; NONE before `input` */
  bool is_network;
  const Decl *decl;
  Span call_span;       /* of the call of the block */
  struct Scope *caller; /* for notes */
  int depth;
} Scope;

typedef struct NameCount {
  const char *name;
  int count;
  struct NameCount *next;
} NameCount;

typedef struct LoadedFile {
  const char *path;
  const File *file;
  bool done; /* false while its imports are read: meeting it again is a cycle */
  Span imported_at;
  struct LoadedFile *importer, *next;
} LoadedFile;

typedef struct Definition {
  const Decl *decl;
  struct Definition *next;
} Definition;

typedef struct WeightRequest {
  const Part *part;   /* NULL: the whole network */
  const Layer *layer; /* a single layer, where it is no part */
  WeightSource source;
} WeightRequest;

enum { NAME_TABLE_SIZE = 16384 };

typedef struct Elaborator {
  Arena *arena;
  Diag *diag;
  const ElaborateOptions *options;
  LoadedFile *files;
  Definition *definitions; /* blocks, networks, train sections, newest first */
  Scope globals;
  Layer **layers; /* of the network at work, creation order, also those that will not be used */
  int layer_count, layer_capacity;
  Layer *named[NAME_TABLE_SIZE]; /* chains by Layer.note */
  NameCount *name_counts;
  Layer *input;
  WeightRequest *weights;
  int weight_count, weight_capacity;
  int64_t steps;
  bool stopped;    /* a limit was hit and reported: unwind */
  int phase_first; /* freeze statements change the phases from here on */
  const char **silenced;
  int silenced_count, silenced_capacity;
} Elaborator;

/* evaluate.c */
Datum evaluate(Elaborator *elaborator, Scope *scope, const Expr *expr);
bool evaluate_bool(Elaborator *elaborator, Scope *scope, const Expr *expr, bool *value);
Datum datum_poison(Span span);
Datum datum_tensor(Layer *layer, Part *part, Span span);
const Binding *scope_find(const Scope *scope, const char *name);
void scope_bind(Elaborator *elaborator, Scope *scope, const char *name, Datum value, Span span,
                const Stmt *stmt, const Stmt *level);
/* Counts work towards STEP_LIMIT; false, and everything stopped, where it is reached. */
bool spend(Elaborator *elaborator, int64_t steps, Span at);
/* "unknown name", with a near one. */
Datum evaluate_unknown(Elaborator *elaborator, Scope *scope, const char *name, Span span);

/* functions.c: min, max, len ...  `is_function` alone says whether there is one of the name. */
bool is_function(const char *name);
Datum call_function(Elaborator *elaborator, const char *name, const Argument *arguments, int count,
                    Span span);
int function_names(const char **names, int room);

/* call.c */
/* A call written in a .net file.  `piped`: what stood before the arrow, or NULL. */
Datum evaluate_call(Elaborator *elaborator, Scope *scope, const Expr *expr, const Datum *piped);
/* A word or a call that names something of a vocabulary table, not a layer: relu, l2(0.01). */
Datum evaluate_word(Elaborator *elaborator, Scope *scope, const Expr *expr);
/* Calls a block or a network; the value of its last statement. */
Datum call_block(Elaborator *elaborator, Scope *caller, const Decl *decl, const Argument *arguments,
                 int count, Datum in, Span span, Scope **made);
const Decl *find_definition(const Elaborator *elaborator, DeclKind kind, const char *name);
/* A block of the file that `from` stands in, or else of any file that was read. */
const Decl *find_block(const Elaborator *elaborator, const char *name, Span from);
/* Notes that name the calls which led to where the last error is. */
void note_callers(Elaborator *elaborator, const Scope *scope);
const OpDef *find_op(const char *name);

/* statements.c */
/* Carries out statements; the value of the last one. */
Datum run_statements(Elaborator *elaborator, Scope *scope, const Stmt *stmts);

/* select.c */
typedef struct LayerSet {
  Layer **layers;
  int count, capacity;
  bool *member; /* by Layer.created */
  int member_count;
  bool bad; /* an error was reported */
} LayerSet;
/* The layers that freeze and unfreeze name; an empty set is an error. */
LayerSet select_layers(Elaborator *elaborator, Scope *scope, const Expr *selectors);
void run_freeze(Elaborator *elaborator, Scope *scope, const Stmt *stmt);
void run_weights(Elaborator *elaborator, Scope *scope, const Stmt *stmt);
Datum evaluate_up_to(Elaborator *elaborator, Scope *scope, const Expr *expr);
/* Keras's order of a part, its input first. */
int part_order(Elaborator *elaborator, Part *part, Layer ***layers);

/* train.c */
void run_train(Elaborator *elaborator, Scope *network, const Decl *decl, Graph *graph);
#endif
