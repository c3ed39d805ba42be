/*
 * The first look at a model's bytes, before protobuf-c sees them: one iterative walk over
 * the wire format that checks everything protobuf-c would trust (nesting, lengths, wire
 * types, counts) and writes a skeleton of the model: the same message without weights,
 * unknown fields and documentation. In the skeleton, raw_data of a tensor holds only the
 * number of its entry in `raws`, which says where the bytes lie in the file; so no weight
 * is ever copied by unpacking.
 */
#ifndef HSI_ONNX_SCAN_H
#define HSI_ONNX_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include <hsched/hsched.h>

enum {
    HSI_ONNX_MAX_DEPTH = 48,      /* real models stay below 12 */
    HSI_ONNX_MAX_NODES = 1 << 18, /* in all graphs and subgraphs together */
    HSI_ONNX_MAX_TENSORS = 1 << 18,
    HSI_ONNX_MAX_MESSAGES = 1 << 21, /* messages of any kind */
    HSI_ONNX_MAX_FIELDS = 1 << 24    /* fields kept, of any kind */
};
#define HSI_ONNX_MAX_MODEL_BYTES ((size_t)INT32_MAX) /* what Protocol Buffers allow */

typedef struct hsi_onnx_raw {
    size_t offset, size; /* in the bytes scanned */
} hsi_onnx_raw;

typedef struct hsi_onnx_scan {
    uint8_t *skeleton;
    size_t skeleton_size, skeleton_capacity;
    hsi_onnx_raw *raws;
    uint32_t raw_count, raw_capacity;
    uint32_t nodes, tensors, messages, fields;
} hsi_onnx_scan;

/* Bytes of a raw_data in the skeleton: the index into raws, little endian. */
#define HSI_ONNX_RAW_INDEX_SIZE 4

/* Errors: FORMAT with the offset, LIMIT, OUT_OF_MEMORY. On failure there is nothing to
 * free. */
hsched_status hsi_onnx_scan_model(const void *data, size_t size, hsi_onnx_scan *scan);
void hsi_onnx_scan_free(hsi_onnx_scan *scan);

#endif
