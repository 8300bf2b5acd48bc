// What models/qwen3_omni/code2wav.py computes, of one stream that goes on. A signal is [channels][n] numbers, its
// channels `spaced(n)` apart, so that whole lanes may be read and written behind the last.

#include "decoder.h"

#define AT_ONCE 4  // frames: what is under way stays near the processor
#define SIDE 4     // outputs of a convolution that are summed side by side
#define STEPS (2 * LANES)

// weight [outputs / SIDE][inputs][taps][SIDE], of which tap 0 is the oldest.
typedef struct {
    int32_t inputs, outputs, taps, dilation;
    const float *weight, *bias;
} Convolution;

// A convolution to `rate` times the channels, which become moments: what a transposed convolution is.
typedef struct {
    Convolution convolution;
    int32_t rate;
} Upsampling;

typedef struct {
    const float *alpha, *scale;  // [channels]: alpha / pi, and 1 / beta
} Snake;

typedef struct {
    Upsampling up;
    const float *depth, *depth_bias, *norm, *norm_bias;  // depth [width][taps]: a channel each
    int32_t taps;
    float eps;
    Convolution widen, narrow;
} ConvNeXt;

typedef struct {
    Snake before, between;
    Convolution wide, point;
} Residual;

typedef struct {
    Snake before;
    Upsampling up;
    Residual unit[3];
} Block;

typedef struct {
    Decoder transformer;
    const float *embedding;  // [quantizers][codebook][width]
    int32_t quantizers, codebook, stages, blocks;
    const ConvNeXt *stage;
    Convolution first;
    const Block *block;
    Snake snake;
    Convolution last;
} Vocoder;

// A signal under way, two more to work with, and where the next part of the stream's past is.
typedef struct {
    float *x, *y, *joined;
    int channels, n;
    float *past;
    int beginning;
} Flow;

static int spaced(int n) { return rounded_up(n, STEPS) + STEPS; }

static void swap(Flow *f) {
    float *x = f->x;
    f->x = f->y;
    f->y = x;
}

static inline __attribute__((always_inline)) void convolve_steps(
    const Convolution *c, const int vectors, const float *weight, const float *x, int x_space, const float *bias,
    float *y, int y_space, int outputs) {
    lanes sum[SIDE][2];
    for (int o = 0; o < SIDE; o++) sum[o][0] = sum[o][1] = all(o < outputs ? bias[o] : 0);
    for (int i = 0; i < c->inputs; i++, x += x_space)
        for (int k = 0; k < c->taps; k++, weight += SIDE) {
            const float *at = x + k * c->dilation;
            lanes x0 = load(at), x1 = vectors > 1 ? load(at + LANES) : x0;
#pragma GCC unroll 4
            for (int o = 0; o < SIDE; o++) {
                sum[o][0] += weight[o] * x0;
                if (vectors > 1) sum[o][1] += weight[o] * x1;
            }
        }
    for (int o = 0; o < outputs; o++) {
        store(y + o * y_space, sum[o][0]);
        if (vectors > 1) store(y + o * y_space + LANES, sum[o][1]);
    }
}

// f.x becomes what the convolution makes of it and of what came before.
static void convolve(Flow *f, const Convolution *c) {
    int n = f->n, reach = (c->taps - 1) * c->dilation, space = spaced(n);
    const float *x = f->x;
    int x_space = space;
    if (reach) {
        x_space = spaced(reach + n);
        for (int i = 0; i < c->inputs; i++) {
            float *joined = f->joined + i * x_space, *past = f->past + i * reach;
            memcpy(joined, past, sizeof(float) * reach);
            memcpy(joined + reach, f->x + i * space, sizeof(float) * n);
            memcpy(past, joined + n, sizeof(float) * reach);
        }
        f->past += c->inputs * reach;
        x = f->joined;
    }
    for (int o = 0; o < c->outputs; o += SIDE) {
        const float *weight = c->weight + (int64_t)o * c->inputs * c->taps;
        int outputs = c->outputs - o < SIDE ? c->outputs - o : SIDE;
        int t = 0;
        for (; n - t > LANES; t += STEPS)
            convolve_steps(c, 2, weight, x + t, x_space, c->bias + o, f->y + o * space + t, space, outputs);
        if (t < n) convolve_steps(c, 1, weight, x + t, x_space, c->bias + o, f->y + o * space + t, space, outputs);
    }
    f->channels = c->outputs;
    swap(f);
}

