/* Colours of a terminal. */
#ifndef PLENS_HARNESS_TERMINAL_H
#define PLENS_HARNESS_TERMINAL_H

#include <stdio.h>

#include "tests/harness/palette.h"

typedef enum terminal_colours {
    TERMINAL_PLAIN = 0,
    TERMINAL_256 = 1, /* xterm's 256 colours */
    TERMINAL_TRUE = 2 /* 24 bits */
} terminal_colours;

/* What there is behind a file: nothing for pipes and files, "dumb" terminals and where the variable
 * NO_COLOR is set (no-color.org). */
terminal_colours terminal_has(FILE *file);

/* What there is if the file were a terminal. */
terminal_colours terminal_could(void);

/* The parameters of the control sequence that sets a background and a readable ink on it
 * (ECMA-48, 8.3.117: "48;5;17;38;5;231"). */
void terminal_paint(char parameters[40], terminal_colours colours, colour background);

#endif
