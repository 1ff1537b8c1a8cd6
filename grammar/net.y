/* The grammar of the .net language: it builds the tree of compiler/ast.h and gives nothing a meaning.
 *
 * A layer, loss or optimizer is an ordinary call: a new one never touches this file.  `%expect 0` stays: a conflict
 * is a fault of the grammar, to be removed and not to be counted. */
%require "3.8"
%define api.pure full
%define api.prefix {net_}
%define api.location.type {Span}
%define api.value.type union
%define parse.error custom
%define parse.lac full
/* A statement that could not be read ends only at the end of a line: no reduction without looking. */
%define lr.default-reduction accepting
%locations
%expect 0
%param {NetParser *parser}

%code requires {
#include "parser.h"
#define NET_LLOC_DEFAULT(current, rhs, count)                                                                \
  ((current) = (count) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, count))                                   \
                       : (Span){YYRHSLOC(rhs, 0).source, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})
#define YYLLOC_DEFAULT NET_LLOC_DEFAULT
}
%code provides {
/* flex writes these two names. */
#define YYSTYPE NET_STYPE
#define YYLTYPE NET_LTYPE
/* The tokens of net.l with the ends of statements among them: lines.c. */
int net_lex(NET_STYPE *value, Span *span, NetParser *parser);
}
%code {
static void net_error(Span *span, NetParser *parser, const char *message);
}

%token END 0 "end of file"
%token LINE "end of line"
%token <const char *> NAME "a name"
%token <int64_t> INT "an integer"
%token <double> FLOAT "a number"
%token <Expr *> SHAPE "a shape"
%token STRING_OPEN "a string" STRING_CLOSE "the end of the string" PIECE_OPEN "`{`" PIECE_CLOSE "`}`"
%token <const char *> TEXT "text"
%token IMPORT "import" NETWORK "network" BLOCK "block" TRAIN "train" FOR "for" IN "in" IF "if" ELSE "else"
%token AND "and" OR "or" NOT "not" TRUE "true" FALSE "false" NONE "none"
%token WEIGHTS "weights" FREEZE "freeze" UNFREEZE "unfreeze" FROM "from" BY "by" UP "up" TO "to"
%token ALL "all" BUT "but" REQUIRE "require" PHASE "phase"
%token ARROW "->" RANGE ".." EQUAL "==" NOT_EQUAL "!=" AT_MOST "<=" AT_LEAST ">=" INT_DIV "//" POWER "**"

/* Loosest first. */
%right IF ELSE
%left OR
%left AND
%precedence NOT
%nonassoc EQUAL NOT_EQUAL '<' '>' AT_MOST AT_LEAST
%left '+' '-'
%left '*' '/' INT_DIV '%'
%precedence NEGATION
%right POWER

%type <Decl *> decl
%type <DeclList> decls
%type <Stmt *> stmt if_stmt train_stmt either_stmt
%type <StmtList> stmts body else_part train_stmts train_body
%type <ArgList> parameters parameter_list arguments argument_list
%type <ArgExpr *> parameter argument
%type <Expr *> pipe expr postfix primary string piece range subscript optional selector selected item opt_pipe opt_string
%type <ExprList> pieces choices more_items map_items selectors items
%%
file: decls { parser->decls = $1; }
;
decls: decl             { $$ = decl_list((DeclList){0}, $1); }
| decls LINE decl { $$ = decl_list($1, $3); }
| decls ';' decl  { $$ = decl_list($1, $3); }
;
/* ---- the file ---- */

decl: %empty { $$ = NULL; }
| IMPORT string {
    $$ = parser_decl(parser, DECL_IMPORT, NULL, @2, @$);
    $$->value = $2;
  }
| NETWORK NAME parameters body {
    $$ = parser_decl(parser, DECL_NETWORK, $2, @2, @$);
    $$->parameters = $3.first;
    $$->body = $4.first;
  }
| BLOCK NAME parameters body {
    $$ = parser_decl(parser, DECL_BLOCK, $2, @2, @$);
    $$->parameters = $3.first;
    $$->body = $4.first;
  }
| TRAIN train_body {
    $$ = parser_decl(parser, DECL_TRAIN, NULL, @1, @$);
    $$->body = $2.first;
  }
| TRAIN NAME train_body {
    $$ = parser_decl(parser, DECL_TRAIN, $2, @2, @$);
    $$->body = $3.first;
  }
| NAME '=' pipe {
    $$ = parser_decl(parser, DECL_BIND, $1, @1, @$);
    $$->value = $3;
  }
| error {
    yyerrok;
    $$ = NULL;
  }
