/* What can be called in a .net file: one Signature per layer, loss, metric, optimizer, schedule, initializer,
 * regularizer, constraint and callback.  Checking of arguments, defaults, `netc help`, the tables of
 * LANGUAGE.md and `netc show` all read these, so they cannot differ. */
#ifndef NETC_SIGNATURE_H
#define NETC_SIGNATURE_H
#include "diag.h"
#include "shape.h"

typedef enum ParamKind {
  P_INT,
  P_FLOAT, /* an int is taken too */
  P_BOOL,
  P_PAIR,          /* 3 or 3x3 or (3, 3): two ints, height first */
  P_PADDING,       /* same | valid */
  P_DATA_FORMAT,   /* channels_last; channels_first is refused with an explanation */
  P_PADDING_SIZES, /* 1, (1, 2) or ((0, 1), (2, 3)): top, bottom, left, right */
  P_CHOICE,        /* a word out of `choices` */
  P_ACTIVATION,    /* a word or call naming an activation: relu, leaky_relu(0.1) */
  P_SHAPE,         /* 100x100x3, 784 or (14, -1) */
  P_INTS,          /* (3, 1, 2) */
  P_FLOATS,        /* a float or a list of floats */
  P_STRING,
  P_INITIALIZER, /* a word or call of kind SIG_INITIALIZER; so on */
  P_REGULARIZER,
  P_CONSTRAINT,
  P_SCHEDULE, /* a float, or a call of kind SIG_SCHEDULE */
} ParamKind;

typedef struct Param {
  const char *name; /* Keras's own */
  ParamKind kind;
  const char *fallback; /* the default as .net text ("1", "valid", "none"); NULL: must be given */
  const char *choices;  /* P_CHOICE: "nearest bilinear" */
  const char *doc;      /* one line */
  const char *range;    /* numbers: "> 0", ">= 0", "[0, 1]", "[0, 1)"; each entry of a list; NULL: any */
} Param;

typedef enum SignatureKind {
  SIG_LAYER,
  SIG_ACTIVATION,
  SIG_LOSS,
  SIG_METRIC,
  SIG_OPTIMIZER,
  SIG_SCHEDULE,
  SIG_INITIALIZER,
  SIG_REGULARIZER,
  SIG_CONSTRAINT,
  SIG_CALLBACK,
} SignatureKind;

typedef struct Call Call;

typedef struct Signature {
  SignatureKind kind;
  const char *name;        /* as written in .net */
  const char *aliases;     /* other accepted names, space separated, or NULL ("max_pooling2d") */
  const char *keras_class; /* "Conv2D" */
  const char *doc;         /* one line, lower case */
  const char *formula;     /* what it computes, plain text, or NULL */
  Param params[24];        /* ends at name == NULL */
  /* What no single parameter's range says; reports at the argument and returns false.  NULL: nothing. */
  bool (*check)(const Call *call, Diag *diag);
} Signature;

enum { SIGNATURE_MAX_PARAMS = sizeof((Signature){0}.params) / sizeof(Param) };

/* Every signature of a kind, in the order of the reference: index 0, 1, ... until NULL. */
const Signature *signature_at(SignatureKind kind, int index);
/* By name, alias or Keras's class name; NULL where there is none. */
const Signature *signature_find(SignatureKind kind, const char *name);
/* "layer", "loss", ... */
const char *signature_kind_name(SignatureKind kind);
int signature_param_count(const Signature *signature);
/* The index of a parameter, or -1. */
int signature_param(const Signature *signature, const char *name);

typedef enum AttrKind {
  ATTR_NONE,
  ATTR_BOOL,
  ATTR_INT,
  ATTR_FLOAT,
  ATTR_TEXT,
  ATTR_INTS,
  ATTR_FLOATS,
  ATTR_CALL
} AttrKind;

/* The value of one parameter, converted to what its kind says:
 *   P_INT -> INT; P_FLOAT -> FLOAT; P_BOOL -> BOOL; P_PAIR -> INTS of 2; P_PADDING, P_DATA_FORMAT, P_CHOICE,
 * P_STRING -> TEXT; P_PADDING_SIZES -> INTS of 4; P_SHAPE, P_INTS -> INTS; P_FLOATS -> FLOATS; the rest ->
 * CALL (P_SCHEDULE given as a plain number -> FLOAT).  NONE where `none` was given or is the default. */
typedef struct Attr {
  AttrKind kind;
  bool given; /* written by the user, not the default */
  Span span;
  bool boolean;
  int64_t integer;
  double number;
  const char *text;
  int count;
  int64_t *ints;
  double *floats;
  Call *call;
} Attr;

struct Call {
  const Signature *signature;
  Attr *attrs; /* one per parameter, in the signature's order */
  Span span;
};

/* Every signature of a kind, in table order; `*count` of them. */
const Signature *const *signature_table(SignatureKind kind, int *count);
/* Names (and aliases where asked) of all signatures of a kind, up to `room`; for messages. */
int signature_names(SignatureKind kind, bool aliases, const char **names, int room);

/* The attribute called `name`; a name the signature lacks is a bug in netc and aborts. */
const Attr *call_attr(const Call *call, const char *name);
int64_t call_int(const Call *call, const char *name);
double call_float(const Call *call, const char *name);
bool call_bool(const Call *call, const char *name);
const char *call_text(const Call *call, const char *name);    /* NULL where none */
const int64_t *call_ints(const Call *call, const char *name); /* NULL where none */
const Call *call_call(const Call *call, const char *name);    /* NULL where none */
/* A number where an int, a float or none may stand; `absent` for none. */
double call_number(const Call *call, const char *name, double absent);
#endif
