/* A hash of contents that are large: XXH64 (Collet, xxHash), which reads memory about as fast as it
 * comes. Not for what somebody may have made to collide. */
#ifndef HSI_BACKEND_CPU_CONTENT_H
#define HSI_BACKEND_CPU_CONTENT_H

#include <stddef.h>
#include <stdint.h>

uint64_t hsi_cpu_content_hash(const void *data, size_t size, uint64_t seed);

#endif