| error body {
    yyerrok;
    $$ = NULL;
  }
;
parameters: %empty        { $$ = (ArgList){0}; }
| '(' ')'                 { $$ = (ArgList){0}; }
| '(' parameter_list ')'  { $$ = $2; }
| '(' parameter_list ',' ')' { $$ = $2; }
;
parameter_list: parameter      { $$ = arg_list((ArgList){0}, $1); }
| parameter_list ',' parameter { $$ = arg_list($1, $3); }
;
parameter: NAME  { $$ = parser_argument(parser, $1, @1, NULL, @$); }
| NAME '=' expr  { $$ = parser_argument(parser, $1, @1, $3, @$); }
| NAME '=' expr choices {
    $$ = parser_argument(parser, $1, @1, $3, @$);
    Expr *first = arena_new(parser->arena, Expr);
    *first = *$3;
    first->next = $4.first;
    $$->choices = first;
  }
;
choices: '|' expr  { $$ = expr_list((ExprList){0}, $2); }
| choices '|' expr { $$ = expr_list($1, $3); }
;

/* ---- statements of networks and blocks ---- */

body: '{' stmts '}' { $$ = $2; }
;
stmts: stmt             { $$ = stmt_list((StmtList){0}, $1); }
| stmts LINE stmt { $$ = stmt_list($1, $3); }
| stmts ';' stmt  { $$ = stmt_list($1, $3); }
;
stmt: %empty { $$ = NULL; }
| pipe {
    $$ = parser_stmt(parser, STMT_EXPR, @$);
    $$->value = $1;
  }
| NAME '=' pipe {
    $$ = parser_stmt(parser, STMT_BIND, @$);
    $$->name = $1;
    $$->name_span = @1;
    $$->value = $3;
  }
| postfix '.' NAME '=' pipe {
    parser_field_is_set(parser, $1, $3, @$);
    $$ = parser_stmt(parser, STMT_ERROR, @$);
  }
| FOR NAME IN range body {
    $$ = parser_stmt(parser, STMT_FOR, @$);
    $$->name = $2;
    $$->name_span = @2;
    $$->value = $4;
    $$->body = $5.first;
  }
| if_stmt
| REQUIRE pipe ',' pipe {
    $$ = parser_stmt(parser, STMT_REQUIRE, @$);
    $$->value = $2;
    $$->source = $4;
  }
| either_stmt
| error { /* up to the end of its line; what follows is a fresh start, its errors are its own */
    yyerrok;
    $$ = parser_stmt(parser, STMT_ERROR, @$);
  }
;
if_stmt: IF expr body else_part {
    $$ = parser_stmt(parser, STMT_IF, @$);
    $$->value = $2;
    $$->body = $3.first;
    $$->otherwise = $4.first;
  }
;
else_part: %empty { $$ = (StmtList){0}; }
| ELSE body       { $$ = $2; }
| ELSE if_stmt    { $$ = stmt_list((StmtList){0}, $2); }
;
range: expr       { $$ = $1; }
| expr RANGE expr { $$ = parser_node(parser, EXPR_RANGE, $1, $3, NULL, @$); }
;
/* What may stand in a network and in a train section. */
either_stmt: WEIGHTS opt_pipe FROM expr {
    $$ = parser_stmt(parser, STMT_WEIGHTS, @$);
    $$->value = $2;
    $$->source = $4;
  }
| WEIGHTS opt_pipe FROM expr BY NAME {
    $$ = parser_stmt(parser, STMT_WEIGHTS, @$);
    $$->value = $2;
    $$->source = $4;
    $$->name = $6;
    $$->name_span = @6;
  }
| FREEZE selectors {
    $$ = parser_stmt(parser, STMT_FREEZE, @$);
    $$->items = $2.first;
  }
| UNFREEZE selectors {
    $$ = parser_stmt(parser, STMT_UNFREEZE, @$);
    $$->items = $2.first;
  }
;
opt_pipe: %empty { $$ = NULL; }
| pipe
;
selectors: selector      { $$ = expr_list((ExprList){0}, $1); }
| selectors ',' selector { $$ = expr_list($1, $3); }
;
selector: selected
| selected BUT selected { $$ = parser_node(parser, EXPR_BUT, $1, $3, NULL, @$); }
;
selected: expr
| ALL { $$ = parser_node(parser, EXPR_ALL, NULL, NULL, NULL, @$); }
;

/* ---- the train section: a word, then its values ---- */

