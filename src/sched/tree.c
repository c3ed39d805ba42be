#include "sched/tree.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

enum {
    /* Every node but the root has at least so many slots. Less than half: what was split is not
     * joined again at once. */
    LEAST = 8,
    FEWEST_NODES = 16 /* of a chunk */
};

typedef struct hsi_tree_chunk {
    struct hsi_tree_chunk *next;
    uint64_t nodes[]; /* as many as the pool's nodes need */
} hsi_tree_chunk;

/* ---- The pool -------------------------------------------------------------- */

static size_t node_size(const hsi_tree_pool *pool)
{
    return sizeof(hsi_tree_node) + sizeof(int64_t) * HSI_TREE_WIDTH * pool->numbers;
}

static void give_back(hsi_tree_pool *pool, hsi_tree_node *node)
{
    node->slots[0].below = pool->unused;
    pool->unused = node;
}

static hsi_tree_node *take_fresh(hsi_tree_pool *pool)
{
    char *nodes = (char *)pool->chunks->nodes;
    return (hsi_tree_node *)(void *)(nodes + node_size(pool) * --pool->chunk_left);
}

static hsi_tree_node *take(hsi_tree_pool *pool)
{
    hsi_tree_node *node = pool->unused;
    if (!node)
        return take_fresh(pool);
    pool->unused = node->slots[0].below;
    return node;
}

/* With n entries there are at most n/8 nodes that hold entries, n/64 right above them, and so
 * on, but for roots. */
int hsi_tree_reserve(hsi_tree_pool *pool, uint32_t entries)
{
    const uint32_t nodes = entries / (LEAST - 1);
    if (nodes <= pool->capacity)
        return 1;
    uint32_t more = nodes - pool->capacity;
    if (more < pool->capacity && pool->capacity <= UINT32_MAX / 2)
        more = pool->capacity;
    if (more < FEWEST_NODES)
        more = FEWEST_NODES;
    hsi_tree_chunk *chunk = hsi_calloc(1, sizeof *chunk + node_size(pool) * more);
    if (!chunk)
        return 0;
    while (pool->chunk_left > 0)
        give_back(pool, take_fresh(pool));
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->chunk_left = more;
    pool->capacity += more;
    return 1;
}

hsi_tree_node *hsi_tree_create(const hsi_tree_pool *pool)
{
    return hsi_calloc(1, node_size(pool));
}

void hsi_tree_clear(hsi_tree_pool *pool)
{
    while (pool->chunks) {
        hsi_tree_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        hsi_free(chunk);
    }
    *pool = (hsi_tree_pool){ .numbers = pool->numbers };
}

/* ---- Nodes ------------------------------------------------------------------ */

static int64_t *numbers_of(const hsi_tree_pool *pool, const hsi_tree_node *node,
                           uint32_t slot)
{
    int64_t *all = (int64_t *)(void *)((char *)(uintptr_t)node + sizeof *node);
    return all + (size_t)slot * pool->numbers;
}

static hsi_tree_place place_of(const hsi_tree_node *node, uint32_t slot)
{
    return (hsi_tree_place){ node->keys[slot], node->slots[slot].sequence };
}

/* Slots that are not behind the place. One after the other: to halve what is left takes a branch
 * each time that may go either way, which costs more. */
static uint32_t count_to(const hsi_tree_node *node, hsi_tree_place place)
{
    uint32_t count = node->count;
    if (count > 0 && node->keys[count - 1] > place.key)
        for (count = 0; node->keys[count] <= place.key;)
            count++;
    while (count > 0 && hsi_tree_before(place, place_of(node, count - 1)))
        count--;
    return count;
}

/* Of a node of nodes: below which one the place is. */
static uint32_t slot_of(const hsi_tree_node *node, hsi_tree_place place)
{
    const uint32_t count = count_to(node, place);
    return count > 0 ? count - 1 : 0;
}

static void step(hsi_tree_path *path, hsi_tree_node *node, uint32_t slot)
{
    path->steps[path->length].node = node;
    path->steps[path->length++].slot = slot;
}

