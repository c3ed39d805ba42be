/*
 * Classifiers of text, of the kind that was usual before transformers. Their input is the
 * tokens' numbers in a vocabulary of 25000, int64 [1,64], which are looked up in a table of 300
 * numbers each, as many as GloVe has. Output: the softmax over four classes, [1,4].
 */
#include "zoo/net.h"

enum {
    VOCABULARY = 25000,
    LENGTH = 64,
    WIDTH = 300,
    HIDDEN = 256,
    CLASSES = 4
};

/* The sequence [T,1,I] of the tokens' numbers. */
static hsched_tensor embed(zoo_net *net)
{
    hsched_tensor x = zoo_tokens(net, LENGTH);
    x = zoo_embedding(net, "embedding", x, VOCABULARY, WIDTH);
    return zoo_transpose(net, "time_first", x, (const int64_t[]){ 1, 0, 2 });
}

/* Last states [D,1,H] to scores. */
static void classify(zoo_net *net, hsched_tensor state)
{
    int64_t directions = zoo_dim(net, state, 0);
    state = zoo_transpose(net, "batch_first", state, (const int64_t[]){ 1, 0, 2 });
    state = zoo_reshape(net, "features", state, 2,
                        (const int64_t[]){ 1, directions * HIDDEN });
    zoo_output(net, zoo_fc(net, "fc", state, CLASSES, 3.0f));
}

/* A bidirectional LSTM; the last states of both directions. */
void zoo_text_bilstm(zoo_net *net)
{
    hsched_tensor x = embed(net), last = HSCHED_NO_TENSOR;
    zoo_recurrent(net, "lstm", HSCHED_RECURRENT_LSTM, HSCHED_RECURRENT_BIDIRECTIONAL, x,
                  HIDDEN, NULL, &last);
    classify(net, last);
}

/* Two GRUs, one over the other's states. */
void zoo_text_gru(zoo_net *net)
{
    hsched_tensor x = embed(net), states = HSCHED_NO_TENSOR, last = HSCHED_NO_TENSOR;
    zoo_recurrent(net, "gru1", HSCHED_RECURRENT_GRU, HSCHED_RECURRENT_FORWARD, x, HIDDEN,
                  &states, NULL);
    /* [T,D,1,H], of one direction. */
    x = zoo_reshape(net, "states", states, 3, (const int64_t[]){ LENGTH, 1, HIDDEN });
    zoo_recurrent(net, "gru2", HSCHED_RECURRENT_GRU, HSCHED_RECURRENT_FORWARD, x, HIDDEN,
                  NULL, &last);
    classify(net, last);
}
