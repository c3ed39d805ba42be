#include "backend/cuda/tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/bench.h"
#include "backend/cuda/host.h"

_Static_assert(HSI_TUNE_VARIANT == HSI_CUDA_VARIANT_LENGTH, "see tune_cache.h");

#define QUICK_OWN     10 /* variants of an own family that a quick search times */
#define QUICK_LIBRARY 6  /* of a library's; ready engines are made in a millisecond */
#define FULL          64
#define GUESSES       8 /* variants that are tried where nothing is timed */
/*
 * How much faster a library must be to be preferred to an own kernel: those need no
 * descriptors at each launch and do not change with an update. (That an own kernel be worth its
 * code is another question, and was decided when it was written.)
 */
#define OWN_ADVANTAGE 1.03f
/* How much faster an op must be to replace one that works. */
#define WORTH_A_CHANGE 0.97f

/* ---- Keys ----------------------------------------------------------------- */

typedef struct text {
    char data[4096]; /* of eight dimensions and strides each, three operands are 1.2 KB */
    size_t length;
} text;

static void add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int more =
        vsnprintf(t->data + t->length, sizeof t->data - t->length, format, arguments);
    va_end(arguments);
    if (more > 0 && (size_t)more < sizeof t->data - t->length)
        t->length += (size_t)more;
}

static void add_numbers(text *t, uint32_t count, const int64_t *numbers)
{
    for (uint32_t i = 0; i < count; i++)
        add(t, "%s%" PRId64, i > 0 ? "x" : "", numbers[i]);
}

static int is_channels_last(const hsched_operand *o)
{
    const int64_t *d = o->dims, *s = o->strides;
    return o->rank == 4 && s[1] == 1 && s[2] == d[3] * s[3] && s[0] == d[2] * s[2];
}

/* "1x64x56x56p64" of an image, else dimensions and strides; "a16" is the alignment, which
 * makes no difference above 16. */
static void add_operand(text *t, const char *name, const hsched_operand *o,
                        uint32_t alignment)
{
    add(t, ";%s", name);
    add_numbers(t, o->rank, o->dims);
    if (is_channels_last(o)) {
        add(t, "p%" PRId64, o->strides[3]);
    } else {
        add(t, "s");
        add_numbers(t, o->rank, o->strides);
    }
    add(t, "a%u", alignment < 16 ? alignment : 16);
}

static void add_window(text *t, const hsched_step *s)
{
    add(t, ";k");
    add_numbers(t, 2, s->u.conv2d.strides);
    add(t, "p");
    add_numbers(t, 4, s->u.conv2d.pads);
    add(t, "d");
    add_numbers(t, 2, s->u.conv2d.dilations);
    add(t, "g%" PRId64, s->u.conv2d.groups);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add_step(text *t, const hsi_cuda_step *step)
{
    static const char *const types[] = { "f32", "f16", "bf16" };
    static const char *const names[HSCHED_STEP_MAX_INPUTS] = { "x", "w", "b", "r" };
    const hsched_step *s = &step->step;
    const int packed = s->kind == HSCHED_STEP_CONV2D || s->kind == HSCHED_STEP_FC;
    add(t, "%s;%s%s%s", hsched_step_kind_name(s->kind), types[step->type],
        step->strict ? "s" : "", step->deterministic ? "d" : "");
    for (uint32_t i = 0; i < s->input_count; i++) {
        if (s->in[i].dtype == HSCHED_DTYPE_NONE)
            continue;
        if (packed && (i == 1 || i == 2)) { /* dense, where and how the plug-in puts it */
            add(t, ";%s", names[i]);
            add_numbers(t, s->in[i].rank, s->in[i].dims);
        } else {
            add_operand(t, names[i], &s->in[i],
                        step->constants[i] ? 16 : step->alignment[i]);
        }
    }
    add_operand(t, "y", &s->out, step->out_alignment);
    if (s->kind == HSCHED_STEP_CONV2D)
        add_window(t, s);
    if (s->out_aliases >= 0)
        add(t, ";=%d", s->out_aliases);
    if (s->act.kind != HSCHED_ACTIVATION_NONE)
        add(t, ";act%d", (int)s->act.kind);
    switch (s->act.kind) { /* those that have parameters */
    case HSCHED_ACTIVATION_LEAKY_RELU:
    case HSCHED_ACTIVATION_ELU:
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        add(t, ":%" PRIx32, bits_of(s->act.a));
        break;
    case HSCHED_ACTIVATION_CLIP:
    case HSCHED_ACTIVATION_HARD_SIGMOID:
    case HSCHED_ACTIVATION_SELU:
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        add(t, ":%" PRIx32 ":%" PRIx32, bits_of(s->act.a), bits_of(s->act.b));
        break;
    default:
        break;
    }
}

void hsi_cuda_step_key(const hsi_cuda_step *step, char *key, size_t size)
{
    text t = { .length = 0 };
    add_step(&t, step);
    const int length = snprintf(key, size, "%s", t.data);
    if (length < 0 || (size_t)length < size || size < 20)
        return;
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < t.length; i++)
        hash = (hash ^ (unsigned char)t.data[i]) * UINT64_C(1099511628211);
    snprintf(key + size - 18, 18, "#%016" PRIx64, hash);
}

