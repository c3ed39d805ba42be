/*
 * Sets of runs in the scheduler's order: by key, then by sequence. Each entry may bring some
 * numbers, and what all entries before a place bring together is found as fast as the place.
 *
 * They are B+ trees (Bayer and McCreight, "Organization and Maintenance of Large Ordered Indices",
 * 1972; Comer, "The Ubiquitous B-Tree", 1979): a node has up to 32 entries, or nodes, in order, and
 * knows of each of those nodes the sums of what is below it. So a hundred thousand runs are four
 * nodes deep, of which all but the last are few enough to stay in the caches, and nothing but nodes
 * is touched: no element knows where it is. Whoever asks goes down from the root.
 *
 * Nodes come from a pool, in which room is made beforehand, at a moment when failing is still
 * possible. A root is its owner's; an empty set has no nodes but that.
 */
#ifndef HSI_SCHED_TREE_H
#define HSI_SCHED_TREE_H

#include <stdint.h>

enum {
    HSI_TREE_WIDTH = 32,
    HSI_TREE_DEEPEST = 12 /* 2^32 entries, eight in each node */
};

typedef struct hsi_tree_place {
    int64_t key;
    uint64_t sequence;
} hsi_tree_place;

typedef struct hsi_tree_slot {
    uint64_t sequence;
    void *below; /* the entry's element, or a node */
} hsi_tree_slot;

typedef struct hsi_tree_node {
    uint32_t count;
    uint32_t height; /* 0: its slots are entries */
    /* Key and sequence are an entry's place; nothing below a node comes before them. */
    int64_t keys[HSI_TREE_WIDTH];
    hsi_tree_slot slots[HSI_TREE_WIDTH];
    /* Here follow, if entries bring numbers, those of each slot. */
} hsi_tree_node;

/* Of all trees whose entries bring so many numbers. */
typedef struct hsi_tree_pool {
    uint32_t numbers;
    uint32_t capacity;     /* nodes */
    hsi_tree_node *unused; /* given back */
    struct hsi_tree_chunk *chunks;
    uint32_t chunk_left; /* nodes of the first chunk that were never taken */
} hsi_tree_pool;

/* A way from the root down. It holds until an entry is inserted or removed. */
typedef struct hsi_tree_path {
    uint32_t length;
    struct {
        hsi_tree_node *node;
        uint32_t slot;
    } steps[HSI_TREE_DEEPEST];
} hsi_tree_path;

/* 1 if a goes before b. */
static inline int hsi_tree_before(hsi_tree_place a, hsi_tree_place b)
{
    return (a.key < b.key) | ((a.key == b.key) & (a.sequence < b.sequence));
}

/* Makes room for so many entries in all trees together; 0 when memory ran out. */
int hsi_tree_reserve(hsi_tree_pool *pool, uint32_t entries);
/* An empty root, for entries with numbers; hsi_free. NULL when memory ran out. Without numbers, a
 * node full of zeros is one. */
hsi_tree_node *hsi_tree_create(const hsi_tree_pool *pool);
void hsi_tree_clear(hsi_tree_pool *pool); /* frees the memory; all trees are empty */

/* There is room, and no entry in this place. Its numbers are 0. Gives the way to it. */
void hsi_tree_insert(hsi_tree_pool *pool, hsi_tree_node *root, hsi_tree_place place,
                     void *element, hsi_tree_path *path);
/* There is an entry in this place, and these are its numbers. */
void hsi_tree_remove(hsi_tree_pool *pool, hsi_tree_node *root, hsi_tree_place place,
                     const int64_t *numbers);
/* The first entries, up to `most`, leave a tree without numbers; gives how many. */
uint32_t hsi_tree_take(hsi_tree_pool *pool, hsi_tree_node *root, void **elements,
                       uint32_t most);

/* The first element; the first one behind a place; or NULL. */
void *hsi_tree_first(const hsi_tree_node *root);
void *hsi_tree_next(const hsi_tree_node *root, hsi_tree_place place);

/* The way to the entry in this place, or to where it would be. */
void hsi_tree_find(hsi_tree_node *root, hsi_tree_place place, hsi_tree_path *path);
/* What all entries before this place bring. */
void hsi_tree_sum_before(const hsi_tree_pool *pool, const hsi_tree_path *path,
                         int64_t *sums);
/* The entry, which there is, brings so much more. */
void hsi_tree_add(const hsi_tree_pool *pool, const hsi_tree_path *path,
                  const int64_t *more);

/* Tests: what is wrong with the tree, or NULL; counts its nodes but for the root. */
const char *hsi_tree_check(const hsi_tree_pool *pool, const hsi_tree_node *root,
                           uint32_t *nodes);

#endif