train_body: '{' train_stmts '}' { $$ = $2; }
;
train_stmts: train_stmt             { $$ = stmt_list((StmtList){0}, $1); }
| train_stmts LINE train_stmt { $$ = stmt_list($1, $3); }
| train_stmts ';' train_stmt  { $$ = stmt_list($1, $3); }
;
train_stmt: %empty { $$ = NULL; }
| NAME items {
    $$ = parser_stmt(parser, STMT_SETTING, @$);
    $$->name = $1;
    $$->name_span = @1;
    $$->items = $2.first;
  }
| NAME '(' arguments ')' {
    $$ = parser_stmt(parser, STMT_EXPR, @$);
    $$->value = parser_call(parser, $1, @1, $3, @$);
  }
| PHASE opt_string train_body {
    $$ = parser_stmt(parser, STMT_PHASE, @$);
    $$->value = $2;
    $$->body = $3.first;
  }
| either_stmt
| error {
    yyerrok;
    $$ = parser_stmt(parser, STMT_ERROR, @$);
  }
| error train_body {
    yyerrok;
    $$ = parser_stmt(parser, STMT_ERROR, @$);
  }
;
opt_string: %empty { $$ = NULL; }
| string
| NAME { $$ = parser_text(parser, EXPR_NAME, $1, @1); }
;
items: %empty    { $$ = (ExprList){0}; }
| more_items
;
more_items: item      { $$ = expr_list((ExprList){0}, $1); }
| more_items item     { $$ = expr_list($1, $2); }
| more_items ',' item { $$ = expr_list($1, $3); }
;
item: NAME               { $$ = parser_text(parser, EXPR_NAME, $1, @1); }
| NAME '(' arguments ')' { $$ = parser_call(parser, $1, @1, $3, @$); }
| INT                    { $$ = parser_int(parser, $1, @1); }
| '-' INT                { $$ = parser_int(parser, $2 == INT64_MIN ? $2 : -$2, @$); }
| FLOAT                  { $$ = parser_float(parser, $1, @1); }
| '-' FLOAT              { $$ = parser_float(parser, -$2, @$); }
| TRUE {
    $$ = parser_node(parser, EXPR_BOOL, NULL, NULL, NULL, @1);
    $$->integer = 1;
  }
| FALSE              { $$ = parser_node(parser, EXPR_BOOL, NULL, NULL, NULL, @1); }
| NONE               { $$ = parser_node(parser, EXPR_NONE, NULL, NULL, NULL, @1); }
| string
| '[' list_items ']' { $$ = parser_sequence(parser, EXPR_LIST, $2, @$); }
| '{' map_items opt_comma '}' { $$ = parser_sequence(parser, EXPR_MAP, $2, @$); }
;

/* ---- expressions ---- */

pipe: expr
| pipe ARROW expr { $$ = parser_node(parser, EXPR_ARROW, $1, $3, NULL, @$); }
| pipe UP TO expr { $$ = parser_node(parser, EXPR_UPTO, $1, $4, NULL, @$); }
;
expr: postfix
| expr IF expr ELSE expr { $$ = parser_node(parser, EXPR_CHOOSE, $1, $3, $5, @$); }
| expr OR expr        { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_OR, $1, $3, @$); }
| expr AND expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_AND, $1, $3, @$); }
| NOT expr            { $$ = parser_operation(parser, EXPR_UNARY, OPERATOR_NOT, $2, NULL, @$); }
| expr EQUAL expr     { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_EQ, $1, $3, @$); }
| expr NOT_EQUAL expr { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_NE, $1, $3, @$); }
| expr '<' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_LT, $1, $3, @$); }
| expr '>' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_GT, $1, $3, @$); }
| expr AT_MOST expr   { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_LE, $1, $3, @$); }
| expr AT_LEAST expr  { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_GE, $1, $3, @$); }
| expr '+' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_ADD, $1, $3, @$); }
| expr '-' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_SUB, $1, $3, @$); }
| expr '*' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_MUL, $1, $3, @$); }
| expr '/' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_DIV, $1, $3, @$); }
| expr INT_DIV expr   { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_INT_DIV, $1, $3, @$); }
| expr '%' expr       { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_MOD, $1, $3, @$); }
| expr POWER expr     { $$ = parser_operation(parser, EXPR_BINARY, OPERATOR_POWER, $1, $3, @$); }
| '-' expr %prec NEGATION { $$ = parser_operation(parser, EXPR_UNARY, OPERATOR_SUB, $2, NULL, @$); }
;
postfix: primary
| postfix '[' subscript ']' {
    $$ = parser_node(parser, $3->kind == EXPR_SLICE ? EXPR_SLICE : EXPR_INDEX, $1, $3->kind == EXPR_SLICE ? $3->b : $3,
                     $3->kind == EXPR_SLICE ? $3->c : NULL, @$);
    if ($3->kind == EXPR_SLICE)
      $$->step = $3->step;
  }
