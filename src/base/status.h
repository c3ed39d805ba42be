/* Errors: a status and, per thread, the text that explains it. */
#ifndef HSI_BASE_STATUS_H
#define HSI_BASE_STATUS_H

#include <hsched/hsched.h>

/* Sets the calling thread's detail and returns `status`, so that failing is one
 * statement: return hsi_error(HSCHED_ERROR_SHAPE, "layer '%s': ...; ...", name); */
hsched_status hsi_error(hsched_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts context in front of the present detail ("model.onnx: ") and returns `status`. */
hsched_status hsi_error_prefix(hsched_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* HSCHED_ERROR_OUT_OF_MEMORY with a detail that names what was being made. */
hsched_status hsi_out_of_memory(const char *what);

#define HSI_ERROR_DETAIL_MAX 4096

/* Replaces the detail of this thread (used to carry an error from a worker to who waits).
 */
void hsi_error_set_detail(const char *detail);

/*
 * Checks a config struct given by the user: size known, or larger with only zeros beyond
 * what is known. Copies it to `out` (of `size` bytes), filling up with zeros. config
 * NULL: all zeros.
 */
hsched_status hsi_config_read(const void *config, void *out, size_t size,
                              const char *type_name);
#define HSI_CONFIG_READ(config, out)                                                     \
    hsi_config_read((config), (out), sizeof *(out), #config)

/* For info structs that the library fills: copies at most what the caller's struct_size
 * allows. */
hsched_status hsi_info_write(void *user_struct, const void *filled, size_t size,
                             const char *type_name);

#endif
