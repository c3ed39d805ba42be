/*
 * A dynamic model's other sizes: models of their own, made when they are asked for, of which the
 * last few that were asked for are kept. The graph is compiled, or the file loaded, anew for each:
 * import may have made numbers of symbols, which are other numbers for another size.
 *
 * Nothing refers back: a size outlives the model it came from, if its user keeps it.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/runtime.h"

enum {
    DEFAULT_SIZES = 8
};

typedef struct hsi_size {
    hsched_symbol *symbols; /* sorted by name; the names are its own */
    uint32_t symbol_count;
    hsched_model *model; /* one reference */
    uint64_t asked;      /* the clock of `sizes` when it was asked for last */
} hsi_size;

struct hsi_sizes {
    char *path;                 /* of the file, or NULL */
    hsched_graph *graph;        /* the user's, where there is no file */
    hsched_model_config config; /* with strings and arrays of its own */
    char **taps;

    pthread_mutex_t mutex; /* guards the rest; held for no longer than a look */
    pthread_cond_t made;
    int making; /* a thread compiles a size */
    hsi_size *kept;
    uint32_t count;
    uint64_t clock;
};

/* ---- Sets of symbols ------------------------------------------------------ */

static void free_symbols(hsched_symbol *symbols, uint32_t count)
{
    for (uint32_t i = 0; symbols && i < count; i++)
        hsi_free((char *)symbols[i].name);
    hsi_free(symbols);
}

/* `base` with the values of `changed`, sorted by name. NULL: out of memory. */
static hsched_symbol *merge_symbols(const hsched_symbol *base, uint32_t base_count,
                                    const hsched_symbol *changed, uint32_t changed_count,
                                    uint32_t *count)
{
    hsched_symbol *merged =
        HSI_NEW_ARRAY(hsched_symbol, (size_t)base_count + changed_count + 1);
    *count = 0;
    for (uint32_t i = 0; merged && i < base_count + changed_count; i++) {
        const hsched_symbol *s = i < base_count ? &base[i] : &changed[i - base_count];
        uint32_t at = 0;
        int order = 1;
        while (at < *count && (order = strcmp(merged[at].name, s->name)) < 0)
            at++;
        if (at < *count && order == 0) {
            merged[at].value = s->value;
            continue;
        }
        char *name = hsi_strdup(s->name);
        if (!name) {
            free_symbols(merged, *count);
            return NULL;
        }
        memmove(&merged[at + 1], &merged[at], (*count - at) * sizeof *merged);
        merged[at] = (hsched_symbol){ name, s->value };
        ++*count;
    }
    return merged;
}

static int same_symbols(const hsched_symbol *a, uint32_t a_count, const hsched_symbol *b,
                        uint32_t b_count)
{
    if (a_count != b_count)
        return 0;
    for (uint32_t i = 0; i < a_count; i++)
        if (a[i].value != b[i].value || strcmp(a[i].name, b[i].name) != 0)
            return 0;
    return 1;
}

/* ---- Making and unmaking -------------------------------------------------- */

void hsi_sizes_destroy(hsi_sizes *sizes)
{
    if (!sizes)
        return;
    for (uint32_t i = 0; i < sizes->count; i++) {
        hsched_model_release(sizes->kept[i].model);
        free_symbols(sizes->kept[i].symbols, sizes->kept[i].symbol_count);
    }
    hsi_free(sizes->kept);
    pthread_cond_destroy(&sizes->made);
    pthread_mutex_destroy(&sizes->mutex);
    free_symbols((hsched_symbol *)sizes->config.symbols, sizes->config.symbol_count);
    for (uint32_t i = 0; sizes->taps && i < sizes->config.tap_count; i++)
        hsi_free(sizes->taps[i]);
    hsi_free(sizes->taps);
    hsi_free((char *)sizes->config.name);
    hsi_free(sizes->path);
    hsi_free(sizes);
}

/* Everything that the config points to becomes `sizes`' own. 0: out of memory. */
static int copy_config(hsi_sizes *sizes, const hsched_model *model, const char *path,
                       const hsched_model_config *config)
{
    hsched_model_config *own = &sizes->config;
    *own = *config;
    own->flags &= ~(uint32_t)HSCHED_MODEL_DYNAMIC;
    own->name = hsi_strdup(model->name);
    own->symbols =
        merge_symbols(config->symbols, config->symbol_count, NULL, 0, &own->symbol_count);
    sizes->taps = HSI_NEW_ARRAY(char *, (size_t)config->tap_count + 1);
    own->taps = (const char *const *)sizes->taps;
    int whole = own->name && own->symbols && sizes->taps;
    for (uint32_t i = 0; whole && i < config->tap_count; i++)
        whole = (sizes->taps[i] = hsi_strdup(config->taps[i])) != NULL;
    if (path)
        whole = whole && (sizes->path = hsi_strdup(path)) != NULL;
    return whole;
}