/* ---- Where variants come from --------------------------------------------- */

/* Either a family of variants or a maker of one, whose text is the name. */
typedef struct source {
    const char *name;
    const hsi_cuda_family *family;
    hsi_cuda_maker *maker;
    int is_library;
} source;

/* In the order of preference where nothing is timed. */
static const source conv2d[] = {
    { "depthwise", .maker = hsi_cuda_make_conv_depthwise },
    { "tile", .family = &hsi_cuda_family_tile },
    { "cudnn", .family = &hsi_cuda_family_cudnn, .is_library = 1 },
    { "direct", .maker = hsi_cuda_make_conv_direct },
    { NULL },
};
static const source conv2d_strict[] = {
    { "depthwise", .maker = hsi_cuda_make_conv_depthwise },
    { "cudnn", .family = &hsi_cuda_family_cudnn, .is_library = 1 },
    { "tile", .family = &hsi_cuda_family_tile },
    { "direct", .maker = hsi_cuda_make_conv_direct },
    { NULL },
};
static const source fc[] = {
    { "rows", .family = &hsi_cuda_family_rows },
    { "tile", .family = &hsi_cuda_family_tile },
    { "lt", .family = &hsi_cuda_family_lt, .is_library = 1 },
    { "matmul", .maker = hsi_cuda_make_matmul },
    { NULL },
};
static const source fc_strict[] = {
    { "rows", .family = &hsi_cuda_family_rows },
    { "lt", .family = &hsi_cuda_family_lt, .is_library = 1 },
    { "tile", .family = &hsi_cuda_family_tile },
    { "matmul", .maker = hsi_cuda_make_matmul },
    { NULL },
};
static const source matmul[] = {
    { "lt", .family = &hsi_cuda_family_lt, .is_library = 1 },
    { "matmul", .maker = hsi_cuda_make_matmul },
    { NULL },
};

#define SOURCES_MAX 4

/* NULL: such steps are not tuned. */
static const source *sources_of(const hsi_cuda_step *step)
{
    switch (step->step.kind) {
    case HSCHED_STEP_CONV2D:
        return step->strict ? conv2d_strict : conv2d;
    case HSCHED_STEP_FC:
        return step->strict ? fc_strict : fc;
    case HSCHED_STEP_MATMUL:
        return matmul;
    default:
        return NULL;
    }
}

/* The source of a variant, by its first word; NULL if there is none. */
static const source *source_of(const source *sources, const char *variant)
{
    const size_t length = strcspn(variant, ":");
    for (; sources->name; sources++)
        if (strlen(sources->name) == length &&
            strncmp(sources->name, variant, length) == 0 &&
            (variant[length] == ':') == (sources->family != NULL))
            return sources;
    return NULL;
}

static hsched_status make_variant(const hsi_cuda_step *step, const source *from,
                                  const char *variant, hsi_cuda_op **op)
{
    *op = NULL;
    return from->family ? from->family->make(step, variant, op) : from->maker(step, op);
}

/* ---- Candidates ----------------------------------------------------------- */

typedef struct candidates {
    char texts[SOURCES_MAX * FULL][HSI_CUDA_VARIANT_LENGTH];
    uint8_t from[SOURCES_MAX * FULL]; /* indices of sources */
    uint32_t count;
} candidates;

/* All that is to be tried; few[is_library] of each family at most. */
static candidates *collect(const hsi_cuda_step *step, const source *sources,
                           const uint32_t few[2])
{
    candidates *c = HSI_CUDA_NEW(candidates);
    for (uint32_t i = 0; c && sources[i].name; i++) {
        const source *from = &sources[i];
        uint32_t more = 1;
        if (from->family)
            more =
                from->family->variants(step, few[from->is_library], c->texts + c->count);
        else
            snprintf(c->texts[c->count], HSI_CUDA_VARIANT_LENGTH, "%s", from->name);
        memset(c->from + c->count, (int)i, more);
        c->count += more;
    }
    return c;
}

