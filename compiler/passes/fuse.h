/* What the files of the fuse pass share. */
#ifndef NETC_FUSE_H
#define NETC_FUSE_H
#include "../ir.h"

/* Moves `producer` to the place of `user`, whose output it takes over. */
void fuse_take_over(Function *function, Node *producer, Node *user);

/* fuse_norm.c: an addition, or an activation, into the BatchNorm of a training step before it. */
bool fuse_norm_residual(Function *function, Node *add);
bool fuse_norm_activation(Function *function, Node *activation);
/* The gradient of a bias before such a BatchNorm. */
bool fuse_norm_bias(Function *function, Node *sum);
/* fuse_loss.c: the gradient of a softmax or sigmoid into the cross-entropy of what it makes. */
bool fuse_loss(Function *function, Node *node);
/* fuse_pool.c: after all else. */
void fuse_pool_places(Function *function);
#endif
