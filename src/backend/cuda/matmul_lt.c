/*
 * FC and MATMUL through cuBLASLt.
 *
 * cuBLASLt thinks in columns, we in rows: a row-major [M,K] matrix is a column-major [K,M] one.
 * So out^T = B^T * A^T is what is computed: cuBLASLt's A is our second operand, its B our first,
 * its rows are out's columns, and FC's bias goes along its rows, as its epilogue wants it.
 *
 * A variant is "lt:" and 68 bytes in base 64: the algorithm, which means something to the
 * version of cuBLASLt only that chose it, and a checksum of it and of that version.
 */
#include "backend/cuda/bias.h"

#include <stdio.h>
#include <string.h>

#include "backend/cuda/host.h"
#include "backend/cuda/record.h"

#define WORKSPACE_MAX (UINT64_C(32) << 20)
#define ALGOS_MAX     64

static const char doing[] = "a matrix product by cuBLASLt";

static hsched_status refuse(const char *why)
{
    return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED, "GPU: %s: %s", doing, why);
}

/* ---- The problem ---------------------------------------------------------- */

/* One matrix as cuBLASLt sees it: column-major, `transposed` before it is multiplied. */
typedef struct matrix {
    int64_t rows, cols, ld, batch_stride;
    int transposed;
} matrix;

typedef struct problem {
    matrix a, b, d;
    int32_t batch;
    uint32_t alignment_a, alignment_b, alignment_d;
    cublasLtEpilogue_t epilogue;
    int has_bias;
} problem;

/* A matrix whose element (r, c) is at r * row_stride + c * col_stride; 0 if cuBLASLt cannot
 * express it. Strides of dimensions of size 1 do not matter. */
static int express(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride,
                   matrix *m)
{
    if (rows < 1 || cols < 1 || rows > INT32_MAX || cols > INT32_MAX)
        return 0;
    if ((rows == 1 || row_stride == 1) && (cols == 1 || col_stride >= rows)) {
        *m = (matrix){ .rows = rows, .cols = cols, .ld = cols == 1 ? rows : col_stride };
        return 1;
    }
    if ((cols == 1 || col_stride == 1) && (rows == 1 || row_stride >= cols)) {
        *m = (matrix){ .rows = cols,
                       .cols = rows,
                       .ld = rows == 1 ? cols : row_stride,
                       .transposed = 1 };
        return 1;
    }
    return 0;
}

static int has_bias(const hsched_step *s)
{
    return s->kind == HSCHED_STEP_FC && s->input_count > 2 &&
           s->in[2].dtype != HSCHED_DTYPE_NONE;
}

static int choose_epilogue(const hsi_cuda_step *step, problem *p)
{
    const hsched_step *s = &step->step;
    p->has_bias = has_bias(s);
    switch (s->act.kind) {
    case HSCHED_ACTIVATION_NONE:
        p->epilogue = p->has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
        return 1;
    case HSCHED_ACTIVATION_RELU:
        p->epilogue = p->has_bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
        return 1;
    case HSCHED_ACTIVATION_GELU_TANH: /* cuBLASLt's GELU is this; its tanh is approximate */
        p->epilogue = p->has_bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
        return !step->strict;
    default:
        return 0;
    }
}

/*
 * The batch of a MATMUL: all leading dimensions as one, if each operand's strides allow it.
 * strides[0..2]: of in[0], in[1], out. 0 if they do not.
 */
static int collapse(const hsched_step *s, int64_t *batch, int64_t *strides)
{
    const hsched_operand *operands[3] = { &s->in[0], &s->in[1], &s->out };
    *batch = 1;
    memset(strides, 0, 3 * sizeof *strides);
    for (int dim = (int)s->out.rank - 3; dim >= 0; dim--) {
        const int64_t size = s->out.dims[dim];
        if (size == 1)
            continue;
        for (int i = 0; i < 3; i++) {
            const int64_t stride = operands[i]->strides[dim];
            if (*batch == 1)
                strides[i] = stride;
            else if (stride != *batch * strides[i])
                return 0;
        }
        if (size > INT32_MAX / *batch)
            return 0;
        *batch *= size;
    }
    return strides[0] >= 0 && strides[1] >= 0 && (*batch == 1 || strides[2] > 0);
}

