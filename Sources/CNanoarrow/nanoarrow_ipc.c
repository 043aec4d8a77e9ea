// nanoarrow's messages. The encoder looks for dictionaries with functions of the decoder's file, and that one decompresses.
#include <nanoarrow/ipc/codecs.c>
#include <nanoarrow/ipc/decoder.c>
#include <nanoarrow/ipc/encoder.c>