static void move(const hsi_tree_pool *pool, hsi_tree_node *to, uint32_t at,
                 const hsi_tree_node *from, uint32_t first, uint32_t count)
{
    if (count == 0)
        return;
    memmove(&to->keys[at], &from->keys[first], count * sizeof to->keys[0]);
    memmove(&to->slots[at], &from->slots[first], count * sizeof to->slots[0]);
    if (pool->numbers > 0)
        memmove(numbers_of(pool, to, at), numbers_of(pool, from, first),
                sizeof(int64_t) * count * pool->numbers);
}

/* A new slot; its numbers are 0. */
static void open_slot(const hsi_tree_pool *pool, hsi_tree_node *node, uint32_t at,
                      hsi_tree_place from, void *below)
{
    move(pool, node, at + 1, node, at, node->count - at);
    node->keys[at] = from.key;
    node->slots[at] = (hsi_tree_slot){ from.sequence, below };
    for (uint32_t n = 0; n < pool->numbers; n++)
        numbers_of(pool, node, at)[n] = 0;
    node->count++;
}

static void close_slots(const hsi_tree_pool *pool, hsi_tree_node *node, uint32_t at,
                        uint32_t count)
{
    node->count -= count;
    move(pool, node, at, node, at + count, node->count - at);
}

/* What all slots of the node below this one bring. */
static void sum_up(const hsi_tree_pool *pool, hsi_tree_node *node, uint32_t slot)
{
    const hsi_tree_node *below = node->slots[slot].below;
    for (uint32_t n = 0; n < pool->numbers; n++) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < below->count; i++)
            sum += numbers_of(pool, below, i)[n];
        numbers_of(pool, node, slot)[n] = sum;
    }
}

/* ---- Changing --------------------------------------------------------------- */

/* The root's slots go into a node below it, the only one. */
static void add_level(hsi_tree_pool *pool, hsi_tree_node *root)
{
    hsi_tree_node *below = take(pool);
    below->count = root->count;
    below->height = root->height;
    move(pool, below, 0, root, 0, root->count);
    root->count = 1;
    root->height++;
    root->slots[0].below = below;
    sum_up(pool, root, 0);
}

/* The reverse: the slots of the only node below the root. */
static void remove_level(hsi_tree_pool *pool, hsi_tree_node *root)
{
    hsi_tree_node *below = root->slots[0].below;
    root->count = below->count;
    root->height = below->height;
    move(pool, root, 0, below, 0, below->count);
    give_back(pool, below);
}

/* The node below this slot is full: half of it goes to a new one, right of it. */
static void split(hsi_tree_pool *pool, hsi_tree_node *node, uint32_t slot)
{
    hsi_tree_node *left = node->slots[slot].below, *right = take(pool);
    right->count = HSI_TREE_WIDTH / 2;
    right->height = left->height;
    left->count -= right->count;
    move(pool, right, 0, left, left->count, right->count);
    open_slot(pool, node, slot + 1, place_of(right, 0), right);
    sum_up(pool, node, slot);
    sum_up(pool, node, slot + 1);
}

/* The nodes below this slot and the next become one, or have as many slots each. */
static void join(hsi_tree_pool *pool, hsi_tree_node *node, uint32_t slot)
{
    hsi_tree_node *left = node->slots[slot].below, *right = node->slots[slot + 1].below;
    const uint32_t all = left->count + right->count, half = all / 2;
    if (all <= HSI_TREE_WIDTH) {
        move(pool, left, left->count, right, 0, right->count);
        left->count = all;
        close_slots(pool, node, slot + 1, 1);
        sum_up(pool, node, slot);
        give_back(pool, right);
        return;
    }
    if (left->count < half) {
        const uint32_t count = half - left->count;
        move(pool, left, left->count, right, 0, count);
        move(pool, right, 0, right, count, right->count - count);
    } else {
        const uint32_t count = left->count - half;
        move(pool, right, count, right, 0, right->count);
        move(pool, right, 0, left, half, count);
    }
    left->count = half;
    right->count = all - half;
    node->keys[slot + 1] = right->keys[0];
    node->slots[slot + 1].sequence = right->slots[0].sequence;
    sum_up(pool, node, slot);
    sum_up(pool, node, slot + 1);
}

