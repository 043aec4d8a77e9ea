#include "clineedit.h"
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Ctrl-Z: with the terminal's own signals off, which Ctrl-C needs, the program stops itself. */
static unsigned char stop(EditLine *editor, int key) {
    (void)key;
    clineedit_suspend(editor);
    kill(0, SIGTSTP);
    el_set(editor, EL_PREP_TERM, 1);
    return CC_REDISPLAY;
}

EditLine *clineedit_open(const char *program, History *list, void *context, char *(*prompt)(EditLine *)) {
    /* Letters beyond ASCII take several bytes, whatever the environment says. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    EditLine *editor = el_init(program, stdin, stdout, stderr);
    if (!editor) return NULL;
    el_set(editor, EL_CLIENTDATA, context);
    el_set(editor, EL_PROMPT, prompt);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, list);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    /* Ctrl-C is a key of the line; while something runs it is a signal. */
    el_set(editor, EL_SETTY, "-d", "-isig", NULL);
    clineedit_bind(editor, "^Z", "silo-stop", stop);
    return editor;
}

void *clineedit_context(EditLine *editor) {
    void *context = NULL;
    el_get(editor, EL_CLIENTDATA, &context);
    return context;
}

void clineedit_bind(EditLine *editor, const char *keys, const char *name, clineedit_key body) {
    el_set(editor, EL_ADDFN, name, name, body);
    el_set(editor, EL_BIND, keys, name, NULL);
}

void clineedit_prepare(EditLine *editor) { el_set(editor, EL_PREP_TERM, 1); }

void clineedit_suspend(EditLine *editor) { el_set(editor, EL_PREP_TERM, 0); }

History *clineedit_history(int max) {
    History *list = history_init();
    HistEvent event;
    if (!list) return NULL;
    history(list, &event, H_SETSIZE, max);
    history(list, &event, H_SETUNIQUE, 1);
    return list;
}

void clineedit_remember(History *list, const char *line) {
    HistEvent event;
    history(list, &event, H_ENTER, line);
}
