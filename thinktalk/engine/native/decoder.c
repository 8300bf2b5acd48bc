// What models/qwen3_omni/decoder.py computes, and the predictor's and the vocoder's layers, on rows of numbers.

#include "decoder.h"

Matrix held(const Decoder *d, const Cache *cache, int layer, int of_values, int head, int seen) {
    int wide = rounded_up(d->head_dim, PANEL);
    float *at = cache->numbers + ((int64_t)(layer * 2 + of_values) * d->kv_heads + head) * cache->capacity * wide;
    if (of_values) return (Matrix){seen, d->head_dim, cache->capacity * PANEL, at, 0};
    return (Matrix){d->head_dim, seen, (int64_t)d->head_dim * PANEL, at, 0};
}

static void put(const Decoder *d, const Cache *cache, int layer, int head, int place, const float *key, const float *value) {
    Matrix keys = held(d, cache, layer, 0, head, 0), values = held(d, cache, layer, 1, head, 0);
    float *k = (float *)keys.panels + place / PANEL * keys.stride + place % PANEL;
    for (int i = 0; i < d->head_dim; i++) k[i * PANEL] = key[i];
    for (int i = 0; i < d->head_dim; i += PANEL) {
        int some = d->head_dim - i < PANEL ? d->head_dim - i : PANEL;
        float *v = (float *)values.panels + i / PANEL * values.stride + (int64_t)place * PANEL;
        memcpy(v, value + i, sizeof(float) * some);
    }
}

void forget(const Decoder *d, Cache *cache, int keep) {
    float key[d->head_dim], value[d->head_dim];
    int first = cache->length - keep;
    for (int l = 0; l < d->layers; l++)
        for (int h = 0; h < d->kv_heads; h++) {
            Matrix keys = held(d, cache, l, 0, h, 0), values = held(d, cache, l, 1, h, 0);
            for (int place = 0; place < keep; place++) {
                int from = first + place;
                for (int i = 0; i < d->head_dim; i++) {
                    key[i] = keys.panels[from / PANEL * keys.stride + i * PANEL + from % PANEL];
                    value[i] = values.panels[i / PANEL * values.stride + (int64_t)from * PANEL + i % PANEL];
                }
                put(d, cache, l, h, place, key, value);
            }
        }
    cache->length = keep;
}

// Turn x [head_dim] by cos and sin [head_dim / 2]; its two halves are the two coordinates.
static void rotate(float *x, const float *cos, const float *sin, int head_dim) {
    int half = head_dim / 2;
    for (int i = 0; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cos[i] - b * sin[i];
        x[half + i] = b * cos[i] + a * sin[i];
    }
}

// x [rows][width] plus what attention finds; cos and sin [rows][head_dim / 2].
static void attention(
    const Decoder *d, int index, int rows, float *x, const float *cos, const float *sin,
    const Cache *caches, float *scratch) {
    const Layer *layer = &d->layer[index];
    int dim = d->head_dim, heads = d->heads, kv = d->kv_heads, group = heads / kv;
    int all_heads = (heads + 2 * kv) * dim;
    float *normed = scratch, *qkv = normed + rows * d->width, *found = qkv + rows * all_heads;
    float *scores = found + rows * heads * dim;
    for (int r = 0; r < rows; r++) rms_norm(x + r * d->width, layer->attention_norm, d->width, d->eps, normed + r * d->width);
    multiply(&layer->qkv, rows, normed, qkv);
    const Cache *cache = caches;
    for (int r = 0, own = 0; r < rows; r++, own++) {
        for (; own == cache->count; cache++) own = 0;
        float *query = qkv + r * all_heads, *key = query + heads * dim, *value = key + kv * dim;
        for (int h = 0; h < heads + kv; h++) {
            float *head = query + h * dim;
            const float *scale = h < heads ? layer->query_norm : layer->key_norm;
            if (scale) rms_norm(head, scale, dim, d->eps, head);
            rotate(head, cos + r * dim / 2, sin + r * dim / 2, dim);
        }
        int place = cache->length + own, seen = place + 1;
        int64_t room = rounded_up(seen, PANEL);
        int unseen = d->window && seen > d->window ? seen - d->window : 0;
        for (int i = 0; i < heads * dim; i++) query[i] /= sqrtf(dim);
        for (int h = 0; h < kv; h++) {
            put(d, cache, index, h, place, key + h * dim, value + h * dim);
            Matrix keys = held(d, cache, index, 0, h, seen), values = held(d, cache, index, 1, h, seen);
            multiply_strided(&keys, group, query + h * group * dim, dim, scores, room);
            for (int g = 0; g < group; g++) {
                for (int i = 0; i < unseen; i++) scores[g * room + i] = -1e30f;
                softmax(scores + g * room, seen);
            }
            multiply_strided(&values, group, scores, room, found + (r * heads + h * group) * dim, dim);
        }
    }
    multiply(&layer->out, rows, found, normed);
    for (int i = 0; i < rows * d->width; i++) x[i] += normed[i];
}

// y [rows][width] = what one feed-forward makes of x.
static void feed(const FeedForward *f, int rows, const float *x, float *y, float *scratch) {
    int inner = f->down.inputs;
    float *mixed = scratch + rows * 2 * inner;
    multiply(&f->gate_up, rows, x, scratch);
    gated(scratch, rows, inner, mixed);
    multiply(&f->down, rows, mixed, y);
}

