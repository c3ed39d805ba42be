/*
 * The well-known networks, built with the graph API and random weights: for trying and
 * measuring the scheduler without downloading anything. Linked statically into the
 * program, the tests and the examples; not part of the shared library. Public headers
 * only.
 *
 * Classifiers have torchvision's shapes (inference form): input "input" float32
 * [1,3,224,224], output "output" float32 [1,1000], the softmax of the scores; Inception v3
 * takes [1,3,299,299], the MLP takes [1,784] and gives [1,10]. The U-Net takes
 * [1,3,256,256] and gives [1,2,256,256]; detectors take [1,3,416,416] and give "boxes"
 * [1,K,4] and "scores" [1,K,80], and those that choose boxes "selected" [8000,3].
 * Classifiers of text take embedded tokens [64,1,300] and give [1,4].
 *
 * Convolution, batch normalization and activation are separate layers, as
 * in the frameworks.
 */
#ifndef ZOO_ZOO_H
#define ZOO_ZOO_H

#include <hsched/hsched.h>

/* Networks are numbered from 0; name and description are NULL past the last. */
uint32_t zoo_count(void);
const char *zoo_name(uint32_t index);
const char *zoo_describe(uint32_t index);

/*
 * Builds the network `name` with weights drawn from `seed`: the same seed gives the same
 * bits on every machine. The caller destroys the graph. NOT_FOUND: no such network
 * (nothing in hsched_error_detail, which belongs to the library); else the error of the
 * graph API.
 */
hsched_status zoo_build(const char *name, uint64_t seed, hsched_graph **graph);

#endif
