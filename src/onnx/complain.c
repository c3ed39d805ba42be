/* Errors of single nodes, and the one error that lists all that is not supported. */
#include "onnx/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

#define NAMES_LISTED 6
#define REASON_MAX   200

/* Nodes of one operator with one reason. */
typedef struct hsi_onnx_complaint {
    struct hsi_onnx_complaint *next;
    const char *op, *domain, *reason;
    int64_t version;
    uint32_t count;
    const char *names[NAMES_LISTED];
} complaint;

/* The place of this complaint in the list, in the order of first appearance. */
static complaint **find(hsi_onnx_import *im, const hsi_onnx_node *node,
                        const char *reason)
{
    complaint **at = &im->complaints;
    while (*at && (strcmp((*at)->op, node->op) || strcmp((*at)->domain, node->domain) ||
                   strcmp((*at)->reason, reason)))
        at = &(*at)->next;
    return at;
}

hsched_status hsi_onnx_unsupported(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   const char *reason, ...)
{
    char text[REASON_MAX];
    va_list args;
    va_start(args, reason);
    vsnprintf(text, sizeof text, reason, args);
    va_end(args);
    complaint **at = find(im, node, text);
    if (!*at) {
        complaint *made = HSI_ONNX_NEW(&im->arena, complaint);
        const char *copy = hsi_onnx_format(&im->arena, "%s", text);
        if (!made || !copy)
            return hsi_onnx_arena_error(&im->arena, "the list of unsupported operators");
        *made = (complaint){ .op = node->op,
                             .domain = node->domain,
                             .reason = copy,
                             .version = node->version };
        *at = made;
    }
    if ((*at)->count < NAMES_LISTED)
        (*at)->names[(*at)->count] = node->label;
    (*at)->count++;
    im->complaint_count++;
    return HSCHED_ERROR_UNSUPPORTED;
}

typedef struct text {
    char bytes[3500];
    size_t length;
    int full;
} text;

__attribute__((format(printf, 2, 3))) static void append(text *t, const char *format, ...)
{
    if (t->full)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->bytes + t->length, sizeof t->bytes - t->length, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof t->bytes - t->length) {
        t->bytes[t->length] = 0;
        t->full = 1;
    } else {
        t->length += (size_t)n;
    }
}

static void describe(text *t, const complaint *c)
{
    append(t, "\n  %.64s (%.64s%sopset %lld)", c->op, c->domain, *c->domain ? " " : "",
           (long long)c->version);
    if (*c->reason)
        append(t, ": %s", c->reason);
    append(t, "; node%s", c->count > 1 ? "s" : "");
    for (uint32_t k = 0; k < c->count && k < NAMES_LISTED; k++)
        append(t, "%s '%.64s'", k ? "," : "", c->names[k]);
    if (c->count > NAMES_LISTED)
        append(t, " and %u more", c->count - NAMES_LISTED);
}

hsched_status hsi_onnx_complain(const hsi_onnx_import *im)
{
    text t = { .length = 0 };
    uint32_t shown = 0, all = 0;
    if (!im->complaints)
        return HSCHED_OK;
    for (const complaint *c = im->complaints; c; c = c->next) {
        size_t before = t.length;
        describe(&t, c);
        if (t.full)
            t.bytes[t.length = before] = 0;
        else
            shown++;
        all++;
    }
    return hsi_error(
        HSCHED_ERROR_UNSUPPORTED,
        "operators that are not supported:%s%s\nreplace them in the model, or export it "
        "with other operators",
        t.bytes, shown < all ? "\n  and others" : "");
}

hsched_status hsi_onnx_at_node(const hsi_onnx_node *node, hsched_status status)
{
    if (status == HSCHED_OK)
        return status;
    if (status == HSCHED_ERROR_INVALID_ARGUMENT) /* the model's, not the caller's */
        status = HSCHED_ERROR_FORMAT;
    return hsi_error_prefix(status, "node '%.128s' (%.64s): ", node->label, node->op);
}

hsched_status hsi_onnx_malformed(const hsi_onnx_node *node, const char *cause, ...)
{
    char reason[400];
    va_list args;
    va_start(args, cause);
    vsnprintf(reason, sizeof reason, cause, args);
    va_end(args);
    return hsi_error(HSCHED_ERROR_FORMAT,
                     "node '%.128s' (%.64s): %s; the model is not valid ONNX",
                     node->label, node->op, reason);
}

hsched_status hsi_onnx_no_memory(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return hsi_onnx_at_node(node, hsi_onnx_arena_error(&im->arena, "what it computes"));
}