/* No full node is gone below, so that the one above a node that is split has a free slot. */
void hsi_tree_insert(hsi_tree_pool *pool, hsi_tree_node *root, hsi_tree_place place,
                     void *element, hsi_tree_path *path)
{
    hsi_tree_node *node = root;
    path->length = 0;
    if (root->count == HSI_TREE_WIDTH)
        add_level(pool, root);
    while (node->height > 0) {
        uint32_t slot = slot_of(node, place);
        hsi_tree_node *below = node->slots[slot].below;
        if (below->count == HSI_TREE_WIDTH) {
            split(pool, node, slot);
            slot = slot_of(node, place);
            below = node->slots[slot].below;
        }
        if (hsi_tree_before(place, place_of(node, slot))) {
            node->keys[slot] = place.key;
            node->slots[slot].sequence = place.sequence;
        }
        step(path, node, slot);
        node = below;
    }
    const uint32_t slot = count_to(node, place);
    open_slot(pool, node, slot, place, element);
    step(path, node, slot);
}

/* The node below this slot, if it can lose a slot; else it is joined with another, and the way down
 * has to be looked for again: NULL. */
static hsi_tree_node *go_below(hsi_tree_pool *pool, hsi_tree_node *root,
                               hsi_tree_node *node, uint32_t slot)
{
    hsi_tree_node *below = node->slots[slot].below;
    if (below->count > LEAST)
        return below;
    join(pool, node, slot > 0 ? slot - 1 : 0);
    if (root->count == 1)
        remove_level(pool, root);
    return NULL;
}

void hsi_tree_remove(hsi_tree_pool *pool, hsi_tree_node *root, hsi_tree_place place,
                     const int64_t *numbers)
{
    hsi_tree_node *node = root;
    while (node->height > 0) {
        const uint32_t slot = slot_of(node, place);
        hsi_tree_node *below = go_below(pool, root, node, slot);
        if (!below)
            continue;
        for (uint32_t n = 0; n < pool->numbers; n++)
            numbers_of(pool, node, slot)[n] -= numbers[n];
        node = below;
    }
    close_slots(pool, node, slot_of(node, place), 1);
}

uint32_t hsi_tree_take(hsi_tree_pool *pool, hsi_tree_node *root, void **elements,
                       uint32_t most)
{
    uint32_t taken = 0;
    while (taken < most && root->count > 0) {
        hsi_tree_node *node = root;
        while (node->height > 0) {
            hsi_tree_node *below = go_below(pool, root, node, 0);
            node = below ? below : node;
        }
        const uint32_t wanted = most - taken,
                       there = node == root ? node->count : node->count - LEAST,
                       count = there < wanted ? there : wanted;
        for (uint32_t i = 0; i < count; i++)
            elements[taken++] = node->slots[i].below;
        close_slots(pool, node, 0, count);
    }
    return taken;
}

/* ---- Asking ----------------------------------------------------------------- */

void *hsi_tree_first(const hsi_tree_node *root)
{
    const hsi_tree_node *node = root;
    if (node->count == 0)
        return NULL;
    while (node->height > 0)
        node = node->slots[0].below;
    return node->slots[0].below;
}

void *hsi_tree_next(const hsi_tree_node *root, hsi_tree_place place)
{
    const hsi_tree_node *node = root, *behind = NULL;
    while (node->height > 0) {
        const uint32_t slot = slot_of(node, place);
        if (slot + 1 < node->count)
            behind = node->slots[slot + 1].below;
        node = node->slots[slot].below;
    }
    const uint32_t next = count_to(node, place);
    if (next < node->count)
        return node->slots[next].below;
    return behind ? hsi_tree_first(behind) : NULL;
}