static void upsample(Flow *f, const Upsampling *u) {
    convolve(f, &u->convolution);
    int rate = u->rate, channels = f->channels / rate, space = spaced(f->n);
    int drop = f->beginning && u->convolution.taps > 1;  // the first needs one before it, and there is none
    int kept = f->n - drop, wide = spaced(kept * rate);
    for (int c = 0; c < channels; c++)
        for (int j = 0; j < rate; j++) {
            const float *from = f->x + (c * rate + j) * space + drop;
            float *to = f->y + c * wide + j;
            for (int t = 0; t < kept; t++) to[t * rate] = from[t];
        }
    f->channels = channels;
    f->n = kept * rate;
    swap(f);
}

// y = x + sin(alpha x)^2 / beta, per channel; the sine by a polynomial, to float's precision.
static void snake(const Flow *f, const Snake *s, float *y) {
    const lanes magic = all(12582912.0f);  // adding it rounds to a whole number
    int space = spaced(f->n);
    for (int c = 0; c < f->channels; c++)
        for (int t = 0; t < f->n; t += LANES) {
            lanes x = load(f->x + c * space + t), turns = x * s->alpha[c];
            lanes r = turns - ((turns + magic) - magic), r2 = r * r;
            lanes p = (((-0.00737043f * r2 + 0.08214589f) * r2 - 0.59926453f) * r2 + 2.55016404f) * r2 - 5.16771278f;
            lanes sine = r * (p * r2 + 3.14159265f);
            store(y + c * space + t, x + sine * sine * s->scale[c]);
        }
}

static void add(Flow *f, const float *x) {
    int space = spaced(f->n);
    for (int i = 0; i < f->channels * space; i++) f->x[i] += x[i];
}

static void residual(Flow *f, const Residual *r, float *kept) {
    memcpy(kept, f->x, sizeof(float) * f->channels * spaced(f->n));
    snake(f, &r->before, f->x);
    convolve(f, &r->wide);
    snake(f, &r->between, f->x);
    convolve(f, &r->point);
    add(f, kept);
}

// Each channel over its own past.
static void depthwise(Flow *f, const ConvNeXt *s) {
    int n = f->n, reach = s->taps - 1, space = spaced(n);
    for (int c = 0; c < f->channels; c++, f->past += reach) {
        float *joined = f->joined, *y = f->y + c * space;
        memcpy(joined, f->past, sizeof(float) * reach);
        memcpy(joined + reach, f->x + c * space, sizeof(float) * n);
        memcpy(f->past, joined + n, sizeof(float) * reach);
        for (int t = 0; t < n; t++) {
            y[t] = s->depth_bias[c];
            for (int k = 0; k < s->taps; k++) y[t] += s->depth[c * s->taps + k] * joined[t + k];
        }
    }
    swap(f);
}

static void layer_norm(Flow *f, const ConvNeXt *s) {
    int space = spaced(f->n);
    for (int t = 0; t < f->n; t++) {
        float *x = f->x + t, mean = 0, variance = 0;
        for (int c = 0; c < f->channels; c++) mean += x[c * space] / f->channels;
        for (int c = 0; c < f->channels; c++) {
            float away = x[c * space] - mean;
            variance += away * away / f->channels;
        }
        float factor = 1.0f / sqrtf(variance + s->eps);
        for (int c = 0; c < f->channels; c++)
            x[c * space] = (x[c * space] - mean) * factor * s->norm[c] + s->norm_bias[c];
    }
}

static void convnext(Flow *f, const ConvNeXt *s, float *kept) {
    upsample(f, &s->up);
    memcpy(kept, f->x, sizeof(float) * f->channels * spaced(f->n));
    depthwise(f, s);
    layer_norm(f, s);
    convolve(f, &s->widen);
    int space = spaced(f->n);
    for (int c = 0; c < f->channels; c++)
        for (int t = 0; t < f->n; t++) {
            float *x = f->x + c * space + t;
            *x *= 0.5f * (1.0f + erff(*x * 0.70710678f));
        }
    convolve(f, &s->narrow);
    add(f, kept);
}

