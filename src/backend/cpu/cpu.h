/* The two halves of the CPU backend: the device (backend.c) and its sections (prepare.c).
 */
#ifndef HSI_BACKEND_CPU_CPU_H
#define HSI_BACKEND_CPU_CPU_H

#include <hsched/backend.h>

struct hsi_cpu_tuned;

struct hsched_backend_device {
    uint32_t libraries; /* HSCHED_LIBRARY_... enabled and compiled in */
    int reference;
    uint32_t workers;
    struct hsi_cpu_tuned *tuned; /* kernels chosen by measuring; NULL: none are */
    int measures;                /* what is not among them */
    char *packed_folder;         /* of packed weights (store.h); NULL: there is none */
    char description[128];
    char library_text[256];
};

hsched_status hsi_cpu_section_prepare(hsched_backend_device *device,
                                      hsched_section_config *config,
                                      hsched_backend_section **section);
void hsi_cpu_section_destroy(hsched_backend_section *section);
const char *hsi_cpu_kernel_name(const hsched_backend_section *section, uint32_t step);
uint64_t hsi_cpu_weight_bytes(const hsched_backend_section *section);
size_t hsi_cpu_scratch_size(const hsched_backend_section *section);
hsched_status hsi_cpu_slot_create(hsched_backend_section *section,
                                  hsched_backend_slot **slot);
void hsi_cpu_slot_destroy(hsched_backend_slot *slot);
hsched_status hsi_cpu_run_part(hsched_backend_slot *slot, uint32_t step,
                               void *const *operands, uint32_t part, void *scratch);

#endif
