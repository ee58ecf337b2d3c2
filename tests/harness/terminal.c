#include "tests/harness/terminal.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/system.h"

terminal_colours terminal_could(void) {
    const char *depth = getenv("COLORTERM");
    int is_true = depth != NULL && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0);
    return is_true ? TERMINAL_TRUE : TERMINAL_256;
}

terminal_colours terminal_has(FILE *file) {
    const char *off = getenv("NO_COLOR"), *term = getenv("TERM");
    if (!system_is_terminal(file) || (off != NULL && *off != '\0') || term == NULL ||
        *term == '\0' || strcmp(term, "dumb") == 0)
        return TERMINAL_PLAIN;
    return terminal_could();
}

/* xterm's colours 16 to 231 are a cube, six levels on a side. */
static const unsigned char levels[6] = {0, 95, 135, 175, 215, 255};

static int nearest_level(unsigned char channel) {
    int best = 0;
    for (int i = 1; i < 6; i++) {
        if (abs(channel - levels[i]) < abs(channel - levels[best]))
            best = i;
    }
    return best;
}

void terminal_paint(char parameters[40], terminal_colours colours, colour background) {
    if (colours == TERMINAL_TRUE) {
        int ink = palette_ink(background).red;
        sprintf(parameters, "48;2;%d;%d;%d;38;2;%d;%d;%d", background.red, background.green,
                background.blue, ink, ink, ink);
        return;
    }
    int red = nearest_level(background.red), green = nearest_level(background.green),
        blue = nearest_level(background.blue);
    const colour shown = {levels[red], levels[green], levels[blue]};
    sprintf(parameters, "48;5;%d;38;5;%d", 16 + 36 * red + 6 * green + blue,
            palette_ink(shown).red == 0 ? 16 : 231);
}
