/* Which steps there are, who reads what they write, and the DAG of sections that follows.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"

/* With more sections than this, keeping every section's ancestors costs too much memory:
 * they then run one after the other. */
enum {
    MAX_PARALLEL_SECTIONS = 8192,
    MAX_PARALLEL_STEPS = 8192
};

/* ---- Writers and readers -------------------------------------------------- */

static hsched_status number_steps(hsi_ir *ir)
{
    uint32_t count = 0;
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        count += hsi_is_step(op) != 0;
    if (count == 0)
        return hsi_error(HSCHED_ERROR_INTERNAL,
                         "the model has no steps; please report it");
    ir->steps = HSI_POOL_ARRAY(&ir->temporary, hsi_op *, count);
    if (ir->steps == NULL)
        return hsi_ir_no_memory();
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        if (hsi_is_step(op)) {
            op->step_index = ir->step_count;
            ir->steps[ir->step_count++] = op;
        }
    return HSCHED_OK;
}

/* The steps that write the memory that a value is seen in: those of a joint tensor are
 * its inputs'. */
static hsched_status find_writers(hsi_ir *ir, hsi_op *op)
{
    hsi_value *y = op->out;
    if (hsi_is_view(op)) {
        y->writers = op->in[0]->writers;
        y->writer_count = op->in[0]->writer_count;
        return HSCHED_OK;
    }
    uint32_t count = 1;
    if (!hsi_is_step(op)) {
        count = 0;
        for (uint32_t i = 0; i < op->in_count; i++)
            count += op->in[i]->writer_count;
    }
    y->writers = HSI_POOL_ARRAY(&ir->temporary, hsi_op *, count);
    if (y->writers == NULL)
        return hsi_ir_no_memory();
    if (hsi_is_step(op)) {
        y->writers[y->writer_count++] = op;
        return HSCHED_OK;
    }
    for (uint32_t i = 0; i < op->in_count; i++)
        for (uint32_t w = 0; w < op->in[i]->writer_count; w++)
            y->writers[y->writer_count++] = op->in[i]->writers[w];
    return HSCHED_OK;
}

static int is_tracked(const hsi_root *root)
{
    return root->storage == HSCHED_STORAGE_ARENA ||
           root->storage == HSCHED_STORAGE_OUTPUT;
}

static hsched_status list_roots(hsi_ir *ir)
{
    /* Every tracked root is written by some step. */
    ir->roots = HSI_POOL_ARRAY(&ir->temporary, hsi_root *, ir->step_count);
    if (ir->roots == NULL)
        return hsi_ir_no_memory();
    for (uint32_t s = 0; s < ir->step_count; s++) {
        const hsi_op *op = ir->steps[s];
        if (op->out->root->writer_count++ == 0)
            ir->roots[ir->root_count++] = op->out->root;
        for (uint32_t i = 0; i < op->in_count; i++)
            if (op->in[i] != NULL && is_tracked(op->in[i]->root))
                op->in[i]->root->reader_count++;
    }
    for (uint32_t r = 0; r < ir->root_count; r++) {
        hsi_root *root = ir->roots[r];
        root->writers = HSI_POOL_ARRAY(&ir->temporary, hsi_op *, root->writer_count);
        root->readers = HSI_POOL_ARRAY(&ir->temporary, hsi_op *, root->reader_count);
        if (root->writers == NULL || root->readers == NULL)
            return hsi_ir_no_memory();
        root->writer_count = root->reader_count = 0;
    }
    for (uint32_t s = 0; s < ir->step_count; s++) {
        hsi_op *op = ir->steps[s];
        for (uint32_t i = 0; i < op->in_count; i++)
            if (op->in[i] != NULL && is_tracked(op->in[i]->root)) {
                hsi_root *root = op->in[i]->root;
                root->readers[root->reader_count++] = op;
            }
        op->out->root->writers[op->out->root->writer_count++] = op;
    }
    return HSCHED_OK;
}

/* ---- The DAG -------------------------------------------------------------- */

/* crossings[d] becomes the number of tensors that section `index` reads of section d. */
static void count_crossings(hsi_ir *ir, uint32_t index, uint32_t *crossings)
{
    const hsi_plan_section *section = &ir->plan->sections[index];
    for (uint32_t s = 0; s < section->step_count; s++) {
        const hsi_op *op = ir->steps[section->first_step + s];
        for (uint32_t i = 0; i < op->in_count; i++)
            for (uint32_t w = 0; op->in[i] != NULL && w < op->in[i]->writer_count; w++) {
                hsi_op *writer = op->in[i]->writers[w];
                if (writer->section == index || writer->mark == index + 1)
                    continue;
                writer->mark = index + 1;
                crossings[writer->section]++;
            }
    }
}