/* ---- The search ----------------------------------------------------------- */

typedef struct search {
    const hsi_cuda_step *step;
    const source *sources;
    hsi_cuda_bench bench;
    atomic_int *stop; /* or NULL */
    hsi_cuda_op *best;
    char best_text[HSI_CUDA_VARIANT_LENGTH];
    float best_time;  /* of `best`, or to begin with: what must be improved on */
    float best_score; /* the same, but for OWN_ADVANTAGE */
    uint32_t tried, timed;
} search;

static void drop(hsi_cuda_op *op)
{
    if (op)
        op->destroy(op);
}

/* Whether an op may be used: a library's that works in place is not believed to. */
static hsched_status vet(hsi_cuda_bench *bench, const source *from, const hsi_cuda_op *op,
                         int *fine)
{
    *fine = 1;
    if (!from->is_library || bench->step->step.out_aliases < 0)
        return HSCHED_OK;
    if (bench->step->step.kind != HSCHED_STEP_CONV2D) {
        *fine = 0;
        return HSCHED_OK;
    }
    return hsi_cuda_bench_alias(bench, op, fine);
}

/* Times one variant and keeps it if it is the best. What fails is no candidate; only a failure
 * of the device or of what the search itself needs is one of the search. */
static hsched_status try_variant(search *s, const source *from, const char *variant)
{
    hsi_cuda_op *op;
    float time = INFINITY;
    int fine = 0;
    if (s->bench.background && from->is_library && hsi_cuda_cudnn_compiles(variant))
        return HSCHED_OK;
    s->tried++;
    hsched_status status = make_variant(s->step, from, variant, &op);
    if (status == HSCHED_OK)
        status = hsi_cuda_bench_time(&s->bench, op, s->best_time, &time);
    const float score = from->is_library ? time * OWN_ADVANTAGE : time;
    if (status == HSCHED_OK) {
        s->timed += isfinite(time);
        if (score < s->best_score)
            status = vet(&s->bench, from, op, &fine);
    }
    if (status == HSCHED_OK && fine) {
        drop(s->best);
        s->best = op;
        s->best_time = time;
        s->best_score = score;
        snprintf(s->best_text, sizeof s->best_text, "%s", variant);
    } else {
        drop(op);
    }
    return status == HSCHED_ERROR_DEVICE || s->bench.outside ? status : HSCHED_OK;
}

/* The bench is open, or its opening has failed with `status`. */
static hsched_status try_all(search *s, const uint32_t few[2])
{
    hsched_status status = HSCHED_OK;
    candidates *c = collect(s->step, s->sources, few);
    if (!c)
        return hsi_cuda_no_memory("tuning");
    for (uint32_t i = 0; i < c->count && status == HSCHED_OK; i++) {
        if (s->stop && atomic_load(s->stop))
            break;
        status = try_variant(s, &s->sources[c->from[i]], c->texts[i]);
        if (status == HSCHED_OK)
            status = hsi_cuda_bench_breathe(&s->bench);
    }
    hsi_cuda_host->free(c);
    return status;
}

static void remember(const search *s, int full)
{
    atomic_fetch_add(&s->step->device->tunings, 1);
    char key[HSI_TUNE_STEP_KEY];
    hsi_tune_cache *cache = s->step->device->tune_cache;
    hsi_cuda_step_key(s->step, key, sizeof key);
    hsi_cuda_host->log(HSCHED_LOG_DEBUG,
                       "GPU: %s: %s takes %.2f us, the best of %u variants (%u ran to "
                       "the end): %s",
                       s->step->step.name ? s->step->step.name : "a step", s->best_text,
                       (double)s->best_time, s->tried, s->timed, key);
    if (cache)
        hsi_tune_cache_put(cache, key, s->best_text, s->best_time, full);
}

