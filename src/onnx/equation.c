#include "onnx/equation.h"

#include <string.h>

/* What is left of the text. */
typedef struct cursor {
    const hsi_onnx_node *node;
    const char *at, *end;
} cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static int takes(cursor *c, const char *text)
{
    const size_t length = strlen(text);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0)
        return 0;
    c->at += length;
    return 1;
}

/* A term as it is written. */
typedef struct written {
    uint32_t before, after; /* letters on either side of the ellipsis */
    int has_ellipsis;
    uint8_t letters[HSCHED_MAX_DIMS];
} written;

static hsched_status read_term(hsi_onnx_import *im, cursor *c, written *w)
{
    *w = (written){ 0 };
    for (;;) {
        if (takes(c, "...")) {
            if (w->has_ellipsis)
                return hsi_onnx_malformed(c->node, "a term has two ellipses");
            w->has_ellipsis = 1;
            continue;
        }
        const char letter = c->at < c->end ? *c->at : '\0';
        const int upper = letter >= 'A' && letter <= 'Z';
        if (!upper && !(letter >= 'a' && letter <= 'z'))
            return HSCHED_OK;
        if (w->before + w->after == HSCHED_MAX_DIMS)
            return hsi_onnx_unsupported(im, c->node, "more than %d dimensions",
                                        HSCHED_MAX_DIMS);
        w->letters[w->before + w->after] =
            (uint8_t)(upper ? letter - 'A' : letter - 'a' + 26);
        if (w->has_ellipsis)
            w->after++;
        else
            w->before++;
        c->at++;
    }
}

/* The term, its ellipsis standing for `hidden` dimensions. */
static hsched_status spell(hsi_onnx_import *im, const hsi_onnx_node *node,
                           const written *w, uint32_t hidden, hsi_einsum_term *term)
{
    term->rank = w->before + w->after + hidden;
    if (term->rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    memcpy(term->labels, w->letters, w->before);
    for (uint32_t k = 0; k < hidden; k++)
        term->labels[w->before + k] = (uint8_t)(HSI_EINSUM_LABELS - (int)hidden + (int)k);
    memcpy(term->labels + w->before + hidden, w->letters + w->before, w->after);
    return HSCHED_OK;
}

/* What no equation says: the dimensions of the ellipsis, then what stands once, sorted. */
static hsched_status implicit_result(hsi_onnx_import *im, const hsi_onnx_node *node,
                                     const hsi_einsum_term *terms, uint32_t count,
                                     uint32_t hidden, hsi_einsum_term *result)
{
    uint32_t times[HSI_EINSUM_LETTERS] = { 0 };
    written w = { .has_ellipsis = 1 };
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < terms[i].rank; k++)
            if (terms[i].labels[k] < HSI_EINSUM_LETTERS)
                times[terms[i].labels[k]]++;
    for (uint32_t k = 0; k < HSI_EINSUM_LETTERS; k++) {
        if (times[k] != 1)
            continue;
        if (w.after == HSCHED_MAX_DIMS)
            return hsi_onnx_unsupported(im, node, "more than %d dimensions",
                                        HSCHED_MAX_DIMS);
        w.letters[w.after++] = (uint8_t)k;
    }
    return spell(im, node, &w, hidden, result);
}

static hsched_status read_operands(hsi_onnx_import *im, cursor *c, const uint32_t *ranks,
                                   hsi_einsum_term *terms, uint32_t *most_hidden)
{
    const uint32_t count = c->node->input_count;
    *most_hidden = 0;
    for (uint32_t i = 0; i < count; i++) {
        written w;
        if (i > 0 && !takes(c, ","))
            return hsi_onnx_malformed(c->node, "its equation has not %u operands", count);
        hsched_status status = read_term(im, c, &w);
        if (status)
            return status;
        const uint32_t letters = w.before + w.after;
        if (w.has_ellipsis ? ranks[i] < letters : ranks[i] != letters)
            return hsi_onnx_malformed(
                c->node, "operand %u has %u dimensions and %u letters in the equation", i,
                ranks[i], letters);
        const uint32_t hidden = ranks[i] - letters;
        *most_hidden = hidden > *most_hidden ? hidden : *most_hidden;
        status = spell(im, c->node, &w, hidden, &terms[i]);
        if (status)
            return status;
    }
    return HSCHED_OK;
}

static hsched_status read_result(hsi_onnx_import *im, cursor *c, uint64_t known,
                                 uint32_t hidden, hsi_einsum_term *result)
{
    written w;
    hsched_status status = read_term(im, c, &w);
    if (!status && hidden > 0 && !w.has_ellipsis)
        status = hsi_onnx_malformed(c->node, "the result lacks the operands' ellipsis");
    if (!status)
        status = spell(im, c->node, &w, hidden, result);
    uint64_t seen = 0;
    for (uint32_t k = 0; k < result->rank && !status; k++) {
        const uint64_t bit = HSI_EINSUM_BIT(result->labels[k]);
        if (seen & bit)
            status = hsi_onnx_malformed(c->node, "a letter stands twice in the result");
        else if (!(known & bit))
            status = hsi_onnx_malformed(c->node, "no operand has a letter of the result");
        seen |= bit;
    }
    return status;
}

hsched_status hsi_einsum_parse(hsi_onnx_import *im, const hsi_onnx_node *node,
                               const uint32_t *ranks, hsi_einsum_term *terms,
                               hsi_einsum_term *result)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, "equation");
    uint32_t hidden;
    uint64_t known = 0;
    int empty;
    result->rank = 0;
    hsched_status status = hsi_onnx_attr_is(node, "equation", "", "", &empty);
    if (status)
        return status;
    if (empty)
        return hsi_onnx_malformed(node, "it has no equation");
    cursor c = { node, (const char *)attr->s.data,
                 (const char *)attr->s.data + attr->s.len };
    status = read_operands(im, &c, ranks, terms, &hidden);
    if (status)
        return status;
    for (uint32_t i = 0; i < node->input_count; i++)
        known |= hsi_einsum_set(&terms[i]);
    status = takes(&c, "->")
                 ? read_result(im, &c, known, hidden, result)
                 : implicit_result(im, node, terms, node->input_count, hidden, result);
    skip_spaces(&c);
    if (!status && c.at != c.end)
        status =
            hsi_onnx_malformed(node, "its equation cannot be read from character %d on",
                               (int)(c.at - (const char *)attr->s.data));
    return status;
}

uint64_t hsi_einsum_set(const hsi_einsum_term *term)
{
    uint64_t set = 0;
    for (uint32_t k = 0; k < term->rank; k++)
        set |= HSI_EINSUM_BIT(term->labels[k]);
    return set;
}