hsched_status hsi_sizes_create(hsched_model *model, const char *path, hsched_graph *graph,
                               const hsched_model_config *config)
{
    hsi_sizes *sizes = HSI_NEW(hsi_sizes);
    if (!sizes)
        return hsi_out_of_memory("the sizes of a model");
    if (pthread_mutex_init(&sizes->mutex, NULL) != 0) {
        hsi_free(sizes);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    if (pthread_cond_init(&sizes->made, NULL) != 0) {
        pthread_mutex_destroy(&sizes->mutex);
        hsi_free(sizes);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a condition could not be made");
    }
    model->sizes = sizes; /* whoever destroys the model destroys it, too */
    sizes->graph = graph;
    if (!copy_config(sizes, model, path, config))
        return hsi_out_of_memory("the sizes of a model");
    if (sizes->config.max_sizes == 0)
        sizes->config.max_sizes = DEFAULT_SIZES;
    sizes->kept = HSI_NEW_ARRAY(hsi_size, sizes->config.max_sizes);
    return sizes->kept ? HSCHED_OK : hsi_out_of_memory("the sizes of a model");
}

/* ---- Asking --------------------------------------------------------------- */

static hsched_status check(const hsched_model *model, const hsched_symbol *symbols,
                           uint32_t symbol_count)
{
    if (!model->sizes)
        return hsi_error(HSCHED_ERROR_STATE,
                         "model '%s' has one size only; set HSCHED_MODEL_DYNAMIC in its "
                         "config",
                         model->name);
    if (symbol_count > 0 && !symbols)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_specialise: symbols is NULL");
    for (uint32_t i = 0; i < symbol_count; i++)
        if (!symbols[i].name || symbols[i].value < 1)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "hsched_model_specialise: symbols[%u] needs a name and a "
                             "value of at least 1",
                             i);
    return HSCHED_OK;
}

/* With the mutex held: the size, with a reference for the caller, or NULL. */
static hsched_model *find(hsi_sizes *sizes, const hsched_symbol *symbols, uint32_t count)
{
    for (uint32_t i = 0; i < sizes->count; i++) {
        hsi_size *size = &sizes->kept[i];
        if (!same_symbols(size->symbols, size->symbol_count, symbols, count))
            continue;
        size->asked = ++sizes->clock;
        return hsched_model_retain(size->model);
    }
    return NULL;
}

/* With the mutex held: keeps a size, whose symbols become its own; *dropped has to give way. */
static void keep(hsi_sizes *sizes, const hsi_size *size, hsi_size *dropped)
{
    uint32_t at = sizes->count;
    *dropped = (hsi_size){ 0 };
    if (at == sizes->config.max_sizes) {
        at = 0;
        for (uint32_t i = 1; i < sizes->count; i++)
            if (sizes->kept[i].asked < sizes->kept[at].asked)
                at = i;
        *dropped = sizes->kept[at];
    } else {
        sizes->count++;
    }
    sizes->kept[at] = *size;
    sizes->kept[at].asked = ++sizes->clock;
}

/* Without the mutex, by one thread at a time. */
static hsched_status make(hsched_runtime *rt, const hsi_sizes *sizes, hsi_size *size)
{
    hsched_model_config config = sizes->config;
    config.symbols = size->symbols;
    config.symbol_count = size->symbol_count;
    return sizes->path ? hsched_model_load(rt, sizes->path, &config, &size->model)
                       : hsched_model_compile(rt, sizes->graph, &config, &size->model);
}

HSCHED_API hsched_status hsched_model_specialise(hsched_model *model,
                                                 const hsched_symbol *symbols,
                                                 uint32_t symbol_count,
                                                 hsched_model **sized)
{
    if (!model || !sized)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_specialise: model or sized is NULL");
    *sized = NULL;
    hsched_status status = check(model, symbols, symbol_count);
    if (status != HSCHED_OK)
        return status;
    hsi_sizes *sizes = model->sizes;
    hsi_size size = { 0 }, dropped = { 0 };
    size.symbols = merge_symbols(sizes->config.symbols, sizes->config.symbol_count,
                                 symbols, symbol_count, &size.symbol_count);
    if (!size.symbols)
        return hsi_out_of_memory("a model's size");
    if (same_symbols(size.symbols, size.symbol_count, sizes->config.symbols,
                     sizes->config.symbol_count)) {
        free_symbols(size.symbols, size.symbol_count);
        *sized = hsched_model_retain(model);
        return HSCHED_OK;
    }

    pthread_mutex_lock(&sizes->mutex);
    while ((*sized = find(sizes, size.symbols, size.symbol_count)) == NULL &&
           sizes->making)
        pthread_cond_wait(&sizes->made, &sizes->mutex);
    const int found = *sized != NULL;
    if (!found)
        sizes->making = 1;
    pthread_mutex_unlock(&sizes->mutex);
    if (found) {
        free_symbols(size.symbols, size.symbol_count);
        return HSCHED_OK;
    }

    status = make(model->runtime, sizes, &size);
    pthread_mutex_lock(&sizes->mutex);
    if (status == HSCHED_OK) {
        *sized = hsched_model_retain(size.model);
        keep(sizes, &size, &dropped);
    }
    sizes->making = 0;
    pthread_cond_broadcast(&sizes->made);
    pthread_mutex_unlock(&sizes->mutex);
    if (status != HSCHED_OK)
        free_symbols(size.symbols, size.symbol_count);
    hsched_model_release(dropped.model);
    free_symbols(dropped.symbols, dropped.symbol_count);
    return status;
}