static hsched_status time_variants(const hsi_cuda_step *step, const source *sources,
                                   int full, hsi_cuda_op **op)
{
    search s = {
        .step = step, .sources = sources, .best_time = INFINITY, .best_score = INFINITY
    };
    const uint32_t few[2] = { full ? FULL : QUICK_OWN, full ? FULL : QUICK_LIBRARY };
    hsched_status status = hsi_cuda_bench_open(&s.bench, step, 0);
    if (status == HSCHED_OK)
        status = try_all(&s, few);
    hsi_cuda_bench_close(&s.bench);
    if (status == HSCHED_OK && s.best)
        remember(&s, full);
    if (status == HSCHED_OK && !s.best)
        status = hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                          "GPU: %s: no kernel runs for this step",
                                          step->step.name ? step->step.name : "tuning");
    if (status != HSCHED_OK) {
        drop(s.best);
        s.best = NULL;
    }
    *op = s.best;
    return status;
}

/* ---- Without a search ----------------------------------------------------- */

/* The stored choice; FORMAT or UNSUPPORTED where it is not (any more) one that can be made. */
static hsched_status make_stored(const hsi_cuda_step *step, const source *sources,
                                 const char *variant, hsi_cuda_op **op)
{
    const source *from = source_of(sources, variant);
    *op = NULL;
    if (!from)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_FORMAT, "GPU: \"%s\" is no variant of this step", variant);
    return make_variant(step, from, variant, op);
}

/* Makes the first that can be made. A library's that would work in place is tried out. */
static hsched_status guess(const hsi_cuda_step *step, const source *sources,
                           hsi_cuda_op **op)
{
    const uint32_t few[2] = { GUESSES, GUESSES };
    hsi_cuda_bench bench = { .step = step };
    int is_open = 0, fine = 0;
    hsched_status last = HSCHED_OK;
    candidates *c = collect(step, sources, few);
    *op = NULL;
    if (!c)
        return hsi_cuda_no_memory("choosing a kernel");
    for (uint32_t i = 0; i < c->count && last != HSCHED_ERROR_DEVICE && !*op; i++) {
        const source *from = &sources[c->from[i]];
        hsched_status status = make_variant(step, from, c->texts[i], op);
        if (status == HSCHED_OK && from->is_library && step->step.out_aliases >= 0 &&
            !is_open) {
            is_open = 1;
            status = hsi_cuda_bench_open(&bench, step, 0);
        }
        if (status == HSCHED_OK)
            status = vet(&bench, from, *op, &fine);
        if (status != HSCHED_OK || !fine) {
            drop(*op);
            *op = NULL;
        }
        /* Of several causes the one that is not "cannot" is told. */
        if (status != HSCHED_OK &&
            (last == HSCHED_OK || status != HSCHED_ERROR_UNSUPPORTED))
            last = status;
    }
    if (is_open)
        hsi_cuda_bench_close(&bench);
    hsi_cuda_host->free(c);
    if (*op)
        return HSCHED_OK;
    return last != HSCHED_OK && last != HSCHED_ERROR_UNSUPPORTED
               ? last
               : hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                          "GPU: no kernel for %s (%s)",
                                          step->step.name ? step->step.name : "a step",
                                          hsched_step_kind_name(step->step.kind));
}

/* ---- The interface -------------------------------------------------------- */

hsched_status hsi_cuda_time_op(const hsi_cuda_step *step, const hsi_cuda_op *op,
                               float *microseconds)
{
    hsi_cuda_bench bench;
    hsched_status status = hsi_cuda_bench_open(&bench, step, 0);
    *microseconds = INFINITY;
    if (status == HSCHED_OK)
        status = hsi_cuda_bench_time(&bench, op, INFINITY, microseconds);
    hsi_cuda_bench_close(&bench);
    return status;
}

/* The kernel of a step that differs in the batch alone. Without one *op is NULL. */
static hsched_status make_like(const hsi_cuda_step *step, const source *sources,
                               const hsi_cuda_step *like, hsi_cuda_op **op)
{
    char key[HSI_TUNE_STEP_KEY], variant[HSI_CUDA_VARIANT_LENGTH];
    float microseconds;
    int full;
    *op = NULL;
    if (!like || !step->device->tune_cache)
        return HSCHED_OK;
    hsi_cuda_step_key(like, key, sizeof key);
    if (!hsi_tune_cache_get(step->device->tune_cache, key, variant, &microseconds, &full))
        return HSCHED_OK;
    const hsched_status status = make_stored(step, sources, variant, op);
    return status == HSCHED_ERROR_DEVICE ? status : HSCHED_OK;
}

