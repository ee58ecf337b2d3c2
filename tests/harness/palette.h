/* Colours for probabilities, from 0 to 1 whatever the data. */
#ifndef PLENS_HARNESS_PALETTE_H
#define PLENS_HARNESS_PALETTE_H

#include "tests/harness/options.h"

typedef enum palette {
    PALETTE_BLUE_RED = 0,    /* blue is low, red is high, as in the paper's figures */
    PALETTE_BLUE_YELLOW = 1, /* its lightness rises all the way: for colour-blind eyes */
    PALETTE_GREY = 2,        /* dark is high: for printers without colour */
    N_PALETTES = 3
} palette;

/* Colours that are told apart; a probability has the colour of its whole percent. */
enum { PALETTE_STEPS = 101 };

typedef struct colour {
    unsigned char red, green, blue;
} colour;

extern const option_choice palette_choices[]; /* their names, in their order */

/* The step of a probability, 0 to PALETTE_STEPS - 1. */
int palette_step(double probability);

colour palette_colour(palette p, int step);

/* Black or white, whichever is easier to read on it: their contrast is at least 4.5 on every
 * colour there is (Web Content Accessibility Guidelines 2.1, 1.4.3). */
colour palette_ink(colour background);

#endif