static hsched_status describe_fc(const hsched_step *s, problem *p)
{
    const int64_t m = s->in[0].dims[0], k = s->in[0].dims[1], o = s->out.dims[1];
    if (s->in[0].rank != 2 || s->out.rank != 2)
        return refuse("not matrices");
    p->batch = 1;
    if (!express(o, k, k, 1, &p->a) || /* weights are [O][K] */
        !express(k, m, s->in[0].strides[1], s->in[0].strides[0], &p->b) ||
        !express(o, m, s->out.strides[1], s->out.strides[0], &p->d) || p->d.transposed)
        return refuse("strides");
    return HSCHED_OK;
}

static hsched_status describe_matmul(const hsched_step *s, problem *p)
{
    const uint32_t rank = s->out.rank;
    int64_t batch, strides[3];
    if (rank < 2 || s->in[0].rank != rank || s->in[1].rank != rank)
        return refuse("not matrices");
    if (!collapse(s, &batch, strides))
        return refuse("the batch has no single stride");
    int64_t m = s->out.dims[rank - 2];
    const int64_t n = s->out.dims[rank - 1], k = s->in[0].dims[rank - 1];
    const int64_t *a = s->in[0].strides + rank - 2, *b = s->in[1].strides + rank - 2;
    const int64_t *d = s->out.strides + rank - 2;
    int64_t a_row = a[0], d_row = d[0];
    if (batch > 1 && strides[1] == 0 &&
        (m == 1 || (strides[0] == m * a_row && strides[2] == m * d_row)) &&
        m <= INT32_MAX / batch) {
        /* The same second operand for all: the first's matrices are one of more rows. */
        if (m == 1) {
            a_row = strides[0];
            d_row = strides[2];
        }
        m *= batch;
        batch = 1;
    }
    p->batch = (int32_t)batch;
    if (!express(n, k, b[1], b[0], &p->a) || !express(k, m, a[1], a_row, &p->b) ||
        !express(n, m, d[1], d_row, &p->d) || p->d.transposed)
        return refuse("strides");
    if (batch > 1) {
        p->b.batch_stride = strides[0];
        p->a.batch_stride = strides[1];
        p->d.batch_stride = strides[2];
    }
    return HSCHED_OK;
}

static hsched_status describe(const hsi_cuda_step *step, problem *p)
{
    const hsched_step *s = &step->step;
    /* More than 16 bytes help no algorithm, and a stored one may not need more. */
    *p = (problem){ .alignment_a = step->alignment[1],
                    .alignment_b = step->alignment[0],
                    .alignment_d = step->out_alignment };
    if (s->kind != HSCHED_STEP_FC && s->kind != HSCHED_STEP_MATMUL)
        return refuse("the step is none");
    if (!step->device->lt)
        return refuse("no cuBLASLt");
    if (!choose_epilogue(step, p))
        return refuse("the activation is not one of its own");
    uint32_t *alignments[] = { &p->alignment_a, &p->alignment_b, &p->alignment_d };
    for (int i = 0; i < 3; i++)
        if (*alignments[i] > 16 || (i < 2 && step->constants[1 - i]))
            *alignments[i] = 16;
    return s->kind == HSCHED_STEP_FC ? describe_fc(s, p) : describe_matmul(s, p);
}

/* ---- Descriptors ---------------------------------------------------------- */

typedef struct handles {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, d;
} handles;

