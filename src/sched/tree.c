#include "sched/tree.h"

#include <stddef.h>

/* The finalizer of splitmix64: sequences that follow each other have nothing in common. */
static uint64_t height(const hsi_tree_node *node)
{
    uint64_t z = node->sequence * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* `other` takes the place of `node` under its parent. */
static void replace(hsi_tree *tree, const hsi_tree_node *node, hsi_tree_node *other)
{
    hsi_tree_node *parent = node->parent;
    if (!parent)
        tree->root = other;
    else if (parent->left == node)
        parent->left = other;
    else
        parent->right = other;
    if (other)
        other->parent = parent;
}

/* The node changes places with its parent; the order stays. */
static void rotate_up(hsi_tree *tree, hsi_tree_node *node)
{
    hsi_tree_node *parent = node->parent, *moved;
    if (tree->raised)
        tree->raised(node, parent);
    replace(tree, parent, node);
    if (parent->left == node) {
        moved = parent->left = node->right;
        node->right = parent;
    } else {
        moved = parent->right = node->left;
        node->left = parent;
    }
    if (moved)
        moved->parent = parent;
    parent->parent = node;
}

hsi_tree_node *hsi_tree_insert(hsi_tree *tree, hsi_tree_node *node)
{
    hsi_tree_node **at = &tree->root, *parent = NULL, *before = NULL;
    while (*at) {
        parent = *at;
        if (hsi_tree_before(node, parent)) {
            at = &parent->left;
        } else {
            before = parent;
            at = &parent->right;
        }
    }
    *at = node;
    node->parent = parent;
    node->left = node->right = NULL;
    const uint64_t own = height(node);
    while (node->parent && own < height(node->parent))
        rotate_up(tree, node);
    return before;
}

void hsi_tree_remove(hsi_tree *tree, hsi_tree_node *node)
{
    while (node->left && node->right)
        rotate_up(tree,
                  height(node->left) < height(node->right) ? node->left : node->right);
    replace(tree, node, node->left ? node->left : node->right);
}
