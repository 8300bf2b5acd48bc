// Sixteen numbers at a time, and what is made of them. The compiler maps `lanes` to whatever the processor has.
//
// All results of a row depend on that row alone: sums are taken in one order, however many rows there are.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define PANEL 32  // outputs that are summed side by side
#define ROWS 6    // and for so many rows at once: the sums stay in registers

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t bits __attribute__((vector_size(4 * LANES), aligned(4)));

static inline lanes load(const float *x) { return *(const lanes *)x; }
static inline void store(float *x, lanes y) { *(lanes *)x = y; }
static inline lanes all(float x) { return (lanes){} + x; }
static inline lanes either(bits which, lanes a, lanes b) { return (lanes)((which & (bits)a) | (~which & (bits)b)); }

static inline int rounded_up(int n, int to) { return (n + to - 1) / to * to; }

static inline float total(lanes x) {
    float sum[LANES];
    store(sum, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

// e^x by a polynomial, to float's precision; 0 below -87.
static inline lanes exponential(lanes x) {
    const lanes magic = all(12582912.0f);  // adding it rounds to a whole number
    x = either(x < -87.0f, all(-87.0f), x);
    x = either(x > 88.0f, all(88.0f), x);
    lanes shifted = x * 1.44269504f + magic, whole = shifted - magic;
    lanes r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    lanes p = ((((1.9875691e-4f * r + 1.3981999e-3f) * r + 8.3334519e-3f) * r + 4.1665796e-2f) * r + 1.6666665e-1f) * r;
    p = (p + 5.0000001e-1f) * r * r + r + 1.0f;
    return (lanes)((bits)p + (((bits)shifted - (bits)magic) << 23));
}

// A matrix of outputs x inputs, in panels of PANEL outputs that lie `stride` numbers apart: [inputs][PANEL] each.
typedef struct {
    int32_t inputs, outputs;
    int64_t stride;
    const float *panels, *bias;  // no bias: 0
} Matrix;

static inline __attribute__((always_inline)) void multiply_rows(
    const Matrix *m, const int rows, const float *x, int64_t x_stride, float *y, int64_t y_stride) {
    for (int first = 0; first < m->outputs; first += PANEL) {
        const float *w = m->panels + first / PANEL * m->stride;
        lanes even[ROWS][2], odd[ROWS][2];
        for (int r = 0; r < rows; r++) even[r][0] = even[r][1] = odd[r][0] = odd[r][1] = (lanes){};
        int i = 0;
        for (; i + 1 < m->inputs; i += 2, w += 2 * PANEL) {
            lanes w0 = load(w), w1 = load(w + 16), w2 = load(w + 32), w3 = load(w + 48);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                const float *at = x + r * x_stride + i;
                even[r][0] += at[0] * w0;
                even[r][1] += at[0] * w1;
                odd[r][0] += at[1] * w2;
                odd[r][1] += at[1] * w3;
            }
        }
        if (i < m->inputs)
            for (int r = 0; r < rows; r++) {
                float last = x[r * x_stride + i];
                even[r][0] += last * load(w);
                even[r][1] += last * load(w + 16);
            }
        for (int r = 0; r < rows; r++) {
            float sums[PANEL];
            store(sums, even[r][0] + odd[r][0]);
            store(sums + 16, even[r][1] + odd[r][1]);
            int left = m->outputs - first;
            if (m->bias)
                for (int o = 0; o < PANEL && o < left; o++) sums[o] += m->bias[first + o];
            memcpy(y + r * y_stride + first, sums, sizeof(float) * (left < PANEL ? left : PANEL));
        }
    }
}

// y [rows][outputs] = m x for x [rows][inputs]; rows lie `x_stride` and `y_stride` numbers apart.
static inline void multiply_strided(
    const Matrix *m, int rows, const float *x, int64_t x_stride, float *y, int64_t y_stride) {
    for (; rows >= ROWS; rows -= ROWS, x += ROWS * x_stride, y += ROWS * y_stride)
        multiply_rows(m, ROWS, x, x_stride, y, y_stride);
    switch (rows) {
        case 5: multiply_rows(m, 5, x, x_stride, y, y_stride); break;
        case 4: multiply_rows(m, 4, x, x_stride, y, y_stride); break;
        case 3: multiply_rows(m, 3, x, x_stride, y, y_stride); break;
        case 2: multiply_rows(m, 2, x, x_stride, y, y_stride); break;
        case 1: multiply_rows(m, 1, x, x_stride, y, y_stride); break;
    }
}

static inline void multiply(const Matrix *m, int rows, const float *x, float *y) {
    multiply_strided(m, rows, x, m->inputs, y, m->outputs);
}

static inline float dot(const float *x, const float *y, int n) {
    lanes even = {}, odd = {};
    float rest = 0;
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        even += load(x + i) * load(y + i);
        odd += load(x + i + LANES) * load(y + i + LANES);
    }
    for (; i < n; i++) rest += x[i] * y[i];
    return total(even + odd) + rest;
}

// x [n] over its root mean square, scaled: y may be x.
static inline void rms_norm(const float *x, const float *scale, int n, float eps, float *y) {
    float factor = 1.0f / sqrtf(dot(x, x, n) / n + eps);
    for (int i = 0; i < n; i++) y[i] = scale[i] * (x[i] * factor);
}

// silu(gate) * up for rows [gate | up] of 2 n: y [rows][n].
static inline void gated(const float *x, int rows, int n, float *y) {
    for (int r = 0; r < rows; r++, x += 2 * n, y += n)
        for (int i = 0; i < n; i += LANES) {
            lanes gate = {}, up = {};
            int some = n - i < LANES ? n - i : LANES;
            memcpy(&gate, x + i, sizeof(float) * some);
            memcpy(&up, x + n + i, sizeof(float) * some);
            lanes result = gate / (1.0f + exponential(-gate)) * up;
            memcpy(y + i, &result, sizeof(float) * some);
        }
}

// softmax of scores [n] in place; there is room for whole lanes.
static inline void softmax(float *scores, int n) {
    for (int i = n; i < rounded_up(n, LANES); i++) scores[i] = -1e30f;
    lanes most = load(scores), sum = {};
    for (int i = LANES; i < n; i += LANES) most = either(load(scores + i) > most, load(scores + i), most);
    float highest = most[0];
    for (int i = 1; i < LANES; i++) highest = most[i] > highest ? most[i] : highest;
    for (int i = 0; i < n; i += LANES) {
        lanes e = exponential(load(scores + i) - highest);
        store(scores + i, e);
        sum += e;
    }
    float factor = 1.0f / total(sum);
    for (int i = 0; i < n; i++) scores[i] *= factor;
}
