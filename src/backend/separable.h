/* SEPARABLE_CONV2D: the two convolutions that it is, for those who know what a CONV2D is. */
#ifndef HSI_BACKEND_SEPARABLE_H
#define HSI_BACKEND_SEPARABLE_H

#include <hsched/backend.h>

/* Both as CONV2D steps; what is between them is dense, channels-last. Constants are the step's,
 * and so are parts. The step keeps the contract as far as ranks and types go. */
void hsi_separable_split(const hsched_step *step, hsched_step *depthwise,
                         hsched_step *pointwise);

#endif