| postfix '.' NAME {
    $$ = parser_node(parser, EXPR_FIELD, $1, NULL, NULL, @$);
    $$->text = $3;
    $$->name_span = @3;
  }
;
subscript: range
| optional ':' optional { $$ = parser_node(parser, EXPR_SLICE, NULL, $1, $3, @$); }
| optional ':' optional ':' optional {
    $$ = parser_node(parser, EXPR_SLICE, NULL, $1, $3, @$);
    $$->step = $5;
  }
;
optional: %empty { $$ = NULL; }
| expr
;
%type <ExprList> list_items;
primary: NAME            { $$ = parser_text(parser, EXPR_NAME, $1, @1); }
| IN                     { $$ = parser_node(parser, EXPR_IN, NULL, NULL, NULL, @1); }
| NAME '(' arguments ')' { $$ = parser_call(parser, $1, @1, $3, @$); }
| INT                    { $$ = parser_int(parser, $1, @1); }
| FLOAT                  { $$ = parser_float(parser, $1, @1); }
| SHAPE
| TRUE {
    $$ = parser_node(parser, EXPR_BOOL, NULL, NULL, NULL, @1);
    $$->integer = 1;
  }
| FALSE        { $$ = parser_node(parser, EXPR_BOOL, NULL, NULL, NULL, @1); }
| NONE         { $$ = parser_node(parser, EXPR_NONE, NULL, NULL, NULL, @1); }
| string
| '(' pipe ')' { $$ = $2; }
| '(' pipe ',' ')' { $$ = parser_sequence(parser, EXPR_TUPLE, expr_list((ExprList){0}, $2), @$); }
| '(' pipe ',' tuple_rest opt_comma ')' {
    ExprList items = expr_list((ExprList){0}, $2);
    items.last->next = $4.first;
    items.last = $4.last;
    $$ = parser_sequence(parser, EXPR_TUPLE, items, @$);
  }
| '[' list_items ']' { $$ = parser_sequence(parser, EXPR_LIST, $2, @$); }
| '{' map_items opt_comma '}' { $$ = parser_sequence(parser, EXPR_MAP, $2, @$); }
;
%type <ExprList> tuple_rest;
tuple_rest: pipe      { $$ = expr_list((ExprList){0}, $1); }
| tuple_rest ',' pipe { $$ = expr_list($1, $3); }
;
list_items: %empty     { $$ = (ExprList){0}; }
| tuple_rest opt_comma { $$ = $1; }
;
map_items: expr ':' pipe        { $$ = expr_list(expr_list((ExprList){0}, $1), $3); }
| map_items ',' expr ':' pipe   { $$ = expr_list(expr_list($1, $3), $5); }
;
opt_comma: %empty | ','
;
arguments: %empty         { $$ = (ArgList){0}; }
| argument_list opt_comma { $$ = $1; }
;
argument_list: argument      { $$ = arg_list((ArgList){0}, $1); }
| argument_list ',' argument { $$ = arg_list($1, $3); }
;
argument: pipe   { $$ = parser_argument(parser, NULL, @1, $1, @$); }
| NAME '=' pipe  { $$ = parser_argument(parser, $1, @1, $3, @$); }
| WEIGHTS '=' pipe { $$ = parser_argument(parser, "weights", @1, $3, @$); } /* Keras's; who is called says more */
;
string: STRING_OPEN pieces STRING_CLOSE { $$ = parser_sequence(parser, EXPR_STRING, $2, @$); }
;
pieces: %empty { $$ = (ExprList){0}; }
| pieces piece { $$ = expr_list($1, $2); }
;
piece: TEXT                   { $$ = parser_text(parser, EXPR_TEXT, $1, @1); }
| PIECE_OPEN pipe PIECE_CLOSE { $$ = $2; }
;
%%
#include <string.h>

/* ---- messages ---- */

static void net_error(Span *span, NetParser *parser, const char *message) {
  if (strstr(message, "memory"))
    diag_error(parser->diag, *span, "nested too deeply");
  else
    diag_error(parser->diag, *span, "%s", message);
}