// The most numbers that a signal has on its way from n frames to samples.
static int64_t largest(const Vocoder *v, int n) {
    int64_t most = 0, length = n, wide;
#define GROW(channels, reach) if ((wide = (int64_t)(channels) * spaced(length + (reach))) > most) most = wide
    for (int s = 0; s < v->stages; s++) {
        GROW(v->stage[s].up.convolution.outputs, 0);
        length *= v->stage[s].up.rate;
        GROW(v->stage[s].widen.outputs, v->stage[s].taps);
    }
    GROW(v->first.inputs, v->first.taps);
    GROW(v->first.outputs, 0);
    for (int b = 0; b < v->blocks; b++) {
        const Block *block = &v->block[b];
        GROW(block->up.convolution.outputs, 0);
        GROW(block->up.convolution.inputs, 1);
        length *= block->up.rate;
        for (int u = 0; u < 3; u++) {
            const Convolution *c = &block->unit[u].wide;
            GROW(c->inputs, (c->taps - 1) * c->dilation);
        }
    }
    GROW(v->last.inputs, v->last.taps);
#undef GROW
    return most;
}

// codes [quantizers][frames], `space` apart, of at most AT_ONCE frames -> the number of samples.
static int piece(
    const Vocoder *v, Cache *cache, float *past, int64_t before, const int64_t *codes, int space, int frames,
    float *samples, float *scratch, int64_t most) {
    int width = v->transformer.width;
    float rows[frames * width], positions[3 * frames];
    for (int t = 0; t < frames; t++) {
        float *row = rows + t * width;
        memset(row, 0, sizeof(float) * width);
        for (int q = 0; q < v->quantizers; q++) {
            const float *one = v->embedding + (q * v->codebook + codes[q * space + t]) * width;
            for (int i = 0; i < width; i++) row[i] += one[i];
        }
        for (int i = 0; i < width; i++) row[i] /= v->quantizers;
        for (int axis = 0; axis < 3; axis++) positions[axis * frames + t] = before + t;
    }
    if (cache->length + frames > cache->capacity) forget(&v->transformer, cache, v->transformer.window - 1);
    cache->count = frames;
    decode(&v->transformer, frames, rows, positions, cache, 1, 0, 0, 0, 0);
    Flow f = {scratch, scratch + most, scratch + 2 * most, width, frames, past, before == 0};
    float *kept = scratch + 3 * most;
    for (int c = 0; c < width; c++)
        for (int t = 0; t < frames; t++) f.x[c * spaced(frames) + t] = rows[t * width + c];
    for (int s = 0; s < v->stages; s++) convnext(&f, &v->stage[s], kept);
    convolve(&f, &v->first);
    for (int b = 0; b < v->blocks; b++) {
        snake(&f, &v->block[b].before, f.x);
        upsample(&f, &v->block[b].up);
        for (int u = 0; u < 3; u++) residual(&f, &v->block[b].unit[u], kept);
    }
    snake(&f, &v->snake, f.x);
    convolve(&f, &v->last);
    for (int t = 0; t < f.n; t++) samples[t] = f.x[t] > 1 ? 1 : f.x[t] < -1 ? -1 : f.x[t];
    return f.n;
}

// codes [quantizers][frames] of a stream of which `before` frames have been -> how many samples there are. `cache` and
// `past` are the stream's own and go on with it; past is zeros at the beginning.
int64_t vocode(
    const Vocoder *v, Cache *cache, float *past, int64_t before, const int64_t *codes, int frames, float *samples) {
    int64_t most = largest(v, frames < AT_ONCE ? frames : AT_ONCE), made = 0;
    float *scratch = calloc(4 * most, sizeof(float));
    for (int t = 0; t < frames; t += AT_ONCE) {
        int some = frames - t < AT_ONCE ? frames - t : AT_ONCE;
        made += piece(v, cache, past, before + t, codes + t, frames, some, samples + made, scratch, most);
    }
    free(scratch);
    return made;
}
