#ifndef CTOML_H
#define CTOML_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Reads TOML 1.0 and tells all that is in it as JSON:
///
///     {"values": [{"path": ["server", "port"], "line": 1, "column": 8, "type": "integer", "text": "80"}, …],
///      "errors": [{"line": 2, "column": 1, "text": "…"}, …]}
///
/// Types are string, integer, float, boolean, array, table and date. An array has `items`, which are values without a path; a table
/// stands before what is in it. After an error its line is passed over, so that later ones are found as well, up to 20.
/// Errors never quote the text.
///
/// The text must be UTF-8 without NUL, and nested no deeper than the stack allows: the caller sees to it.
/// - Returns: text to be freed with `free`; NULL when there is no memory.
char *ctoml_json(const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