void hsi_tree_find(hsi_tree_node *root, hsi_tree_place place, hsi_tree_path *path)
{
    hsi_tree_node *node = root;
    path->length = 0;
    while (node->height > 0) {
        const uint32_t slot = slot_of(node, place);
        step(path, node, slot);
        node = node->slots[slot].below;
    }
    const uint32_t count = count_to(node, place);
    const int there = count > 0 && !hsi_tree_before(place_of(node, count - 1), place);
    step(path, node, count - (uint32_t)there);
}

void hsi_tree_add(const hsi_tree_pool *pool, const hsi_tree_path *path,
                  const int64_t *more)
{
    for (uint32_t i = 0; i < path->length; i++) {
        int64_t *numbers = numbers_of(pool, path->steps[i].node, path->steps[i].slot);
        for (uint32_t n = 0; n < pool->numbers; n++)
            numbers[n] += more[n];
    }
}

/* Of `count` slots, two numbers at a time. */
static void add_slots(const hsi_tree_pool *pool, const hsi_tree_node *node,
                      uint32_t first, uint32_t count, int sign, int64_t *sums)
{
    const size_t width = pool->numbers;
    for (size_t n = 0; n < width; n += 2) {
        const size_t other = n + 1 < width ? 1 : 0;
        const int64_t *at = numbers_of(pool, node, first) + n, *end = at + width * count;
        int64_t a = 0, b = 0;
        for (; at < end; at += width) {
            a += at[0];
            b += at[other];
        }
        sums[n] += sign * a;
        if (other)
            sums[n + 1] += sign * b;
    }
}

/* In each node either the slots before the way are added up, or those from it on, which are taken
 * away from what all of them bring. */
void hsi_tree_sum_before(const hsi_tree_pool *pool, const hsi_tree_path *path,
                         int64_t *sums)
{
    for (uint32_t n = 0; n < pool->numbers; n++)
        sums[n] = 0;
    for (uint32_t i = 0; i < path->length; i++) {
        const hsi_tree_node *node = path->steps[i].node;
        const uint32_t slot = path->steps[i].slot;
        if (i == 0 || slot <= node->count / 2) {
            add_slots(pool, node, 0, slot, 1, sums);
        } else {
            add_slots(pool, path->steps[i - 1].node, path->steps[i - 1].slot, 1, 1, sums);
            add_slots(pool, node, slot, node->count - slot, -1, sums);
        }
    }
}

/* ---- Checking --------------------------------------------------------------- */

static int are_sums_right(const hsi_tree_pool *pool, const hsi_tree_node *node,
                          uint32_t slot)
{
    const hsi_tree_node *below = node->slots[slot].below;
    for (uint32_t n = 0; n < pool->numbers; n++) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < below->count; i++)
            sum += numbers_of(pool, below, i)[n];
        if (sum != numbers_of(pool, node, slot)[n])
            return 0;
    }
    return 1;
}

const char *hsi_tree_check(const hsi_tree_pool *pool, const hsi_tree_node *root,
                           uint32_t *nodes)
{
    const char *wrong = NULL;
    if (root->count > HSI_TREE_WIDTH || (root->height > 0 && root->count < 2))
        return "a node of a tree has too many slots, or one";
    for (uint32_t i = 0; i < root->count && !wrong; i++) {
        const hsi_tree_node *below = root->slots[i].below;
        const hsi_tree_place from = place_of(root, i);
        if (i > 0 && !hsi_tree_before(place_of(root, i - 1), from))
            return "a node of a tree is out of order";
        if (root->height == 0)
            continue;
        if (below->height != root->height - 1 || below->count < LEAST)
            return "a node of a tree has too few slots, or is in the wrong place";
        if (hsi_tree_before(place_of(below, 0), from) ||
            (i + 1 < root->count &&
             !hsi_tree_before(place_of(below, below->count - 1), place_of(root, i + 1))))
            return "a node of a tree has slots that belong to another";
        if (!are_sums_right(pool, root, i))
            return "the numbers of a tree's node are not the sums of those below it";
        wrong = hsi_tree_check(pool, below, nodes);
        *nodes += 1;
    }
    return wrong;
}
