// What nanoarrow writes the heads of messages with.
#include <flatcc/runtime/builder.c>
#include <flatcc/runtime/emitter.c>
#include <flatcc/runtime/refmap.c>
#include <flatcc/runtime/verifier.c>
