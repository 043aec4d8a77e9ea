#pragma once
#include <histedit.h>

/* libedit (https://man.netbsd.org/editline.3) by its own interface. What takes a variable number of arguments, which Swift cannot
   give, is called here; all else Swift calls itself. Nothing here may be called by two threads at once. */

/* What a key does: returns one of the CC_ codes. */
typedef unsigned char (*clineedit_key)(EditLine *, int);

/* Edits lines of the standard input, which must be a terminal, in Emacs's keys and with `list` beneath the arrows. NULL: there
   is no memory, or no such terminal. Ended by el_end(). */
EditLine *clineedit_open(const char *program, History *list, void *context, char *(*prompt)(EditLine *));

/* The context that was given. */
void *clineedit_context(EditLine *editor);

/* Lets `keys`, as editrc(5) writes them, run `body` under a name of its own. */
void clineedit_bind(EditLine *editor, const char *keys, const char *name, clineedit_key body);

/* The terminal as lines are edited at it: keys come one by one, and none is a signal. */
void clineedit_prepare(EditLine *editor);

/* The terminal as programs want it, until it is edited in again. */
void clineedit_suspend(EditLine *editor);

/* A history of at most `max` lines, of which none follows itself. Ended by history_end(). NULL: there is no memory. */
History *clineedit_history(int max);
void clineedit_remember(History *list, const char *line);