/* Not through LT: what is not destroyed because a test made the call fail would leak. */
static void handles_end(handles *h)
{
    if (h->product)
        hsi_cuda.cublasLtMatmulDescDestroy(h->product);
    cublasLtMatrixLayout_t layouts[3] = { h->a, h->b, h->d };
    for (int i = 0; i < 3; i++)
        if (layouts[i])
            hsi_cuda.cublasLtMatrixLayoutDestroy(layouts[i]);
    *h = (handles){ 0 };
}

static cudaDataType_t data_type(hsi_cuda_type type)
{
    return type == HSI_CUDA_F16    ? CUDA_R_16F
           : type == HSI_CUDA_BF16 ? CUDA_R_16BF
                                   : CUDA_R_32F;
}

static hsched_status make_layout(const matrix *m, cudaDataType_t type, int32_t batch,
                                 cublasLtMatrixLayout_t *layout)
{
    hsched_status status = LT_CHECK(doing, cublasLtMatrixLayoutCreate, layout, type,
                                    (uint64_t)m->rows, (uint64_t)m->cols, m->ld);
    if (status == HSCHED_OK && batch > 1)
        status = LT_CHECK(doing, cublasLtMatrixLayoutSetAttribute, *layout,
                          CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch);
    if (status == HSCHED_OK && batch > 1)
        status = LT_CHECK(doing, cublasLtMatrixLayoutSetAttribute, *layout,
                          CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m->batch_stride,
                          sizeof m->batch_stride);
    return status;
}

static hsched_status set_product(cublasLtMatmulDesc_t product,
                                 cublasLtMatmulDescAttributes_t name, const void *value,
                                 size_t size)
{
    return LT_CHECK(doing, cublasLtMatmulDescSetAttribute, product, name, value, size);
}

static hsched_status make_product(const hsi_cuda_step *step, const problem *p,
                                  cublasLtMatmulDesc_t *product)
{
    const cublasComputeType_t compute = step->type == HSI_CUDA_F32 && !step->strict
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    const cublasOperation_t a = p->a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t b = p->b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t sms = step->device->sm_count;
    const void *some = (const void *)(uintptr_t)256; /* its alignment is looked at */
    hsched_status status =
        LT_CHECK(doing, cublasLtMatmulDescCreate, product, compute, CUDA_R_32F);
    if (status == HSCHED_OK)
        status = set_product(*product, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
    if (status == HSCHED_OK)
        status = set_product(*product, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
    if (status == HSCHED_OK)
        status = set_product(*product, CUBLASLT_MATMUL_DESC_EPILOGUE, &p->epilogue,
                             sizeof p->epilogue);
    if (status == HSCHED_OK && p->has_bias)
        status =
            set_product(*product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &some, sizeof some);
    if (status == HSCHED_OK && step->device->sm_count < step->device->sm_total)
        status =
            set_product(*product, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &sms, sizeof sms);
    return status;
}

static hsched_status handles_make(const hsi_cuda_step *step, const problem *p, handles *h)
{
    const cudaDataType_t type = data_type(step->type);
    hsched_status status = make_product(step, p, &h->product);
    if (status == HSCHED_OK)
        status = make_layout(&p->a, type, p->batch, &h->a);
    if (status == HSCHED_OK)
        status = make_layout(&p->b, type, p->batch, &h->b);
    if (status == HSCHED_OK)
        status = make_layout(&p->d, type, p->batch, &h->d);
    return status;
}

/* ---- Variants ------------------------------------------------------------- */

static const char head[] = "lt:";
static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define PACKED_BYTES (sizeof(cublasLtMatmulAlgo_t) + sizeof(uint32_t))
#define PACKED_CHARS ((PACKED_BYTES * 8 + 5) / 6)
_Static_assert(sizeof head + PACKED_CHARS <= HSI_CUDA_VARIANT_LENGTH,
               "an algorithm fits a variant");

/* FNV-1a of the algorithm and of the library's version. */
static uint32_t checksum(const cublasLtMatmulAlgo_t *algo)
{
    const uint64_t version = hsi_cuda.cublasLtGetVersion();
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof *algo; i++)
        hash = (hash ^ ((const uint8_t *)algo)[i]) * 16777619u;
    for (size_t i = 0; i < sizeof version; i++)
        hash = (hash ^ (version >> (8 * i) & 0xff)) * 16777619u;
    return hash;
}

static void write_variant(const cublasLtMatmulAlgo_t *algo, char *text)
{
    uint8_t bytes[PACKED_BYTES];
    const uint32_t sum = checksum(algo);
    memcpy(bytes, algo, sizeof *algo);
    memcpy(bytes + sizeof *algo, &sum, sizeof sum);
    memcpy(text, head, sizeof head - 1);
    text += sizeof head - 1;
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6)
            *text++ = digits[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *text++ = digits[bits << (6 - count) & 63];
    *text = '\0';
}

static int parse_variant(const char *text, cublasLtMatmulAlgo_t *algo)
{
    uint8_t bytes[PACKED_BYTES];
    uint32_t bits = 0, count = 0, sum;
    size_t length = 0;
    if (strncmp(text, head, sizeof head - 1) != 0)
        return 0;
    text += sizeof head - 1;
    if (strlen(text) != PACKED_CHARS)
        return 0;
    for (; *text; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit)
            return 0;
        bits = bits << 6 | (uint32_t)(digit - digits);
        count += 6;
        if (count >= 8 && length < sizeof bytes) {
            count -= 8;
            bytes[length++] = (uint8_t)(bits >> count);
        }
    }
    memcpy(algo, bytes, sizeof *algo);
    memcpy(&sum, bytes + sizeof *algo, sizeof sum);
    return sum == checksum(algo);
}