/* Names of kinds of tokens stand as they are, words and signs in backticks. */
static const char *token_text(NetParser *parser, yysymbol_kind_t symbol) {
  const char *name = yysymbol_name(symbol);
  if (!strncmp(name, "a ", 2) || !strncmp(name, "an ", 3) || !strncmp(name, "the ", 4) || !strncmp(name, "end of", 6) ||
      *name == '`' || !strcmp(name, "text"))
    return name;
  if (*name == '\'')
    return arena_printf(parser->arena, "`%.*s`", (int)strlen(name) - 2, name + 1);
  return arena_printf(parser->arena, "`%s`", name);
}

static bool among(const yysymbol_kind_t *symbols, int count, yysymbol_kind_t wanted) {
  for (int i = 0; i < count; i++)
    if (symbols[i] == wanted)
      return true;
  return false;
}

/* Of many possible tokens, operators are the ones that nobody missed. */
static int without_operators(yysymbol_kind_t *expected, int count) {
  int kept = 0;
  for (int i = 0; i < count; i++)
    if (expected[i] == YYSYMBOL_LINE || (*yysymbol_name(expected[i]) == '\'' && strchr(",)]}:", yysymbol_name(expected[i])[1])))
      expected[kept++] = expected[i];
  return kept;
}

static const char *expected_text(NetParser *parser, const yysymbol_kind_t *expected, int count) {
  /* Where an expression may begin, say so in one word. */
  if (among(expected, count, YYSYMBOL_FLOAT) && among(expected, count, YYSYMBOL_STRING_OPEN))
    return "a value";
  const char *text = "";
  for (int i = 0; i < count; i++)
    text = arena_printf(parser->arena, "%s%s%s", text, !i ? "" : i == count - 1 ? " or " : ", ",
                        token_text(parser, expected[i]));
  return text;
}

static int yyreport_syntax_error(const yypcontext_t *context, NetParser *parser) {
  enum { FEW = 6 };
  yysymbol_kind_t expected[YYNTOKENS];
  int count = yypcontext_expected_tokens(context, expected, YYNTOKENS);
  yysymbol_kind_t token = yypcontext_token(context);
  Span span = *yypcontext_location(context);
  if (parser->stopped)
    return 0; /* was said where reading stopped */
  const char *seen = token == YYSYMBOL_YYEMPTY ? "nothing" : token_text(parser, token);
  bool literal = span.end > span.begin && token != YYSYMBOL_LINE && token != YYSYMBOL_STRING_OPEN &&
                 token != YYSYMBOL_PIECE_OPEN && token != YYSYMBOL_PIECE_CLOSE;
  if (literal)
    seen = arena_printf(parser->arena, "`%.*s`", span.end - span.begin > 40 ? 40 : span.end - span.begin,
                        span.source->text + span.begin);
  if (count > FEW && !among(expected, count, YYSYMBOL_FLOAT))
    count = without_operators(expected, count);
  const char *wanted = expected_text(parser, expected, count);
  if ((count > 0 && count <= FEW) || !strcmp(wanted, "a value"))
    diag_error(parser->diag, span, "expected %s, got %s", wanted, seen);
  else
    diag_error(parser->diag, span, "unexpected %s", seen);
  /* The end, or what stands outside of all braces, inside of some: say which were left open. */
  bool outer_word = token == YYSYMBOL_YYEOF || token == YYSYMBOL_NETWORK || token == YYSYMBOL_BLOCK ||
                    token == YYSYMBOL_TRAIN || token == YYSYMBOL_IMPORT;
  if (outer_word && parser->open_count)
    diag_note(parser->diag, parser->open_at[parser->open_count - 1], "this `%c` is not closed",
              parser->open[parser->open_count - 1] == '"' ? '{' : parser->open[parser->open_count - 1]);
  if (parser->last == '(') { /* as Keras calls them */
    Span called = parser->before_span;
    if (parser->before == NAME && called.begin > 0 && called.source->text[called.begin - 1] == '.')
      diag_help(parser->diag, "nothing has methods: layers stand one below the other, as `conv2d(32, 3x3)`");
    else if (parser->before == ')')
      diag_help(parser->diag, "an arrow gives a layer its input, as `x -> dense(3)`");
  }
  if (parser->before != NAME || (token != YYSYMBOL_NAME && token != YYSYMBOL_STRING_OPEN))
    return 0;
  static const char *const outer[] = {"import", "network", "block", "train"};
  static const char *const inner[] = {"weights", "freeze", "unfreeze", "require", "for", "if"};
  Span before = parser->before_span;
  const char *word = arena_strndup(parser->arena, before.source->text + before.begin, (size_t)(before.end - before.begin));
  const char *near = parser->open_count ? diag_nearest(word, inner, 6) : diag_nearest(word, outer, 4);
  if (near)
    diag_help(parser->diag, "did you mean `%s`?", near);
  return 0;
}