static hsched_status link_section(hsi_ir *ir, uint32_t index, uint32_t *crossings,
                                  int chain)
{
    hsi_plan_section *section = &ir->plan->sections[index];
    hsi_pool *keep = &ir->memory->keep;
    count_crossings(ir, index, crossings);
    uint32_t count = 0;
    for (uint32_t d = 0; d < index; d++)
        count += crossings[d] > 0 || (chain && d + 1 == index);
    section->deps = HSI_POOL_ARRAY(keep, uint32_t, count);
    section->crossing_counts = HSI_POOL_ARRAY(keep, uint32_t, count);
    if (section->deps == NULL || section->crossing_counts == NULL)
        return hsi_ir_no_memory();
    for (uint32_t d = 0; d < index; d++)
        if (crossings[d] > 0 || (chain && d + 1 == index)) {
            section->deps[section->dep_count] = d;
            section->crossing_counts[section->dep_count++] = crossings[d];
            ir->plan->sections[d].user_count++;
            crossings[d] = 0;
        }
    return HSCHED_OK;
}

static hsched_status link_users(hsi_ir *ir)
{
    hsi_plan *plan = ir->plan;
    for (uint32_t s = 0; s < plan->section_count; s++) {
        hsi_plan_section *section = &plan->sections[s];
        section->users = HSI_POOL_ARRAY(&ir->memory->keep, uint32_t, section->user_count);
        if (section->users == NULL)
            return hsi_ir_no_memory();
        section->user_count = 0;
        for (uint32_t d = 0; d < section->dep_count; d++) {
            hsi_plan_section *dep = &plan->sections[section->deps[d]];
            dep->users[dep->user_count++] = s;
        }
    }
    return HSCHED_OK;
}

static hsched_status make_ancestors(hsi_ir *ir, uint32_t rows)
{
    size_t count;
    ir->ancestor_words = ((size_t)rows + 63) / 64;
    if (!hsi_mul_size(ir->ancestor_words, rows, &count))
        return hsi_ir_no_memory();
    ir->ancestors = HSI_POOL_ARRAY(&ir->temporary, uint64_t, count);
    return ir->ancestors != NULL ? HSCHED_OK : hsi_ir_no_memory();
}

/* `from` has a smaller index, so its row is complete. */
static void add_ancestors(hsi_ir *ir, uint32_t to, uint32_t from)
{
    uint64_t *row = ir->ancestors + to * ir->ancestor_words;
    const uint64_t *other = ir->ancestors + from * ir->ancestor_words;
    if (row[from / 64] >> from % 64 & 1)
        return;
    for (size_t w = 0; w < ir->ancestor_words; w++)
        row[w] |= other[w];
    row[from / 64] |= UINT64_C(1) << from % 64;
}

static int is_ancestor(const hsi_ir *ir, uint32_t a, uint32_t of)
{
    return (int)(ir->ancestors[of * ir->ancestor_words + a / 64] >> a % 64 & 1);
}

static hsched_status find_section_ancestors(hsi_ir *ir)
{
    const hsi_plan *plan = ir->plan;
    hsched_status status = make_ancestors(ir, plan->section_count);
    for (uint32_t s = 0; s < plan->section_count && status == HSCHED_OK; s++)
        for (uint32_t d = 0; d < plan->sections[s].dep_count; d++)
            add_ancestors(ir, s, plan->sections[s].deps[d]);
    return status;
}

static hsched_status find_step_ancestors(hsi_ir *ir)
{
    hsched_status status = make_ancestors(ir, ir->step_count);
    for (uint32_t s = 0; s < ir->step_count && status == HSCHED_OK; s++) {
        const hsi_op *op = ir->steps[s];
        for (uint32_t i = 0; i < op->in_count; i++)
            for (uint32_t w = 0; op->in[i] != NULL && w < op->in[i]->writer_count; w++)
                add_ancestors(ir, s, op->in[i]->writers[w]->step_index);
    }
    return status;
}

/* The table has a bit for each pair of steps. */
static int steps_are_apart(const hsi_ir *ir)
{
    return ir->config->parallel_steps && ir->step_count <= MAX_PARALLEL_STEPS;
}

int hsi_comes_before(const hsi_ir *ir, const hsi_op *a, const hsi_op *b)
{
    if (steps_are_apart(ir))
        return is_ancestor(ir, a->step_index, b->step_index);
    if (a->section == b->section)
        return a->step_index < b->step_index;
    if (ir->ancestors == NULL)
        return a->section < b->section;
    return is_ancestor(ir, a->section, b->section);
}

static hsched_status link_sections(hsi_ir *ir)
{
    const uint32_t count = ir->plan->section_count;
    const int chain = count > MAX_PARALLEL_SECTIONS;
    uint32_t *crossings = HSI_POOL_ARRAY(&ir->temporary, uint32_t, count);
    if (crossings == NULL)
        return hsi_ir_no_memory();
    hsched_status status = HSCHED_OK;
    for (uint32_t s = 0; s < count && status == HSCHED_OK; s++)
        status = link_section(ir, s, crossings, chain);
    if (status == HSCHED_OK)
        status = link_users(ir);
    if (status != HSCHED_OK)
        return status;
    if (steps_are_apart(ir))
        return find_step_ancestors(ir);
    return chain ? HSCHED_OK : find_section_ancestors(ir);
}

hsched_status hsi_pass_sections(hsi_ir *ir)
{
    hsched_status status = number_steps(ir);
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = op->next)
        status = find_writers(ir, op);
    if (status == HSCHED_OK)
        status = list_roots(ir);
    if (status == HSCHED_OK)
        status = hsi_sections_cut(ir);
    if (status == HSCHED_OK)
        status = link_sections(ir);
    return status;
}