/* ---- Heuristics ----------------------------------------------------------- */

static hsched_status set_preference(cublasLtMatmulPreference_t preference,
                                    cublasLtMatmulPreferenceAttributes_t name,
                                    const void *value, size_t size)
{
    return LT_CHECK(doing, cublasLtMatmulPreferenceSetAttribute, preference, name, value,
                    size);
}

static hsched_status make_preference(const problem *p,
                                     cublasLtMatmulPreference_t *preference)
{
    const uint64_t workspace = WORKSPACE_MAX;
    /* Partial sums stay float, and are added in an order that does not change. */
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t value;
    } alignments[] = {
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p->alignment_a },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p->alignment_b },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p->alignment_d },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p->alignment_d },
    };
    hsched_status status = LT_CHECK(doing, cublasLtMatmulPreferenceCreate, preference);
    if (status == HSCHED_OK)
        status = set_preference(*preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                &workspace, sizeof workspace);
    if (status == HSCHED_OK)
        status = set_preference(*preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                &reductions, sizeof reductions);
    for (int i = 0; i < 4 && status == HSCHED_OK; i++)
        status = set_preference(*preference, alignments[i].name, &alignments[i].value,
                                sizeof alignments[i].value);
    return status;
}

static uint32_t variants(const hsi_cuda_step *step, uint32_t most,
                         char (*texts)[HSI_CUDA_VARIANT_LENGTH])
{
    problem p;
    handles h = { 0 };
    cublasLtMatmulPreference_t preference = NULL;
    int there = 0;
    uint32_t count = 0;
    if (describe(step, &p) != HSCHED_OK || most == 0)
        return 0;
    const int wanted = most < ALGOS_MAX ? (int)most : ALGOS_MAX;
    cublasLtMatmulHeuristicResult_t *results =
        HSI_CUDA_NEW_ARRAY(cublasLtMatmulHeuristicResult_t, ALGOS_MAX);
    hsched_status status = results ? HSCHED_OK : hsi_cuda_no_memory(doing);
    if (status == HSCHED_OK)
        status = handles_make(step, &p, &h);
    if (status == HSCHED_OK)
        status = make_preference(&p, &preference);
    if (status == HSCHED_OK)
        status =
            LT_CHECK(doing, cublasLtMatmulAlgoGetHeuristic, step->device->lt, h.product,
                     h.a, h.b, h.d, h.d, preference, wanted, results, &there);
    for (int i = 0; status == HSCHED_OK && i < there && i < wanted; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS &&
            results[i].workspaceSize <= WORKSPACE_MAX)
            write_variant(&results[i].algo, texts[count++]);
    if (preference)
        hsi_cuda.cublasLtMatmulPreferenceDestroy(preference);
    handles_end(&h);
    hsi_cuda_host->free(results);
    return count;
}