// weights [experts] of one row: those of its `top_k` likeliest experts, and zeros.
static void choose_experts(const Decoder *d, float *weights, int experts, float *scratch) {
    softmax(weights, experts);
    float sum = 0;
    memset(scratch, 0, sizeof(float) * experts);
    for (int k = 0; k < d->top_k; k++) {
        int best = -1;
        for (int e = 0; e < experts; e++)
            if (scratch[e] == 0 && (best < 0 || weights[e] > weights[best])) best = e;
        scratch[best] = weights[best];
        sum += weights[best];
    }
    for (int e = 0; e < experts; e++) weights[e] = d->renormalise ? scratch[e] / sum : scratch[e];
}

// x [rows][width] plus what its experts, and the shared one, make of it.
static void feed_forward(const Decoder *d, const Layer *layer, int rows, float *x, float *scratch) {
    int width = d->width, experts = layer->router.outputs, room = rounded_up(experts, LANES);
    float *normed = scratch, *some = normed + rows * width, *made = some + rows * width;
    float *weights = made + rows * width, *rest = weights + rows * room + room;
    for (int r = 0; r < rows; r++) rms_norm(x + r * width, layer->feed_norm, width, d->eps, normed + r * width);
    if (layer->shared.down.outputs) {
        feed(&layer->shared, rows, normed, made, rest);
        if (layer->shared_gate.outputs) multiply(&layer->shared_gate, rows, normed, weights);
        for (int r = 0; r < rows; r++) {
            float share = layer->shared_gate.outputs ? 1.0f / (1.0f + expf(-weights[r])) : 1.0f;
            for (int i = 0; i < width; i++) x[r * width + i] += share * made[r * width + i];
        }
    }
    if (!experts) return;
    multiply_strided(&layer->router, rows, normed, width, weights, room);
    for (int r = 0; r < rows; r++) choose_experts(d, weights + r * room, experts, rest);
    for (int e = 0; e < experts; e++) {
        int count = 0;
        for (int r = 0; r < rows; r++)
            if (weights[r * room + e] != 0) memcpy(some + count++ * width, normed + r * width, sizeof(float) * width);
        if (count) feed(&layer->experts[e], count, some, made, rest);
        for (int r = 0, own = 0; r < rows; r++) {
            float weight = weights[r * room + e];
            if (weight == 0) continue;
            for (int i = 0; i < width; i++) x[r * width + i] += weight * made[own * width + i];
            own++;
        }
    }
}

// Numbers of scratch for so many rows that see at most so many positions.
static int64_t scratch_size(const Decoder *d, int rows, int64_t seen) {
    int64_t attention = d->width + (2 * d->heads + 2 * d->kv_heads) * d->head_dim, feeds = 0;
    for (int l = 0; l < d->layers; l++) {
        const Layer *layer = &d->layer[l];
        int inner = layer->shared.down.inputs;
        for (int e = 0; e < layer->router.outputs; e++)
            if (layer->experts[e].down.inputs > inner) inner = layer->experts[e].down.inputs;
        int64_t need = 3 * d->width + rounded_up(layer->router.outputs, LANES) + 3 * inner + LANES;
        if (need > feeds) feeds = need;
    }
    int64_t most = attention > feeds ? attention : feeds;
    return rows * most + d->heads * (seen + 2 * PANEL) + 4096;
}

void decode(
    const Decoder *d, int rows, float *x, const float *positions, Cache *caches, int count, int accept,
    float *accepted, const float *extra, int levels) {
    int half = d->head_dim / 2, width = d->width;
    int64_t seen = 0;
    for (int c = 0; c < count; c++)
        if (caches[c].length + caches[c].count > seen) seen = caches[c].length + caches[c].count;
    float *cos = malloc(sizeof(float) * (2 * rows * half + scratch_size(d, rows, seen)));
    float *sin = cos + rows * half, *scratch = sin + rows * half;
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < half; i++) {
            float angle = positions[d->axes[i] * rows + r] * d->frequencies[i];
            cos[r * half + i] = cosf(angle);
            sin[r * half + i] = sinf(angle);
        }
    for (int l = 0; l < d->layers; l++) {
        attention(d, l, rows, x, cos, sin, caches, scratch);
        feed_forward(d, &d->layer[l], rows, x, scratch);
        if (l + 1 == accept) memcpy(accepted, x, sizeof(float) * rows * width);
        if (l < levels)
            for (int i = 0; i < rows * width; i++) x[i] += extra[(int64_t)l * rows * width + i];
    }
    for (int r = 0; r < rows; r++) rms_norm(x + r * width, d->norm, width, d->eps, x + r * width);
    if (accept == d->layers) memcpy(accepted, x, sizeof(float) * rows * width);
    for (int c = 0; c < count; c++) caches[c].length += caches[c].count;
    free(cos);
}

// y [rows][outputs] = weight x + bias for x [rows][inputs] and weight [outputs][inputs] as it is stored; bias may be 0.
void linear(int inputs, int outputs, int rows, const float *weight, const float *bias, const float *x, float *y) {
    for (int o = 0; o < outputs; o++, weight += inputs)
        for (int r = 0; r < rows; r++) y[(int64_t)r * outputs + o] = dot(weight, x + r * inputs, inputs) + (bias ? bias[o] : 0);
}
