/*
 * A binary search tree of runs in the scheduler's order: by key, then by sequence. Nodes are the
 * runs' own, so nothing is ever allocated. It is a treap (Seidel and Aragon, "Randomized Search
 * Trees", 1996): what is further up follows from a hash of the sequence, so its shape does not
 * depend on the order in which runs come, and its depth is some 2 ln n.
 *
 * A node may know sums over all that are to its left below it: they change for the nodes above one
 * that changes only, so that nothing beside the way to the root is looked at, and when a node goes
 * up by one, which `raised` is told of.
 */
#ifndef HSI_SCHED_TREE_H
#define HSI_SCHED_TREE_H

#include <stdint.h>

typedef struct hsi_tree_node {
    struct hsi_tree_node *parent, *left, *right;
    int64_t key;
    uint64_t sequence;
} hsi_tree_node;

typedef struct hsi_tree {
    hsi_tree_node *root;
    /* Or NULL. The node is about to change places with its parent. */
    void (*raised)(hsi_tree_node *node, hsi_tree_node *parent);
} hsi_tree;

static inline int hsi_tree_before(const hsi_tree_node *a, const hsi_tree_node *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

/* The caller has set key and sequence, and there is nothing of it in any sum. Gives the node right
 * before it, or NULL: it is the first. */
hsi_tree_node *hsi_tree_insert(hsi_tree *tree, hsi_tree_node *node);
/* There is nothing of it in any sum any more. */
void hsi_tree_remove(hsi_tree *tree, hsi_tree_node *node);

#endif
