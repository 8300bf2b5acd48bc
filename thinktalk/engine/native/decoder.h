// The decoders of Thinker, Talker, MTP and Code2Wav, and what they remember.

#include "lanes.h"

typedef struct {
    Matrix gate_up, down;  // gate above up
} FeedForward;

typedef struct {
    const float *attention_norm, *query_norm, *key_norm, *feed_norm;  // queries and keys may go without: 0
    Matrix qkv, out;
    Matrix router;            // no outputs: there are no experts
    const FeedForward *experts;
    FeedForward shared;       // of all rows; no outputs: there is none
    Matrix shared_gate;       // no outputs: it counts fully
} Layer;

typedef struct {
    int32_t width, layers, heads, kv_heads, head_dim, top_k, renormalise;
    int32_t window;            // a position looks at so many, itself included; 0: at all
    float eps;
    const float *frequencies;  // [head_dim / 2]: of the rotation
    const int32_t *axes;       // [head_dim / 2]: time, height or width
    const float *norm;
    const Layer *layer;
} Decoder;

// Keys and values of what came before: for each layer, keys then values of each head, [capacity][head_dim] each,
// in panels: of PANEL positions for keys, of PANEL dimensions for values. `count` rows come after `length` others.
typedef struct {
    float *numbers;
    int64_t capacity, length, count;
} Cache;

// x [rows][width] at positions [3][rows] to states after the final norm, in place. The rows are those of the caches,
// one after the other. accepted [rows][width]: what layer
// `accept` - 1 gave, where `accept` is not 0. extra [levels][rows][width]: is
// added behind the first layers.
void decode(
    const Decoder *d, int rows, float *x, const float *positions, Cache *caches, int count, int accept,
    float *accepted, const float *extra, int levels);

// A matrix over what one head of a layer holds of the first `seen` positions: of keys [seen][head_dim], or of values
// [head_dim][seen].
Matrix held(const Decoder *d, const Cache *cache, int layer, int of_values, int head, int seen);

// Forget all but the last `keep` positions, which become the first.
void forget(const Decoder *d, Cache *cache, int keep);
