/* Between scanner and parser: a line ends a statement where a statement can end. */
#include "net.tab.h"

/* The scanner that flex makes of net.l. */
int net_scan_lex(NET_STYPE *value, Span *span, void *scanner);

static bool can_end(int token) {
  switch (token) {
  case NAME:
  case INT:
  case FLOAT:
  case SHAPE:
  case STRING_CLOSE:
  case IN:
  case TRUE:
  case FALSE:
  case NONE:
  case ALL:
  case ')':
  case ']':
  case '}':
    return true;
  default:
    return false;
  }
}

/* A token that goes on with the statement of the line before. */
static bool goes_on(int token) {
  switch (token) {
  case ARROW:
  case RANGE:
  case AND:
  case OR:
  case ELSE:
  case BUT:
  case UP:
  case EQUAL:
  case NOT_EQUAL:
  case AT_MOST:
  case AT_LEAST:
  case INT_DIV:
  case POWER:
  case '+':
  case '*':
  case '/':
  case '%':
  case '<':
  case '>':
  case '|':
  case '.':
  case ',':
  case ')':
  case ']':
  case '{':
  case '}':
  case ';':
  case END:
    return true;
  default:
    return false;
  }
}

/* Words that only begin a statement: an open bracket before them was forgotten. */
static bool only_begins(int token) {
  switch (token) {
  case IMPORT:
  case NETWORK:
  case BLOCK:
  case TRAIN:
  case FOR:
  case WEIGHTS:
  case FREEZE:
  case UNFREEZE:
  case REQUIRE:
  case PHASE:
    return true;
  default:
    return false;
  }
}

/* Begins a statement, or goes on with an expression inside brackets. */
static bool may_go_on(int token) {
  return token == '-' || token == '(' || token == '[' || token == IF;
}

int net_lex(NET_STYPE *value, Span *span, NetParser *parser) {
  int token;
  parser->before = parser->last;
  parser->before_span = parser->last_span;
  if (parser->has_held) { /* its value still stands in *value: an end of line has none */
    parser->has_held = false;
    token = parser->held;
    *span = parser->held_span;
  } else {
    parser->newline = false;
    token = net_scan_lex(value, span, parser->scanner);
    int open = parser->open_count - (token == '(' || token == '['); /* as it was before this token */
    bool lines_count = !open || parser->open[open - 1] == '{';
    bool ends = parser->newline && can_end(parser->last) && !goes_on(token);
    /* Inside brackets a value and then another on the next line is never right: a bracket was left open.
     * Words that only begin a statement say the same. */
    bool argument =
        token == WEIGHTS && (parser->last == '(' || parser->last == ','); /* Keras's, on a line of its own */
    if (parser->newline && !lines_count && !argument && (only_begins(token) || (ends && !may_go_on(token)))) {
      while (parser->open_count && parser->open[parser->open_count - 1] != '{')
        parser->open_count--;
      lines_count = ends = true;
    }
    if (ends && lines_count) {
      parser->has_held = true;
      parser->held = token;
      parser->held_span = *span;
      *span = parser_span(parser, parser->last_span.end, parser->last_span.end);
      token = LINE;
    }
  }
  parser->last = token;
  if (token != LINE)
    parser->last_span = *span;
  return token;
}
