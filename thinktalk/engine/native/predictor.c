// MTP: what engine/stages/talk.py `fill_in` does, all steps of a frame in one call.

#include "decoder.h"

typedef struct {
    Decoder decoder;
    int32_t groups;
    const float *const *tables;  // of each code that is fed back [codes][width]
    const Matrix *heads;         // of each code but the first
} Predictor;

// As engine/sampler.py `Sampling`.
typedef struct {
    float temperature, top_p;
    int32_t top_k;
} Sampling;

static int likeliest(const float *logits, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

// As engine/sampler.py `_draw`, of logits [n], which are lost; room for n numbers and as many ids.
static int draw(float *logits, int n, const Sampling *how, float uniform, float *up_to, int *ids) {
    int most = how->top_k && how->top_k < n ? how->top_k : n;
    float highest = 0, sum = 0, total = 0, before = 0;
    for (int k = 0; k < most; k++) {
        ids[k] = likeliest(logits, n);
        if (k == 0) highest = logits[ids[0]];
        sum += up_to[k] = expf((logits[ids[k]] - highest) / how->temperature);
        logits[ids[k]] = -INFINITY;
    }
    for (int k = 0; k < most; k++) {
        float here = before + up_to[k] / sum;
        if (how->top_p >= 1 || before < how->top_p) total = here;
        up_to[k] = before = here;
    }
    int chosen = 0;
    while (chosen < most - 1 && up_to[chosen] < uniform * total) chosen++;
    return ids[chosen];
}

// x [frames][2][width], the Talker's state and its code's embedding -> codes [frames][groups - 1], each frame by its
// own `how` and, where that samples, its own numbers in [0, 1) [frames][groups - 1].
void fill_in(
    const Predictor *p, int frames, const float *x, const Sampling *how, const float *uniforms, int64_t *codes) {
    const Decoder *d = &p->decoder;
    int width = d->width, steps = p->groups - 1, vocabulary = p->heads[0].outputs;
    int64_t held = (int64_t)d->layers * 2 * d->kv_heads * rounded_up(p->groups, PANEL) * rounded_up(d->head_dim, PANEL);
    float *numbers = malloc(sizeof(float) * (frames * (held + 2 * width + 6) + 2 * vocabulary));
    float *rows = numbers + frames * held, *positions = rows + 2 * frames * width, *logits = positions + 6 * frames;
    int ids[vocabulary];
    Cache caches[frames];
    for (int f = 0; f < frames; f++)
        caches[f] = (Cache){numbers + f * held, rounded_up(p->groups, PANEL), 0, 0};
    memcpy(rows, x, sizeof(float) * 2 * frames * width);
    for (int step = 0; step < steps; step++) {
        int each = step ? 1 : 2;
        for (int r = 0; r < 3 * frames * each; r++) positions[r] = step ? step + 1 : r % 2;
        for (int f = 0; f < frames; f++) caches[f].count = each;
        decode(d, frames * each, rows, positions, caches, frames, 0, 0, 0, 0);
        for (int f = 0; f < frames; f++) {
            multiply(&p->heads[step], 1, rows + (f * each + each - 1) * width, logits);
            float uniform = uniforms[f * steps + step];
            codes[f * steps + step] = how[f].temperature == 0
                ? likeliest(logits, vocabulary)
                : draw(logits, vocabulary, &how[f], uniform, logits + vocabulary, ids);
        }
        if (step + 1 < steps)
            for (int f = 0; f < frames; f++)
                memcpy(rows + f * width, p->tables[step] + codes[f * steps + step] * width, sizeof(float) * width);
    }
    free(numbers);
}
