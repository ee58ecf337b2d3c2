#include "tests/harness/palette.h"

#include <math.h>

const option_choice palette_choices[] = {{"blue-red", PALETTE_BLUE_RED},
                                         {"blue-yellow", PALETTE_BLUE_YELLOW},
                                         {"grey", PALETTE_GREY},
                                         {NULL, 0}};

enum { N_STOPS = 9 }; /* evenly spread over 0..1, with straight lines between them */

static const colour stops[N_PALETTES][N_STOPS] = {
    {{0x31, 0x56, 0xA3},
     {0x55, 0x80, 0xC4},
     {0x82, 0xA8, 0xDB},
     {0xB7, 0xCE, 0xE9},
     {0xEE, 0xEB, 0xE8},
     {0xF4, 0xC6, 0xAF},
     {0xEC, 0x98, 0x7C},
     {0xD6, 0x5F, 0x50},
     {0xB0, 0x1F, 0x2E}},
    {{0x0B, 0x2A, 0x5E},
     {0x2B, 0x40, 0x6F},
     {0x4A, 0x57, 0x76},
     {0x65, 0x6D, 0x7C},
     {0x80, 0x84, 0x7F},
     {0x9E, 0x9B, 0x79},
     {0xBE, 0xB4, 0x6B},
     {0xDE, 0xCD, 0x55},
     {0xFE, 0xE7, 0x38}},
    {{0xFA, 0xFA, 0xFA},
     {0xE4, 0xE4, 0xE4},
     {0xCD, 0xCD, 0xCD},
     {0xB4, 0xB4, 0xB4},
     {0x9A, 0x9A, 0x9A},
     {0x80, 0x80, 0x80},
     {0x64, 0x64, 0x64},
     {0x47, 0x47, 0x47},
     {0x28, 0x28, 0x28}},
};

int palette_step(double probability) {
    const int last = PALETTE_STEPS - 1;
    double step = probability * last + 0.5;
    return step < 0 ? 0 : step > last ? last : (int)step;
}

static unsigned char between(unsigned char from, unsigned char to, double share) {
    return (unsigned char)(from + (to - from) * share + 0.5);
}

colour palette_colour(palette p, int step) {
    double at = (double)step * (N_STOPS - 1) / (PALETTE_STEPS - 1);
    int stop = at < N_STOPS - 1 ? (int)at : N_STOPS - 2;
    const colour *from = &stops[p][stop], *to = from + 1;
    double share = at - stop;
    const colour mixed = {between(from->red, to->red, share),
                          between(from->green, to->green, share),
                          between(from->blue, to->blue, share)};
    return mixed;
}

/* A channel of sRGB as light. */
static double light(unsigned char channel) {
    double value = channel / 255.0;
    return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4);
}

colour palette_ink(colour background) {
    static const colour black = {0, 0, 0}, white = {0xFF, 0xFF, 0xFF};
    double luminance = 0.2126 * light(background.red) + 0.7152 * light(background.green) +
                       0.0722 * light(background.blue);
    /* contrast is (brighter + 0.05) / (darker + 0.05) */
    return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? black : white;
}
