#include "tests/harness/fill.h"

#include <string.h>

#include "tests/harness/message.h"

char *fill_blanks(const char *template, const blank *blanks, size_t n_blanks) {
    char *text = allocate(1, 1);
    for (size_t length = 0; *template != '\0';) {
        const char *value = template;
        size_t n_value = 1, n_name = 1;
        for (size_t i = 0; i < n_blanks; i++) {
            if (strncmp(template, blanks[i].name, strlen(blanks[i].name)) == 0) {
                value = blanks[i].value;
                n_value = strlen(value);
                n_name = strlen(blanks[i].name);
            }
        }
        text = reallocate(text, length + n_value + 1, 1);
        memcpy(text + length, value, n_value);
        length += n_value;
        text[length] = '\0';
        template += n_name;
    }
    return text;
}
