/*
 * How a tensor passes between the slot and the host's arena. A kernel that reads or writes the
 * mapped arena takes any strides and converts on the way. A copy engine takes only what lies in
 * one piece and stays as it is; it may be faster, which depends on the machine and the size, and
 * is measured once (the tuning cache keeps it). A GPU that shares the host's memory never copies.
 */
#ifndef HSI_BACKEND_CUDA_CROSSING_H
#define HSI_BACKEND_CUDA_CROSSING_H

#include "backend/cuda/op.h"

/* The better of the two for this transfer, whose member memory is at call.outside. Entered. */
hsched_status hsi_cuda_make_crossing(const hsi_cuda_transfer *transfer, hsi_cuda_op **op);

/* By a copy engine; UNSUPPORTED: it does not lie in one piece, or is converted. */
hsched_status hsi_cuda_make_copied(const hsi_cuda_transfer *transfer, hsi_cuda_op **op);

#endif
