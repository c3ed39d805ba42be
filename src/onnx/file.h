/* Model files mapped into memory, as sources of a graph; and files of external data
 * beside them. */
#ifndef HSI_ONNX_FILE_H
#define HSI_ONNX_FILE_H

#include <stddef.h>

#include "graph/graph.h"

typedef struct hsi_onnx_file {
    hsi_source source; /* first: the graph unmaps it by this */
    const unsigned char *data;
    size_t size;
} hsi_onnx_file;

/* Maps a regular file for reading; the caller releases `&file->source`. Errors: IO,
 * OUT_OF_MEMORY. */
hsched_status hsi_onnx_file_map(const char *path, hsi_onnx_file **file);

/*
 * Maps `location`, a path relative to the folder of the model `model_path`. Nothing
 * outside that folder can be reached: no absolute path, no "..", and no component may be
 * a symbolic link. Errors: FORMAT (the path), IO, OUT_OF_MEMORY.
 */
hsched_status hsi_onnx_file_map_external(const char *model_path, const char *location,
                                         hsi_onnx_file **file);

/* Zeroed memory of `size` bytes, aligned to 64, that belongs to the graph (constants
 * computed during import): handed over at once. NULL if out of memory. */
void *hsi_onnx_graph_memory(hsched_graph *graph, size_t size);

#endif
