#include "runtime/imports.h"

#include "base/log.h"
#include "base/status.h"
#include "buffer/buffer.h"

void hsi_imports_keep(hsched_run *run, uint32_t io, hsched_buffer *buffer)
{
    if (!buffer || !hsi_buffer_imported(buffer))
        return;
    run->imports[io] = hsched_buffer_retain(buffer);
    run->has_imports = 1;
}

/* What the run does with the buffer of this input or output; 0 if an earlier one stands for it:
 * a buffer that is bound several times is bracketed once. */
static uint32_t access_of(const hsched_run *run, uint32_t io)
{
    const uint32_t inputs = run->model->plan->input_count;
    uint32_t access = 0;
    for (uint32_t i = 0; i < run->io_count; i++) {
        if (run->imports[i] != run->imports[io])
            continue;
        if (i < io)
            return 0;
        access |= i < inputs ? HSCHED_ACCESS_READ : HSCHED_ACCESS_WRITE;
    }
    return access;
}

/* Outputs first: if one dma-buf was imported twice, the end of reading it may drop what is not yet
 * written back. */
static void end_until(hsched_run *run, uint32_t count)
{
    for (uint32_t io = count; io-- > 0;) {
        const uint32_t access = run->imports[io] ? access_of(run, io) : 0;
        if (access && hsched_buffer_end_access(run->imports[io], access) != HSCHED_OK)
            hsi_log(HSCHED_LOG_WARNING,
                    "model '%s': devices may not see what is in a dma-buf (%s)",
                    run->model->name, hsched_error_detail());
    }
}

hsched_status hsi_imports_begin(hsched_run *run)
{
    if (!run->has_imports)
        return HSCHED_OK;
    int accessing = 0;
    for (uint32_t io = 0; io < run->io_count; io++) {
        const uint32_t access = run->imports[io] ? access_of(run, io) : 0;
        if (!access)
            continue;
        hsched_status status = hsched_buffer_begin_access(run->imports[io], access);
        if (status != HSCHED_OK) {
            end_until(run, io);
            return hsi_error_prefix(status, "model '%s': ", run->model->name);
        }
        accessing |= hsi_buffer_imported(run->imports[io])->access.fd >= 0;
    }
    run->accessing = accessing;
    return HSCHED_OK;
}

void hsi_imports_end(hsched_run *run)
{
    if (run->accessing)
        end_until(run, run->io_count);
    run->accessing = 0;
}

void hsi_imports_release(hsched_run *run)
{
    hsi_imports_end(run); /* only a run that was never submitted has not yet */
    for (uint32_t io = 0; run->has_imports && io < run->io_count; io++) {
        hsched_buffer_release(run->imports[io]);
        run->imports[io] = NULL;
    }
    run->has_imports = 0;
}
