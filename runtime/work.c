#include "runtime/work.h"
#include "runtime/plan.h"

/* How often a part unembeds early layers. */
static size_t unembeddings(const plens__pass *pass) {
    size_t n_early = plens__lens_early(pass->options->lens, &pass->model->config);
    return pass->held == 0 ? n_early > 0 : (n_early + pass->held - 1) / pass->held;
}

uint64_t plens__part_reads(const plens__pass *pass, const plens__batch_size *size) {
    const plens__tensor *embed = pass->model->layout.embed;
    const plens_lens *lens = pass->options->lens;
    size_t n_layers = pass->model->config.n_layers, from, to;
    uint64_t unembed = pass->model->layout.unembed->n_bytes;
    uint64_t rows = embed->n_bytes / embed->shape[0] * size->n_rows;
    uint64_t bytes = plens__weights_block_bytes(pass->model) + rows;
    if (pass->held > 0) {
        plens__layer_range(lens->first_layer, lens->last_layer, n_layers, &from, &to);
        to = to < n_layers ? to : n_layers - 1;
        bytes += plens__weights_block_bytes(pass->model) / n_layers * to + rows;
    }
    bytes += lens != NULL ? (1 + unembeddings(pass)) * unembed : 0;
    return bytes + (plens__pass_wants(pass->options, PLENS_LOGITS, 0) ? unembed : 0);
}

size_t plens__window(const plens__config *config) {
    size_t window = 0;
    for (size_t l = 0; l < config->n_layers; l++)
        window = config->windows[l] > window ? config->windows[l] : window;
    return window;
}

double plens__kv_work(const plens__config *config) {
    return 2 * (double)config->d_model * (double)config->n_kv_heads * (double)config->head_dim;
}

double plens__rest_work(const plens__config *config) {
    double d = (double)config->d_model, head = (double)config->head_dim;
    return 2 * d * (double)config->n_heads * head + 3 * d * (double)config->d_ff;
}

double plens__pairs_work(const plens__config *config, size_t n_pairs) {
    return 2 * (double)n_pairs * (double)config->n_heads * (double)config->head_dim;
}

static const plens__pairs *pairs_of(const plens__config *config, const plens__batch_size *size,
                                    size_t layer) {
    return config->windows[layer - 1] > 0 ? &size->windowed : &size->full;
}

/* Blocks [1, last] with all rows. */
static double blocks_work(const plens__pass *pass, const plens__batch_size *size, size_t last) {
    const plens__config *config = &pass->model->config;
    double work = 0;
    for (size_t layer = 1; layer <= last; layer++) {
        work += (double)size->n_rows * (plens__kv_work(config) + plens__rest_work(config));
        work += plens__pairs_work(config, pairs_of(config, size, layer)->all);
    }
    return work;
}

/* The last block, whose rows nobody looks at are not finished. */
static double last_block_work(const plens__pass *pass, const plens__batch_size *size,
                              double finished, int all) {
    const plens__config *config = &pass->model->config;
    const plens__pairs *pairs = pairs_of(config, size, config->n_layers);
    return (double)size->n_rows * plens__kv_work(config) + finished * plens__rest_work(config) +
           plens__pairs_work(config, all ? pairs->all : pairs->ends);
}

/* All of the lens: the unembedding of its states and, where those of early layers come a few at a
 * time, the blocks once more. */
static double lens_work(const plens__pass *pass, const plens__batch_size *size) {
    const plens__config *config = &pass->model->config;
    const plens_lens *lens = pass->options->lens;
    double rows = (double)(lens->positions == PLENS_POSITIONS_ALL ? size->n_rows : size->n_ends);
    double sites = rows * (double)(plens__lens_early(lens, config) + 1);
    sites += lens->kl ? rows * (double)unembeddings(pass) : 0;
    double work = sites * (double)config->d_model * (double)config->vocab_size;
    if (pass->held == 0)
        return work;
    size_t from, to;
    plens__layer_range(lens->first_layer, lens->last_layer, config->n_layers, &from, &to);
    return work + blocks_work(pass, size, to < config->n_layers ? to : config->n_layers - 1);
}

double plens__part_work(const plens__pass *pass, const plens__batch_size *size) {
    const plens__config *config = &pass->model->config;
    int all = plens__plan_needs_all_rows(pass->options, config->n_layers);
    double rows = (double)size->n_rows, finished = all ? rows : (double)size->n_ends;
    double work =
        blocks_work(pass, size, config->n_layers - 1) + last_block_work(pass, size, finished, all);
    for (size_t layer = 1; layer <= config->n_layers; layer++)
        work += (layer < config->n_layers ? rows : finished) * plens__head_out_work(pass, layer);
    if (plens__pass_wants(pass->options, PLENS_LOGITS, 0))
        work += finished * (double)config->d_model * (double)config->vocab_size;
    return pass->options->lens != NULL ? work + lens_work(pass, size) : work;
}