hsched_status hsi_cuda_make_tuned(const hsi_cuda_step *step, const hsi_cuda_step *like,
                                  hsi_cuda_op **op)
{
    const hsi_cuda_device *device = step->device;
    const source *sources = sources_of(step);
    char key[HSI_TUNE_STEP_KEY], variant[HSI_CUDA_VARIANT_LENGTH];
    const int wants_full = device->tuning == HSI_CUDA_TUNING_FULL;
    float microseconds;
    int full;
    *op = NULL;
    if (!sources)
        return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                        "GPU: %s steps are not tuned",
                                        hsched_step_kind_name(step->step.kind));
    hsi_cuda_step_key(step, key, sizeof key);
    if (device->tune_cache &&
        hsi_tune_cache_get(device->tune_cache, key, variant, &microseconds, &full) &&
        (full || !wants_full)) {
        const hsched_status status = make_stored(step, sources, variant, op);
        if (status == HSCHED_OK || status == HSCHED_ERROR_DEVICE)
            return status;
        hsi_cuda_host->log(HSCHED_LOG_INFO,
                           "GPU: the stored choice %s cannot be made any more", variant);
    }
    const hsched_status status = make_like(step, sources, like, op);
    if (status != HSCHED_OK || *op)
        return status;
    if (device->tuning != HSI_CUDA_TUNING_NONE) {
        const hsched_status timed = time_variants(step, sources, wants_full, op);
        if (timed == HSCHED_OK || timed == HSCHED_ERROR_DEVICE)
            return timed;
        hsi_cuda_host->log(HSCHED_LOG_INFO,
                           "GPU: %s could not be tuned (status %d): by guess, then",
                           step->step.name ? step->step.name : "a step", (int)timed);
    }
    return guess(step, sources, op);
}

/* The search of hsi_cuda_retune, entered. */
static hsched_status search_beside(search *s, const hsi_cuda_op *current, float *now)
{
    const uint32_t few[2] = { FULL, FULL };
    hsched_status status = hsi_cuda_bench_open(&s->bench, s->step, 1);
    if (status == HSCHED_OK)
        status = hsi_cuda_bench_time(&s->bench, current, INFINITY, now);
    if (status == HSCHED_OK)
        status = hsi_cuda_bench_breathe(&s->bench);
    if (status == HSCHED_OK)
        status = try_all(s, few);
    return status;
}

/* What an equal step was given by a full search. *better stays NULL if that is `current`. */
static hsched_status take_stored(const hsi_cuda_step *step, const source *sources,
                                 const char *variant, const hsi_cuda_op *current,
                                 hsi_cuda_op **better)
{
    hsched_status status = hsi_cuda_enter(step->device);
    if (status != HSCHED_OK)
        return status;
    status = make_stored(step, sources, variant, better);
    if (status == HSCHED_OK && strcmp((*better)->name, current->name) == 0) {
        drop(*better);
        *better = NULL;
    }
    hsi_cuda_leave(step->device);
    /* One that cannot be made (any more) is none. */
    return status == HSCHED_ERROR_DEVICE ? status : HSCHED_OK;
}

hsched_status hsi_cuda_retune(const hsi_cuda_step *step, const hsi_cuda_op *current,
                              atomic_int *stop, hsi_cuda_op **better)
{
    search s = { .step = step,
                 .sources = sources_of(step),
                 .stop = stop,
                 .best_time = INFINITY,
                 .best_score = INFINITY };
    char key[HSI_TUNE_STEP_KEY], variant[HSI_CUDA_VARIANT_LENGTH];
    hsi_tune_cache *cache = step->device->tune_cache;
    float now = INFINITY, microseconds;
    int full;
    *better = NULL;
    hsi_cuda_step_key(step, key, sizeof key);
    if (!s.sources || atomic_load(stop))
        return HSCHED_OK;
    if (cache && hsi_tune_cache_get(cache, key, variant, &microseconds, &full) && full)
        return take_stored(step, s.sources, variant, current, better);
    hsched_status status = hsi_cuda_enter(step->device);
    if (status != HSCHED_OK)
        return status;
    status = search_beside(&s, current, &now);
    if (s.bench.outside && hsi_cuda_enter(step->device) == HSCHED_OK)
        s.bench.outside = 0; /* what is left to do is freeing */
    const int entered = !s.bench.outside;
    hsi_cuda_bench_close(&s.bench);
    const int complete = status == HSCHED_OK && !atomic_load(stop);
    if (complete && s.best)
        remember(&s, 1);
    if (complete && s.best && s.best_time < now * WORTH_A_CHANGE)
        *better = s.best;
    else
        drop(s.best);
    if (entered)
        hsi_cuda_leave(step->device);
    return status;
}
