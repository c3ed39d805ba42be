/* Writing the wire format, and a file that appears whole or not at all. */
#ifndef HSI_ONNX_WRITER_H
#define HSI_ONNX_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include <hsched/hsched.h>

/* A growing message. Once memory ran out, `failed` stays set and nothing more is written.
 */
typedef struct hsi_onnx_buffer {
    uint8_t *bytes;
    size_t size, capacity;
    int failed;
} hsi_onnx_buffer;

void hsi_onnx_buffer_free(hsi_onnx_buffer *buffer);
void hsi_onnx_write_bytes(hsi_onnx_buffer *buffer, const void *bytes, size_t size);
void hsi_onnx_write_varint(hsi_onnx_buffer *buffer, uint64_t value);
/* Fields of a message. */
void hsi_onnx_write_int(hsi_onnx_buffer *buffer, uint32_t field, int64_t value);
void hsi_onnx_write_float(hsi_onnx_buffer *buffer, uint32_t field, float value);
void hsi_onnx_write_data(hsi_onnx_buffer *buffer, uint32_t field, const void *data,
                         size_t size);
void hsi_onnx_write_text(hsi_onnx_buffer *buffer, uint32_t field, const char *text);
/* A message inside: between begin and end, which takes what begin gave. */
size_t hsi_onnx_write_begin(hsi_onnx_buffer *buffer, uint32_t field);
void hsi_onnx_write_end(hsi_onnx_buffer *buffer, size_t begun);
/* Bytes that a varint takes. */
size_t hsi_onnx_varint_size(uint64_t value);

/* A piece of a file to be written. */
typedef struct hsi_onnx_piece {
    const void *data;
    size_t size;
} hsi_onnx_piece;

/* Writes the pieces one after another to a new file that then takes the place of `path`,
 * or leaves what was there. Errors: IO, OUT_OF_MEMORY. */
hsched_status hsi_onnx_write_file(const char *path, const hsi_onnx_piece *pieces,
                                  size_t count);

#endif
