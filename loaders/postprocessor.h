/* The "post_processor" of tokenizer.json, for one text: which ids stand before and after its own.
 * TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (moves offsets only), Sequence.
 */
#ifndef PLENS_LOADERS_POSTPROCESSOR_H
#define PLENS_LOADERS_POSTPROCESSOR_H

#include "loaders/component.h"
#include "loaders/token_table.h"

#define PLENS__TEMPLATE_TEXT (-1) /* where the text's own ids go */

typedef struct plens__postprocessor {
    int32_t *template_ids; /* [n_template] */
    size_t n_template;
} plens__postprocessor;

/* json may be NULL or null: nothing is added. Its ids must have tokens. */
plens_status plens__postprocessor_read(const plens__part *part, const plens__json *json,
                                       const plens__token_table *tokens,
                                       plens__postprocessor *postprocessor);

/* Appends the ids (int32_t) of a text whose own are ids [n]; special 0 leaves out all others. 0 if
 * there is no memory. */
int plens__postprocessor_apply(const plens__postprocessor *postprocessor, const int32_t *ids,
                               size_t n, int special, plens__buffer *out);

#endif
