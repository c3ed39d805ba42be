/*
 * The model as one list of nodes: calls of the model's own functions are replaced by the
 * functions' nodes, forms of operators from before opset 7 by today's, and, once a pass
 * over the nodes has found out which way they go, If and Loop by what they do.
 */
#ifndef HSI_ONNX_FLAT_H
#define HSI_ONNX_FLAT_H

#include <hsched/hsched.h>

#include "onnx/names.h"

#include "onnx.pb-c.h"

struct hsi_onnx_model;
struct hsi_onnx_constant;

/* The operator sets that nodes are written for: the model's, or a function's. */
typedef struct hsi_onnx_opsets {
    Onnx__OperatorSetIdProto *const *sets;
    size_t count;
} hsi_onnx_opsets;

typedef struct hsi_onnx_flat_node {
    const Onnx__NodeProto *proto; /* all names are those of the whole model */
    const hsi_onnx_opsets *opsets;
} hsi_onnx_flat_node;

typedef struct hsi_onnx_flat_tensor {
    const char *name;
    const Onnx__TensorProto *proto;
    const struct hsi_onnx_constant *constant; /* once it has been read */
} hsi_onnx_flat_tensor;

typedef struct hsi_onnx_function {
    const Onnx__FunctionProto *proto;
    hsi_onnx_opsets opsets;
} hsi_onnx_function;

typedef struct hsi_onnx_flat {
    hsi_onnx_opsets opsets; /* of the model */
    hsi_onnx_flat_node *nodes;
    uint32_t node_count, node_capacity;
    hsi_onnx_flat_tensor *tensors; /* initialisers */
    uint32_t tensor_count, tensor_capacity;
    hsi_onnx_function *functions; /* sorted by domain, name and overload */
    uint32_t function_count;
    hsi_onnx_names names; /* all names in use, once new ones must be made */
    uint64_t work;        /* names bound so far: bounds what nested calls cost */
} hsi_onnx_flat;

/* The domain of the operators that only the library itself writes; known by its address,
 * so that no file can name it. */
extern const char hsi_onnx_own_domain[];

/*
 * Fills model->flat from the model's graph. Errors: FORMAT, LIMIT, OUT_OF_MEMORY. What
 * was made is freed by hsi_onnx_flat_free, also after errors.
 */
hsched_status hsi_onnx_flatten(struct hsi_onnx_model *model);

/*
 * Which way an If or Loop goes, by the place of its node in the list: HSI_ONNX_OPEN if
 * that is not known, else for If 1 or 0 for its condition, or HSI_ONNX_BOTH where that is only
 * known at run time; for Loop and Scan the number of iterations, or, made by HSI_ONNX_AT_MOST, the
 * most of a Loop whose condition ends it at run time; for a Scan of opset 8 also the batches.
 */
#define HSI_ONNX_OPEN                    (-1)
#define HSI_ONNX_BOTH                    2
#define HSI_ONNX_AT_MOST(count)          (-2 - (count)) /* and back */
#define HSI_ONNX_IS_AT_MOST(choice)      ((choice) < HSI_ONNX_OPEN)
#define HSI_ONNX_BATCHES(batches, count) ((batches) << 32 | (count))
hsched_status hsi_onnx_flatten_chosen(struct hsi_onnx_model *model,
                                      const int64_t *choices);
void hsi_onnx_flat_free(hsi_onnx_flat *flat);

/* "" for the standard domain's other names. */
const char *hsi_onnx_domain(const char *domain);
/* The version of a domain's operators; 0 if it is not imported. */
int64_t hsi_onnx_version(const hsi_onnx_opsets *opsets, const char *domain);

/* ---- Between the files that flatten ---------------------------------------- */

/* Names inside a function or subgraph and what they are called outside. */
typedef struct hsi_onnx_scope {
    const struct hsi_onnx_scope *outer; /* of a subgraph inside what is being copied */
    int open;           /* other names are those of the whole model: captured */
    const char *prefix; /* of new names and of the nodes' */
    const Onnx__FunctionProto *function; /* NULL outside of functions */
    const Onnx__NodeProto *call;         /* its attributes are the function's */
    hsi_onnx_names names;
} hsi_onnx_scope;

typedef struct hsi_onnx_flattening {
    struct hsi_onnx_model *model;
    hsi_onnx_flat *flat;
    uint32_t calls; /* functions that are being inlined now */
    const hsi_onnx_function *active[32];
} hsi_onnx_flattening;

/* Takes a node whose names are final: inlines it, brings it up to date, or appends it. */
hsched_status hsi_onnx_add_node(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                const hsi_onnx_opsets *opsets);
/* Appends it. LIMIT if there are too many. */
hsched_status hsi_onnx_push_node(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                 const hsi_onnx_opsets *opsets);
hsched_status hsi_onnx_push_tensor(hsi_onnx_flattening *f, const char *name,
                                   const Onnx__TensorProto *proto);
/* Appends a node of the library's own making: with an attribute `axes` or `axis` where
 * `attribute` is not NULL. In the form of opset 11, or of the own domain. */
hsched_status hsi_onnx_push_made(hsi_onnx_flattening *f, const char *op,
                                 const char *domain, const char *const *inputs,
                                 size_t input_count, const char *output,
                                 const char *attribute, int64_t value);
/* Appends a constant list (rank 1) or number (rank 0) under a new name. */
hsched_status hsi_onnx_push_ints(hsi_onnx_flattening *f, const char *prefix,
                                 uint32_t rank, const int64_t *values, size_t count,
                                 int is_bool, const char **name);
/* A name that nothing has. */
hsched_status hsi_onnx_flat_name(hsi_onnx_flattening *f, const char *prefix,
                                 const char *name, const char **made);
/* What stands for a node in names. */
const char *hsi_onnx_prefix(const Onnx__NodeProto *proto);

/* scope.c */
hsched_status hsi_onnx_bind(hsi_onnx_flattening *f, hsi_onnx_scope *s, const char *name,
                            const char *text);
/* NULL if there is no such name. */
const char *hsi_onnx_resolve(const hsi_onnx_scope *s, const char *name);
/* New names for all that `nodes` make. */
hsched_status hsi_onnx_bind_nodes(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                  Onnx__NodeProto *const *nodes, size_t count);
/* The same for a graph's initialisers, and for its nodes. */
hsched_status hsi_onnx_bind_graph(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                  const Onnx__GraphProto *graph);
/* Adds copies of the nodes. */
hsched_status hsi_onnx_add_copies(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                  Onnx__NodeProto *const *nodes, size_t count,
                                  const hsi_onnx_opsets *opsets);
/*
 * Results of a body under their names outside. Before the nodes are added, what a node of
 * the body makes gets its name outside at once; afterwards, the rest is passed on by an
 * Identity.
 */
hsched_status hsi_onnx_bind_results(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                    Onnx__NodeProto *const *nodes, size_t node_count,
                                    const char *const *inside, const char *const *outside,
                                    size_t count);
hsched_status hsi_onnx_pass_results(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                    const char *const *inside, const char *const *outside,
                                    size_t count);

/* function.c: inlines the call if it is one; *done says so. */
hsched_status hsi_onnx_sort_functions(struct hsi_onnx_model *model);
hsched_status hsi_onnx_inline(hsi_onnx_flattening *f, const Onnx__NodeProto *call,
                              int *done);
/* branch.c */
hsched_status hsi_onnx_add_chosen(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                                  int64_t choice);
/* legacy.c: as hsi_onnx_push_node, for a node of the standard domain before opset 7. */
hsched_status hsi_onnx_push_legacy(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                   const hsi_onnx_opsets *opsets, int64_t version);

#endif