/* ---- The op --------------------------------------------------------------- */

typedef struct lt_op {
    hsi_cuda_op op;
    hsi_cuda_device *device;
    handles handles;
    cublasLtMatmulAlgo_t algo;
    int has_bias;
    hsi_cuda_bias bias; /* own copy, or none: the step's */
} lt_op;

static void destroy(hsi_cuda_op *op)
{
    lt_op *o = (lt_op *)op;
    handles_end(&o->handles);
    hsi_cuda_bias_free(o->device, &o->bias);
    hsi_cuda_host->free(o);
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    static const float one = 1, zero = 0;
    const lt_op *o = (const lt_op *)op;
    const handles *h = &o->handles;
    hsched_status status = HSCHED_OK;
    if (call->recorder)
        return hsi_cuda_record_captured(op, call);
    if (o->has_bias) {
        const void *bias =
            (const void *)(uintptr_t)(o->bias.address ? o->bias.address : call->in[2]);
        status = set_product(h->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                             sizeof bias);
    }
    if (status != HSCHED_OK)
        return status;
    return LT_CHECK(
        op->name, cublasLtMatmul, o->device->lt, h->product, &one,
        (const void *)(uintptr_t)call->in[1], h->a, (const void *)(uintptr_t)call->in[0],
        h->b, &zero, (const void *)(uintptr_t)call->out, h->d,
        (void *)(uintptr_t)call->out, h->d, &o->algo, (void *)(uintptr_t)call->workspace,
        op->workspace, (cudaStream_t)call->stream);
}

static hsched_status check_algo(lt_op *o, const hsi_cuda_step *step)
{
    cublasLtMatmulHeuristicResult_t result = { 0 };
    hsched_status status = LT_CHECK(doing, cublasLtMatmulAlgoCheck, step->device->lt,
                                    o->handles.product, o->handles.a, o->handles.b,
                                    o->handles.d, o->handles.d, &o->algo, &result);
    if (status != HSCHED_OK)
        return status;
    if (result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > WORKSPACE_MAX)
        return refuse("the algorithm is not for this step");
    o->op.workspace = result.workspaceSize;
    return HSCHED_OK;
}

static hsched_status make(const hsi_cuda_step *step, const char *text, hsi_cuda_op **op)
{
    problem p;
    cublasLtMatmulAlgo_t algo;
    *op = NULL;
    hsched_status status = describe(step, &p);
    if (status != HSCHED_OK)
        return status;
    if (!parse_variant(text, &algo))
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_FORMAT, "GPU: \"%s\" is no variant of this cuBLASLt's", text);
    lt_op *o = HSI_CUDA_NEW(lt_op);
    if (!o)
        return hsi_cuda_no_memory(doing);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->device = step->device;
    o->algo = algo;
    o->has_bias = p.has_bias;
    status = handles_make(step, &p, &o->handles);
    if (status == HSCHED_OK)
        status = check_algo(o, step);
    if (status == HSCHED_OK && p.has_bias && hsi_cuda_bias_needs_copy(step))
        status = hsi_cuda_bias_copy(step, &o->bias);
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    snprintf(o->op.name, sizeof o->op.name, "cublaslt%s",
             step->type == HSI_CUDA_F32 ? step->strict ? " f32" : " tf32" : "");
    *op = &o->op;
    return HSCHED_OK;
}

const hsi_cuda_family hsi_cuda_family_lt = { .name = "lt",
                                             .variants = variants,
                                             .make = make };
